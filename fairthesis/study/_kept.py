"""What statistics are made of, kept in the archive: predictions and embeddings of every run.

With them intervals, tests and probes can be computed anew without training.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairthesis.errors import InputError
from fairthesis.inputs import attribute_columns, numbered_columns, rows_of_part

if TYPE_CHECKING:
    from fairthesis.study._plans import Plan

#: Name and version of the inference that archived intervals and p values come from. Archives
#: without it have percentile intervals of gaps and plain permutation tests.
INFERENCE = "intervals from the groups' own, studentised permutation (2)"
PARTS = ("val", "test")
KEPT = ("predictions.parquet", "embeddings.parquet")
KEYS = ("variant", "seed")
MOST_NUMBERS = 2_000_000


def kept_tables(plan: Plan, folders: Mapping[tuple[str, int], Path]) -> dict[str, pd.DataFrame]:
    """``KEPT`` of all runs in one table each, validation and test images only.

    Predictions hold the columns of a run's table, embeddings image keys and the disease embedding
    in half precision, and the sensitive one where the plan asks for both; ``variant`` and ``seed``
    say whose. Text is stored once per value. Embeddings of more than ``MOST_NUMBERS`` are left out:
    an archive is text and tables of moderate size.
    """
    predictions: list[pd.DataFrame] = []
    embeddings: list[pd.DataFrame] = []
    numbers = 0
    for (variant, seed), folder in folders.items():
        frame = pd.read_parquet(folder / "predictions.parquet")
        frame = pd.concat([rows_of_part(frame, part) for part in PARTS])
        predictions.append(frame.assign(variant=variant, seed=seed)[[*KEYS, *frame.columns]])
        if numbers > MOST_NUMBERS:
            continue
        vectors = pd.read_parquet(folder / "embeddings.parquet")
        vectors = pd.concat([rows_of_part(vectors, part) for part in PARTS])
        columns = numbered_columns(vectors, "disease_")
        columns += numbered_columns(vectors, "sensitive_") if plan.disentanglement else []
        vectors[columns] = vectors[columns].astype(np.float16)
        kept = ["image_id", "patient_id", "split", *columns]
        own = vectors[kept].copy()  # of a wide table pandas else holds each column by itself
        embeddings.append(own.assign(variant=variant, seed=seed)[[*KEYS, *kept]])
        numbers += embeddings[-1].size
    if numbers > MOST_NUMBERS:
        embeddings = []
    kept_parts = [part for part in (predictions, embeddings) if part]
    tables = [pd.concat(part, ignore_index=True) for part in kept_parts]
    for table in tables:
        for column in table.columns:
            if table[column].dtype == object or pd.api.types.is_string_dtype(table[column]):
                table[column] = table[column].astype("category")
    return dict(zip(KEPT, tables, strict=False))


def small_writer(table: pd.DataFrame) -> Callable[[Path], object]:
    """What writes one of ``kept_tables`` in two thirds of the usual size, and nothing of it lost.

    Zstandard, after the bytes of single precision numbers are laid out by their place.
    """
    split = [str(name) for name in table.columns if table[name].dtype == np.float32]
    others = [str(name) for name in table.columns if name not in split]
    return lambda to: table.to_parquet(
        to, index=False, compression="zstd", use_byte_stream_split=split, use_dictionary=others
    )


def archived_embeddings(folder: str | Path, variant: str, seed: int) -> pd.DataFrame:
    """The embeddings that an archive keeps of one run, with label and groups beside.

    Args:
        folder: of the archive, or the name of an archive in ``results/``.
        variant: one of its variants.
        seed: one of its seeds.

    Returns:
        A row per validation and test image: ``image_id, patient_id, split``, the numbers of the
        embeddings, and ``y_true`` of the first target and the attributes.

    Raises:
        InputError: where the archive keeps no embeddings, or holds no such run.

    >>> table = archived_embeddings("synthetic-cxr-quick", "erm", 0)
    >>> table.columns.tolist()[-3:], sorted(table["split"].unique())
    (['disease_003', 'y_true', 'sex'], ['test', 'val'])
    """
    place = Path(folder)
    if not place.is_dir():
        from fairthesis.study._archive import archive_results

        place = archive_results() / str(folder)
    files = [place / name for name in KEPT]
    for file in files:
        if not file.is_file():
            raise InputError(f"{str(folder)!r} keeps no {file.name}: run the experiment again.")
    predictions, vectors = (
        without_category(table[(table["variant"] == variant) & (table["seed"] == seed)])
        for table in map(pd.read_parquet, files)
    )
    if vectors.empty:
        raise InputError(
            f"{str(folder)!r} holds no run of {variant}, seed {seed}: see its provenance.json."
        )
    first = predictions[predictions["target"] == predictions["target"].iloc[0]]
    labels = first[["image_id", "y_true", *attribute_columns(first)]]
    return vectors.merge(labels, on="image_id", how="left")


def without_category(table: pd.DataFrame) -> pd.DataFrame:
    """A run's rows with categories as text and half precision as double, without whose they are."""
    table = table.drop(columns=list(KEYS))
    kinds: dict[str, Any] = {}
    for name, column in table.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            kinds[str(name)] = "string"
        elif column.dtype == np.float16:
            kinds[str(name)] = np.float64
    return table.astype(kinds)


def audited_anew(folder: Path) -> dict[tuple[str, int], dict[str, dict[str, Any]]]:
    """Every archived run audited again from its kept predictions.

    Returns:
        (variant, seed) to target to the dictionary of ``audit.json``.

    Raises:
        InputError: where the archive keeps no predictions.
    """
    from fairthesis.auditing import audit

    file = folder / KEPT[0]
    if not file.is_file():
        raise InputError(
            f"{str(folder)!r} keeps no {KEPT[0]}: its intervals and p values cannot be computed "
            "anew without training. Run the experiment again to make it."
        )
    described = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    asked = described["experiment"]
    settings = {name: asked[name] for name in ("threshold", "n_boot", "n_permutations")}
    groups = {(run["variant"], run["seed"]): list(run["groups"]) for run in described["runs"]}
    kept = pd.read_parquet(file)
    found: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for key, of_run in groups.items():
        frame = kept[(kept["variant"].astype(str) == key[0]) & (kept["seed"] == key[1])]
        if frame.empty:
            raise InputError(f"{file.name} holds no row of {key[0]}, seed {key[1]}.")
        frame = frame.drop(columns=list(KEYS)).astype(
            dict.fromkeys(("image_id", "patient_id", "split", "target"), str)
        )
        found[key] = {
            str(target): audit(
                frame,
                groups=of_run,
                patient="patient_id",
                target=str(target),
                seed=key[1],
                **settings,
            ).to_dict()
            for target in frame["target"].unique()
        }
    return found
