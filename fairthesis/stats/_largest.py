"""How the largest of several contrasts differs between two paired vectors of estimates.

A gap between groups is the largest of their differences, and which one that is has to be read from
the same numbers. Replicates of a gap lie above it, the more so the smaller it is, and percentiles
of their change miss it; an interval for the two pairs of groups that happen to be extreme misses it
too, where others may be. Here every contrast that may be the largest takes part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fairthesis.stats._resampling import LEVEL

Array = NDArray[np.float64]
SHARE = 0.1  # of the error rate, for the choice of contrasts
POWER = 0.8


@dataclass(frozen=True)
class LargestChange:
    """``max(C b) - max(C a)`` for two vectors a and b whose estimates are jointly normal.

    With i the largest contrast of a, and j that of b, the change lies between two differences of
    one contrast each, ``c_i (b - a)`` and ``c_j (b - a)``; and it is at least ``c_l b - c_i a`` and
    at most ``c_j b - c_l a`` for every l. The lower end is the smallest over all contrasts that may
    be i, each with the better of two bounds: l = i, a paired difference, and l = the one that is
    estimated as b's largest; the upper end likewise.

    A contrast may be the largest unless another one is larger by more than chance: by z standard
    errors of their difference, with z at Bonferroni's level for all of them and both vectors,
    together a tenth of the error rate (confidence sets for a nuisance parameter: Berger and Boos
    1994, JASA 89; the share of a tenth: Romano, Shaikh and Wolf 2014, Econometrica 82). The bounds
    have the rest: half of it at either end, and half of that for each of two bounds. Where it is
    plain that the same contrast is the largest of both, the interval is that of one paired
    difference.

    Attributes:
        first: Estimates a, shape (n,).
        second: Estimates b, shape (n,).
        covariance: Of (a, b), shape (2 n, 2 n); of bootstrap replicates, for instance.
        contrasts: C, shape (m, n).

    >>> pairs = np.array([[1.0, -1.0], [-1.0, 1.0]])  # the gap of two groups
    >>> plain = LargestChange(np.array([0.9, 0.7]), np.array([0.85, 0.75]), np.eye(4) / 1e4, pairs)
    >>> round(plain.value, 3), [round(end, 3) for end in plain.interval()]
    (-0.1, [-0.14, -0.06])
    >>> alike = LargestChange(np.array([0.8, 0.8]), np.array([0.8, 0.79]), np.eye(4) / 1e4, pairs)
    >>> alike.interval()[0] < 0 < alike.interval()[1], alike.p_value()
    (True, 1.0)
    """

    first: Array
    second: Array
    covariance: Array
    contrasts: Array

    @property
    def value(self) -> float:
        """The largest of the second less the largest of the first, as estimated."""
        return float((self.contrasts @ self.second).max() - (self.contrasts @ self.first).max())

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Lower and upper end, with the coverage ``level``."""
        return self._ends(1 - level)

    def _ends(self, alpha: float) -> tuple[float, float]:
        low = -self._above(alpha, self.second, self.first, swapped=True)
        return low, self._above(alpha, self.first, self.second, swapped=False)

    def _above(self, alpha: float, a: Array, b: Array, swapped: bool) -> float:
        """The upper end of ``max(C b) - max(C a)``."""
        c, n = self.contrasts, len(a)
        parts = [slice(n, None), slice(None, n)] if swapped else [slice(None, n), slice(n, None)]
        of_a, of_b = (self.covariance[part, part] for part in parts)
        choice = SHARE * alpha if len(c) > 1 else 0.0
        largest = int(np.argmax(c @ a))
        plain = len(self._candidates(a, of_a, choice)) == 1
        ends = []
        for j in self._candidates(b, of_b, choice):
            bounds = 1 if plain and j == largest else 2
            z = -ndtri((alpha - choice) / 2 / bounds)
            if len(c) == 1:
                z = -ndtri(alpha / 2)
            own = []
            for i in (j, largest):
                together = 2 * c[j] @ self.covariance[parts[1], parts[0]] @ c[i]
                variance = c[j] @ of_b @ c[j] + c[i] @ of_a @ c[i] - together
                own.append(c[j] @ b - c[i] @ a + z * np.sqrt(max(variance, 0.0)))
            ends.append(min(own))
        return float(max(ends))

    def _candidates(self, values: Array, covariance: Array, choice: float) -> NDArray[np.intp]:
        """Which contrasts may be the largest."""
        c = self.contrasts
        if len(c) == 1:
            return np.zeros(1, np.intp)
        found = c @ values
        spread = c @ covariance @ c.T
        own = np.diag(spread)
        error = np.sqrt(np.maximum(own[:, None] + own - 2 * spread, 0))
        z = -ndtri(choice / 2 / (len(c) - 1))
        ahead = found[:, None] - found  # row i of column j
        return np.flatnonzero(~(ahead > z * error + 1e-12).any(axis=0))

    def p_value(self) -> float:
        """Two-sided, for no change: the largest error rate at which the interval still holds 0."""
        low, high = 1e-12, 1.0 - 1e-9
        if self._holds(high):
            return 1.0
        if not self._holds(low):
            return low
        for _ in range(40):
            middle = float(np.sqrt(low * high))
            low, high = (middle, high) if self._holds(middle) else (low, middle)
        return high

    def _holds(self, alpha: float) -> bool:
        low, high = self._ends(alpha)
        return low <= 0 <= high

    def smallest_change(self, level: float = LEVEL, power: float = POWER) -> float:
        """The change that the design tells with this power: ``(z_level + z_power) s``.

        s is half the interval's length over z_level: the standard error, and more than that where
        it is not plain which contrasts are the largest.
        """
        low, high = self.interval(level)
        z = float(ndtri((1 + level) / 2))
        return (z + float(ndtri(power))) * (high - low) / (2 * z)
