"""Predictions in use, by period: rows with a date and a score, labels as far as they are known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    as_frame,
    filled,
    group_values,
    is_empty,
    label_column,
    probability_column,
    require_columns,
    row_groups,
    row_labels,
    row_scores,
    rows_of_part,
    rows_of_split,
    rows_of_target,
    text_column,
    with_keys,
)
from fairthesis.stats import patient_index

BY = ("week", "month", "quarter")
MOST_PERIODS = 600
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ].*)?)?|(\d{2})(\d{2}))")


@dataclass
class MonitoredRows:
    """Arrays of shape (n,) in an order of their own; ``y`` is NaN where no label is known yet.

    ``period`` numbers the ``periods`` from 0, those without any row included.
    """

    y: NDArray[np.float64]
    s: NDArray[np.float64]
    period: NDArray[np.intp]
    patient: NDArray[np.intp]
    groups: dict[str, pd.Categorical]
    periods: list[str]
    has_patients: bool
    threshold: float
    rule: str
    split: str | None
    target: str | None
    warnings: list[str] = field(default_factory=list)


def monitored_rows(
    frame: pd.DataFrame,
    *,
    time: str,
    groups: Sequence[str],
    by: str,
    label: str,
    score: str,
    patient: str | None,
    split: str | None,
    target: str | None,
    threshold: float | str,
) -> MonitoredRows:
    """Check a table and the choices, and take the rows with a date and a score."""
    if by not in BY:
        raise unknown("period", by, BY)
    frame = as_frame(frame, PREDICTIONS_TABLE).reset_index(drop=True)
    used = (label, score, patient, time)
    require_columns(frame, [name for name in used if name], PREDICTIONS_TABLE)
    rule, rate = metrics.parse_threshold(threshold)
    warnings: list[str] = []
    frame = with_keys(frame, ["image_id", *([patient] if patient else [])], told=warnings)
    frame, target = rows_of_target(frame, target, used)
    rows, split = rows_of_split(frame, split, used)
    date = dates(rows, time)
    for column, missing in ((time, date.isna().to_numpy()), (score, is_empty(rows[score]))):
        if missing.any():
            warnings.append(
                f"{int(missing.sum())} of {len(rows)} rows have no {column} and are left out."
            )
    kept = (date.notna() & ~is_empty(rows[score])).to_numpy(bool)
    if not kept.any():
        raise InputError(f"No row in {PREDICTIONS_TABLE} has both {time} and {score}.")
    rows, date = rows[kept], date[kept]
    named, number = _periods(date, by)
    columns = {
        label: label_column(rows, label, PREDICTIONS_TABLE),
        score: probability_column(rows, score, PREDICTIONS_TABLE),
    }
    rows = rows.assign(**columns)
    order = _order(rows, number, [patient, "image_id"], score, label, groups)
    rows, number = rows.iloc[order], number[order]
    unlabelled = int(np.isnan(rows[label].to_numpy(np.float64)).sum())
    if unlabelled:
        warnings.append(
            f"{unlabelled} of {len(rows)} rows have no {label} yet: they count for the shift of "
            "scores alone."
        )
    if patient is None:
        warnings.append(
            "No patient column was named, so every row counts as a patient of its own. If some "
            "patients have several rows, alarms are raised too often."
        )
        who = np.arange(len(rows))
    else:
        who = patient_index(filled(rows[patient]))
    known = {name: row_groups(rows, name) for name in dict.fromkeys(groups)}
    for name, values in known.items():
        unknown_group = int((values.codes < 0).sum())
        if not len(values.categories):
            raise InputError(f"{name} has no value at all: expected at least one group.")
        if unknown_group:
            warnings.append(
                f"{unknown_group} of {len(rows)} rows have no {name}: they are in no group of it."
            )
    return MonitoredRows(
        y=rows[label].to_numpy(np.float64),
        s=rows[score].to_numpy(np.float64),
        period=number,
        patient=np.asarray(who, np.intp),
        groups=known,
        periods=named,
        has_patients=patient is not None,
        threshold=_threshold(frame, rule, rate, label, score),
        rule=str(threshold) if rule != "fixed" else "fixed",
        split=split,
        target=target,
        warnings=warnings,
    )


def dates(rows: pd.DataFrame, column: str) -> pd.Series:
    """Dates, NaT where there is none: year, month and day, or year and month; a time is cut off.

    ``2024-03-31``, ``2024-03-31T08:15``, ``20240331`` and ``2024-03`` are read. A date such as
    03/04/2024 means two days, and is refused.
    """
    words = text_column(rows[column])
    distinct = words.dropna().unique()
    read = {}
    for word in distinct:
        found = _DATE.fullmatch(word)
        year, month, day = ("", "", "")
        if found:
            year, month, day = found[1], found[2] or found[4], found[3] or found[5] or "01"
        try:
            read[word] = pd.Timestamp(int(year), int(month), int(day))
        except ValueError as error:
            raise InputError(
                f"{column} is {word!r} in {PREDICTIONS_TABLE}: expected a date with the year "
                "first, such as 2024-03-31, 20240331 or 2024-03. Write dates so, or leave them "
                "empty where they are not known."
            ) from error
    return words.map(read).astype("datetime64[ns]")


def _periods(date: pd.Series, by: str) -> tuple[list[str], NDArray[np.intp]]:
    """The names of all periods from the first to the last, and the number of each date's."""
    kind = {"week": "W", "month": "M", "quarter": "Q"}[by]
    index = pd.PeriodIndex(date, freq=kind)
    every = pd.period_range(index.min(), index.max(), freq=kind)
    if len(every) > MOST_PERIODS:
        raise InputError(
            f"The dates run from {date.min():%Y-%m-%d} to {date.max():%Y-%m-%d}, {len(every)} "
            f"{by}s: expected at most {MOST_PERIODS}. Look for wrong dates, or take longer periods."
        )
    if by == "week":
        names = [period.start_time.strftime("%G-W%V") for period in every]
    else:
        names = [str(period) for period in every]
    return names, np.asarray(every.get_indexer(index), np.intp)


def _order(
    rows: pd.DataFrame,
    number: NDArray[np.intp],
    keys: Sequence[str | None],
    score: str,
    label: str,
    groups: Sequence[str],
) -> NDArray[np.intp]:
    """An order that does not depend on the table's."""
    columns = [rows[key] for key in dict.fromkeys(keys) if key is not None and key in rows.columns]
    columns += [rows[score], rows[label]]
    columns += [group_values(rows, name, PREDICTIONS_TABLE) for name in sorted(set(groups))]
    codes = [number, *(pd.factorize(column, sort=True)[0] for column in columns)]
    return np.lexsort(codes[::-1])


def _threshold(frame: pd.DataFrame, rule: str, rate: float | None, label: str, score: str) -> float:
    if rule == "fixed":
        return float(rate if rate is not None else 0.5)
    held = rows_of_part(frame, "val")
    held = held[~(is_empty(held[label]) | is_empty(held[score]))]
    if held.empty:
        raise InputError(
            f"The threshold rule {rule!r} is applied to rows with split == 'val', and "
            f"{PREDICTIONS_TABLE} has none: expected such rows, or give the number that is in use."
        )
    return metrics.choose_threshold(
        row_labels(held, label, False), row_scores(held, score), rule, rate
    )
