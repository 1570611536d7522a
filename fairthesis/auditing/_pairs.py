"""Two methods on the same cases: paired changes in each group; was a gap levelled down?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._estimates import GroupEstimates
from fairthesis.auditing._gap_changes import GapsOfModel, change_of_gap
from fairthesis.auditing._gaps import AttributeGaps
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


SHOWN, NOT_SHOWN, UNKNOWN = "shown", "not shown", "cannot be told"


@dataclass(frozen=True)
class Levelling:
    """How a gap changed: through the group that was best, or the one that was worst.

    A model levels down where the gap shrinks because the better group loses more than the worse one
    gains (Zietlow et al. 2022; Mittelstadt, Wachter and Russell 2023). ``best`` and ``worst`` are
    the groups with the reference's highest and lowest value; the changes are the other model less
    the reference. ``levelled_down`` is one of

    - ``shown``: the best group lost, it lost more than the worst one gained, and the gap shrank,
      each beyond the noise;
    - ``not shown``: one of these is excluded: the best group did not lose, or the worst one gained
      at least as much, or the gap did not shrink;
    - ``cannot be told``: neither.

    Which group is best is chosen by the same numbers, and the best by chance falls on average. The
    bounds (``best_ci``, ``worst_ci``) hold for all groups, pairs of groups and metrics together, so
    that this choice costs nothing: where no group lost, ``shown`` comes in at most 5 % of
    comparisons.

    >>> down = Levelling("m", "f", -0.05, best_change=-0.06, worst_change=-0.01,
    ...                  best_ci=(-0.09, -0.03), worst_ci=(-0.04, 0.02), levelled_down="shown")
    >>> down.best
    'm'
    """

    best: str
    worst: str
    gap_change: float
    best_change: float
    worst_change: float
    best_ci: tuple[float, float] | None
    worst_ci: tuple[float, float] | None
    levelled_down: str


class Levellings:
    """Paired changes of every group in several metrics, with bounds that hold together.

    Args:
        reference: Each metric's values of the groups, (groups,), name to array.
        other: The same of the other model.
        drawn: Paired replicates of the change, name to (n_boot, groups).
        names: The groups.

    >>> rng = np.random.default_rng(0)
    >>> drawn = {"auroc": rng.normal([-0.08, 0.0], 0.01, (500, 2))}
    >>> found = Levellings({"auroc": np.array([0.9, 0.8])}, {"auroc": np.array([0.82, 0.8])},
    ...                    drawn, ["m", "f"])
    >>> found.of("auroc").levelled_down
    'shown'
    """

    def __init__(
        self,
        reference: Mapping[str, NDArray[np.float64]],
        other: Mapping[str, NDArray[np.float64]],
        drawn: Mapping[str, NDArray[np.float64]],
        names: Sequence[str],
    ) -> None:
        self.reference, self.other, self.names = reference, other, list(names)
        self.change = {m: other[m] - reference[m] for m in reference}
        self.error: dict[str, NDArray[np.float64]] = {}
        largest = []
        for metric, change in self.change.items():
            apart = _contrasts(drawn[metric]) - _contrasts(change)
            with np.errstate(invalid="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of a group without the metric
                self.error[metric] = np.nanstd(apart, axis=0) if len(apart) else np.nan * change
            if len(apart):
                scaled = np.abs(apart) / np.where(
                    self.error[metric] > 0, self.error[metric], np.inf
                )
                largest.append(np.nan_to_num(scaled).max(axis=(1, 2)))
        # The largest studentised deviation of any group, sum or difference, in any metric.
        self.reach = (
            float(np.quantile(np.max(largest, axis=0), stats.LEVEL)) if largest else math.nan
        )

    def bounds(self, metric: str, i: int, j: int) -> tuple[float, float]:
        """Of the change of group i (j = i), its sum with that of j > i, or its difference to it."""
        middle = float(_contrasts(self.change[metric])[i, j])
        half = self.reach * float(self.error[metric][i, j])
        return middle - half, middle + half

    def of(self, metric: str) -> Levelling | None:
        """Whether ``metric`` was levelled down; None where fewer than two groups have it."""
        before, after = self.reference[metric], self.other[metric]
        known = np.flatnonzero(np.isfinite(before) & np.isfinite(after))
        if len(known) < 2:
            return None
        best = int(known[np.argmax(before[known])])
        worst = int(known[np.argmin(before[known])])
        fell, rose = (float(self.change[metric][k]) for k in (best, worst))
        ends: list[tuple[float, float] | None] = [None, None]
        state = UNKNOWN
        if not math.isnan(self.reach) and best != worst:
            low, high = sorted((best, worst))
            of_best, of_worst, of_sum, of_difference = (
                self.bounds(metric, i, j)
                for i, j in ((best, best), (worst, worst), (low, high), (high, low))
            )
            # The difference is of the later group less the earlier one: turned to best less worst.
            shrinks = of_difference if best == high else (-of_difference[1], -of_difference[0])
            ends = [of_best, of_worst]
            asked = (of_best, of_sum, shrinks)
            if all(end[1] < 0 for end in asked):
                state = SHOWN
            elif any(end[0] >= 0 for end in asked):
                state = NOT_SHOWN
        gap = float(np.ptp(after[known]) - np.ptp(before[known]))
        return Levelling(
            self.names[best], self.names[worst], gap, fell, rose, ends[0], ends[1], state
        )


def _contrasts(change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Changes on the diagonal, sums of two groups' above it, differences (row less column) below.

    Shape (..., groups) to (..., groups, groups).
    """
    first, second = change[..., :, None], change[..., None, :]
    k = change.shape[-1]
    upper = np.triu(np.ones((k, k), bool), 1)
    found = np.where(upper, first + second, first - second)
    return np.where(np.eye(k, dtype=bool), first, found)
