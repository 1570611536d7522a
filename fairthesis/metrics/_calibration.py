"""Calibration: does a score of 0.8 mean that 80 of 100 such cases are positive?

Binned errors, plug-in and debiased.
Labels and scores have shape (n,), weights (..., n), results (...,). Weights count cases: a weight
of 2 is the same as the case twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis import inputs
from fairthesis.metrics._rates import ratio

Array = NDArray[np.float64]

#: Equal-width bins of [0, 1] in which calibration errors are measured (Guo et al. 2017).
N_BINS = 15


def bin_index(y_score: ArrayLike, n_bins: int = N_BINS) -> NDArray[np.intp]:
    """The equal-width bin of each score; bin k is [k/n_bins, (k+1)/n_bins), the last one closed.

    Args:
        y_score: Probabilities, shape (n,).
        n_bins: Number of bins of [0, 1].

    Returns:
        Numbers from 0 to ``n_bins - 1``, shape (n,).

    Raises:
        InputError: A score is NaN or lies outside [0, 1].

    >>> bin_index([0.0, 0.5, 1.0], 2).tolist()
    [0, 1, 1]
    """
    edges = np.linspace(0, 1, n_bins + 1)
    s = inputs.check_probabilities(y_score)
    found = np.minimum((s * n_bins).astype(np.intp), n_bins - 1)
    # The product is rounded: a score next to an edge may be one bin off.
    found -= s < edges[found]
    found += s >= edges[found + 1]
    return np.minimum(found, n_bins - 1)


def bin_sums(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None, n_bins: int = N_BINS
) -> tuple[Array, Array, Array]:
    """Weight, sum of scores and sum of labels of each calibration bin.

    These sums are all that ``ece_from_bins`` and ``ece_debiased_from_bins`` need, and those of
    disjoint sets of cases add up.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        weight: Weights of 0 or more, shape (..., n); 1 for each case if None.
        n_bins: Number of equal-width bins; see ``bin_index``.

    Returns:
        Three arrays of shape (..., n_bins); an empty bin holds zeros.

    Raises:
        InputError: Labels, scores or weights cannot be used, or differ in length.

    >>> n, scores, labels = bin_sums([0, 1, 1], [0.25, 0.25, 0.75], n_bins=2)
    >>> n.tolist(), scores.tolist(), labels.tolist()
    ([2.0, 1.0], [0.5, 0.75], [1.0, 1.0])
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    bins = bin_index(s, n_bins)
    if weight is None or np.ndim(weight) == 1:
        w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
        n, scores, labels = (np.bincount(bins, x, n_bins) for x in (w, w * s, w * y))
        return np.asarray(n), np.asarray(scores), np.asarray(labels)
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    member = np.eye(n_bins)[bins]
    return w @ member, w @ (member * s[:, None]), w @ (member * y[:, None])


def ece_from_bins(weight: ArrayLike, score_sum: ArrayLike, label_sum: ArrayLike) -> Array:
    """Plug-in ECE from the sums of ``bin_sums``; see ``ece`` for the formula.

    Args:
        weight: Weight of the cases of each bin, shape (..., bins).
        score_sum: Sum of their scores, same shape.
        label_sum: Sum of their labels, same shape.

    Returns:
        The error in [0, 1], shape (...,); NaN where there is no case.

    >>> ece_from_bins([[2, 2], [0, 0]], [[0.5, 1.5], [0, 0]], [[1, 2], [0, 0]]).tolist()
    [0.25, nan]
    """
    w, s, y = (np.asarray(a, np.float64) for a in (weight, score_sum, label_sum))
    total = w.sum(-1)
    gap = np.abs(y - s).sum(-1)
    return np.divide(gap, total, out=np.full(total.shape, np.nan), where=total > 0)


def ece_debiased_from_bins(
    weight: ArrayLike,
    score_sum: ArrayLike,
    label_sum: ArrayLike,
    noise: float = 1.0,
    squares: ArrayLike | None = None,
) -> Array:
    """Debiased calibration error from the sums of ``bin_sums``; see ``ece_debiased``.

    Args:
        weight: Number of cases of each bin, shape (..., bins).
        score_sum: Sum of their scores, same shape.
        label_sum: Sum of their labels, same shape.
        noise: How often the sampling variance is subtracted: once for a sample. A bootstrap
            replicate carries it twice, once from the sample and once from the resampling; with 2
            the replicates centre on the sample's own debiased value.
        squares: Sum of the squared weights of the cases of each bin, where weights do not count
            cases but say how many others each stands for: the variance of a bin is then that of
            Kish's effective number of cases, weight^2 / squares. The scale of the weights does not
            count.

    Returns:
        The error in [0, 1], shape (...,); NaN where no bin holds more than one case.

    >>> round(float(ece_debiased_from_bins([100], [50.0], [70.0])), 3)
    0.195
    >>> round(float(ece_from_bins([100], [50.0], [70.0])), 3)  # noise counts as miscalibration
    0.2
    """
    w, s, y = (np.asarray(a, np.float64) for a in (weight, score_sum, label_sum))
    total = w.sum(-1)
    n = w if squares is None else np.nan_to_num(ratio(w**2, squares))
    usable = n > 1 + 1e-9  # the variance of a single case is not known
    w1, n1 = np.where(usable, w, 2.0), np.where(usable, n, 2.0)
    rate = y / w1
    terms = w * (((y - s) / w1) ** 2 - noise * rate * (1 - rate) / (n1 - 1))
    squared = np.where(usable, terms, 0.0).sum(-1)
    mean = np.divide(squared, total, out=np.full(total.shape, np.nan), where=usable.any(-1))
    return np.sqrt(np.maximum(mean, 0.0))


def ece(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None, n_bins: int = N_BINS
) -> Array:
    """Expected calibration error, plug-in, over equal-width bins, in [0, 1]; smaller is better.

    ``ECE = sum_k (n_k / n) |mean label_k - mean score_k|`` (Naeini et al. 2015, AAAI; Guo et al.
    2017, ICML). It is biased upward, the more so the smaller the group: sampling noise in a bin
    counts as miscalibration. Compare groups with ``ece_debiased``.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        weight: Weights of 0 or more, shape (..., n); 1 for each case if None.
        n_bins: Number of equal-width bins.

    Returns:
        Shape (...,); NaN where there is no case.

    Raises:
        InputError: Labels, scores or weights cannot be used, or differ in length.

    >>> float(ece([0, 1], [0.25, 0.75]))
    0.25
    """
    return ece_from_bins(*bin_sums(y_true, y_score, weight, n_bins))


def ece_debiased(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None, n_bins: int = N_BINS
) -> Array:
    """Root of the debiased squared calibration error over equal-width bins, in [0, 1].

    ``sqrt(max(0, sum_k (n_k / n) [(y_k - s_k)^2 - y_k (1 - y_k) / (n_k - 1)]))``, where y_k and s_k
    are the mean label and mean score of bin k (Kumar, Liang and Ma 2019, "Verified Uncertainty
    Calibration", NeurIPS, section 5). The squared error is chosen because its bias has a closed
    form: the bracket is unbiased for the squared calibration error of a bin, whatever the group's
    size. It is a root mean square, so on binned data its target is at least that of ``ece``. Bins
    with a single case contribute nothing.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        weight: Counts of cases, shape (..., n); 1 for each case if None. With weights that sum to 1
            every bin looks as if it held less than one case, and the result is NaN.
        n_bins: Number of equal-width bins.

    Returns:
        Shape (...,); NaN where no bin holds more than one case.

    Raises:
        InputError: Labels, scores or weights cannot be used, or differ in length.

    >>> y, s = [0, 0, 0, 1, 1, 1, 1, 1, 1, 0], [0.5] * 10  # 6 of 10 where 5 are expected
    >>> round(float(ece(y, s)), 3), float(ece_debiased(y, s))
    (0.1, 0.0)
    """
    return ece_debiased_from_bins(*bin_sums(y_true, y_score, weight, n_bins))
