"""How each group's numbers are spread: shares of equal steps, as the page draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis.auditing._outcome_kinds import Measured
from fairthesis.auditing._outcome_rows import OutcomeRows
from fairthesis.auditing._row_warnings import FEW

STEPS = 24
ENDS = (0.005, 0.995)  # what lies beyond these quantiles of all rows counts in the end steps


def sketches(
    data: OutcomeRows, measured: Mapping[str, Measured]
) -> dict[str, dict[str, dict[str, Any]]]:
    """By attribute and metric: the edges of the steps, and each group's shares and median.

    Groups of fewer than ``FEW`` patients have none: single rows could be read back from them.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for attribute, column in data.groups.items():
        found[attribute] = {}
        for name, metric in measured.items():
            if metric.shown is None or metric.share:
                continue
            x, known = metric.shown, data.known[name]
            edges = _edges(x)
            if edges is None:
                continue
            groups: dict[str, Any] = {}
            for k, group in enumerate(column.categories):
                rows = column.codes[known] == k
                if len(np.unique(data.patient[known][rows])) < FEW:
                    groups[str(group)] = None
                    continue
                place = np.clip(np.searchsorted(edges, x[rows], "right") - 1, 0, len(edges) - 2)
                counts = np.bincount(place, minlength=len(edges) - 1)
                groups[str(group)] = {
                    "shares": (counts / counts.sum()).tolist(),
                    "median": float(np.median(x[rows])),
                }
            found[attribute][name] = {"edges": edges.tolist(), "groups": groups}
    return found


def _edges(x: NDArray[np.float64]) -> NDArray[np.float64] | None:
    low, high = np.quantile(x, ENDS)
    whole = bool((x % 1 == 0).all())
    if whole and high - low < STEPS:  # grades: a step each
        low, high = np.floor(low), np.ceil(high)
        return np.arange(low, high + 2) - 0.5 if high > low else None
    return np.linspace(low, high, STEPS + 1) if high > low else None
