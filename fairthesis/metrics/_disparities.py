"""Differences between groups, declared as a table.

Each disparity is a function of the groups' metrics, arrays of shape (..., n_groups), and gives
one value per leading index, so that all resamples and permutations are one call. Groups whose
metric is NaN are passed over; with fewer than two left the result is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Groups = Mapping[str, Array]


def spread(values: Array) -> Array:
    """Largest minus smallest over the last axis.

    Args:
        values: One metric of the groups, shape (..., groups).

    Returns:
        Shape (...,). NaN is passed over; NaN where fewer than two groups are left.

    >>> spread(np.array([[0.9, 0.7, np.nan], [0.9, np.nan, np.nan]])).round(3).tolist()
    [0.2, nan]
    """
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    high = np.where(known, values, -np.inf).max(-1, initial=-np.inf)
    low = np.where(known, values, np.inf).min(-1, initial=np.inf)
    enough = known.sum(-1) >= 2
    return np.where(enough, np.where(enough, high, 0.0) - np.where(enough, low, 0.0), np.nan)


def lowest(values: Array) -> Array:
    """Smallest value over the last axis: that of the group that is worst off.

    Args:
        values: One metric of the groups, shape (..., groups).

    Returns:
        Shape (...,). NaN is passed over; NaN where fewer than two groups are left.

    >>> lowest(np.array([[0.9, 0.7, np.nan], [0.9, np.nan, np.nan]])).tolist()
    [0.7, nan]
    """
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    low = np.where(known, values, np.inf).min(-1, initial=np.inf)
    return np.where(known.sum(-1) >= 2, low, np.nan)


def equalized_odds_difference(groups: Groups) -> Array:
    """max(TPR range, FPR range) over groups, in [0, 1].

    As fairlearn's ``agg="worst_case"``; equalized odds are those of Hardt, Price and Srebro 2016
    (NeurIPS).

    Args:
        groups: ``tpr`` and ``fpr`` of the groups, each of shape (..., groups).

    Returns:
        Shape (...,); NaN where either rate is known of fewer than two groups.

    >>> rates = {"tpr": np.array([0.9, 0.8]), "fpr": np.array([0.1, 0.3])}
    >>> round(float(equalized_odds_difference(rates)), 3)
    0.2
    """
    return np.maximum(spread(groups["tpr"]), spread(groups["fpr"]))


def equalized_odds_difference_mean(groups: Groups) -> Array:
    """(TPR range + FPR range) / 2 over groups, in [0, 1]; as fairlearn's ``agg="mean"``.

    Arguments and NaN as for ``equalized_odds_difference``.

    >>> rates = {"tpr": np.array([0.9, 0.8]), "fpr": np.array([0.1, 0.3])}
    >>> round(float(equalized_odds_difference_mean(rates)), 3)
    0.15
    """
    return (spread(groups["tpr"]) + spread(groups["fpr"])) / 2


def _spread_of(metric: str) -> Callable[[Groups], Array]:
    return lambda groups: spread(groups[metric])


#: Name to function of the groups' metrics (name to array of shape (..., groups)). The gap in
#: calibration compares the debiased error: the plug-in ECE of a small group is larger for its size
#: alone.
DISPARITIES: dict[str, Callable[[Groups], Array]] = {
    "auroc_gap": _spread_of("auroc"),
    "worst_group_auroc": lambda groups: lowest(groups["auroc"]),
    "equalized_odds_difference": equalized_odds_difference,
    "equalized_odds_difference_mean": equalized_odds_difference_mean,
    "tpr_difference": _spread_of("tpr"),
    "fpr_difference": _spread_of("fpr"),
    "demographic_parity_difference": _spread_of("selection_rate"),
    "accuracy_gap": _spread_of("accuracy"),
    "ece_gap": _spread_of("ece_debiased"),
    "brier_gap": _spread_of("brier"),
}
#: The metrics that ``DISPARITIES`` are computed from.
NEEDED = ("auroc", "tpr", "fpr", "selection_rate", "accuracy", "ece_debiased", "brier")
#: Disparities of which a smaller value is the worse one: their chance level is at the other end.
SMALLER_IS_WORSE = ("worst_group_auroc",)


def disparities(groups: Groups) -> dict[str, Array]:
    """All of ``DISPARITIES`` from the metrics of the groups.

    Args:
        groups: The metrics of ``NEEDED``, each of shape (..., groups).

    Returns:
        Name of the disparity to values of shape (...,).

    >>> groups = {name: np.array([0.5, 0.5]) for name in NEEDED} | {"auroc": np.array([0.9, 0.75])}
    >>> found = disparities(groups)
    >>> [round(float(found[name]), 2) for name in ("auroc_gap", "worst_group_auroc")]
    [0.15, 0.75]
    """
    return {name: function(groups) for name, function in DISPARITIES.items()}
