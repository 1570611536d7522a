"""What an audit says beyond its fixed list: missed diagnoses, fixed rates, net benefit, xAUC."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.auditing._report import Estimate
from fairthesis.auditing._rows import AuditedRows

# Each is a value per group, with an interval.
ADDITIONAL = (
    "underdiagnosis_rate",
    "overdiagnosis_rate",
    "tpr_at_fpr_0.2",
    "fpr_at_tpr_0.8",
    "observed_expected",
    "calibration_in_the_large",
    "smooth_ece",
    "integrated_calibration_index",
    "net_benefit",
)


def additional_metrics(
    y: NDArray[np.float64],
    s: NDArray[np.float64],
    threshold: float,
    known: Mapping[str, Estimate],
    means: str = "disease",
    weight: NDArray[np.float64] | None = None,
) -> dict[str, Estimate]:
    """All of ``ADDITIONAL`` for one set of rows; only the first two have an interval yet.

    ``known`` holds the audit's metrics. ``means`` is what label 1 says: where it is ``healthy``,
    the sick who are called healthy are the false positives.

    >>> y, s = np.array([0.0, 0, 1, 1]), np.array([0.1, 0.6, 0.5, 0.8])
    >>> from fairthesis.metrics import evaluate
    >>> known = {m: Estimate(v) for m, v in evaluate(y, s).items()}
    >>> additional_metrics(y, s, 0.5, known)["fpr_at_tpr_0.8"].value
    0.5
    """
    rates = {m: known[m].value for m in ("accuracy", "selection_rate", "prevalence")}
    values = {
        "tpr_at_fpr_0.2": metrics.tpr_at_fpr(y, s, metrics.RATE, weight),
        "fpr_at_tpr_0.8": metrics.fpr_at_tpr(y, s, 1 - metrics.RATE, weight),
        "observed_expected": metrics.observed_expected(y, s, weight),
        "calibration_in_the_large": metrics.calibration_in_the_large(y, s, weight),
        "smooth_ece": metrics.smooth_ece(y, s, weight=weight),
        "integrated_calibration_index": metrics.integrated_calibration_index(y, s, weight),
        "net_benefit": float(net_benefit_of(rates, threshold)),
    }
    missed, false = ("fnr", "fpr") if means == "disease" else ("fpr", "fnr")
    return {
        "underdiagnosis_rate": known[missed],
        "overdiagnosis_rate": known[false],
        **{name: Estimate(value) for name, value in values.items()},
    }


def net_benefit_of(
    rates: Mapping[str, NDArray[np.float64]] | Mapping[str, float], threshold: float
) -> NDArray[np.float64]:
    """Net benefit from accuracy, selection rate and prevalence, of any shape.

    FP/n = (selection rate - prevalence + 1 - accuracy) / 2 and TP/n = selection rate - FP/n, both
    defined where a class is absent. NaN at a threshold of 1, where the odds are infinite.

    >>> float(net_benefit_of({"accuracy": 0.5, "selection_rate": 1.0, "prevalence": 0.5}, 0.2))
    0.375
    """
    selected, accuracy, prevalence = (
        np.asarray(rates[name], np.float64) for name in ("selection_rate", "accuracy", "prevalence")
    )
    false = (selected - prevalence + 1 - accuracy) / 2
    if not 0 <= threshold < 1:
        return np.full(false.shape, np.nan)
    return (selected - false) - false * threshold / (1 - threshold)


def cross_aurocs(data: AuditedRows, attribute: str) -> dict[str, dict[str, float]]:
    """xAUC of every pair: positives of the first group against negatives of the second."""
    column = data.groups[attribute]
    names = [str(name) for name in column.categories]
    positives, negatives = (
        {
            name: (data.s[rows], np.ones(rows.sum()) if data.weight is None else data.weight[rows])
            for k, name in enumerate(names)
            for rows in [(column.codes == k) & ((data.y > 0) == label)]
        }
        for label in (True, False)
    )
    return {
        a: {b: metrics.cross_auroc(p, n, (u, v)) for b, (n, v) in negatives.items()}
        for a, (p, u) in positives.items()
    }
