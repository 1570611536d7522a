"""Which findings a table holds, however it is laid out: each has a label and a score.

Long tables have a column ``target``, wide ones a column of labels and one of scores for each
finding, and those of classes a column of class names and one of probabilities for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    attribute_parts,
    is_empty,
    number_column,
    require_columns,
    rows_of_target,
    text_column,
)

ALL = "all"
ROUNDED = 0.0005  # the error of a probability of three decimals


@dataclass(frozen=True)
class Finding:
    """One label and one score of a table; ``rows`` makes its rows when they are needed.

    The rows keep the table's index. ``target`` is what an audit is asked for in them.
    """

    name: str
    label: str
    score: str
    target: str | None
    rows: Callable[[], pd.DataFrame]


def target_names(frame: pd.DataFrame, used: Collection[str | None] = ()) -> list[str]:
    """The names in the column ``target``, sorted; none where there is no such column.

    Args:
        frame: A predictions table.
        used: Columns with another use (as label, say): ``target`` among them names no targets.

    >>> target_names(pd.DataFrame({"target": ["edema", "effusion", "edema"]}))
    ['edema', 'effusion']
    """
    if "target" in used or "target" not in frame.columns:
        return []
    require_columns(frame, ["target"], PREDICTIONS_TABLE)
    return sorted(text_column(frame["target"]).dropna().unique())


def wanted_targets(
    frame: pd.DataFrame, wanted: Sequence[str] | str | None, used: Collection[str | None] = ()
) -> list[str]:
    """The targets that are asked for, once each: by name, or all (``"all"``, or None).

    Raises:
        InputError: A name is not in the table; the message lists those that are.

    >>> wanted_targets(pd.DataFrame({"target": ["edema", "effusion"]}), "all")
    ['edema', 'effusion']
    """
    known = target_names(frame, used)
    asked = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted or ()))
    if not asked or (asked == [ALL] and ALL not in known):
        return known
    if not known:
        rows_of_target(frame, asked[0], used)  # says which columns there are, or what uses it
    for name in asked:
        if name not in known:
            raise unknown("target", name, known)
    return asked


def long_findings(
    frame: pd.DataFrame,
    wanted: Sequence[str] | str | None,
    label: str,
    score: str,
    patient: str | None,
) -> list[Finding]:
    """The findings of a table with a column ``target``; without one it holds a single finding."""
    require_columns(frame, [label, score], PREDICTIONS_TABLE)
    names = wanted_targets(frame, wanted, (label, score, patient))
    if not names:
        return [Finding(label, label, score, None, lambda: frame)]
    column = text_column(frame["target"])

    def of(name: str) -> pd.DataFrame:
        return frame[(column == name).fillna(False).to_numpy(bool)]

    return [Finding(name, label, score, name, partial(of, name)) for name in names]


def wide_findings(
    frame: pd.DataFrame,
    findings: Mapping[str, tuple[str, str]],
    groups: Sequence[str],
    patient: str | None,
    more: Sequence[str] = (),
) -> list[Finding]:
    """The findings of a table with a column of labels and one of scores for each."""
    if not findings:
        raise InputError("No finding is given: expected a label's and a score's column for each.")
    for name, pair in findings.items():
        if isinstance(pair, str) or len(pair) != 2:
            raise InputError(
                f"The finding {name!r} is given as {pair!r}: expected two columns, that of its "
                "label and that of its score."
            )
    _one_row_each(frame, [c for pair in findings.values() for c in pair])

    def of(label: str, score: str) -> pd.DataFrame:
        return frame[_common(frame, [*groups, *more], patient, (label, score))]

    return [
        Finding(str(name), label, score, None, partial(of, label, score))
        for name, (label, score) in findings.items()
    ]


def _common(
    frame: pd.DataFrame, groups: Sequence[str], patient: str | None, own: Iterable[str]
) -> list[str]:
    """What each finding's audit reads beside its own columns, where it is there."""
    parts = [part for name in groups for part in attribute_parts(frame, name)]
    columns = ["image_id", "split", *([patient] if patient else []), *parts, *own]
    return [c for c in dict.fromkeys(columns) if c in frame.columns]


def _one_row_each(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a long table where each row should hold every finding."""
    require_columns(frame, columns, PREDICTIONS_TABLE)
    several = target_names(frame, columns)
    if len(several) > 1:
        raise InputError(
            f"The column target holds {len(several)} targets ({', '.join(several[:30])}), and "
            "columns of findings or classes are named as well: expected one row per image. Take "
            "the rows of one target, or name the targets alone."
        )


def class_columns(classes: Mapping[Any, str] | Sequence[str]) -> dict[str, str]:
    """Class, as text, to the column of its probability; refused are doubles and fewer than two."""
    given = dict(classes) if isinstance(classes, Mapping) else {c: c for c in classes}
    names = class_names(pd.Series(list(given), dtype=object))
    columns = dict(zip(names, given.values(), strict=True))
    if len(columns) < len(given):
        raise InputError(
            f"Two of the classes {', '.join(map(repr, given))} are the same as text: expected "
            "each class once."
        )
    if len(columns) < 2:
        raise InputError(
            f"Got {len(columns)} class: expected two or more columns of probabilities."
        )
    return columns


def class_names(values: pd.Series) -> pd.Series:
    """Classes or targets as text: 0 and "0" are one, also where a null has made 0 a 0.0."""
    return text_column(values.infer_objects())


def class_rows(frame: pd.DataFrame, label: str, columns: Mapping[str, str]) -> pd.DataFrame:
    """The rows that have a class and all probabilities; a class that is not named is refused."""
    require_columns(frame, [label, *columns.values()], PREDICTIONS_TABLE)
    empty = np.any([is_empty(frame[name]) for name in (label, *columns.values())], axis=0)
    rows = frame[~empty]
    if rows.empty:
        raise InputError(
            f"No row in {PREDICTIONS_TABLE} has {label} and all of {', '.join(columns.values())}."
        )
    for name in class_names(rows[label]).unique():
        if name not in columns:
            raise unknown(f"class in {label}", name, columns)
    return rows


def sums_off_one(
    rows: pd.DataFrame, columns: Mapping[str, str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Each row's sum of class probabilities, and where it is further from 1 than rounding."""
    parts = [number_column(rows, column, PREDICTIONS_TABLE) for column in columns.values()]
    total: NDArray[np.float64] = np.sum(parts, axis=0)
    slack = ROUNDED * max(len(columns), 2) + 1e-9
    return total, ~(np.abs(total - 1) <= slack)


def class_findings(
    rows: pd.DataFrame,
    columns: Mapping[str, str],
    label: str,
    groups: Sequence[str],
    patient: str | None,
    more: Sequence[str] = (),
) -> list[Finding]:
    """Each class against the rest (Provost and Domingos 2000), of the rows of ``class_rows``."""
    _one_row_each(rows, [label, *columns.values()])
    truth = class_names(rows[label])

    def of(name: str, score: str) -> pd.DataFrame:
        own = rows[_common(rows, [*groups, *more], patient, (label, score))]
        return own.assign(**{label: (truth == name).to_numpy(np.float64)})

    return [Finding(n, label, score, None, partial(of, n, score)) for n, score in columns.items()]
