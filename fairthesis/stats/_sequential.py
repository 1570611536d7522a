"""A test that may be looked at after every period, for ever, and errs no more often for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from fairthesis.errors import InputError

#: Shares of the largest bet that is allowed, over which ``drift_evidence`` takes the mean.
BETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.55, 0.8)


def drift_evidence(
    excess: ArrayLike, period: ArrayLike, n_periods: int, most: float
) -> NDArray[np.float64]:
    """Evidence, after each period, that a mean has come to lie above 0: the log of a capital.

    While every value's mean, given all before, is 0 or less, the chance that the capital ever
    reaches 1 / alpha is alpha at most (Ville 1939), however often one looks. The capital is

        K_t = sum over starts j <= t of w_j mean over bets b of prod (1 + b z_i) + 1 / (t + 1),

    the product over the values z_i of periods j to t, b shares (``BETS``) of the largest bet
    1 / ``most``, w_j = 1 / (j (j + 1)): a stake on each period as the one in which the mean rose,
    so that good years before it cost little (testing by betting, Waudby-Smith and Ramdas 2024,
    JRSSB 86; mixtures over the start as in Shin, Ramdas and Rinaldo 2024). For a true positive rate
    that should be at least m, z = m - (the share of a patient's positives that were called), and
    ``most`` = 1 - m.

    Args:
        excess: Values z, each of another patient and -``most`` or more, shape (n,).
        period: Period of each, a whole number from 0 to ``n_periods`` - 1; their order within a
            period does not matter.
        n_periods: Number of periods.
        most: How far below 0 a value may lie, above 0.

    Returns:
        Natural logarithm of the capital after each period, shape (n_periods,).

    Raises:
        InputError: A value is not finite or below -``most``, or a period out of its range.

    >>> called = [1, 1, 0, 1] * 5 + [0, 1, 0, 0] * 20  # 0.75, then 0.25
    >>> period = [0] * 20 + [1] * 40 + [2] * 40
    >>> evidence = drift_evidence(0.7 - np.array(called), period, 3, most=0.3)
    >>> (evidence > np.log(1 / 0.05)).tolist()
    [False, True, True]
    """
    z, when = np.asarray(excess, np.float64), np.asarray(period, np.intp)
    if z.shape != when.shape or z.ndim != 1:
        raise InputError(
            f"The values have the shape {z.shape} and their periods {when.shape}: expected (n,) "
            "for both."
        )
    if not most > 0:
        raise InputError(f"most is {most:g}: expected a number above 0.")
    if len(z) and not (np.isfinite(z).all() and z.min() >= -most * (1 + 1e-9)):
        raise InputError(f"A value is {z.min():g}: expected finite numbers of {-most:g} or more.")
    if len(z) and not 0 <= when.min() <= when.max() < n_periods:
        raise InputError(f"A period is out of range: expected 0 to {n_periods - 1}.")
    gains = np.zeros((n_periods + 1, len(BETS)))
    for k, share in enumerate(BETS):
        grown = np.log1p(share * np.maximum(z / most, -1.0))
        gains[1:, k] = np.bincount(when, grown, n_periods)
    total = gains.cumsum(axis=0)
    start = np.arange(1, n_periods + 1)
    stake = -np.log(start * (start + 1.0))
    found = np.empty(n_periods)
    for t in range(n_periods):
        since = logsumexp(total[t + 1] - total[: t + 1], axis=1) - np.log(len(BETS))
        found[t] = np.logaddexp(logsumexp(stake[: t + 1] + since), -np.log(t + 2.0))
    return found
