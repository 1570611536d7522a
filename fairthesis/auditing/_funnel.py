"""Funnel plots: many groups' values against their size, with limits of chance around the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from fairthesis import stats
from fairthesis.auditing._wording import label_of, number_text

FUNNELS = ("auroc", "tpr", "fpr")
LIMITS = (0.95, 0.998)
STEPS = 60
WIDTH, HEIGHT = 100.0, 60.0


def funnel(
    overall: Mapping[str, Any], groups: Mapping[str, Mapping[str, Any]], metric: str
) -> dict[str, Any] | None:
    """A funnel plot of ``metric`` (Spiegelhalter 2005, Stat. Med. 24); None without two groups.

    A group's size is the number of cases that the metric rests on (of an AUROC, of the rarer
    class). Limits hold 95 and 99.8 % of groups that are like the whole, if all cases are
    independent; where patients have several images, groups leave them more often.

    Args:
        overall: The audit's metrics of all rows.
        groups: The groups by name, as in ``audit.json``.
        metric: ``auroc``, ``tpr`` or ``fpr``.

    Returns:
        Places in a box of 100 by 60 and what is written at them.
    """
    whole = overall[metric]["value"]
    shown = [
        (name, _cases(group, metric), group["metrics"][metric]["value"], group)
        for name, group in groups.items()
        if group["metrics"][metric]["value"] is not None
    ]
    if whole is None or len(shown) < 2:
        return None
    most = max(n for _, n, _, _ in shown)
    sizes = np.geomspace(max(min(n for _, n, _, _ in shown) * 0.8, 2), most * 1.1, STEPS)
    ratio = _ratio(groups, metric)
    errors = [_error(metric, whole, n, ratio) for n in sizes]
    limits = {
        level: [
            [min(max(whole + side * float(ndtri((1 + level) / 2)) * e, 0), 1) for e in errors]
            for side in (-1, 1)
        ]
        for level in LIMITS
    }
    values = [v for _, _, v, _ in shown] + [limits[LIMITS[1]][k][-1] for k in (0, 1)]
    low, high = min(values), max(values)
    pad = 0.08 * max(high - low, 0.02)
    low, high = max(low - pad, 0.0), min(high + pad, 1.0)

    def x(n: float) -> float:
        span = math.log(sizes[-1] / sizes[0])
        return round(WIDTH * math.log(n / sizes[0]) / span, 2)

    def y(value: float) -> float:
        return round(HEIGHT * (1 - (min(max(value, low), high) - low) / (high - low)), 2)

    def line(values: Sequence[float]) -> str:
        return " ".join(f"{x(n)},{y(v)}" for n, v in zip(sizes, values, strict=True))

    steps = [10**k * m for k in range(7) for m in (1, 2, 5)]
    return {
        "label": label_of(metric),
        "overall": y(whole),
        "limits": [line(ends) for level in LIMITS for ends in limits[level]],
        "dots": [
            {
                "x": x(n),
                "y": y(value),
                "name": f"{name}: {number_text(value)} of {n}",
                "out": _outside(value, n, metric, whole, ratio),
            }
            for name, n, value, _ in shown
        ],
        "x_ticks": [(x(n), f"{n:,}") for n in steps if sizes[0] <= n <= sizes[-1]],
        "y_ticks": [(y(v), number_text(v)) for v in np.linspace(low, high, 5)],
        "what": {"auroc": "cases of the rarer label", "tpr": "positive cases"}.get(
            metric, "negative cases"
        ),
    }


def _cases(group: Mapping[str, Any], metric: str) -> int:
    counts = {"tpr": group["n_positive"], "fpr": group["n_negative"]}
    return max(int(counts.get(metric, min(group["n_positive"], group["n_negative"]))), 1)


def _ratio(groups: Mapping[str, Mapping[str, Any]], metric: str) -> float:
    """How many cases of the commoner label there are to one of the rarer, over all groups."""
    positive = sum(group["n_positive"] for group in groups.values())
    negative = sum(group["n_negative"] for group in groups.values())
    return max(positive, negative) / max(min(positive, negative), 1)


def _error(metric: str, whole: float, n: float, ratio: float) -> float:
    if metric == "auroc":
        return math.sqrt(max(stats.auroc_variance(whole, n, n * ratio), 0.0))
    return math.sqrt(whole * (1 - whole) / n)


def _outside(value: float, n: int, metric: str, whole: float, ratio: float) -> bool:
    reach = float(ndtri((1 + LIMITS[1]) / 2)) * _error(metric, whole, n, ratio)
    return abs(value - whole) > reach
