"""How gaps changed from one model to another on the same cases: values, intervals, p values.

Replicates of a gap lie above it, and the more so the smaller it is: replicates of a change from a
large gap to none lie off the change, and their percentiles miss it. A change is the difference of
two gaps, each of which has an interval that holds it; these make the change's (MOVER, as in
``stats.GroupEnds``), with the correlation that the same patients bring.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from fairthesis import stats
from fairthesis.auditing._gaps import ODDS, RANGES, AttributeGaps
from fairthesis.auditing._report import Gap
from fairthesis.stats import Interval

Array = NDArray[np.float64]
Drawn = Mapping[str, Array]
PER_METRIC: dict[str, str] = dict(RANGES) | {"worst_group_auroc": "auroc"}


class GapsOfModel:
    """The gaps of one of two models.

    Args:
        between: its groups, compared.
        drawn: replicates of each metric, paired with the other model's, name to (n_boot, groups).
    """

    def __init__(self, between: AttributeGaps, drawn: Drawn) -> None:
        self.between, self.drawn = between, drawn
        self.gaps: dict[str, Gap] = between.gaps(())

    def contrast(self, name: str) -> Array:
        """Replicates of what the gap is now: the difference of its two extreme groups, (n_boot,).

        They are signed, so that unlike the gap's own they lie about its value.
        """
        if name in PER_METRIC:
            return self._of(PER_METRIC[name], lowest=name == "worst_group_auroc")
        both = [self._of(metric) for metric in ODDS]
        if name == "equalized_odds_difference_mean":
            return np.asarray(np.mean(both, axis=0))
        return both[int(np.argmax([np.ptp(self._known(metric)) for metric in ODDS]))]

    def _known(self, metric: str) -> Array:
        values = self.between.values(metric)
        return values[np.isfinite(values)]

    def _of(self, metric: str, lowest: bool = False) -> Array:
        values, drawn = self.between.values(metric), self.drawn[metric]
        least = drawn[:, int(np.nanargmin(values))]
        return least if lowest else drawn[:, int(np.nanargmax(values))] - least


def change_of_gap(
    name: str, reference: GapsOfModel, other: GapsOfModel
) -> tuple[Interval | None, float]:
    """Interval and two-sided p value of the other model's gap less the reference's.

    Which of two groups is ahead is not known where a gap's interval holds 0; a correlation that
    would make the change more certain is not counted there. The p value is the one at which the
    interval ends at 0.
    """
    first, second = reference.gaps[name], other.gaps[name]
    if first.ci is None or second.ci is None:
        return None, float("nan")
    change = second.value - first.value
    one, two = reference.contrast(name), other.contrast(name)
    if change == 0 and np.array_equal(one, two):
        return (0.0, 0.0), 1.0
    r = correlation(one, two)
    if name != "worst_group_auroc" and min(first.ci[0], second.ci[0]) <= 0:
        r = min(r, 0.0)
    (below_one, above_one), (below_two, above_two) = reaches(first), reaches(second)
    low = change - together(below_two, above_one, r)
    high = change + together(above_two, below_one, r)
    reach = change - low if change > 0 else high - change
    z = ndtri((1 + stats.LEVEL) / 2) * abs(change) / reach if reach > 0 else np.inf
    return (low, high), float(2 * ndtr(-z)) if change else 1.0


def reaches(gap: Gap) -> tuple[float, float]:
    """How far the interval reaches below and above the value.

    One that ends at 0 was cut there, as no gap is less; noise that made the value larger than the
    truth is not cut, and is as large as above.
    """
    low, high = gap.ci or (float("nan"),) * 2
    above = high - gap.value
    return (max(gap.value - low, above) if low <= 0 else gap.value - low), above


def correlation(one: Array, two: Array) -> float:
    """Pearson's, over the replicates in which both are known; 0 where one does not vary."""
    known = np.isfinite(one) & np.isfinite(two)
    a, b = (x[known] - x[known].mean() if known.any() else x[known] for x in (one, two))
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else 0.0


def together(a: float, b: float, r: float) -> float:
    return float(np.sqrt(max(a**2 + b**2 - 2 * r * a * b, 0.0)))
