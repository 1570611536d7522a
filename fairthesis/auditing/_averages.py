"""Averages over targets of what their audits found, with intervals.

A target's own interval, however its audit made it, says how far its value may lie off. How far the
targets' errors go together, as they do where patients are shared, is read from resamples in which
all targets see the same draws. Not so for gaps: noise makes every one of them larger, and what all
have in common does not average out. Theirs are taken to err together, the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import stats
from fairthesis.auditing._metrics import RESAMPLED_METRICS
from fairthesis.auditing._report import Estimate, FairnessReport
from fairthesis.auditing._weights import weights_of
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    is_empty,
    key_column,
    label_column,
    probability_column,
    rows_of_split,
)
from fairthesis.stats import Interval

Array = NDArray[np.float64]
Key = tuple[str, str]  # attribute and gap; "" and a metric over all rows
# Metrics over all rows whose estimates are unbiased, or nearly so.
CORRELATED = ("auroc", "average_precision", "accuracy", "tpr", "fpr", "ppv", "brier", "log_loss")
# Resamples for the correlations: their error is then below 0.05.
MOST = 500


@dataclass(frozen=True)
class Average(Estimate):
    """A mean over targets and its 95 % interval (``mean_interval``).

    ``n_targets`` of them have a value; the others are left out. ``null_mean`` is the mean of their
    chance levels (of gaps, in the unit of ``value``; NaN without).

    >>> Average(0.81, (0.78, 0.84), n_targets=3).n_targets
    3
    """

    n_targets: int = 0
    null_mean: float = math.nan


def units_of(frame: pd.DataFrame, patient: str | None) -> pd.Series | None:
    """What is drawn, as whole numbers, -1 where it is not known, with the frame's index.

    Patients; without their keys, images. None where rows of one image cannot be told to be so.
    They are numbered in the order of their keys, so that the order of rows does not count.
    """
    column = patient or ("image_id" if "image_id" in frame.columns else None)
    if column is None:
        return None
    keys = key_column(frame, column, PREDICTIONS_TABLE, [])
    return pd.Series(pd.factorize(keys, sort=True)[0], index=frame.index)


def draws_of(
    rows: pd.DataFrame,
    report: FairnessReport,
    label: str,
    score: str,
    split: str | None,
    units: pd.Series | None,
) -> dict[str, Array]:
    """Replicates of one target's metrics over all rows, each of shape (c,).

    Targets whose ``units`` are numbered alike see the same draws. Empty without resamples.
    """
    n_boot = min(int(report.settings.get("n_boot", 0)), MOST)
    if units is None or not n_boot:
        return {}
    part, _ = rows_of_split(rows, split, (label, score))
    unit = units[part.index].to_numpy(np.intp)
    kept = ~(is_empty(part[label]) | is_empty(part[score])) & (unit >= 0)
    part, unit = part[kept], unit[kept]
    y = label_column(part, label, PREDICTIONS_TABLE)
    s = probability_column(part, score, PREDICTIONS_TABLE)
    column = report.settings.get("weight")
    w = None if column is None else weights_of(part, column)
    if w is not None:
        some = w > 0
        y, s, unit, w = y[some], s[some], unit[some], w[some]
    # Sums do not depend on the order of the table's rows.
    order = np.lexsort([s, y, unit] if w is None else [w, s, y, unit])
    w = None if w is None else w[order]
    prepared = stats.prepare(y[order], s[order], unit[order], report.threshold, w)
    wanted = [RESAMPLED_METRICS[m] for m in CORRELATED]
    seed = int(report.settings.get("seed", 0))
    drawn = stats.bootstrap_groups([prepared], wanted, int(units.max()) + 1, n_boot, seed)
    return {m: drawn[:, 0, k] for k, m in enumerate(CORRELATED)}


def averages(
    reports: Mapping[str, FairnessReport], draws: Mapping[str, Mapping[str, Array]]
) -> dict[Key, Average]:
    """The mean over targets of each metric over all rows, and of each gap by attribute."""
    found: dict[Key, Average] = {}
    first = next(iter(reports.values()))
    keys = [("", m) for m in first.overall]
    keys += [(a, name) for a, gaps in first.disparities.items() for name in gaps]
    for key in keys:
        known = {
            target: estimate
            for target, report in reports.items()
            for estimate in [_estimate(report, *key)]
            if estimate is not None and math.isfinite(estimate.value)
        }
        values = [e.value for e in known.values()]
        attribute, name = key
        own = [None if attribute else draws[target].get(name) for target in known]
        ends = mean_interval(values, [e.ci for e in known.values()], correlations(own))
        chance = [getattr(e, "null_mean", math.nan) for e in known.values()]
        found[key] = Average(
            float(np.mean(values)) if values else math.nan,
            ends,
            n_targets=len(values),
            null_mean=float(np.mean(chance)) if chance else math.nan,
        )
    return found


def _estimate(report: FairnessReport, attribute: str, name: str) -> Estimate | None:
    return report.disparities[attribute].get(name) if attribute else report.overall.get(name)


def correlations(draws: Sequence[Array | None]) -> Array:
    """Correlations of replicates, shape (k, k); 1, the safe side, where they are not known.

    >>> x = np.array([1.0, 2.0, 3.0])
    >>> correlations([x, -x, None]).round(6).tolist()
    [[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    found = np.ones((len(draws), len(draws)))
    for i, first in enumerate(draws):
        for j, second in enumerate(draws[:i]):
            if first is None or second is None:
                continue
            both = np.isfinite(first) & np.isfinite(second)
            a, b = first[both], second[both]
            if len(a) > 2 and a.std() > 0 and b.std() > 0:
                found[i, j] = found[j, i] = np.corrcoef(a, b)[0, 1]
    return found


def mean_interval(
    values: Sequence[float], intervals: Sequence[Interval | None], together: Array
) -> Interval | None:
    """Interval of the mean of k true values, from their own intervals [l, u].

    With the correlations r of the estimates e (MOVER: Zou and Donner 2008, "Construction of
    confidence limits about effect measures"; Zou 2008, "On the estimation of additive
    interaction", for correlated ones)::

        lower = mean(e) - sqrt(sum_ij r_ij (e_i - l_i) (e_j - l_j)) / k

    and the upper end likewise. Where all r are 1 these are the means of the ends.

    Args:
        values: The estimates; one outside its interval has no distance to the nearer end.
        intervals: Their intervals; None where one has none.
        together: r, shape (k, k).

    Returns:
        (low, high); None where an interval is missing, or without values.

    >>> low, high = mean_interval([0.8, 0.6], [(0.7, 0.9), (0.5, 0.7)], np.eye(2))
    >>> round(low, 4), round(high, 4)
    (0.6293, 0.7707)
    """
    known = [ends for ends in intervals if ends is not None]
    if len(known) < len(intervals) or not known:
        return None
    e, (low, high) = np.asarray(values, np.float64), np.array(known).T
    below, above = np.maximum(e - low, 0), np.maximum(high - e, 0)
    # Correlations of pairs with other missing replicates need not make a proper matrix.
    reach = [math.sqrt(max(float(d @ together @ d), 0.0)) / len(e) for d in (below, above)]
    return float(e.mean() - reach[0]), float(e.mean() + reach[1])
