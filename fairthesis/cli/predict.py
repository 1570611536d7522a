"""``fairthesis predict``: a finished run on other images, vectors or cohorts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairthesis.cli import _options
from fairthesis.errors import InputError
from fairthesis.inputs import option_pairs

if TYPE_CHECKING:
    from fairthesis.data import Cohort
    from fairthesis.training import Run


def cohort_for(
    run: Run,
    dataset: str | None,
    data_root: str | None,
    options: tuple[str, ...],
    images: Path | None,
    embeddings: Path | None,
    prefix: str | None = None,
) -> Cohort:
    """What is to be predicted: a data set, image files or vectors; else the run's own data."""
    from fairthesis import data, datasets

    given = {"--dataset": dataset, "--images": images, "--embeddings": embeddings}
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} are given: expected one of them.")
    wanted: dict[str, Any] = {"targets": run.targets, "attributes": run.attributes}
    if images is not None:
        own = {"channels": run.config["channels"], "window": run.config.get("window", "own")}
        return data.cohort_of_files(images, **own, **wanted)
    if embeddings is not None:
        return data.cohort_of_vectors(data.read_vectors(embeddings, prefix=prefix), **wanted)
    name = dataset or str(run.config["dataset"])
    own = dict(run.config["dataset_options"]) if dataset is None else {}
    own |= datasets.typed_options(name, option_pairs(options, "--dataset-option"), text=True)
    return datasets.load(name, data_root, seed=int(run.config["seed"]), **own)


def source_options() -> _options.Option:
    """What is predicted, and how the run's names are found in it."""
    return _options.together(
        click.option("--dataset", help="A data set by name; by default the run's own."),
        _options.data_root(),
        _options.pairs("--dataset-option"),
        click.option(
            "--images", type=click.Path(path_type=Path), metavar="FOLDER_OR_TABLE",
            help="A folder of images, or a table with a column path.",
        ),
        click.option(
            "--embeddings", type=click.Path(path_type=Path), metavar="TABLE",
            help="Vectors for a run that was trained on vectors: .parquet, .npy, ...",
        ),
        click.option("--prefix", help="Of the columns of --embeddings, where there are several."),
        _options.pairs(
            "--rename", text="THEIRS=OURS: the data's name of a target or attribute of the run."
        ),
        click.option(
            "--new-groups", is_flag=True, help="Allow groups that the run has not seen."
        ),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda."),
    )  # fmt: skip


@click.command(context_settings=_options.WIDE)
@click.argument("run", type=click.Path(path_type=Path))
@source_options()
@click.option("--unlabelled", is_flag=True, help="The data need not have the run's target.")
@click.option("--split", default="all", show_default=True, help="train, val, test or all.")
@_options.folder("Folder for the tables.")
@_options.overwrite("Replace other predictions in the folder.")
@_options.quiet("No progress bar.")
def command(
    run: Path,
    dataset: str | None,
    data_root: str | None,
    dataset_option: tuple[str, ...],
    images: Path | None,
    embeddings: Path | None,
    prefix: str | None,
    rename: tuple[str, ...],
    new_groups: bool,
    device: str,
    unlabelled: bool,
    split: str,
    out: Path,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Predict with the model of the finished RUN, and write predictions and embeddings.

    OUT gets predictions.parquet and embeddings.parquet as a run has them, so that audit, compare,
    probe and transfer take them. A killed command goes on where it stopped when it is given again.

    \b
    Examples:
      fairthesis predict runs/erm --split test --out again
      fairthesis predict runs/nih --dataset chexpert --data-root data/chexpert \\
          --rename "Pneumonia=pneumonia" --out external
      fairthesis predict runs/nih --images ward/ --out ward-scores
      fairthesis predict runs/vectors --embeddings new.parquet --out new-scores
    """
    from fairthesis.training import load_run, predict

    model = load_run(run, device=device)
    cohort = cohort_for(model, dataset, data_root, dataset_option, images, embeddings, prefix)
    bare = images is not None or embeddings is not None
    folder = predict(
        model, cohort, out, split=split, rename=option_pairs(rename, "--rename"),
        need_target=not (unlabelled or bare), new_groups=new_groups, overwrite=overwrite,
        progress=not quiet,
    )  # fmt: skip
    click.echo(f"{folder}: predictions and embeddings of {cohort.name} by {run}.")
    groups = [a for a in model.attributes if a in cohort.attributes]
    if cohort.targets and groups:
        asked = " ".join(f"--group {shlex.quote(name)}" for name in groups)
        click.echo(
            f"Next: fairthesis audit {folder}/predictions.parquet {asked} --patient patient_id "
            f"--threshold youden --threshold-from {run} --out {folder}/audit"
        )
