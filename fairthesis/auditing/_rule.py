"""Intervals of what a threshold rule promises: the validation part is resampled as well.

The intervals of an audit hold the rates at the threshold that was chosen. Had other validation
patients been drawn, the rule would have chosen another one, and with few of them that matters more
than which patients were audited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._rows import AuditedRows

Array = NDArray[np.float64]
#: Rates that change with the threshold.
AT_THRESHOLD = ("tpr", "fpr", "tnr", "fnr", "ppv", "npv", "accuracy", "balanced_accuracy")
RULE_METRICS = (*AT_THRESHOLD, "selection_rate")


def drawn_thresholds(data: AuditedRows, n_boot: int, seed: int) -> Array:
    """The rule's threshold in every resample of the validation patients, (n_boot,).

    NaN where a resample lacks a class.
    """
    held = data.validation
    if held is None:
        return np.full(n_boot, np.nan)
    rule, rate = metrics.parse_threshold(data.rule)

    def statistic(counts: stats.Counts) -> Array:
        found = np.full(len(counts), np.nan)
        for k, times in enumerate(counts):
            rows = np.repeat(np.arange(len(held.y)), times[held.patient].astype(np.intp))
            y = held.y[rows]
            if 0 < y.sum() < len(y):
                weight = None if held.weight is None else held.weight[rows]
                found[k] = metrics.choose_threshold(y, held.s[rows], rule, rate, weight)
        return found

    # Another seed than that of the audited patients: the two parts are drawn independently.
    return stats.bootstrap(statistic, int(held.patient.max()) + 1, n_boot, seed + 1_000_003)


def rule_intervals(
    data: AuditedRows, masks: Mapping[tuple[str, str], NDArray[np.bool_]], n_boot: int, seed: int
) -> dict[str, Any]:
    """Intervals of ``RULE_METRICS`` where the threshold is chosen anew in every resample.

    Args:
        data: The audited rows, with their validation part.
        masks: The rows of each (attribute, group).
        n_boot: Resamples of the patients of both parts.
        seed: Seed of the draws.

    Returns:
        ``threshold``, the interval of the threshold, and ``rates``: (attribute, group) to metric to
        interval; None where it is not known.
    """
    thresholds = drawn_thresholds(data, n_boot, seed)
    n_patients = int(data.patient.max()) + 1
    parts, called = [], []
    for mask in masks.values():
        y, s, patient = data.y[mask], data.s[mask], data.patient[mask]
        positives, negatives = (
            len(one) - np.searchsorted(one, np.nan_to_num(thresholds, nan=2.0))
            for one in (np.sort(s[y > 0]), np.sort(s[y <= 0]))
        )
        parts.append(stats.prepare(y, s, patient, data.threshold, data.weight_of(mask)))
        called.append((positives, negatives))
    drawn = stats.bootstrap_at(parts, called, n_patients, n_boot, seed)
    drawn[~np.isfinite(thresholds)] = np.nan
    rates = {}
    for k, key in enumerate(masks):
        confusion = [drawn[:, k, cell] for cell in range(4)]
        rates[key] = {
            name: stats.percentile_interval(metrics.RATES[name](*confusion))
            for name in RULE_METRICS
        }
    return {"threshold": stats.percentile_interval(thresholds), "rates": rates}
