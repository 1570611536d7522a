"""The page's curves and counts by threshold where rows are weighted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis.auditing._rows import FEW, AuditedRows
from fairthesis.metrics import reliability_curve, roc_curve, threshold_counts


def weighted_curves(
    data: AuditedRows, attribute: str, few: Sequence[bool], cuts: NDArray[np.float64]
) -> dict[str, list[Any]]:
    """``roc``, ``reliability`` and ``counts`` of every group, as the page draws them.

    Groups that are ``few`` have none, so that no single row can be read back.
    """
    page: dict[str, list[Any]] = {"roc": [], "reliability": [], "counts": []}
    for k, hidden in enumerate(few):
        if hidden:
            page["roc"].append("")
            page["reliability"].append({"line": "", "dots": []})
            page["counts"].append({name: [0] * len(cuts) for name in ("tp", "fp")})
            continue
        rows = data.groups[attribute].codes == k
        y, s, w = data.y[rows], data.s[rows], data.weight_of(rows)
        roc = roc_curve(y, s, weight=w)
        one_class = bool(roc.isna().any(axis=None))
        page["roc"].append("" if one_class else _points(roc["fpr"], roc["tpr"]))
        reliability = reliability_curve(y, s, weight=w)
        reliability = reliability[reliability["n"] >= FEW]
        page["reliability"].append(
            {
                "line": _points(reliability["score"], reliability["rate"]),
                "dots": reliability.round(4).to_dict("records"),
            }
        )
        table = threshold_counts(y, s, cuts, w)
        page["counts"].append({name: table[name].round(3).tolist() for name in ("tp", "fp")})
    return page


def _points(x: Any, y: Any) -> str:
    """Points of a polyline in a square of 100 by 100, y upwards."""
    return " ".join(f"{100 * a:.2f},{100 - 100 * b:.2f}" for a, b in zip(x, y, strict=True))
