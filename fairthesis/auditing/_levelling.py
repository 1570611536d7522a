"""Was a gap levelled down: did it shrink because the better group got worse?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis import stats

SHOWN, NOT_SHOWN, UNKNOWN = "shown", "not shown", "cannot be told"


@dataclass(frozen=True)
class Levelling:
    """How a gap changed: through the group that was best, or the one that was worst.

    A model levels down where the gap shrinks because the better group loses more than the worse one
    gains (Zietlow et al. 2022; Mittelstadt, Wachter and Russell 2023). ``best`` and ``worst`` are
    the groups with the reference's highest and lowest value; the changes are the other model less
    the reference. ``levelled_down`` is one of

    - ``shown``: the best group lost, it lost more than the worst one gained, and the gap shrank,
      each beyond the noise;
    - ``not shown``: one of these is excluded: the best group did not lose, or the worst one gained
      at least as much, or the gap did not shrink;
    - ``cannot be told``: neither.

    Which group is best is chosen by the same numbers, and the best by chance falls on average. The
    bounds (``best_ci``, ``worst_ci``) hold for all groups, pairs of groups and metrics together, so
    that this choice costs nothing: where no group lost, ``shown`` comes in at most 5 % of
    comparisons.

    >>> down = Levelling("m", "f", -0.05, best_change=-0.06, worst_change=-0.01,
    ...                  best_ci=(-0.09, -0.03), worst_ci=(-0.04, 0.02), levelled_down="shown")
    >>> down.best
    'm'
    """

    best: str
    worst: str
    gap_change: float
    best_change: float
    worst_change: float
    best_ci: tuple[float, float] | None
    worst_ci: tuple[float, float] | None
    levelled_down: str


class Levellings:
    """Paired changes of every group in several metrics, with bounds that hold together.

    Args:
        reference: Each metric's values of the groups, (groups,), name to array.
        other: The same of the other model.
        drawn: Paired replicates of the change, name to (n_boot, groups).
        names: The groups.

    >>> rng = np.random.default_rng(0)
    >>> drawn = {"auroc": rng.normal([-0.08, 0.0], 0.01, (500, 2))}
    >>> found = Levellings({"auroc": np.array([0.9, 0.8])}, {"auroc": np.array([0.82, 0.8])},
    ...                    drawn, ["m", "f"])
    >>> found.of("auroc").levelled_down
    'shown'
    """

    def __init__(
        self,
        reference: Mapping[str, NDArray[np.float64]],
        other: Mapping[str, NDArray[np.float64]],
        drawn: Mapping[str, NDArray[np.float64]],
        names: Sequence[str],
    ) -> None:
        self.reference, self.other, self.names = reference, other, list(names)
        self.change = {m: other[m] - reference[m] for m in reference}
        self.error: dict[str, NDArray[np.float64]] = {}
        largest = []
        for metric, change in self.change.items():
            apart = _contrasts(drawn[metric]) - _contrasts(change)
            with np.errstate(invalid="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of a group without the metric
                self.error[metric] = np.nanstd(apart, axis=0) if len(apart) else np.nan * change
            if len(apart):
                scaled = np.abs(apart) / np.where(
                    self.error[metric] > 0, self.error[metric], np.inf
                )
                largest.append(np.nan_to_num(scaled).max(axis=(1, 2)))
        # The largest studentised deviation of any group, sum or difference, in any metric.
        self.reach = (
            float(np.quantile(np.max(largest, axis=0), stats.LEVEL)) if largest else math.nan
        )

    def bounds(self, metric: str, i: int, j: int) -> tuple[float, float]:
        """Of the change of group i (j = i), its sum with that of j > i, or its difference to it."""
        middle = float(_contrasts(self.change[metric])[i, j])
        half = self.reach * float(self.error[metric][i, j])
        return middle - half, middle + half

    def of(self, metric: str) -> Levelling | None:
        """Whether ``metric`` was levelled down; None where fewer than two groups have it."""
        before, after = self.reference[metric], self.other[metric]
        known = np.flatnonzero(np.isfinite(before) & np.isfinite(after))
        if len(known) < 2:
            return None
        best = int(known[np.argmax(before[known])])
        worst = int(known[np.argmin(before[known])])
        fell, rose = (float(self.change[metric][k]) for k in (best, worst))
        ends: list[tuple[float, float] | None] = [None, None]
        state = UNKNOWN
        if not math.isnan(self.reach) and best != worst:
            low, high = sorted((best, worst))
            of_best, of_worst, of_sum, of_difference = (
                self.bounds(metric, i, j)
                for i, j in ((best, best), (worst, worst), (low, high), (high, low))
            )
            # The difference is of the later group less the earlier one: turned to best less worst.
            shrinks = of_difference if best == high else (-of_difference[1], -of_difference[0])
            ends = [of_best, of_worst]
            asked = (of_best, of_sum, shrinks)
            if all(end[1] < 0 for end in asked):
                state = SHOWN
            elif any(end[0] >= 0 for end in asked):
                state = NOT_SHOWN
        gap = float(np.ptp(after[known]) - np.ptp(before[known]))
        return Levelling(
            self.names[best], self.names[worst], gap, fell, rose, ends[0], ends[1], state
        )


def _contrasts(change: NDArray[np.float64]) -> NDArray[np.float64]:
    """Changes on the diagonal, sums of two groups' above it, differences (row less column) below.

    Shape (..., groups) to (..., groups, groups).
    """
    first, second = change[..., :, None], change[..., None, :]
    k = change.shape[-1]
    upper = np.triu(np.ones((k, k), bool), 1)
    found = np.where(upper, first + second, first - second)
    return np.where(np.eye(k, dtype=bool), first, found)
