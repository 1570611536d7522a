"""Intervals of one value whose patients have unequal numbers of cases.

Where a few patients have most of the cases, the spread of estimates is known from few numbers, and
normal quantiles are too small: Student's take their place, with the degrees of freedom that the
patients' weights leave (Satterthwaite 1946; Bell and McCaffrey 2002).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from scipy.stats import t as student

from fairthesis.stats._resampling import LEVEL

ALIKE = 0.1  # assumed correlation of a patient's cases, where only their number is known
LEAST = 1.5  # degrees of freedom


def effective_patients(cases: ArrayLike) -> float:
    """How many patients with equal numbers of cases these are worth, (sum m)^2 / sum m^2.

    Kish's effective number (1965), were all cases of a patient alike.

    Args:
        cases: Each patient's number of cases, 0 or more, or the sum of their weights.

    >>> effective_patients([2, 2, 2]), round(effective_patients([120, 1, 1]), 2)
    (3.0, 1.03)
    """
    m = np.asarray(cases, np.float64)
    total = float((m**2).sum())
    return float(m.sum()) ** 2 / total if total else 0.0


def degrees_of_freedom(cases: ArrayLike, squares: ArrayLike | None = None) -> float:
    """Degrees of freedom of a variance over patients with these numbers of cases.

    (sum c)^2 / sum c^2 with c = m (1 + (m - 1) / 10), what a patient's m cases add to the variance
    of a mean if they correlate by a tenth; at least 1.5. For m = 1 it is the number of patients.

    Args:
        cases: Each patient's number of cases, 0 or more; of weighted cases, the sum of their
            weights.
        squares: The sum of each patient's squared weights; ``cases`` if None. In the place of c
            stands 0.9 squares + 0.1 m^2, and the scale of the weights does not count.

    >>> degrees_of_freedom([1] * 40), round(degrees_of_freedom([60] + [1] * 40), 1)
    (40.0, 1.5)
    """
    m = np.asarray(cases, np.float64)
    if squares is None:
        c = m * (1 + np.maximum(m - 1, 0) * ALIKE)
    else:
        c = (1 - ALIKE) * np.asarray(squares, np.float64) + ALIKE * m**2
    total = float((c**2).sum())
    return max(float(c.sum()) ** 2 / total if total else 0.0, LEAST)


def quantile_of(freedom: float, level: float = LEVEL) -> float:
    """Student's two-sided quantile.

    >>> round(quantile_of(10), 3), round(quantile_of(1e9), 3)
    (2.228, 1.96)
    """
    return float(student.ppf((1 + level) / 2, freedom))


def expanded_level(freedom: float, wider: float = 1.0, level: float = LEVEL) -> float:
    """The level at which percentiles of replicates reach as far as Student's quantile asks.

    The expanded percentile interval (Hesterberg 2015, "What teachers should know about the
    bootstrap", Am. Stat. 69).

    Args:
        freedom: Degrees of freedom.
        wider: By how much a standard error is larger than the replicates' spread.
        level: Coverage that is meant.

    >>> round(expanded_level(10), 3), round(expanded_level(1e9), 3)
    (0.974, 0.95)
    """
    return float(2 * ndtr(quantile_of(freedom, level) * wider) - 1)


def cases_of_patients(
    patient: NDArray[np.intp],
    kept: NDArray[np.bool_] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Number of (kept) cases of each patient that has any, or the sum of their ``weight``.

    >>> cases_of_patients(np.array([0, 0, 3]), np.array([True, True, True])).tolist()
    [2.0, 1.0]
    """
    rows = np.ones(len(patient), bool) if kept is None else kept
    sums = np.bincount(patient[rows], None if weight is None else weight[rows])
    return sums[sums > 0].astype(np.float64)
