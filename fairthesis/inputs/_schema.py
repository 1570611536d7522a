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

#: The splits of a cohort.
SPLITS = ("train", "val", "test")
#: The columns that a predictions table must have; all others are attributes.
PREDICTION_COLUMNS = ("image_id", "patient_id", "split", "target", "y_true", "y_score")
#: The columns that say which image a row of an embeddings table is of.
EMBEDDING_KEYS = ("image_id", "patient_id", "split")


def as_frame(table: Any, what: str) -> pd.DataFrame:
    """A pandas table, or one of another library that can become it (polars, Arrow).

    Args:
        table: The table.
        what: What it is called in a message.

    Raises:
        InputError: It is anything else, a path for instance.

    >>> import pyarrow
    >>> as_frame(pyarrow.table({"a": [1, 2]}), "the table")["a"].tolist()
    [1, 2]
    """
    if isinstance(table, pd.DataFrame):
        return table
    if hasattr(table, "to_pandas"):
        return as_frame(table.to_pandas(), what)
    hint = ""
    if isinstance(table, str | Path):
        hint = f" Read the file first: fairthesis.inputs.read_table({str(table)!r})."
    raise InputError(
        f"Expected {what} as a pandas DataFrame, but got {type(table).__name__}.{hint}"
    )


def require_columns(frame: pd.DataFrame, columns: Iterable[str], what: str) -> None:
    """Raise ``InputError`` naming the first of ``columns`` that ``frame`` lacks.

    Also refused: a name that stands there twice, and lists in place of values.

    Args:
        frame: The table.
        columns: Names that it must have.
        what: What the table is called in a message.

    >>> require_columns(pd.DataFrame({"sex": ["F"], "age": [40]}), ["sex", "ages"], "the table")
    Traceback (most recent call last):
    ...
    fairthesis.errors.InputError: Unknown column in the table 'ages': expected one of sex, age...
    """
    for column in columns:
        if column not in frame.columns:
            inside = column in frame.index.names
            hint = "It is the index: call reset_index() first." if inside else ""
            raise unknown(f"column in {what}", column, frame.columns, hint)
        plain_column(frame, column, what)


def check_predictions(frame: pd.DataFrame, what: str = "the predictions table") -> pd.DataFrame:
    """A predictions table as it is, once it is known to be one.

    One row per image and target: the columns of ``PREDICTION_COLUMNS`` and one per attribute.
    ``split`` is one of ``SPLITS``, ``y_true`` 0, 1 or null, ``y_score`` a probability or null.

    Args:
        frame: The table.
        what: What it is called in a message.

    Raises:
        InputError: A column is missing, there is no row, a value is none of these, or an image
            appears twice for one target.

    >>> table = pd.DataFrame({
    ...     "image_id": ["i1", "i2"], "patient_id": ["p1", "p1"], "split": "test",
    ...     "target": "edema", "y_true": [1, None], "y_score": [0.7, 0.2], "sex": "F",
    ... })
    >>> check_predictions(table) is table, attribute_columns(table)
    (True, ['sex'])
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

    Args:
        frame: The table.
        prefix: What the names begin with.

    Returns:
        Names in the order of the table.

    >>> numbered_columns(pd.DataFrame(columns=["z_000", "z_001", "z_label", "z_", 7]), "z_")
    ['z_000', 'z_001']
    """
    pattern = re.compile(re.escape(prefix) + "[0-9]+")
    return [column for column in frame.columns if pattern.fullmatch(str(column))]


def embedding_columns(frame: pd.DataFrame, prefix: str, what: str) -> list[str]:
    """The ``numbered_columns`` of a table that must have some.

    Args:
        frame: The table.
        prefix: What the names begin with.
        what: What the table is called in a message.

    Raises:
        InputError: There is none; the message names the prefixes there are.

    >>> table = pd.DataFrame(columns=["image_id", "z_000", "z_001"])
    >>> embedding_columns(table, "z_", "the table")
    ['z_000', 'z_001']
    >>> embedding_columns(table, "f_", "the table")
    Traceback (most recent call last):
    ...
    fairthesis.errors.InputError: Unknown prefix of columns in the table 'f_': expected one of z_...
    """
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
    """The ``columns`` of an embedding as numbers, shape (n, d).

    Args:
        frame: The table.
        columns: Names of the d columns.
        what: What the table is called in a message.

    Raises:
        InputError: A value is no number, or not finite.

    >>> table = pd.DataFrame({"z_0": ["0.5", "1"], "z_1": [2, 3]})
    >>> embedding_values(table, ["z_0", "z_1"], "the table").tolist()
    [[0.5, 2.0], [1.0, 3.0]]
    """
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
    """The attribute columns of a predictions table: all that are not in ``PREDICTION_COLUMNS``.

    >>> attribute_columns(pd.DataFrame(columns=["image_id", "y_true", "sex", "age_group"]))
    ['sex', 'age_group']
    """
    return [column for column in frame.columns if column not in PREDICTION_COLUMNS]


def attribute_parts(frame: pd.DataFrame, name: str) -> list[str]:
    """The columns that an attribute is made of: itself, or those joined by ``*``.

    Args:
        frame: The table; a column whose own name holds a ``*`` is itself.
        name: The attribute.

    Returns:
        Names of columns, which the table need not have.

    >>> attribute_parts(pd.DataFrame({"sex": ["F"], "age_group": ["80+"]}), "sex*age_group")
    ['sex', 'age_group']
    """
    return [name] if name in frame.columns else [part.strip() for part in name.split("*")]


def group_values(frame: pd.DataFrame, name: str, what: str) -> pd.Series:
    """The group of each row as text: one column's, or an intersection's (``a*b``, any number).

    Args:
        frame: The table.
        name: A column, or several joined by ``*``.
        what: What the table is called in a message.

    Returns:
        ``string`` type, same index; null where the value of any of the columns is.

    Raises:
        InputError: A column is missing, stands there twice, or holds lists or structures.

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
