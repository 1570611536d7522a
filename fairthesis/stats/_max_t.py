"""Many tests at once, corrected together: the step-down maximum of Westfall and Young."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis.errors import InputError


def step_down_max_t(observed: ArrayLike, null: ArrayLike) -> NDArray[np.float64]:
    """p values corrected for all tests, by the step-down maximum of their statistics.

    The tests are ordered by their statistics, the largest first. p of the j-th is the share of
    permutations (the observed one included) in which the largest statistic of the j-th and all
    later tests is at least the observed one, and never below p of an earlier test (Westfall and
    Young 1993, algorithm 4.1). Tests that overlap keep their dependence, where Holm's correction
    has to assume the worst.

    Args:
        observed: Statistics of k tests, larger is more extreme, shape (k,); NaN is no test.
        null: The same under joint permutations, shape (permutations, k); NaN counts as not extreme.

    Returns:
        Corrected p values, shape (k,), above 0 and at most 1; NaN where ``observed`` is.

    Raises:
        InputError: The shapes do not fit.

    >>> null = [[0.1, 0.3], [2.5, 0.2], [0.4, 1.5], [0.2, 0.1]]
    >>> step_down_max_t([3.0, 1.0], null).tolist()
    [0.2, 0.4]
    """
    t = np.asarray(observed, np.float64)
    drawn = np.asarray(null, np.float64)
    if t.ndim != 1 or drawn.ndim != 2 or drawn.shape[1] != len(t):
        raise InputError(
            f"The statistics have the shape {t.shape} and their permutations {drawn.shape}: "
            "expected (k,) and (permutations, k)."
        )
    found = np.full(len(t), np.nan)
    order = np.argsort(-t, kind="stable")[: np.isfinite(t).sum() + np.isinf(t).sum()]
    if not len(order):
        return found
    least_first = np.nan_to_num(drawn[:, order[::-1]], nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    largest = np.maximum.accumulate(least_first, axis=1)[:, ::-1]
    slack = 1e-9  # sums taken in another order differ in the last digits
    p = (1 + (largest >= t[order] - slack).sum(axis=0)) / (1 + len(drawn))
    found[order] = np.maximum.accumulate(p)
    return found
