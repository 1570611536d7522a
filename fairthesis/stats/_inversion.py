"""Intervals for calibration errors, by inverting a bootstrap test.

A calibration error is a sum of sizes, ``|d_k|`` or ``d_k^2`` over bins, and sampling noise makes it
larger: replicates of the error lie above it, the more so the better calibrated the model is, and
a percentile interval misses the truth. So the question is turned round: for which true errors
would the observed one be neither too small nor too large?
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis import metrics
from fairthesis.stats._resampling import LEVEL, MAX_UNDEFINED

Array = NDArray[np.float64]
#: An interval's lower and upper end.
Interval = tuple[float, float]

STEPS = 24  # halvings: the ends are exact to 2^-24 of the search range


def calibration_intervals(
    weight: ArrayLike,
    residual: ArrayLike,
    drawn_weight: ArrayLike,
    drawn_residual: ArrayLike,
    patients: ArrayLike,
    level: float = LEVEL,
    cases: ArrayLike | None = None,
) -> dict[str, Interval | None]:
    """Intervals for the true ``ece`` and ``ece_debiased``, from bin sums and their replicates.

    With D_k the mean of label - score in bin k, w_k its share of cases and ``*`` a replicate,
    the error that would be seen if the true gaps were c D_k is distributed as::

        sum_k w*_k |c D_k + (D*_k - D_k)|^p,        p = 1 (ece) or 2 (ece_debiased).

    The interval holds the errors whose observed value lies between the 2.5 and 97.5 % points of
    that (test inversion: DiCiccio and Romano 1990; Carpenter 1999). An error cannot be negative,
    so the interval ends at 0 where perfect calibration is not rejected (as Sun et al. 2024, "A
    Confidence Interval for the ℓ2 Expected Calibration Error"); the upper end is never below that
    of the median under perfect calibration, so that a lucky sample excludes no more than an
    ordinary one (power-constrained limits: Cowan et al. 2011). For p = 1 a gap smaller than its
    standard error is raised to it first: ``|D_k|`` near 0 says little of d_k, and taking it at its
    word overstates the bias. Replicates of D_k are widened by sqrt(m / (m - 1)), m the patients
    of the bin. The interval is for the truth: the plug-in value, biased upward, may lie above it.
    With few patients, or calibration that is nearly perfect, both conventions at the lower end of
    the scale make it too wide (it then holds the truth in up to 99 of 100:
    benchmarks/auditing/coverage.md).

    Args:
        weight: Cases of each bin, shape (bins,).
        residual: Sum of label - score of each bin, shape (bins,).
        drawn_weight: Cases in each resample, shape (n_boot, bins).
        drawn_residual: Sum of label - score in each resample, shape (n_boot, bins).
        patients: Patients of each bin, shape (bins,): distinct ones, or ``effective_patients``
            where some have most of the rows.
        level: Coverage of the intervals.
        cases: Number of cases of each bin, where ``weight`` is the sum of other weights than 1.

    Returns:
        ``ece`` and ``ece_debiased`` to (low, high). None where there are no replicates or over 5 %
        of them are empty, and for ``ece_debiased`` where no bin has two cases.

    >>> rng = np.random.default_rng(0)
    >>> n, gap = np.full(15, 100.0), np.full(15, 0.1)
    >>> noise = rng.normal(scale=0.04, size=(500, 15))
    >>> found = calibration_intervals(n, 100 * gap, np.tile(n, (500, 1)), 100 * (gap + noise), n)
    >>> low, high = found["ece"]
    >>> 0.05 < low < 0.1 < high < 0.13
    True
    """
    n, r = np.asarray(weight, np.float64), np.asarray(residual, np.float64)
    drawn_n, drawn_r = np.asarray(drawn_weight, np.float64), np.asarray(drawn_residual, np.float64)
    m, total = np.asarray(patients, np.float64), drawn_n.sum(-1)
    some = total > 0
    if not n.sum() or some.sum() == 0 or some.mean() < 1 - MAX_UNDEFINED:
        return {"ece": None, "ece_debiased": None}
    drawn_n, drawn_r = drawn_n[some], drawn_r[some]
    w, D = n / n.sum(), _over(r, n)
    w_drawn = drawn_n / total[some, None]
    noise = np.where(drawn_n > 0, _over(drawn_r, drawn_n) - D, 0.0) * np.sqrt(
        _over(m, np.maximum(m - 1, 0.5))
    )
    # Squares: a polynomial in c, so that only three sums per replicate are kept.
    error = np.sqrt((noise**2).mean(0))
    raised = np.where(n > 0, np.where(D < 0, -1.0, 1.0) * np.maximum(np.abs(D), error), 0.0)
    # Bins with a single case: their noise is not known, and the debiased error leaves them out.
    several = (n if cases is None else np.asarray(cases)) > 1
    seen = np.where(several, D, 0.0)
    along, apart = (seen, noise * several) if seen.any() else (raised, noise)
    a, b, c = ((w_drawn * part).sum(-1) for part in (along**2, along * apart, apart**2))
    squares = _invert(
        lambda x: a * x * x + 2 * b * x + c,
        float((w * seen**2).sum()),
        float(np.sqrt((w * along**2).sum())),
        level,
    )
    absolute = _invert(
        lambda x: (w_drawn * np.abs(x * raised + noise)).sum(-1),
        float((w * np.abs(D)).sum()),
        float((w * np.abs(raised)).sum()),
        level,
    )
    return {"ece": absolute, "ece_debiased": squares if several.any() else None}


def smooth_interval(residual: ArrayLike, drawn: ArrayLike, level: float = LEVEL) -> Interval | None:
    """Interval for the true smECE, by the test inversion of ``calibration_intervals`` for ``ece``.

    At the bandwidth t that the sample chose, smECE is a sum of sizes as well, ``sum |R|`` with R
    the smoothed mean of label - score in each interval of the score, and a replicate is above t at
    its own bandwidth where its sum is above t at this one (smECE_σ falls with σ). So the same test
    is inverted, over errors ``c R`` with R raised to its standard error.

    Args:
        residual: Sum of label - score in each of equal intervals of [0, 1], over the number of
            cases, shape (intervals,).
        drawn: The same in each resample, shape (n_boot, intervals), as from
            ``residual_histograms``.
        level: Coverage of the interval.

    Returns:
        (low, high); None where there are no replicates, or over 5 % of them hold no case.

    >>> rng = np.random.default_rng(0)
    >>> gap = np.full(100, 0.001)
    >>> low, high = smooth_interval(gap, gap + rng.normal(scale=0.001, size=(500, 100)))
    >>> 0.07 < low < 0.1 < high < 0.13
    True
    """
    r, replicates = np.asarray(residual, np.float64), np.asarray(drawn, np.float64)
    some = np.isfinite(replicates).all(-1)
    if not some.any() or some.mean() < 1 - MAX_UNDEFINED:
        return None
    t = metrics.smooth_error(r)
    seen, noise = metrics.smoothed(r, t), metrics.smoothed(replicates[some] - r, t)
    raised = np.where(seen < 0, -1.0, 1.0) * np.maximum(np.abs(seen), np.sqrt((noise**2).mean(0)))
    return _invert(
        lambda x: np.abs(x * raised + noise).sum(-1),
        float(np.abs(seen).sum()),
        float(np.abs(raised).sum()),
        level,
    )


def _over(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)


def _invert(
    drawn: Callable[[float], Array], observed: float, scale: float, level: float
) -> Interval:
    """The true errors ``c * scale`` between which ``observed`` is an unsurprising value."""

    def end(q: float, seen: float) -> float:
        # The quantile grows with c from where noise alone lies; where even that is too much, 0.
        low, high = 0.0, 2.0
        if scale == 0 or np.quantile(drawn(low), q) >= seen:
            return 0.0
        while np.quantile(drawn(high), q) < seen:
            if high * scale >= 1:  # no error is larger
                return 1.0
            high *= 2
        for _ in range(STEPS):
            middle = (low + high) / 2
            below = np.quantile(drawn(middle), q) < seen
            low, high = (middle, high) if below else (low, middle)
        return min(high * scale, 1.0)

    ordinary = max(observed, float(np.median(drawn(0.0))))
    return end((1 + level) / 2, observed), end((1 - level) / 2, ordinary)
