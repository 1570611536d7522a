"""A table with numbers per case, as the arrays that an audit of them needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.auditing._outcome_metrics import OutcomeMetric
from fairthesis.auditing._row_warnings import warn_of_few_patients, warn_of_shared
from fairthesis.auditing._rows import PATIENT_NAMES
from fairthesis.errors import InputError
from fairthesis.inputs import (
    as_frame,
    filled,
    group_values,
    is_empty,
    label_column,
    number_column,
    require_columns,
    row_groups,
    rows_of_split,
    rows_of_target,
    text_column,
    with_keys,
)
from fairthesis.stats import patient_index

Array = NDArray[np.float64]
TABLE = "the table"


@dataclass
class OutcomeRows:
    """Arrays of shape (n,) in an order of their own.

    ``columns`` are each metric's, NaN where empty; ``known`` is where all of a metric's are there.
    """

    columns: dict[str, list[Array]]
    known: dict[str, NDArray[np.bool_]]
    patient: NDArray[np.intp]
    has_patients: bool
    groups: dict[str, pd.Categorical]
    split: str | None
    target: str | None
    warnings: list[str] = field(default_factory=list)


def outcome_rows(
    frame: pd.DataFrame,
    metrics: Mapping[str, OutcomeMetric],
    *,
    groups: Sequence[str],
    patient: str | None,
    split: str | None,
    target: str | None,
    orders: Sequence[Sequence[str]],
) -> OutcomeRows:
    """Check a table and take its rows; those without a metric's numbers are told of.

    Raises:
        InputError: where a column is missing or cannot be read, or no row has a metric's numbers.
    """
    frame = as_frame(frame, TABLE).reset_index(drop=True)
    if isinstance(groups, str):
        groups = (groups,)
    if not groups:
        raise InputError("No group is given: expected at least one attribute column.")
    used = list(dict.fromkeys(column for metric in metrics.values() for column in metric.columns))
    require_columns(frame, [*used, *([patient] if patient else [])], TABLE)
    warnings: list[str] = []
    frame = with_keys(frame, ["image_id", *([patient] if patient else [])], TABLE, warnings)
    frame, target = rows_of_target(frame, target, (*used, patient))
    rows, split = rows_of_split(frame, split, (*used, patient))
    if rows.empty:
        raise InputError(f"No rows in {TABLE}: expected one row per case.")
    if patient and split is not None:
        warn_of_shared(frame, rows, patient, warnings)
    columns = {name: _columns(rows, metric, orders) for name, metric in metrics.items()}
    order = _order(rows, [one for own in columns.values() for one in own], (patient,), groups)
    rows = rows.iloc[order]
    columns = {name: [one[order] for one in own] for name, own in columns.items()}
    who = _patients(rows, patient, warnings)
    by_attribute = {name: row_groups(rows, name) for name in dict.fromkeys(groups)}
    for name, values in by_attribute.items():
        _check_groups(name, values, who, patient is not None, warnings)
    known = {name: np.asarray(~np.isnan(own).any(0), bool) for name, own in columns.items()}
    _warn_of_missing(metrics, known, by_attribute, warnings)
    return OutcomeRows(
        columns, known, who, patient is not None, by_attribute, split, target, warnings
    )


def _columns(
    rows: pd.DataFrame, metric: OutcomeMetric, orders: Sequence[Sequence[str]]
) -> list[Array]:
    """The columns of a metric, each as what its role asks for."""
    if "grade" in metric.of.roles:
        return _grades(rows, metric.columns, orders)
    return [
        _numbers(rows, column, role)
        for column, role in zip(metric.columns, metric.of.roles, strict=True)
    ]


def _numbers(rows: pd.DataFrame, column: str, role: str) -> Array:
    if role == "event":
        return label_column(rows, column, TABLE)
    expected = "a time of 0 or more" if role == "time" else "a number, or empty where not known"
    found: Array = number_column(rows, column, TABLE, expected)
    wrong = np.isinf(found) | ((found < 0) if role == "time" else False)
    if wrong.any():
        raise InputError(
            f"{column} is {found[wrong][0]:g} in {TABLE}: expected {expected}. Leave out such "
            "values, or put the number that stands for them."
        )
    return found


def _grades(
    rows: pd.DataFrame, columns: Sequence[str], orders: Sequence[Sequence[str]]
) -> list[Array]:
    """Grades as whole numbers; words by their place in an order that holds all of them."""
    kinds = [rows[column].dtype for column in columns]
    own = [
        [str(name) for name in kind.categories]
        for kind in kinds
        if isinstance(kind, pd.CategoricalDtype) and kind.ordered
    ]
    words = [text_column(rows[column]) for column in columns]
    seen = {name for one in words for name in one.dropna()}
    fit = [list(o) for o in (*orders, *sorted(own, key=len, reverse=True)) if seen <= set(o)]
    if len({tuple(name for name in order if name in seen) for order in fit}) > 1:
        raise InputError(
            f"{' and '.join(columns)} are in the order {' < '.join(fit[0])} and in "
            f"{' < '.join(fit[1])}: expected one order for both."
        )
    if fit:
        place = {name: float(k) for k, name in enumerate(fit[0])}
        return [
            np.asarray(one.map(place).to_numpy(np.float64, na_value=np.nan), np.float64)
            for one in words
        ]
    expected = (
        "whole numbers, or words whose order is given (--order 'none<mild<severe', from Python "
        "orders=[('none', 'mild', 'severe')] or an ordered categorical)"
    )
    found = [number_column(rows, column, TABLE, expected) for column in columns]
    for column, values in zip(columns, found, strict=True):
        wrong = ~np.isnan(values) & ((values % 1 != 0) | np.isinf(values))
        if wrong.any():
            raise InputError(f"{column} is {values[wrong][0]:g} in {TABLE}: expected {expected}.")
    return found


def _order(
    rows: pd.DataFrame,
    numbers: Sequence[Array],
    keys: Sequence[str | None],
    groups: Sequence[str],
) -> NDArray[np.intp]:
    """An order that does not depend on the table's."""
    own = [key for key in dict.fromkeys((*keys, "image_id")) if key and key in rows.columns]
    columns = [rows[key] for key in own] + [pd.Series(values) for values in numbers]
    columns += [group_values(rows, name, TABLE) for name in sorted(set(groups))]
    codes = [pd.factorize(column, sort=True)[0] for column in columns]  # a null comes first
    return np.lexsort(codes[::-1])


def _patients(rows: pd.DataFrame, patient: str | None, warnings: list[str]) -> NDArray[np.intp]:
    if patient is None:
        known = [c for c in rows.columns if str(c).lower() in PATIENT_NAMES]
        seen = f" The table has a column {known[0]!r}: name it." if known else ""
        warnings.append(
            "No patient column was named, so every row counts as a patient of its own. If some "
            f"patients have several rows, the intervals are too narrow.{seen}"
        )
        return np.arange(len(rows))
    missing = int(is_empty(rows[patient]).sum())
    if missing:
        warnings.append(f"{missing} rows have no {patient}: each counts as a patient of its own.")
    return patient_index(filled(rows[patient]))


def _check_groups(
    name: str,
    values: pd.Categorical,
    patient: NDArray[np.intp],
    has_patients: bool,
    warnings: list[str],
) -> None:
    if len(values.categories) < 2:
        only = f"only {values.categories[0]!r}" if len(values.categories) else "no value at all"
        raise InputError(f"{name} has {only}: expected at least two groups to compare.")
    missing = int((values.codes < 0).sum())
    if missing:
        warnings.append(
            f"{missing} of {len(values)} rows have no {name}: they count overall and in no group."
        )
    if has_patients:
        warn_of_few_patients(patient, {name: values}, warnings)


def _warn_of_missing(
    metrics: Mapping[str, OutcomeMetric],
    known: Mapping[str, NDArray[np.bool_]],
    groups: Mapping[str, pd.Categorical],
    warnings: list[str],
) -> None:
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, metric in metrics.items():
        alike.setdefault(metric.columns, []).append(name)
    for columns, names in alike.items():
        there, what = known[names[0]], " and ".join(columns)
        if not there.any():
            raise InputError(
                f"No row in {TABLE} has {what}: expected numbers to compute {names[0]} of."
            )
        if there.all():
            continue
        by = []
        for attribute, values in groups.items():
            share = {
                str(group): float(1 - there[values.codes == k].mean())
                for k, group in enumerate(values.categories)
            }
            least, most = min(share, key=lambda g: share[g]), max(share, key=lambda g: share[g])
            ends = f"{share[least]:.0%} ({least}) to {share[most]:.0%} ({most})"
            by.append(f"by {attribute}, {ends}")
        warnings.append(
            f"{int((~there).sum())} of {len(there)} rows have no {what} and are left out of "
            f"{', '.join(names)}: {'; '.join(by)}."
        )
