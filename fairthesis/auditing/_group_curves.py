"""One group's curves on the audit's page: ROC, reliability, decisions at every threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.auditing._row_warnings import FEW
from fairthesis.auditing._rows import AuditedRows
from fairthesis.metrics import reliability_curve, roc_curve, smooth_curve, threshold_counts

MOST_POINTS = 101  # of a smooth curve
# Beyond these shares of the cases a smooth curve rests on a handful of them.
ENDS = (0.01, 0.99)


def curves_of(
    data: AuditedRows, rows: NDArray[np.bool_], few: bool, cuts: NDArray[np.float64]
) -> dict[str, Any]:
    """Nothing is drawn of few patients, so that no single row can be read back."""
    if few:
        nothing = {name: [0] * len(cuts) for name in ("tp", "fp")}
        return {"roc": "", "reliability": {"line": "", "dots": []}, "counts": nothing}
    y, s, w = data.y[rows], data.s[rows], data.weight_of(rows)
    roc = roc_curve(y, s, weight=w)
    reliability = reliability_curve(y, s, weight=w)
    reliability = reliability[reliability["n"] >= FEW]
    table = threshold_counts(y, s, cuts, w)
    curve = _shown(smooth_curve(y, s, w))
    return {
        "roc": "" if roc.isna().any(axis=None) else _points(roc["fpr"], roc["tpr"]),
        "reliability": {
            "line": _points(curve["score"], curve["rate"]),
            "dots": reliability.round(4).to_dict("records"),
        },
        "counts": {name: table[name].round(3).tolist() for name in ("tp", "fp")},
    }


def _shown(curve: pd.DataFrame) -> pd.DataFrame:
    """At most ``MOST_POINTS`` points of a smooth curve, between ``ENDS`` of its cases."""
    share = (curve["cases"].cumsum() - curve["cases"] / 2) / curve["cases"].sum()
    curve = curve[share.between(*ENDS)]
    at = np.unique(np.linspace(0, len(curve) - 1, min(len(curve), MOST_POINTS)).round().astype(int))
    return curve.iloc[at]


def _points(x: Any, y: Any) -> str:
    """Points of a polyline in a square of 100 by 100, y upwards."""
    return " ".join(f"{100 * a:.2f},{100 - 100 * b:.2f}" for a, b in zip(x, y, strict=True))
