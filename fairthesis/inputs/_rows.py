"""Which rows of a predictions table are meant, and their labels, scores and groups, checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError, unknown
from fairthesis.inputs._columns import key_column, label_column, probability_column, text_column
from fairthesis.inputs._schema import group_values, require_columns

PREDICTIONS_TABLE = "the predictions table"
MAX_GROUPS = 50


def rows_of_target(
    frame: pd.DataFrame, target: str | None, used: Collection[str | None] = ()
) -> tuple[pd.DataFrame, str | None]:
    """The rows of one target, and its name; refuses to choose among several.

    A column ``target`` that is among those ``used`` (as label, say) names no targets.
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
                "Choose one (--target, target=...): each is audited by itself."
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
    """The rows of one part and its name: ``test`` where the table has a ``split`` column.

    A column ``split`` that is among those ``used`` (as label, say) names no parts.
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
    """The rows of one part; none where there is no ``split`` column, or no such part.

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
    """The frame with those of ``columns`` that it has as keys (``values.keys``)."""
    own = [column for column in dict.fromkeys(columns) if column in frame.columns]
    return frame.assign(**{column: key_column(frame, column, what, told) for column in own})


def row_labels(
    rows: pd.DataFrame, label: str, both: bool = True, what: str = PREDICTIONS_TABLE
) -> NDArray[np.float64]:
    """Labels of 0 and 1 as numbers; ``both`` asks for both of them."""
    values = label_column(rows, label, what)
    if np.isnan(values).any():
        raise InputError(f"{label} is empty in {what}: expected 0 (absent) or 1 (present).")
    if both and values.min() == values.max():
        raise InputError(
            f"All {len(values)} labels in {label} are {values[0]:g} in {what}: expected positive "
            "and negative cases. Is this the right column?"
        )
    return values


def row_scores(
    rows: pd.DataFrame, score: str, what: str = PREDICTIONS_TABLE
) -> NDArray[np.float64]:
    """Probabilities as numbers."""
    values = probability_column(rows, score, what)
    if np.isnan(values).any():
        raise InputError(f"{score} is empty in {what}: expected a probability from 0 to 1.")
    return values


def row_groups(rows: pd.DataFrame, name: str) -> pd.Categorical:
    """The groups of one attribute, or of an intersection such as ``sex*age_group``."""
    text = group_values(rows, name, PREDICTIONS_TABLE)
    values = pd.Categorical(text, categories=sorted(text.dropna().unique()))
    if len(values.categories) > MAX_GROUPS:
        raise InputError(
            f"{name} has {len(values.categories)} values: expected at most {MAX_GROUPS} groups. "
            "Bin a continuous attribute first, age in decades for instance."
        )
    return values
