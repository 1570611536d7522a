"""Cases at or above a score, each counted by its weight."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def weight_from(scores: Array, weight: Array, cuts: Array) -> tuple[Array, float]:
    """The weight of the cases scored at least each cut, shape of ``cuts``, and of all cases.

    >>> weight_from(np.array([0.2, 0.7]), np.array([3.0, 1.0]), np.array([0.0, 0.5, 0.9]))
    (array([4., 1., 0.]), 4.0)
    """
    order = np.argsort(scores, kind="stable")
    below = np.append(0.0, np.cumsum(weight[order]))
    return below[-1] - below[np.searchsorted(scores[order], cuts, "left")], float(below[-1])
