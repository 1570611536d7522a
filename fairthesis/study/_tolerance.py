"""How far an archived number may move when its experiment is run again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

#: Table -> number -> absolute distance within which a quick experiment comes out again on another
#: processor or number of threads: 1.5 times the largest that was seen, from
#: ``benchmarks/study/tolerances.md``, and at least 0.005.
TOLERANCE: dict[str, dict[str, float]] = {
    "metrics": {
        "auroc": 0.028,
        "average_precision": 0.029,
        "accuracy": 0.096,
        "balanced_accuracy": 0.068,
        "tpr": 0.147,
        "fpr": 0.225,
        "tnr": 0.225,
        "fnr": 0.147,
        "ppv": 0.164,
        "npv": 0.054,
        "prevalence": 0.005,
        "selection_rate": 0.175,
        "brier": 0.021,
        "log_loss": 0.047,
        "ece": 0.092,
        "ece_debiased": 0.121,
        "calibration_intercept": 0.714,
        "calibration_slope": 0.126,
    },
    "disparities": {
        "auroc_gap": 0.035,
        "worst_group_auroc": 0.028,
        "equalized_odds_difference": 0.141,
        "equalized_odds_difference_mean": 0.09,
        "tpr_difference": 0.05,
        "fpr_difference": 0.141,
        "demographic_parity_difference": 0.074,
        "accuracy_gap": 0.097,
        "ece_gap": 0.04,
        "brier_gap": 0.02,
    },
    "twins": {"score": 0.041, "logit": 0.133, "logit_absolute": 0.141, "flips": 0.208},
}


def tolerance_of(names: pd.Series, stated: float | Mapping[str, float]) -> pd.Series:
    """The tolerance of each number by its name; of one that is not stated, the largest.

    >>> tolerance_of(pd.Series(["auroc", "ece"]), {"auroc": 0.01, "tpr": 0.04}).tolist()
    [0.01, 0.04]
    >>> tolerance_of(pd.Series(["auroc"]), 0.05).tolist()  # older archives have one for a table
    [0.05]
    """
    if not isinstance(stated, Mapping):
        return pd.Series(float(stated), names.index)
    return names.map(stated).fillna(max(stated.values())).astype(float)
