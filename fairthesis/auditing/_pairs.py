"""Two methods on the same cases: paired changes in each group; was a gap levelled down?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._estimates import GroupEstimates
from fairthesis.auditing._gap_changes import GapsOfModel, change_of_gap
from fairthesis.auditing._gaps import AttributeGaps
from fairthesis.auditing._levelling import Levelling, Levellings
from fairthesis.auditing._rows import AuditedRows
from fairthesis.auditing._weights import relative, values_of, weights_of
from fairthesis.errors import InputError
from fairthesis.inputs import (
    as_frame,
    filled,
    group_values,
    key_column,
    label_column,
    probability_column,
    require_columns,
)

BETWEEN = "between groups"
EVERYONE = "all rows"


def paired_changes(
    reference: pd.DataFrame,
    other: pd.DataFrame,
    *,
    group: str,
    key: Sequence[str] = ("image_id",),
    label: str = "y_true",
    score: str = "y_score",
    patient: str = "patient_id",
    thresholds: tuple[float, float] = (0.5, 0.5),
    n_boot: int = 2000,
    seed: int = 0,
    floor: int = 0,
    weight: str | None = None,
) -> pd.DataFrame:
    """Changes from ``reference`` to ``other``, with paired intervals over resampled patients.

    The tables are joined by ``key``, never by position, and must hold the same cases with the
    same labels; ``group`` is a column of the reference or an intersection (``sex*age_group``).
    Rows of the result: each metric for all rows and each group, each disparity between groups;
    columns ``group, metric, reference, other, change, ci_low, ci_high, p_value``, where change is
    other minus reference. The p value is two-sided, from the same replicates as the interval
    (``stats.bootstrap_p_value``); of a disparity's change it is the one at which its interval
    (``_gap_changes``) ends at 0. Groups with fewer than ``floor`` of the cases that a metric rests
    on are given, but kept out of its disparity. ``weight`` is a column of the reference: a case
    counts as so many.
    """
    first, second = as_frame(reference, "the reference table"), as_frame(other, "the other table")
    rows = paired_rows(first, second, group, key, label, score, patient, weight)
    return changes_of(rows, thresholds, n_boot, seed, floor)[0]


def changes_of(
    paired: pd.DataFrame,
    thresholds: tuple[float, float],
    n_boot: int,
    seed: int,
    floor: int,
    levelled: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[str, Levelling | None], AttributeGaps]:
    """``compare``'s table, how each metric of ``levelled`` changed, and which groups are compared.

    ``paired`` is as ``paired_rows`` gives it.
    """
    sides = [
        _side(paired, name, threshold, n_boot, seed, floor)
        for name, threshold in zip(("score", "other"), thresholds, strict=True)
    ]
    names = [EVERYONE, *sides[0][1].names]
    rows = [
        _row(name, metric, *(block[:, g, k] for block, _, _ in sides))
        for g, name in enumerate(names)
        for k, metric in enumerate(metrics.METRICS)
    ]
    before, after = (GapsOfModel(between, drawn) for _, between, drawn in sides)
    for name in before.gaps:
        values = [side.gaps[name].value for side in (before, after)]
        ends, p = change_of_gap(name, before, after)
        rows.append(_line(BETWEEN, name, values[0], values[1], ends, p))
    compared = {m: before.between.compared[_BY.get(m, m)] for m in levelled}
    first, second = ({m: _only(block, m, compared[m]) for m in levelled} for block, _, _ in sides)
    levels = Levellings(
        {m: first[m][0] for m in levelled},
        {m: second[m][0] for m in levelled},
        {m: (second[m] - first[m])[1:] for m in levelled},
        names[1:],
    )
    return pd.DataFrame(rows), {m: levels.of(m) for m in levelled}, before.between


_BY = {"tnr": "fpr"}  # of the same cases
Block = NDArray[np.float64]  # as observed, then in every resample: (1 + n_boot, 1 + groups, metric)


def _side(
    paired: pd.DataFrame, score: str, threshold: float, n_boot: int, seed: int, floor: int
) -> tuple[Block, AttributeGaps, dict[str, NDArray[np.float64]]]:
    """One model: metrics of all rows and every group, what compares them, and replicates."""
    data = AuditedRows(
        paired["label"].to_numpy(np.float64),
        paired[score].to_numpy(np.float64),
        stats.patient_index(paired["patient"]),
        True,
        {"group": pd.Categorical(paired["group"])},
        threshold,
        "fixed",
        None,
        None,
        weight=relative(paired, "weight", []) if "weight" in paired else None,
    )
    parts = GroupEstimates(data, n_boot, seed, "percentile")
    found = parts.groups("group")
    between = AttributeGaps(
        data, "group", found, {}, floor=floor, n_permutations=0, seed=seed, intervals=n_boot > 0
    )
    values = [
        list(values_of(data.y[m], data.s[m], threshold, data.weight_of(m)).values())
        for m in parts.masks
    ]
    # Rates at a fixed other rate do not depend on the threshold: models are compared by AUROC.
    drawn = parts.drawn[..., : len(metrics.METRICS)]
    by_metric = {m: drawn[:, 1:, k] for k, m in enumerate(metrics.METRICS)}
    return np.concatenate([np.array(values)[None], drawn]), between, by_metric


def _only(block: Block, metric: str, compared: Sequence[int]) -> NDArray[np.float64]:
    """A metric of every group, NaN of those that are too small to be compared."""
    found = np.full(block[:, 1:, 0].shape, np.nan)
    found[:, compared] = block[:, 1:, list(metrics.METRICS).index(metric)][:, compared]
    return found


def paired_rows(
    reference: pd.DataFrame,
    other: pd.DataFrame,
    group: str,
    key: Sequence[str],
    label: str,
    score: str,
    patient: str,
    weight: str | None = None,
) -> pd.DataFrame:
    """The cases that ``compare`` compares: a label and both scores are known.

    Columns ``label, score, other, patient, group`` and, where one is named, ``weight`` (of the
    reference; cases without a weight above 0 are left out), whatever the tables call them: a
    column may serve twice, as key and patient where each patient has one row. ``other`` is the
    other score; the index is the place in the reference.
    """
    require_columns(reference, [*key, label, score, patient], "the reference table")
    require_columns(other, [*key, label, score], "the other table")
    first, second = _match(reference, other, list(dict.fromkeys(key)))
    y = [
        label_column(frame, label, what)[at]
        for frame, what, at in (
            (reference, "the reference table", first),
            (other, "the other table", second),
        )
    ]
    if not np.array_equal(y[0], y[1], equal_nan=True):
        raise InputError(f"The tables disagree on {label}: expected the same labels in both.")
    columns = {
        "label": y[0],
        "score": probability_column(reference, score, "the reference table")[first],
        "other": probability_column(other, score, "the other table")[second],
        "patient": filled(key_column(reference, patient, "the reference table")).iloc[first].array,
        "group": group_values(reference, group, "the reference table").iloc[first].array,
    }
    known = ["label", "score", "other"]
    if weight is not None:
        require_columns(reference, [weight], "the reference table")
        stated = weights_of(reference, weight, "the reference table")[first]
        columns["weight"] = np.where(stated > 0, stated, np.nan)
        known.append("weight")
    rows = pd.DataFrame(columns, index=first)
    rows = rows.dropna(subset=known)
    if rows.empty:
        raise InputError(
            f"No case has {label} and, in both tables, {score}: expected cases that both models "
            "have scored. Do the tables belong together?"
        )
    return rows


def _match(
    reference: pd.DataFrame, other: pd.DataFrame, key: list[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where each case is in both tables, in the order of the key."""
    found = []
    for what, frame in (("reference", reference), ("other", other)):
        keys = pd.DataFrame({name: key_column(frame, name, f"the {what} table") for name in key})
        if keys.isna().any(axis=None):
            raise InputError(f"A key ({', '.join(key)}) is empty in the {what} table.")
        if keys.duplicated(key).any():
            raise InputError(f"A key ({', '.join(key)}) appears twice in the {what} table.")
        found.append(keys.assign(**{f"{what} row": np.arange(len(frame))}))
    joined = found[0].merge(found[1], on=key, how="outer", indicator=True)
    alone = int((joined["_merge"] != "both").sum())
    if alone:
        which, odd = "reference", joined[joined["_merge"] == "left_only"]
        if odd.empty:
            which, odd = "other", joined[joined["_merge"] == "right_only"]
        raise InputError(
            f"{alone} cases are in one table only, {', '.join(odd[key].iloc[0])} in the {which} "
            "one for instance: expected the same cases in both, so that the comparison is paired."
        )
    first, second = (joined[f"{what} row"].to_numpy(np.intp) for what in ("reference", "other"))
    return first, second


def _row(group: str, metric: str, before: np.ndarray, after: np.ndarray) -> dict[str, object]:
    change = after - before
    interval = stats.percentile_interval(change[1:]) if np.isfinite(change[0]) else None
    p = stats.bootstrap_p_value(change[1:]) if interval else np.nan
    return _line(group, metric, float(before[0]), float(after[0]), interval, p)


def _line(
    group: str,
    metric: str,
    before: float,
    after: float,
    interval: tuple[float, float] | None,
    p: float,
) -> dict[str, object]:
    low, high = interval or (np.nan, np.nan)
    values = {"reference": before, "other": after, "change": after - before}
    row = {"group": group, "metric": metric, **values, "ci_low": low, "ci_high": high}
    return {**row, "p_value": p}
