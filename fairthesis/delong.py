"""DeLong's variance of an AUROC, and the paired test of two AUROCs on the same cases.

For independent cases only: where patients have several rows, use the patient bootstrap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from fairthesis.errors import InputError
from fairthesis.metrics import Array


@dataclass(frozen=True)
class Normal:
    """An estimate with a normal approximation: value, standard error, interval, p value.

    The p value is two-sided, for no difference (paired) or an AUROC of 0.5 (single).
    """

    value: float
    standard_error: float
    ci: tuple[float, float]
    p_value: float


def _placements(y: NDArray[np.bool_], s: Array) -> tuple[Array, Array]:
    """For each positive the share of negatives below it, for each negative that of positives above.

    Ties count one half. The mean of either is the AUROC.
    """
    pos, neg = s[y], s[~y]
    sorted_pos, sorted_neg = np.sort(pos), np.sort(neg)

    def below(reference: Array, values: Array) -> Array:
        left, right = (np.searchsorted(reference, values, side) for side in ("left", "right"))
        return np.asarray((left + right) / 2 / len(reference))

    return below(sorted_neg, pos), 1 - below(sorted_pos, neg)


def _estimate(value: float, variance: float, null: float, level: float) -> Normal:
    error = float(np.sqrt(max(variance, 0.0)))
    half = float(ndtri((1 + level) / 2)) * error
    distance = abs(value - null)
    p = float(2 * ndtr(-distance / error)) if error > 0 else float(distance == 0)
    return Normal(value, error, (value - half, value + half), p)


def _both(y_true: ArrayLike) -> NDArray[np.bool_]:
    y = np.asarray(y_true) > 0
    if min(y.sum(), (~y).sum()) < 2:
        raise InputError(
            f"DeLong's variance needs two positive and two negative cases, but got {int(y.sum())} "
            f"and {int((~y).sum())}."
        )
    return y


def delong(y_true: ArrayLike, y_score: ArrayLike, level: float = 0.95) -> Normal:
    """AUROC with DeLong's standard error (DeLong, DeLong and Clarke-Pearson 1988).

    var = var(V10)/P + var(V01)/N over the placements V of positives and negatives.

    >>> round(delong([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value, 3)
    0.75
    """
    y = _both(y_true)
    v10, v01 = _placements(y, np.asarray(y_score, np.float64))
    variance = v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)
    return _estimate(float(v10.mean()), float(variance), 0.5, level)


def delong_paired(
    y_true: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = 0.95
) -> Normal:
    """AUROC of ``second`` minus that of ``first`` on the same cases, DeLong's paired test.

    >>> delong_paired([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.2, 0.7, 0.8]).value
    0.25
    """
    y = _both(y_true)
    a = _placements(y, np.asarray(first, np.float64))
    b = _placements(y, np.asarray(second, np.float64))
    # The variance of the difference of placements carries the covariance of the two AUROCs.
    parts = [(v - u).var(ddof=1) / len(u) for u, v in zip(a, b, strict=True)]
    return _estimate(float(b[0].mean() - a[0].mean()), float(sum(parts)), 0.0, level)
