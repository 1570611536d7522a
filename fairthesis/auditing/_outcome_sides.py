"""Which side of a metric is worse: names and values of gaps, and of the group that fares worst."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.stats import Assignment, Clustered, GroupEnds, Interval, Values

Array = NDArray[np.float64]
FAR = 1e12  # in place of a statistic that has no bound
STRAYED = 1e5  # standard errors, beyond which a permutation left a group's metric undefined


class Turned:
    """A metric times ``sign``, so that smaller is worse.

    Where a permutation leaves it undefined in a group, the group counts as far from the others: a p
    value is never smaller for what is not known.
    """

    def __init__(self, of: Clustered, sign: int) -> None:
        self.of, self.sign = of, sign

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        found = self.of.values(groups)
        value = self.sign * found.value
        lost = ~np.isfinite(value)
        if not lost.any():
            return replace(found, value=value)
        return replace(
            found,
            value=np.where(lost, FAR, value),
            variance=np.where(lost, 0.0, found.variance),
            weight=np.where(lost, 1.0, found.weight),
        )


def gap_of(name: str) -> str:
    """What the difference between groups in a metric is called."""
    return f"{name}_gap"


def worst_of(name: str) -> str:
    """What the value of the group that fares worst is called."""
    return f"worst_group_{name}"


def gap_values(better: str | None, values: Array) -> dict[str, Array]:
    """``gap`` and ``worst`` of groups' values over the last axis; NaN are passed over.

    >>> found = gap_values("lower", np.array([2.0, 3.5, np.nan]))
    >>> float(found["gap"]), float(found["worst"])
    (1.5, 3.5)
    """
    found = {"gap": metrics.spread(values)}
    if better == "higher":
        found["worst"] = metrics.lowest(values)
    elif better == "lower":
        found["worst"] = -metrics.lowest(-np.asarray(values))
    elif better == "zero":
        found["worst"] = -metrics.lowest(-np.abs(values))
    return found


def badness(better: str | None, values: Array) -> Array:
    """Values turned so that the largest is the worst."""
    return {"higher": -values, "lower": values}.get(better or "", np.abs(values))


def worst_interval(better: str | None, ends: GroupEnds) -> Interval:
    """Interval of the worst true value, whichever group it is of (``GroupEnds.lowest``).

    >>> ends = GroupEnds(np.array([2.0, 3.0]), np.array([1.5, 2.5]), np.array([2.4, 3.6]))
    >>> low, high = worst_interval("lower", ends)
    >>> round(low, 2), high
    (2.43, 3.6)
    """
    if better == "higher":
        return ends.lowest()
    value, low, high = ends.value, ends.low, ends.high
    if better == "zero":  # how far each may be from 0
        far = np.maximum(np.abs(low), np.abs(high))
        near = np.minimum(np.abs(low), np.abs(high))
        value, low, high = np.abs(value), np.where(low * high > 0, near, 0.0), far
    least, most = GroupEnds(-value, -high, -low, level=ends.level).lowest()
    return -most, -least
