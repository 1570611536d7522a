"""What the loaders of downloaded data sets share: tables, folders of images, ages, labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.datasets.loaders._values import KEPT, count_values, describe_by
from fairthesis.errors import InputError
from fairthesis.inputs import as_text, key_column, read_table, require_columns

AGE_CUTS = (20, 40, 60, 80)


def folder(root: str | Path | None, dataset: str, expected: str) -> Path:
    """``root`` as a folder that exists, or an ``InputError`` that says what it should hold."""
    if root is None:
        raise InputError(
            f"{dataset} is read from files: give the folder of its release (--data-root) that "
            f"holds {expected}."
        )
    path = Path(root)
    if not path.is_dir():
        raise InputError(
            f"No such folder: {str(path)!r}. Expected the release of {dataset}, with {expected}."
        )
    return path


def table(root: Path, names: Sequence[str], columns: Sequence[str], dataset: str) -> pd.DataFrame:
    """The first of the files ``names`` that is in ``root``, every value as text, empty as null.

    Any table that ``inputs.read_table`` reads, also gzipped. The ``columns`` are as
    ``inputs.as_text`` has them, so that keys of two tables meet.
    """
    for name in names:
        for path in (root / name, root / f"{name}.gz"):
            if path.exists():
                frame = read_table(path)
                require_columns(frame, columns, str(path))
                if len(frame) == 0:
                    raise InputError(f"{path} has a header and no rows: expected one per image.")
                return frame.assign(**{column: as_text(frame[column]) for column in columns})
    listed = " or ".join(names)
    raise InputError(f"No {listed} in {str(root)!r}: expected the release of {dataset}.")


def images_in(root: Path, folders: Iterable[str], suffixes: Iterable[str]) -> dict[str, str]:
    """File name -> path relative to ``root`` of the images directly in ``folders``.

    One listing of each folder instead of one question per image.
    """
    endings = tuple(suffixes)
    found: dict[str, str] = {}
    for name in folders:
        place = root / name
        if place.is_dir():
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.name.lower().endswith(endings):
                        found.setdefault(
                            entry.name, f"{name}/{entry.name}" if name != "." else entry.name
                        )
    return found


def years(
    given: pd.Series, left_out: Counter[str], here: NDArray[np.bool_] | None = None
) -> pd.Series:
    """Ages in years from ``058Y``, ``006M``, ``030D``, ``58`` or ``58.0``; null where unknown.

    Ages above 120 or below 0 are typing errors, and other words are no ages: null, and counted in
    ``left_out`` (the image stays in the cohort), among the rows ``here``. An empty cell is unknown
    and is not counted.
    """
    clean = given.astype("string").str.strip().str.upper()
    parts = clean.str.extract(r"^([+-]?\d+(?:\.\d*)?)([YMWD]?)$")
    number = pd.to_numeric(parts[0], errors="coerce").astype(float)
    per_year = parts[1].map({"": 1.0, "Y": 1.0, "M": 12.0, "W": 52.0, "D": 365.25}).astype(float)
    age = number / per_year
    counted = np.ones(len(age), dtype=bool) if here is None else here
    impossible = (age > 120) | (age < 0)
    if (impossible & counted).any():
        left_out["age not possible (set to unknown, image kept)"] += int(
            (impossible & counted).sum()
        )
    words = number.isna() & clean.notna() & clean.ne("").fillna(False) & counted
    count_values(given[words.astype(bool)], "age", KEPT, left_out)
    return age.mask(impossible)


def age_group(age: pd.Series, cuts: Sequence[int] = AGE_CUTS) -> pd.Series:
    """``0-19``, ``20-39``, ... ``80+`` for cuts 20, 40, 60, 80; null where the age is."""
    edges = [int(cut) for cut in cuts]
    if not edges or edges != sorted(set(edges)) or edges[0] <= 0:
        raise InputError(f"Expected age_cuts to be rising ages above 0, but got {tuple(cuts)!r}.")
    bounds = [0, *edges]
    names = [f"{a}-{b - 1}" for a, b in zip(bounds, edges, strict=False)] + [f"{edges[-1]}+"]
    values = age.to_numpy(dtype=float)
    code = np.searchsorted(edges, np.nan_to_num(values), side="right")
    named = pd.Series(np.array(names, dtype=object)[code], index=age.index, dtype="object")
    return as_text(named.mask(np.isnan(values), None))


def by_stem(found: Mapping[str, str]) -> dict[str, str]:
    """``images_in`` by names without their ending, as tables of the ISIC archive give them."""
    return {name.rpartition(".")[0]: path for name, path in found.items()}


def describe(
    frame: pd.DataFrame,
    sex: pd.Series,
    age: pd.Series,
    left_out: Counter[str],
    age_cuts: Sequence[int] = AGE_CUTS,
    *,
    published: tuple[str, str],
) -> None:
    """Write ``sex``, ``age`` (years) and ``age_group`` into the frame; the unknown are counted.

    ``published`` names the list of values of sex: the data set and the column.
    """
    describe_by(frame, "sex", sex, *published, left_out)
    frame["age"] = years(age, left_out, frame["path"].notna().to_numpy())
    frame["age_group"] = age_group(frame["age"], age_cuts)


def keep_present(
    frame: pd.DataFrame, file_name: pd.Series, found: Mapping[str, str], left_out: Counter[str]
) -> pd.DataFrame:
    """The rows whose image is at hand, with its ``path``; the others are counted."""
    path = file_name.map(found)
    missing = path.isna()
    if missing.any():
        left_out["image file not found"] += int(missing.sum())
    return frame.assign(path=path)[~missing].reset_index(drop=True)


def usable(
    source: pd.DataFrame, left_out: Counter[str], image: str, patient: str | None = None
) -> pd.DataFrame:
    """The rows with an image name (and a patient, where there are numbers), each image once."""
    for column in (image, *([patient] if patient is not None else [])):
        key_column(source, column, "the table of images")  # warns where digits were lost
    source = drop(source, source[image].isna(), "row without an image name", left_out)
    if patient is not None:
        source = drop(source, source[patient].isna(), "row without a patient", left_out)
    return drop(source, source[image].duplicated(), "image listed twice", left_out)


def drop(frame: pd.DataFrame, bad: pd.Series, reason: str, left_out: Counter[str]) -> pd.DataFrame:
    """The rows that are not ``bad``; those that are get counted under ``reason``."""
    if bad.any():
        left_out[reason] += int(bad.sum())
        return frame[~bad].reset_index(drop=True)
    return frame
