"""A cohort's images -> a table of vectors of any encoder, written part by part, and resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from fairthesis import data
from fairthesis.data import Cohort
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import SPLITS, attribute_parts
from fairthesis.models import PRECISIONS, Encoder, state_digest
from fairthesis.provenance import peak_memory_mb, provenance, write_json
from fairthesis.storage import check_writable, config_differences, write_table
from fairthesis.training._batches import images_tensor
from fairthesis.training._inference import filled_up
from fairthesis.training._parts import clear_parts, in_parts, join_parts, part_name
from fairthesis.training._run_folder import RunFolder, claimed
from fairthesis.training._setup import device_of

TABLE, LABELS, DESCRIPTION = "embeddings.parquet", "labels.csv", "embeddings.json"
SHARDS = "embeddings"  # the folder of shards


def embed(
    encoder: Encoder,
    cohort: Cohort,
    out: str | Path,
    *,
    shard: tuple[int, int] = (1, 1),
    batch_size: int = 32,
    precision: str = "float32",
    device: str = "auto",
    overwrite: bool = False,
    progress: bool = True,
) -> Path:
    """Write the vectors that an encoder makes of a cohort's images; gives the folder ``out``.

    The data set ``embeddings`` takes the folder as it is: ``embeddings.parquet`` has ``image_id``,
    ``patient_id``, ``split`` where it is known, and the numbers in ``z_0000``, ``z_0001``, ...
    (float32); ``labels.csv`` the targets and attributes, which ``embeddings.json`` names. Beside
    them stand ``provenance.json`` and, last, ``DONE``. A killed call goes on where it stopped.

    Args:
        encoder: as ``fairthesis.models.load_encoder`` gives it.
        cohort: of images. Those that cannot be read are left out, and counted in the provenance.
        out: the folder to be written.
        shard: (i, n), from (1, n) to (n, n): the i-th of n parts of the cohort, which is written
            into ``out/embeddings/shard-i-of-n``. Once all are there they are one table.
        batch_size: images that are computed together. A last batch is filled up, so that a vector
            does not depend on what stands beside its image.
        precision: ``float32``, or ``bfloat16`` or ``float16`` for the encoder's arithmetic.
        device: ``auto``, ``cpu``, ``cuda``, ...
        overwrite: whether other embeddings in ``out`` are replaced.
        progress: whether a bar is shown.

    Raises:
        InputError: for a cohort of vectors, a shard that there is not, shards of another encoder
            or cohort in ``out``, and vectors that are not finite.

    >>> import os, tempfile
    >>> from unittest import mock
    >>> from fairthesis import datasets
    >>> from fairthesis.models import load_encoder
    >>> encoder = load_encoder("torchvision:resnet18", weights="random", size=32)
    >>> cohort = datasets.load("synthetic-cxr", n_train=6, n_val=4, n_test=4)
    >>> with tempfile.TemporaryDirectory() as at, mock.patch.dict(os.environ, FAIRTHESIS_CACHE=at):
    ...     out = embed(encoder, cohort, f"{at}/vectors", progress=False)
    ...     again = datasets.load("embeddings", out)
    >>> again.vectors.width, again.targets == cohort.targets, len(again)
    (512, True, 14)
    """
    out = Path(out)
    if cohort.vectors is not None:
        raise InputError(f"{cohort.name} has vectors already: expected a data set of images.")
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    if batch_size < 1:
        raise InputError(f"Expected batch_size to be 1 or larger, but got {batch_size}.")
    part, place_of = _shard(cohort, shard, out)
    place_for = device_of(device)
    described = encoder.described() | {"digest": state_digest(encoder.net)}
    edge = encoder.preprocessing.edge
    config: dict[str, Any] = {
        "embeddings_of": cohort.name,
        "cohort": cohort.fingerprint(),
        "data_fingerprint": data.images_fingerprint(part, edge, progress=progress),
        "encoder": {k: v for k, v in described.items() if k != "architecture"},
        "precision": precision,
        "batch_size": batch_size,
        "shard": f"{shard[0]}/{shard[1]}",
    }
    if place_of != out:
        _check_others(place_of.parent, config, place_of.name, overwrite)
    images, readable = data.prepared_images(part, edge, progress=progress)
    rows = np.flatnonzero(readable)
    if not len(rows):
        raise InputError(f"No image of {cohort.name} can be read: there is nothing to embed.")
    origin = provenance(
        encoder=described, dataset=cohort.name, data_fingerprint=config["data_fingerprint"],
        shard=config["shard"], device=str(place_for), precision=precision, batch_size=batch_size,
        resized="bicubic (Pillow)",
    )  # fmt: skip
    net = encoder.net.to(place_for, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    with claimed(config, place_of, {}, overwrite) as place:
        if place.finished:
            clear_parts(place_of)
            return out
        place.begin()
        parts = list(in_parts(rows, batch_size))
        with tqdm(total=len(rows), desc=cohort.name, unit="image", disable=not progress) as bar:
            for number, own in enumerate(parts):
                if (place_of / part_name(number, TABLE)).is_file():
                    bar.update(len(own))
                    continue
                vectors = np.empty((len(own), encoder.width), np.float32)
                for start in range(0, len(own), batch_size):
                    batch = own[start : start + batch_size]
                    found = _vectors(encoder, net, images[batch], place_for, precision, batch_size)
                    vectors[start : start + len(batch)] = found.numpy()
                    bar.update(len(batch))
                _check_finite(vectors, encoder, part, own)
                place.table(_table(part, own, vectors), part_name(number, TABLE))
        files = [place_of / part_name(number, TABLE) for number in range(len(parts))]
        place.file(lambda to: join_parts(files, (None,), to), TABLE)
        described_cohort = _write_labels(cohort, out, place, sharded=place_of != out)
        splits = part.frame["split"].iloc[rows]
        origin |= {
            "images": {split: int((splits == split).sum()) for split in SPLITS},
            "left_out": dict(cohort.left_out) | {"unreadable image": int((~readable).sum())},
            "peak_memory_mb": peak_memory_mb(),
        }
        place.json(origin, "provenance.json")
        names = ("config.json", TABLE, "provenance.json", *described_cohort)
        place.finish(config["data_fingerprint"], names)
        clear_parts(place_of)
    return out


@torch.no_grad()
def _vectors(
    encoder: Encoder,
    net: torch.nn.Module,
    pixels: NDArray[np.uint8],
    device: torch.device,
    precision: str,
    batch_size: int,
) -> Tensor:
    images = filled_up(images_tensor(pixels, device), batch_size)
    images = encoder.preprocessing(images).contiguous(memory_format=torch.channels_last)
    narrow = None if precision == "float32" else getattr(torch, precision)
    with torch.autocast(device.type, narrow, enabled=narrow is not None):
        found: Tensor = net(images)
    return found[: len(pixels)].float().cpu()


def _shard(cohort: Cohort, shard: tuple[int, int], out: Path) -> tuple[Cohort, Path]:
    """The cohort's part of a shard, and the folder for it."""
    i, n = shard
    if not 1 <= i <= n:
        raise InputError(f"Expected a shard i/n with i from 1 to n, but got {i}/{n}.")
    if n > len(cohort):
        raise InputError(f"Expected at most {len(cohort)} shards, one an image, but got {n}.")
    if n == 1:
        if (out / SHARDS).is_dir():
            raise InputError(f"{str(out)!r} has shards already: choose another folder.")
        return cohort, out
    if (out / TABLE).is_file():
        raise InputError(f"{str(out)!r} has a whole {TABLE} already: choose another folder.")
    check_writable(out)
    rows = np.array_split(np.arange(len(cohort)), n)[i - 1]
    return cohort.take(rows), out / SHARDS / f"shard-{i}-of-{n}"


def _check_others(folder: Path, config: Mapping[str, Any], own: str, overwrite: bool) -> None:
    """Refuse a shard of another encoder, cohort or number than those beside it."""
    for file in sorted(folder.glob("shard-*/config.json")):
        if file.parent.name == own:
            continue
        beside = json.loads(file.read_text(encoding="utf-8"))
        a, b = ({k: v for k, v in c.items() if k != "data_fingerprint"} for c in (beside, config))
        a["shard"], b["shard"] = (c["shard"].partition("/")[2] for c in (a, b))
        other = config_differences(a, b)
        if other:
            raise InputError(
                f"{file.parent.name} in {str(folder)!r} is of another set (other: "
                f"{', '.join(other)}): expected shards of one encoder and cohort. Choose another "
                "folder, or remove those."
            )


def _table(cohort: Cohort, rows: NDArray[np.intp], vectors: NDArray[np.float32]) -> pd.DataFrame:
    """Keys and numbered columns of some rows."""
    frame = cohort.frame.iloc[rows].reset_index(drop=True)
    keys = frame[["image_id", "patient_id", *(["split"] if _knows_split(cohort) else [])]]
    digits = max(4, len(str(vectors.shape[1] - 1)))
    columns = {f"z_{i:0{digits}d}": column for i, column in enumerate(vectors.T)}
    return keys.join(pd.DataFrame(columns))


def _knows_split(cohort: Cohort) -> bool:
    """Files without a split are all ``test``, which says nothing."""
    return set(cohort.frame["split"]) != {"test"}


def _write_labels(cohort: Cohort, out: Path, place: RunFolder, sharded: bool) -> tuple[str, ...]:
    """The cohort's labels and groups, and the data set's options that name them, where it has any.

    All shards write the same; the names of the files that ``DONE`` vouches for.
    """
    if not cohort.targets:
        return ()
    parts = [p for name in cohort.attributes for p in attribute_parts(cohort.frame, name)]
    lesion = ["lesion_id"] if "lesion_id" in cohort.frame else []
    split = ["split"] if _knows_split(cohort) else []
    columns = ["image_id", "patient_id", *lesion, *split, *cohort.targets, *parts]
    labels = cohort.frame[list(dict.fromkeys(columns))]
    options: dict[str, Any] = {"vectors": SHARDS if sharded else TABLE, "table": LABELS}
    options |= {"targets": list(cohort.targets), "attributes": list(cohort.attributes)}
    options |= {"lesion": "lesion_id"} if lesion else {}
    if sharded:
        write_table(labels, out / LABELS)
        write_json(options, out / DESCRIPTION)
        return ()
    place.table(labels, LABELS)
    place.json(options, DESCRIPTION)
    return LABELS, DESCRIPTION


def _check_finite(
    vectors: NDArray[np.float32], encoder: Encoder, cohort: Cohort, rows: NDArray[np.intp]
) -> None:
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        first = cohort.frame["image_id"].iloc[rows[int(np.argmax(bad))]]
        raise InputError(
            f"{encoder.name} gives NaN or infinite numbers for {int(bad.sum())} images, the first "
            f"of them {first!r}: expected finite ones. Try precision float32, or other weights."
        )
