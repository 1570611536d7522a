"""Which rows of a predictions table are meant, and their labels, scores and groups, checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError, unknown
from fairthesis.inputs._columns import key_column, label_column, probability_column, text_column
from fairthesis.inputs._order import in_order
from fairthesis.inputs._schema import group_values, require_columns

#: What a predictions table is called in a message where it has no other name.
PREDICTIONS_TABLE = "the predictions table"
MAX_GROUPS = 50
MOST_GROUPS = 1000
#: Groups with too few rows to be looked at one by one, where an attribute has more than 50.
OTHERS = "others"


def rows_of_target(
    frame: pd.DataFrame, target: str | None, used: Collection[str | None] = ()
) -> tuple[pd.DataFrame, str | None]:
    """The rows of one target, and its name; refuses to choose among several.

    Args:
        frame: A predictions table, with or without a column ``target``.
        target: The target; None takes the only one there is.
        used: Columns with another use (as label, say): a column ``target`` among them names no
            targets.

    Returns:
        The rows with their index, and the target's name, None where the table names none.

    Raises:
        InputError: There is no such target or no such column, or several and none is asked for.

    >>> table = pd.DataFrame({"target": ["edema", "effusion", "edema"], "y_true": [1, 0, 0]})
    >>> rows, name = rows_of_target(table, "edema")
    >>> rows["y_true"].tolist(), name
    ([1, 0], 'edema')
    """
    if "target" in used:
        if target is not None:
            raise InputError(
                "The column target is the label (or another column in use) of "
                f"{PREDICTIONS_TABLE}, so it names no targets: leave out --target (target=...), "
                f"which is {target!r}."
            )
        return frame, None
    if target is None:
        if "target" not in frame.columns:
            return frame, None
        require_columns(frame, ["target"], PREDICTIONS_TABLE)
        found = sorted(text_column(frame["target"]).dropna().unique())
        if len(found) > 1:
            raise InputError(
                f"The column target holds {len(found)} targets: {', '.join(found[:30])}. "
                "Choose one (--target, target=...): each is taken by itself."
            )
        return frame, (found[0] if found else None)
    require_columns(frame, ["target"], PREDICTIONS_TABLE)
    names = text_column(frame["target"])
    if not (names == target).any():
        raise unknown("target", target, sorted(names.dropna().unique()))
    return frame[(names == target).fillna(False).to_numpy(bool)], target


def rows_of_split(
    frame: pd.DataFrame, split: str | None, used: Collection[str | None] = ()
) -> tuple[pd.DataFrame, str | None]:
    """The rows of one split, and its name: of ``test`` where none is asked for.

    Args:
        frame: A predictions table, with or without a column ``split``.
        split: The split; None takes ``test``, or all rows of a table without that column.
        used: Columns with another use (as label, say): a column ``split`` among them names no
            splits.

    Returns:
        The rows with their index, and the split's name, None where the table names none.

    Raises:
        InputError: There is no such split, or no such column and a split is asked for.

    >>> table = pd.DataFrame({"split": ["val", "test", "test"], "y_true": [1, 0, 1]})
    >>> rows, name = rows_of_split(table, None)
    >>> rows["y_true"].tolist(), name
    ([0, 1], 'test')
    """
    if "split" not in frame.columns or "split" in used:
        if split is not None:
            raise InputError(
                f"No column split in {PREDICTIONS_TABLE}: cannot take the part {split!r}."
            )
        return frame, None
    wanted = "test" if split is None else split
    require_columns(frame, ["split"], PREDICTIONS_TABLE)
    names = text_column(frame["split"])
    if not (names == wanted).any():
        hint = "An audit covers the test part; --split (split=...) chooses another."
        raise unknown("split", wanted, sorted(names.dropna().unique()), hint)
    return frame[(names == wanted).fillna(False).to_numpy(bool)], wanted


def rows_of_part(frame: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of one split; none where there is no ``split`` column, or no such split.

    Args:
        frame: A predictions table.
        split: Name of the split.

    Returns:
        The rows with their index.

    >>> rows_of_part(pd.DataFrame({"split": ["val ", "test"], "x": [1, 2]}), "val")["x"].tolist()
    [1]
    """
    if "split" not in frame.columns:
        return frame.iloc[:0]
    require_columns(frame, ["split"], PREDICTIONS_TABLE)
    return frame[(text_column(frame["split"]) == split).fillna(False).to_numpy(bool)]


def with_keys(
    frame: pd.DataFrame,
    columns: Iterable[str],
    what: str = PREDICTIONS_TABLE,
    told: list[str] | None = None,
) -> pd.DataFrame:
    """The table with those of ``columns`` that it has as keys; see ``key_column``.

    Args:
        frame: The table, which stays as it is.
        columns: Columns of keys; those that it lacks are passed over.
        what: What the table is called in a message.
        told: A list to which warnings are appended instead of being given.

    Raises:
        InputError: A column stands there twice, or holds lists or structures.

    >>> table = pd.DataFrame({"patient_id": [7.0, 8.0], "age": [40, 50]})
    >>> with_keys(table, ["patient_id", "study_id"]).values.tolist()
    [['7', 40], ['8', 50]]
    """
    own = [column for column in dict.fromkeys(columns) if column in frame.columns]
    return frame.assign(**{column: key_column(frame, column, what, told) for column in own})


def row_labels(
    rows: pd.DataFrame, label: str, both: bool = True, what: str = PREDICTIONS_TABLE
) -> NDArray[np.float64]:
    """Labels of 0 and 1 as float64, shape (n,); none may be empty.

    Args:
        rows: The rows.
        label: The column of labels.
        both: Whether both of them must be there.
        what: What the table is called in a message.

    Raises:
        InputError: A label is empty or anything else; or, with ``both``, all are the same or there
            is no row.

    >>> row_labels(pd.DataFrame({"y_true": ["1", "0"]}), "y_true").tolist()
    [1.0, 0.0]
    """
    values = label_column(rows, label, what)
    if np.isnan(values).any():
        raise InputError(f"{label} is empty in {what}: expected 0 (absent) or 1 (present).")
    if both and not len(values):
        raise InputError(f"No rows in {what}: expected positive and negative cases.")
    if both and values.min() == values.max():
        raise InputError(
            f"All {len(values)} labels in {label} are {values[0]:g} in {what}: expected positive "
            "and negative cases. Is this the right column?"
        )
    return values


def row_scores(
    rows: pd.DataFrame, score: str, what: str = PREDICTIONS_TABLE
) -> NDArray[np.float64]:
    """Probabilities as float64, shape (n,); none may be empty.

    Args:
        rows: The rows.
        score: The column of probabilities.
        what: What the table is called in a message.

    Raises:
        InputError: A score is empty, no number or outside [0, 1].

    >>> row_scores(pd.DataFrame({"y_score": ["0,5", "1"]}), "y_score").tolist()
    [0.5, 1.0]
    """
    values = probability_column(rows, score, what)
    if np.isnan(values).any():
        raise InputError(f"{score} is empty in {what}: expected a probability from 0 to 1.")
    return values


def row_groups(rows: pd.DataFrame, name: str, pooled: int | None = None) -> pd.Categorical:
    """The groups of one attribute, or of an intersection such as ``sex*age_group``.

    Args:
        rows: The rows.
        name: A column, or several joined by ``*``; see ``group_values``.
        pooled: Where given, more than 50 groups are allowed, up to 1,000: those with fewer rows
            than this are pooled as ``OTHERS``.

    Returns:
        Shape (n,), categories by the numbers in their names or their text (``in_order``); null
        where the group is not known.

    Raises:
        InputError: A column is missing, or there are more groups than that.

    >>> table = pd.DataFrame({"sex": ["F", "M", None], "side": ["l", "r", "r"]})
    >>> found = row_groups(table, "sex*side")
    >>> found.categories.tolist(), found.codes.tolist()
    (['F * l', 'M * r'], [0, 1, -1])
    """
    text = group_values(rows, name, PREDICTIONS_TABLE)
    names = in_order(text.dropna().unique())
    if len(names) <= MAX_GROUPS:
        return pd.Categorical(text, categories=names)
    most, kept = MAX_GROUPS, names
    if pooled is not None:
        most, counts = MOST_GROUPS, text.value_counts()
        kept = [group for group in names if counts[group] >= pooled]
        if len(kept) < len(names):
            text = text.where(text.isin(kept) | text.isna(), OTHERS)
            kept = [group for group in kept if group != OTHERS]
            kept.append(OTHERS)
    if len(kept) > most or len(kept) < 2:
        allowed = f"at most {most} groups"
        if len(kept) < 2:
            allowed = f"at most {MAX_GROUPS} groups, or some with {pooled} rows or more"
        raise InputError(
            f"{name} has {len(names)} values: expected {allowed}. Bin a continuous attribute "
            "first, age in decades for instance."
        )
    return pd.Categorical(text, categories=kept)
