"""``fairthesis embed``: the images of a cohort as vectors of any encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fairthesis.cli import _options
from fairthesis.errors import InputError
from fairthesis.inputs import option_pairs

if TYPE_CHECKING:
    from fairthesis.data import Cohort


def _cohort(
    dataset: str | None,
    data_root: str | None,
    options: tuple[str, ...],
    images: Path | None,
    targets: tuple[str, ...],
    attributes: tuple[str, ...],
    channels: int,
    seed: int,
) -> Cohort:
    """The images that are to be embedded."""
    from fairthesis import data, datasets

    if (dataset is None) == (images is None):
        raise InputError("Expected one of --dataset and --images: which images are meant?")
    if images is not None:
        return data.cohort_of_files(
            images, channels=channels, targets=targets, attributes=attributes
        )
    if targets or attributes:
        raise InputError(
            "--target and --attribute name columns of the table of --images: a data set's own are "
            "all written. Leave them out."
        )
    typed = datasets.typed_options(
        str(dataset), option_pairs(options, "--dataset-option"), text=True
    )
    return datasets.load(str(dataset), data_root, seed=seed, **typed)


@click.command(context_settings=_options.WIDE)
@click.option(
    "--encoder", required=True, metavar="LIBRARY:NAME",
    help="timm:NAME, torchvision:NAME, xrv:NAME, lite:NAME, hf:NAME_OR_FOLDER, or "
    "python:package.module:function.",
)  # fmt: skip
@click.option(
    "--weights",
    help="A local file (.pth, .safetensors); pretrained (the default): the library's own, fetched "
    "where they are not there; random: none, as for a floor.",
)
@click.option("--dataset", help="A data set by name: see `fairthesis datasets list`.")
@_options.data_root()
@_options.pairs("--dataset-option")
@click.option(
    "--images", type=click.Path(path_type=Path), metavar="FOLDER_OR_TABLE",
    help="A folder of images, or a table with a column path.",
)  # fmt: skip
@click.option(
    "--target", "targets", multiple=True, help="Column of labels in the table of --images."
)
@click.option(
    "--attribute", "attributes", multiple=True, help="Column of groups there; both repeatable."
)
@_options.folder("Folder for the table of vectors.")
@_options.shard("The i-th of n parts, as for n jobs of a cluster with the same --out.")
@click.option("--size", type=int, help="Edge of the images, whole.  [default: the encoder's card]")
@click.option("--batch-size", type=int, default=32, show_default=True)
@click.option(
    "--precision", default="float32", show_default=True, help="float32, bfloat16, float16."
)
@_options.seed("Of random weights, and of a data set that is drawn or split.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda.")
@_options.overwrite("Replace other embeddings in the folder.")
@_options.quiet("No progress bar.")
def command(
    encoder: str,
    weights: str | None,
    dataset: str | None,
    data_root: str | None,
    dataset_option: tuple[str, ...],
    images: Path | None,
    targets: tuple[str, ...],
    attributes: tuple[str, ...],
    out: Path,
    shard: tuple[int, int],
    size: int | None,
    batch_size: int,
    precision: str,
    seed: int,
    device: str,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Embed images by any encoder: a table of vectors that any method trains on.

    OUT gets embeddings.parquet, labels.csv with the targets and attributes, and provenance.json
    with the encoder, its weights' checksum and what was done to the images. The data set embeddings
    takes it as it is. A killed command goes on where it stopped when it is given again; with
    --shard the parts are one table once all are there.

    \b
    Examples:
      fairthesis embed --encoder torchvision:resnet50 --weights resnet50.pth \\
          --dataset nih-cxr14 --data-root data/nih --out vectors
      fairthesis train --dataset embeddings --data-root vectors --method adversarial --out runs/a
      fairthesis embed --encoder xrv:densenet121-res224-all --weights pretrained \\
          --images ward/ --out ward-vectors
      fairthesis embed --encoder hf:models/dinov2 --weights pretrained --dataset ham10000 \\
          --data-root data/ham --shard 3/8 --out vectors
      fairthesis embed --encoder python:mine.encoders:ours --images table.csv --target cancer \\
          --attribute sex --out vectors
    """
    from fairthesis.models import PRETRAINED, check_weights, has_pretrained, load_encoder
    from fairthesis.training import embed

    if weights is None and has_pretrained(encoder):
        weights = PRETRAINED
    if weights is not None and ":" in encoder:
        check_weights(encoder, weights)
    model = load_encoder(encoder, weights=weights, size=size, seed=seed)
    cohort = _cohort(
        dataset, data_root, dataset_option, images, targets, attributes,
        model.preprocessing.channels, seed,
    )  # fmt: skip
    folder = embed(
        model, cohort, out, shard=shard, batch_size=batch_size, precision=precision,
        device=device, overwrite=overwrite, progress=not quiet,
    )  # fmt: skip
    of = f", shard {shard[0]} of {shard[1]}" if shard[1] > 1 else ""
    click.echo(f"{folder}: vectors of {model.width} numbers of {cohort.name} by {model.name}{of}.")
    if cohort.targets and (shard[1] == 1 or shard[0] == shard[1]):
        click.echo(
            f"Next: fairthesis train --dataset embeddings --data-root {folder} --method adversarial"
            " --out runs/vectors"
        )
