"""The columns of every table on disk, and their checks.

Tables are written whole or not at all: a new file replaces the old one only after its last byte is
on disk. They are read by ``fairthesis.tables``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError, unknown
from fairthesis.storage import write_atomically
from fairthesis.values import labels, numbers, plain_column, probabilities, text

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet takes for a formula
SPLITS = ("train", "val", "test")
PREDICTION_COLUMNS = ("image_id", "patient_id", "split", "target", "y_true", "y_score")
EMBEDDING_KEYS = ("image_id", "patient_id", "split")


def require_columns(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise ``InputError`` naming the first of ``columns`` that ``frame`` lacks.

    Also refused: a name that stands twice, and lists in place of values.

    >>> require_columns(pd.DataFrame({"a": [1]}), ["a"], "the table")
    """
    for column in columns:
        if column not in frame.columns:
            raise unknown(f"column in {what}", column, frame.columns)
        plain_column(frame, column, what)


def check_predictions(frame: pd.DataFrame, what: str = "the predictions table") -> pd.DataFrame:
    """The predictions table, or an ``InputError`` that says what is wrong with it.

    One row per image and target: ``image_id, patient_id, split, target, y_true, y_score`` and one
    column per attribute. ``y_true`` is 0, 1 or null; ``y_score`` a probability or null.
    """
    require_columns(frame, PREDICTION_COLUMNS, what)
    if len(frame) == 0:
        raise InputError(f"No rows in {what}: expected one row per image and target.")
    splits = set(frame["split"].dropna().unique()) - set(SPLITS)
    if splits or frame["split"].isna().any():
        value = sorted(map(str, splits)) or ["null"]
        raise InputError(
            f"Unknown split {value[0]!r} in {what}: expected one of {', '.join(SPLITS)}."
        )
    labels(frame, "y_true", what)
    probabilities(frame, "y_score", what)
    doubled = frame.duplicated(["image_id", "target"])
    if doubled.any():
        first = frame.loc[doubled, "image_id"].iloc[0]
        raise InputError(
            f"Image {first!r} appears twice for the same target in {what}: expected one row per "
            "image and target."
        )
    return frame


def numbered_columns(frame: pd.DataFrame, prefix: str) -> list[str]:
    """The columns of an embedding: ``prefix`` and then digits, nothing else.

    A table may hold other columns that begin alike; one such as ``disease_label`` taken for a
    feature would hand a probe the answer.

    >>> numbered_columns(pd.DataFrame(columns=["z_000", "z_001", "z_label", "z_", 7]), "z_")
    ['z_000', 'z_001']
    """
    pattern = re.compile(re.escape(prefix) + "[0-9]+")
    return [column for column in frame.columns if pattern.fullmatch(str(column))]


def embedding_columns(frame: pd.DataFrame, prefix: str, what: str) -> list[str]:
    """``numbered_columns``, or an ``InputError`` that names the prefixes there are."""
    columns = numbered_columns(frame, prefix)
    if columns:
        return columns
    alike = [str(c) for c in frame.columns if str(c).startswith(prefix)]
    if alike:
        raise InputError(
            f"No numbered column {prefix}... in {what}: expected {prefix}000, {prefix}001 and so "
            f"on, but found {', '.join(alike[:5])}. Give the prefix that the numbers follow."
        )
    found = {str(c).rstrip("0123456789") for c in frame.columns if str(c)[-1:].isdigit()}
    raise unknown(f"prefix of columns in {what}", prefix, sorted(found))


def embedding_values(frame: pd.DataFrame, columns: list[str], what: str) -> NDArray[np.float64]:
    """The ``columns`` of an embedding as numbers, shape (n, d); all of them finite."""
    ready = all(pd.api.types.is_numeric_dtype(frame[column].dtype) for column in columns)
    if ready:
        values = frame[columns].to_numpy(np.float64, na_value=np.nan)
    else:
        expected = "a number, as in every column of an embedding"
        made = [numbers(frame, column, what, expected) for column in columns]
        values = np.stack(made, axis=1)
    if not np.isfinite(values).all():
        raise InputError(f"{what.capitalize()} holds values that are not finite numbers.")
    return values


def attribute_columns(frame: pd.DataFrame) -> list[str]:
    """The attribute columns of a predictions table: all that the contract does not name."""
    return [column for column in frame.columns if column not in PREDICTION_COLUMNS]


def attribute_parts(frame: pd.DataFrame, name: str) -> list[str]:
    """The columns that an attribute is made of: itself, or those joined by ``*``.

    >>> attribute_parts(pd.DataFrame({"sex": ["F"], "age_group": ["80+"]}), "sex*age_group")
    ['sex', 'age_group']
    """
    return [name] if name in frame.columns else [part.strip() for part in name.split("*")]


def group_values(frame: pd.DataFrame, name: str, what: str) -> pd.Series:
    """The group of each row as text: one column's, or an intersection's (``a*b``, any number).

    A row is null where any part is.

    >>> table = pd.DataFrame({"sex": ["F", "M", None], "type": [1.0, float("nan"), 2.0]})
    >>> group_values(table, "sex*type", "the table").tolist()
    ['F * 1', <NA>, <NA>]
    """
    parts = attribute_parts(frame, name)
    require_columns(frame, parts, what)
    found = text(frame[parts[0]])
    for part in parts[1:]:
        found = found + " * " + text(frame[part])
    return found.rename(name)


def write_table(frame: pd.DataFrame, path: str | Path, *, make_folder: bool = True) -> None:
    """Write ``frame`` to a ``.csv`` or ``.parquet`` file, whole or not at all."""
    path = Path(path)
    write_atomically(path, table_writer(frame, path.name), make_folder=make_folder)


def table_writer(frame: pd.DataFrame, name: str) -> Callable[[Path], object]:
    """What writes ``frame`` to a path, by the ending of ``name``: ``.csv`` or ``.parquet``."""
    if name.endswith(".parquet"):
        return lambda to: frame.to_parquet(to, index=False)
    if name.endswith(".csv"):
        return lambda to: frame.to_csv(to, index=False, lineterminator="\n")
    raise InputError(f"Cannot write {name!r}: expected a name ending in .csv or .parquet.")


def text_writer(text: str) -> Callable[[Path], object]:
    """What writes ``text`` to a path, as UTF-8."""
    return lambda to: to.write_text(text, encoding="utf-8")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """A report's table whose text no spreadsheet runs: an apostrophe before what is a formula.

    As OWASP advises against CSV injection. For tables that people open, not for data that are read
    again: a key must stay as it is.

    >>> without_formulas(pd.DataFrame({"group": ["=1+1", "-1", "F"]}))["group"].tolist()
    ["'=1+1", '-1', 'F']
    """
    found = table.copy()
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name].dtype):
            found[name] = table[name].map(_quoted)
    return found


def _quoted(value: object) -> object:
    if not (isinstance(value, str) and value.startswith(FORMULA)):
        return value
    try:
        float(value)  # -1 is a number for a spreadsheet as well
    except ValueError:
        return f"'{value}"
    return value


def write_text(text: str, path: str | Path) -> None:
    """Write ``text`` to a file as UTF-8, whole or not at all."""
    write_atomically(Path(path), text_writer(text))


def fold_floats(frame: pd.DataFrame) -> pd.DataFrame:
    """``float64`` columns as ``float32``: half the bytes, still seven digits."""
    floats = frame.select_dtypes(np.float64).columns
    return frame.astype(dict.fromkeys(floats, np.float32))
