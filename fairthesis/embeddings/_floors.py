"""The floor of a probe: what refits recover of an attribute that was shuffled over patients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

LEAST = 20  # refits, of which the highest is then about the 95 % point


def floor_of(refits: Sequence[float]) -> tuple[float, float]:
    """Mean and 95 % point of the refits' AUROCs; NaN without refits.

    Of fewer than 20 there is no 95 % point, and NaN stands for it: the larger one of two refits is
    exceeded by every third.

    >>> floor_of([0.5, 0.52])
    (0.51, nan)
    >>> floor_of([0.5] * 19 + [0.6])[1] > 0.5
    True
    """
    if not len(refits):
        return math.nan, math.nan
    enough = len(refits) >= LEAST
    return float(np.mean(refits)), float(np.quantile(refits, 0.95)) if enough else math.nan
