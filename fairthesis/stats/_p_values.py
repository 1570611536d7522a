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


def step_down(observed: ArrayLike, null: ArrayLike) -> tuple[Array, Array]:
    """p values of several statistics from joint permutations, raw and corrected for their number.

    Westfall and Young's step-down minimum p (1993, "Resampling-based multiple testing", algorithm
    2.8): the smallest p value is compared with the smallest of all p values in each permutation,
    the next one with the smallest of those left, and so on. What hangs together, as the gaps of one
    model do, then costs less than in Holm's correction. The chance of any false claim is at most
    the level, whichever of the statistics differ.

    Args:
        observed: Statistics, large ones extreme, shape (k,); NaN is no test and stays NaN.
        null: Their values in the same permutations, shape (n, k); undefined ones are not extreme.

    Returns:
        Raw p values, (1 + number at least as extreme) / (1 + n), and corrected ones, each (k,).

    >>> null = np.arange(99.0)[:, None] * [1, 1]  # two that are always the same: nothing is paid
    >>> [p.round(2).tolist() for p in step_down([98, 98], null)]
    [[0.02, 0.02], [0.02, 0.02]]
    """
    seen, drawn = np.asarray(observed, np.float64), np.asarray(null, np.float64)
    raw, corrected = np.full(len(seen), math.nan), np.full(len(seen), math.nan)
    tested = np.flatnonzero(np.isfinite(seen))
    if not len(tested) or not len(drawn):
        return raw, corrected
    both = np.vstack([seen[tested], np.nan_to_num(drawn[:, tested], nan=-np.inf)])
    slack = 1e-9  # sums taken in another order differ in the last digits
    n = len(both)
    p = np.empty_like(both)
    for column, values in zip(p.T, both.T, strict=True):
        ranked = np.sort(values)
        column[:] = (n - np.searchsorted(ranked, values - slack)) / n
    raw[tested] = p[0]
    order = np.argsort(-p[0], kind="stable")  # the largest p first
    least = np.minimum.accumulate(p[:, order], axis=1)  # over the ones that are left
    adjusted = (least <= p[0, order] + slack).mean(0)
    stepped = np.maximum.accumulate(adjusted[::-1])[::-1]
    corrected[tested[order]] = stepped
    return raw, corrected


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
