"""From one cohort to another: changes of metrics and gaps of one model, of independent patients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from fairthesis import stats
from fairthesis.auditing._gap_changes import reaches, together
from fairthesis.auditing._gaps import AttributeGaps
from fairthesis.auditing._monitor_values import Part, metric_value
from fairthesis.auditing._pairs import BETWEEN, EVERYONE
from fairthesis.auditing._report import Estimate, FairnessReport, Gap, Group
from fairthesis.auditing._shift import Sample
from fairthesis.stats import Interval

#: Metrics whose change is given; the last two are of ``additional``.
CHANGED = (
    *("auroc", "average_precision", "tpr", "fpr", "brier", "ece_debiased"),
    *("prevalence", "selection_rate", "observed_expected", "calibration_in_the_large"),
)
#: Gaps whose change is given.
GAPS = (
    *("auroc_gap", "worst_group_auroc", "equalized_odds_difference"),
    *("equalized_odds_difference_mean", "tpr_difference", "fpr_difference", "ece_gap"),
)
#: What is tested, and corrected for together by Holm's method.
TESTED = (
    *("auroc", "tpr", "fpr", "ece_debiased"),
    *("auroc_gap", "worst_group_auroc", "equalized_odds_difference"),
)
NOT_BELOW_ZERO = ("ece_debiased",)


def independent_change(
    first: Estimate, second: Estimate, gap: bool = False
) -> tuple[Interval | None, float]:
    """Interval and two-sided p value of ``second`` less ``first``, of different patients.

    MOVER (Zou and Donner 2008) from each one's own interval, with no correlation: for values v in
    [l, u] the lower end lies sqrt((v2 - l2)² + (u1 - v1)²) below the difference, the upper one
    likewise. The p value is one less the level at which the interval ends at 0. Of a gap, an
    interval that was cut at 0 reaches as far below as above.

    >>> ends, p = independent_change(Estimate(0.9, (0.87, 0.93)), Estimate(0.8, (0.76, 0.84)))
    >>> [round(end, 3) for end in ends], round(p, 5)
    ([-0.15, -0.05], 9e-05)
    """
    if first.ci is None or second.ci is None:
        return None, math.nan
    change = second.value - first.value
    if not math.isfinite(change):
        return None, math.nan
    reach = [reaches(e) if gap and isinstance(e, Gap) else _reach(e) for e in (first, second)]
    (below_one, above_one), (below_two, above_two) = reach
    low = change - together(below_two, above_one, 0.0)
    high = change + together(above_two, below_one, 0.0)
    to_zero = change - low if change > 0 else high - change
    if change == 0:
        return (low, high), 1.0
    z = ndtri((1 + stats.LEVEL) / 2) * abs(change) / to_zero if to_zero > 0 else math.inf
    return (low, high), float(2 * ndtr(-z))


def _reach(estimate: Estimate) -> tuple[float, float]:
    """How far the interval reaches below and above; a debiased value may lie outside of it."""
    low, high = estimate.ci or (math.nan, math.nan)
    return max(estimate.value - low, 0.0), max(high - estimate.value, 0.0)


def _everyone(report: FairnessReport) -> dict[str, Estimate]:
    return {**report.overall, **report.additional["overall"]}


def _of(report: FairnessReport, attribute: str, group: str) -> dict[str, Estimate]:
    more = report.additional["groups"][attribute][group]
    return {**report.groups[attribute][group].metrics, **more}


def metric_changes(internal: FairnessReport, external: FairnessReport) -> list[dict[str, Any]]:
    """Rows for all cases and for each group that both cohorts have."""
    first, second = _everyone(internal), _everyone(external)
    rows = [_line("", EVERYONE, m, first[m], second[m]) for m in CHANGED]
    for attribute, members in internal.groups.items():
        for group in members:
            if group in external.groups[attribute]:
                before, after = (_of(r, attribute, group) for r in (internal, external))
                rows += [_line(attribute, group, m, before[m], after[m]) for m in CHANGED]
    return rows


def gap_changes(internal: FairnessReport, external: FairnessReport) -> list[dict[str, Any]]:
    """Rows for each gap, between the groups that are compared in both cohorts."""
    rows = []
    for attribute in internal.groups:
        first, second = _gaps(internal, external, attribute)
        rows += [
            _line(attribute, BETWEEN, name, first[name], second[name], gap=True)
            for name in GAPS
            if math.isfinite(first[name].value) and math.isfinite(second[name].value)
        ]
    return rows


def _gaps(
    internal: FairnessReport, external: FairnessReport, attribute: str
) -> tuple[dict[str, Gap], dict[str, Gap]]:
    """Gaps of both cohorts, of the same groups: a group that one lacks would make a change."""
    between = []
    shared = [g for g in internal.groups[attribute] if g in external.groups[attribute]]
    for report in (internal, external):
        if report.data is None:
            raise RuntimeError("The report holds no rows: expected one that was just made.")
        members = report.groups[attribute]
        own: dict[str, Group] = {name: members[name] for name in members}
        between.append(
            AttributeGaps(
                report.data,
                attribute,
                own,
                {},
                floor=int(report.settings["floor"]),
                n_permutations=0,
                seed=int(report.settings["seed"]),
                intervals=report.settings["n_boot"] > 0,
            )
        )
    for metric in list(between[0].compared):
        both = [
            {side.names[k] for k in side.compared[metric] if side.names[k] in shared}
            for side in between
        ]
        for side in between:
            side.compared[metric] = [
                k for k in side.compared[metric] if side.names[k] in both[0] & both[1]
            ]
    return between[0].gaps(()), between[1].gaps(())


def score_changes(
    samples: Sequence[tuple[str, str, Sample, Sample]], threshold: float, labelled: bool
) -> list[dict[str, Any]]:
    """Changes of what needs no label: the mean score, and without labels the selection rate."""
    rows = []
    for attribute, group, first, second in samples:
        one, two = _mean_score(first), _mean_score(second)
        rows.append(_line(attribute, group, "mean_score", one, two))
        if not labelled:
            one, two = (_selection_rate(sample, threshold) for sample in (first, second))
            rows.append(_line(attribute, group, "selection_rate", one, two))
    return rows


def _mean_score(sample: Sample) -> Estimate:
    """The mean over rows; a normal interval with the standard error over patients."""
    who = np.unique(sample.patient, return_inverse=True)[1].reshape(-1)
    total, n = np.bincount(who, sample.s), np.bincount(who)
    mean, m = float(sample.s.mean()), len(n)
    if m < 2:
        return Estimate(mean)
    error = math.sqrt(float(((total - mean * n) ** 2).sum()) * m / (m - 1)) / len(sample.s)
    half = float(ndtri((1 + stats.LEVEL) / 2)) * error
    return Estimate(mean, (max(mean - half, 0.0), min(mean + half, 1.0)))


def _selection_rate(sample: Sample, threshold: float) -> Estimate:
    """The share of rows that are called positive: a true positive rate where all rows count."""
    ones = np.ones(len(sample.s))
    part = Part(ones, sample.s, sample.s >= threshold, sample.patient, np.zeros(len(ones), np.intp))
    value, low, high = metric_value(part, "tpr")
    return Estimate(value, (low, high))


def _line(
    attribute: str, group: str, metric: str, first: Estimate, second: Estimate, gap: bool = False
) -> dict[str, Any]:
    ends, p = independent_change(first, second, gap)
    row: dict[str, Any] = {"attribute": attribute, "group": group, "metric": metric}
    for name, estimate in (("internal", first), ("external", second)):
        low, high = estimate.ci or (math.nan, math.nan)
        row |= {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
    low, high = ends or (math.nan, math.nan)
    change = second.value - first.value
    return {**row, "change": change, "change_low": low, "change_high": high, "p_value": p}
