"""p values of resamples and permutations, and their correction for many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def permutation_p_value(observed: float, null: ArrayLike, smaller: bool = False) -> float:
    """(1 + number of permutations at least as extreme) / (1 + number of permutations).

    The observed labelling is one of the permutations, so p is never 0 (Phipson and Smyth 2010).

    Args:
        observed: The statistic of the observed labelling.
        null: Its values under permuted labels, shape (n,); undefined ones are passed over.
        smaller: Whether small values are the extreme ones.

    Returns:
        A p value above 0; 1 without permutations.

    >>> permutation_p_value(0.3, [0.1, 0.2, 0.4])
    0.5
    """
    values = np.asarray(null, np.float64)
    values = values[np.isfinite(values)]
    slack = 1e-9  # sums taken in another order differ in the last digits
    extreme = values <= observed + slack if smaller else values >= observed - slack
    return float((1 + extreme.sum()) / (1 + len(values)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): controls the chance of any false claim.

    Args:
        p_values: p values of one family of tests; one that is NaN is no test, it stays NaN, and the
            others are corrected for fewer.

    Returns:
        Corrected p values in the same order, at most 1.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03, math.nan])]
    [0.03, 0.06, 0.06, nan]
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full_like(p, math.nan)
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()]  # NaN sorts last
    stepped = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's step-up correction (1995): controls the share of false claims.

    Args:
        p_values: p values of one family of tests; NaN as in ``holm``.

    Returns:
        Corrected p values in the same order, at most 1.

    >>> [round(p, 3) for p in benjamini_hochberg([0.01, 0.04, 0.03, math.nan])]
    [0.03, 0.04, 0.04, nan]
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full_like(p, math.nan)
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()][::-1]
    stepped = np.minimum.accumulate(p[order] * len(order) / np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def bootstrap_p_value(changes: ArrayLike) -> float:
    """Two-sided p value for no change, from replicates of a paired change.

    2 (1 + min(#changes <= 0, #changes >= 0)) / (1 + n_boot), at most 1: it is below 0.05 about
    where the 95 % percentile interval leaves 0 out (Davison and Hinkley 1997, 4.2).

    Args:
        changes: Replicates of the change, shape (n_boot,); undefined ones are passed over.

    Returns:
        A p value above 0; NaN without replicates.

    >>> bootstrap_p_value([0.1] * 99), bootstrap_p_value([0.1, -0.1] * 50)
    (0.02, 1.0)
    """
    values = np.asarray(changes, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan
    fewer = min((values <= 0).sum(), (values >= 0).sum())
    return float(min(1.0, 2 * (1 + fewer) / (1 + len(values))))
