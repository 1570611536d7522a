"""The columns of every table on disk, and their checks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError, unknown
from fairthesis.inputs._columns import (
    label_column,
    number_column,
    plain_column,
    probability_column,
    text_column,
)

SPLITS = ("train", "val", "test")
PREDICTION_COLUMNS = ("image_id", "patient_id", "split", "target", "y_true", "y_score")
EMBEDDING_KEYS = ("image_id", "patient_id", "split")


def as_frame(table: Any, what: str) -> pd.DataFrame:
    """A pandas table, or one of another library that can become it (polars, Arrow).

    Raises ``InputError`` for anything else, a path for instance.

    >>> as_frame(pd.DataFrame({"a": [1]}), "the table").shape
    (1, 1)
    """
    if isinstance(table, pd.DataFrame):
        return table
    if hasattr(table, "to_pandas"):
        return as_frame(table.to_pandas(), what)
    hint = ""
    if isinstance(table, str | Path):
        hint = f" Read the file first: fairthesis.tables.read_table({str(table)!r})."
    raise InputError(
        f"Expected {what} as a pandas DataFrame, but got {type(table).__name__}.{hint}"
    )


def require_columns(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise ``InputError`` naming the first of ``columns`` that ``frame`` lacks.

    Also refused: a name that stands twice, and lists in place of values.

    >>> require_columns(pd.DataFrame({"a": [1]}), ["a"], "the table")
    """
    for column in columns:
        if column not in frame.columns:
            inside = column in frame.index.names
            hint = "It is the index: call reset_index() first." if inside else ""
            raise unknown(f"column in {what}", column, frame.columns, hint)
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
    label_column(frame, "y_true", what)
    probability_column(frame, "y_score", what)
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
        made = [number_column(frame, column, what, expected) for column in columns]
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
    found = text_column(frame[parts[0]])
    for part in parts[1:]:
        found = found + " * " + text_column(frame[part])
    return found.rename(name)
