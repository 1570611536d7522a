"""Intervals of differences between groups, from the groups' own intervals.

Replicates of a largest difference lie above it, the more so the more groups there are and the
smaller it is, and their percentiles miss a gap of 0 always. The groups' own intervals say how far
each value may lie above or below its estimate, and that is what a difference's interval is made of:
for groups i and j, with values e in [l, u] ::

    lower(e_i - e_j) = e_i - e_j - sqrt((e_i - l_i)^2 + (u_j - e_j)^2 - 2 r (e_i - l_i)(u_j - e_j))

and the upper end likewise (MOVER: Zou 2007; Zou and Donner 2008, "Construction of confidence limits
about effect measures"), r the correlation of the two estimates, 0 unless groups share patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import studentized_range

from fairthesis.stats._inversion import Interval
from fairthesis.stats._resampling import LEVEL

Array = NDArray[np.float64]


@lru_cache
def _range_quantile(level: float, k: int) -> float:
    """Quantile of the range of k normal values; of two it is that of their difference."""
    if k == 2:
        return float(np.sqrt(2) * ndtri((1 + level) / 2))
    return float(studentized_range.ppf(level, k, np.inf))


@dataclass(frozen=True)
class GroupEnds:
    """One metric of several groups, each with its interval.

    Attributes:
        value: Shape (groups,).
        low: Lower ends, shape (groups,).
        high: Upper ends, shape (groups,).
        correlation: Of the groups' estimates, shape (groups, groups); none where None.
        level: Coverage of the intervals.

    >>> ends = GroupEnds(np.array([0.9, 0.8]), np.array([0.86, 0.75]), np.array([0.93, 0.84]))
    >>> [round(end, 3) for end in ends.gap()]
    [0.043, 0.158]
    >>> low, high = ends.differences()
    >>> round(float(low[0, 1]), 3), round(float(high[0, 1]), 3)  # the first less the second
    (0.043, 0.158)
    """

    value: Array
    low: Array
    high: Array
    correlation: Array | None = None
    level: float = LEVEL

    @cached_property
    def _reach(self) -> tuple[Array, Array]:
        """How far each difference (row less column) may lie below and above its value."""
        below = np.maximum(self.value - self.low, 0)
        above = np.maximum(self.high - self.value, 0)
        r = np.zeros((len(below),) * 2) if self.correlation is None else self.correlation

        def both(first: Array, second: Array) -> Array:
            a, b = first[:, None], second[None]
            return np.sqrt(np.maximum(a**2 + b**2 - 2 * r * a * b, 0))

        return both(below, above), both(above, below)

    def _wider(self, level: float) -> float:
        """By how much more than one pair's all pairs' ends must reach, to hold together."""
        k = len(self.value)
        if k < 3 and level == self.level:
            return 1.0
        pair = np.sqrt(2) * ndtri((1 + self.level) / 2)
        return float(_range_quantile(level, k) / pair)

    def differences(self, simultaneous: bool = False) -> tuple[Array, Array]:
        """Intervals of every group's value less every other's, each (groups, groups).

        ``simultaneous`` ones hold the truth of all pairs together: they reach farther by the ratio
        of Tukey's studentized range to the plain one.
        """
        wider = self._wider(self.level) if simultaneous else 1.0
        apart = self.value[:, None] - self.value
        below, above = self._reach
        return apart - wider * below, apart + wider * above

    def ratios(self) -> tuple[Array, Array]:
        """Intervals of every group's value over every other's, by MOVER of their logarithms.

        NaN where a value is 0; 0 or infinite where an end is.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            value, least, most = (
                np.log(np.maximum(x, 0)) for x in (self.value, self.low, self.high)
            )
            ends = GroupEnds(value, least, most, self.correlation, self.level)
            low, high = ends.differences()
            return np.exp(low), np.exp(high)

    def gap(self) -> Interval:
        """Interval of the largest less the smallest true value.

        The gap is at least every difference: its ends are the largest lower and the largest upper
        one, and 0 at least. So that the largest of many lower ends does not claim too much, they
        reach farther, as ``simultaneous`` ones do.
        """
        return self._gap(self.level)

    def _gap(self, level: float, floor: float = 0.0) -> Interval:
        """``level`` is that of the lower end."""
        apart = self.value[:, None] - self.value
        below, above = self._reach
        other = ~np.eye(len(self.value), dtype=bool)
        low = float((apart - self._wider(level) * below)[other].max())
        return max(low, floor), float((apart + above)[other].max())

    def lowest(self) -> Interval:
        """Interval of the smallest true value.

        The lower end is the smallest of the groups'. The smallest upper end must hold for whichever
        group is the lowest, so upper ends reach farther, by Sidak's correction for the groups.
        """
        tail = (1 + self.level) / 2
        wider = ndtri(tail ** (1 / len(self.value))) / ndtri(tail)
        reach = np.maximum(self.high - self.value, 0)
        return float(self.low.min()), float((self.value + wider * reach).min())


def gap_interval(
    values: Sequence[float], intervals: Sequence[Interval | None], level: float = LEVEL
) -> Interval | None:
    """``GroupEnds.gap`` of independent groups; None where an interval is missing.

    Args:
        values: Value of each group; one outside its interval is moved to the nearer end.
        intervals: Interval of each group, or None.
        level: Coverage of the intervals.

    >>> low, high = gap_interval([0.10, 0.04], [(0.08, 0.13), (0.01, 0.06)])
    >>> round(low, 3), round(high, 3)
    (0.032, 0.102)
    """
    known = [ends for ends in intervals if ends is not None]
    if len(known) < len(intervals) or len(known) < 2:
        return None
    low, high = np.array(known).T
    return GroupEnds(np.clip(np.asarray(values), low, high), low, high, level=level).gap()


def larger_gap(parts: Sequence[GroupEnds]) -> Interval:
    """Interval of the largest of several metrics' gaps, as of the equalized odds difference.

    The largest lower end of several holds less often than each; each is taken at Sidak's level.

    >>> ends = GroupEnds(np.array([0.9, 0.8]), np.array([0.86, 0.75]), np.array([0.93, 0.84]))
    >>> [round(end, 3) for end in larger_gap([ends, ends])]
    [0.035, 0.158]
    """
    found = [part._gap(part.level ** (1 / len(parts))) for part in parts]
    return max(low for low, _ in found), max(high for _, high in found)


def mean_gap(parts: Sequence[GroupEnds]) -> Interval:
    """Interval of the mean of several metrics' gaps.

    By MOVER over the parts for two groups. Gaps of more groups lie above the truth together, so
    that what is uncertain in them does not add up by squares: the mean of the lower ends of
    ``larger_gap`` stands in.

    >>> ends = GroupEnds(np.array([0.9, 0.8]), np.array([0.86, 0.75]), np.array([0.93, 0.84]))
    >>> [round(end, 3) for end in mean_gap([ends, ends])]
    [0.054, 0.141]
    """
    n = len(parts)
    value = np.array([np.ptp(part.value) for part in parts])
    high = np.array([part.gap()[1] for part in parts])
    above = float(np.linalg.norm(high - value)) / n
    if max(len(part.value) for part in parts) > 2:
        low = float(np.mean([part._gap(part.level ** (1 / n))[0] for part in parts]))
    else:
        ends = [part._gap(part.level ** (1 / n), -np.inf)[0] for part in parts]
        low = float(value.mean() - np.linalg.norm(value - ends) / n)
    return max(low, 0.0), float(value.mean()) + above
