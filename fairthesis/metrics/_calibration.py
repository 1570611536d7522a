"""Calibration: does a score of 0.8 mean that 80 of 100 such cases are positive?

Binned errors (plug-in and debiased), the smooth error, and the logistic recalibration line.
Labels and scores have shape (n,), weights (..., n), results (...,). Weights count cases: a weight
of 2 is the same as the case twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

from fairthesis import inputs

Array = NDArray[np.float64]

#: Equal-width bins of [0, 1] in which calibration errors are measured (Guo et al. 2017).
N_BINS = 15
LOGIT_EPS = 1e-6
HALVINGS = 40  # of one step of Newton's method, at most: a step of 1e-12 of its length


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
    found = np.searchsorted(edges, inputs.check_probabilities(y_score), side="right") - 1
    return np.clip(found, 0, n_bins - 1)


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
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    member = np.eye(n_bins)[bin_index(s, n_bins)]
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
    weight: ArrayLike, score_sum: ArrayLike, label_sum: ArrayLike, noise: float = 1.0
) -> Array:
    """Debiased calibration error from the sums of ``bin_sums``; see ``ece_debiased``.

    Args:
        weight: Number of cases of each bin, shape (..., bins).
        score_sum: Sum of their scores, same shape.
        label_sum: Sum of their labels, same shape.
        noise: How often the sampling variance is subtracted: once for a sample. A bootstrap
            replicate carries it twice, once from the sample and once from the resampling; with 2
            the replicates centre on the sample's own debiased value.

    Returns:
        The error in [0, 1], shape (...,); NaN where no bin holds more than one case.

    >>> round(float(ece_debiased_from_bins([100], [50.0], [70.0])), 3)
    0.195
    >>> round(float(ece_from_bins([100], [50.0], [70.0])), 3)  # noise counts as miscalibration
    0.2
    """
    w, s, y = (np.asarray(a, np.float64) for a in (weight, score_sum, label_sum))
    total = w.sum(-1)
    usable = w > 1  # the variance of a single case is not known
    w1 = np.where(usable, w, 2.0)
    rate = y / w1
    terms = w * (((y - s) / w1) ** 2 - noise * rate * (1 - rate) / (w1 - 1))
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


def logit(y_score: ArrayLike) -> Array:
    """``log(s / (1 - s))`` of probabilities, which are clipped to [1e-6, 1 - 1e-6] first.

    Args:
        y_score: Probabilities, shape (n,).

    Returns:
        Finite numbers from -13.8 to 13.8, shape (n,).

    Raises:
        InputError: A score is NaN or lies outside [0, 1].

    >>> logit([0.0, 0.5, 0.9]).round(2).tolist()
    [-13.82, 0.0, 2.2]
    """
    s = np.clip(inputs.check_probabilities(y_score), LOGIT_EPS, 1 - LOGIT_EPS)
    return np.log(s) - np.log1p(-s)


def recalibration_line(
    x: ArrayLike,
    weight: ArrayLike,
    positive: ArrayLike,
    start: tuple[float, float] | None = None,
    tolerance: float = 1e-9,
    iterations: int = 50,
) -> tuple[Array, Array]:
    """Intercept a and slope b that maximise the likelihood of P(y = 1) = 1 / (1 + exp(-a - b x)).

    Newton's method from the logit of the prevalence and a slope of 0, or from ``start`` where that
    is likelier. A step is halved until the likelihood rises by a share of what its slope promises
    (Armijo's rule: Nocedal and Wright 2006, 3.1), so that scores far from the truth find their line
    as well. Many lines are fitted in one call.

    Args:
        x: Logits of scores, shape (m,) or (..., m).
        weight: Weight of all cases at each x, shape (..., m).
        positive: Weight of the positive cases at each x, shape (..., m).
        start: Intercept and slope to begin with.
        tolerance: Largest last step, in intercept and slope.
        iterations: Steps at most.

    Returns:
        Intercepts and slopes, each of shape (...,). NaN where no finite line is the likeliest: a
        class is absent, all x are equal, or the classes do not overlap, the highest x of the one
        being at most the lowest of the other (Albert and Anderson 1984, Biometrika 71); or where
        ``iterations`` do not suffice.

    >>> x = logit([0.25, 0.75])  # of 100 cases each, 40 and 60 are positive
    >>> a, b = recalibration_line(x, [100, 100], [40, 60])
    >>> round(abs(float(a)), 6), round(float(b), 3)
    (0.0, 0.369)
    >>> [float(value) for value in recalibration_line(x, [100, 100], [0, 100])]
    [nan, nan]
    """
    w, y = np.asarray(weight, np.float64), np.asarray(positive, np.float64)
    lead = w.shape[:-1]
    flat = (int(np.prod(lead)), w.shape[-1])  # -1 is not defined where there are no cases
    w, y = w.reshape(flat), y.reshape(flat)
    x = np.broadcast_to(np.asarray(x, np.float64), w.shape)
    total, P = w.sum(-1), y.sum(-1)
    ok = (P > 0) & (total > P) & _overlap(x, w - y, y)
    odds = np.divide(P, total - P, out=np.ones(len(w)), where=ok)
    a, b = np.log(odds), np.zeros(len(w))
    if start is not None:
        flat_loss = _line_loss(a[:, None], w, y)[0]
        likelier = _line_loss(start[0] + start[1] * x, w, y)[0] < flat_loss
        a, b = np.where(likelier, start[0], a), np.where(likelier, start[1], b)
    loss = np.full(len(w), np.inf)
    step_a, step_b, gain = (np.zeros(len(w)) for _ in range(3))
    active = ok.copy()
    for _ in range(iterations):
        rows = np.flatnonzero(active)
        if not len(rows):
            break
        xr, wr, yr = x[rows], w[rows], y[rows]
        now, z, e = _line_loss(a[rows, None] + b[rows, None] * xr, wr, yr)
        for _ in range(HALVINGS):
            slack = 1e-9 * (1 + np.abs(loss[rows]))  # for what rounding does to the sums
            worse = np.flatnonzero(now > loss[rows] - 1e-4 * gain[rows] + slack)
            if not len(worse):
                break
            at = rows[worse]
            for step in (step_a, step_b, gain):
                step[at] /= 2
            a[at] -= step_a[at]
            b[at] -= step_b[at]
            now[worse], z[worse], e[worse] = _line_loss(
                a[at, None] + b[at, None] * xr[worse], wr[worse], yr[worse]
            )
        loss[rows] = now
        p = np.where(z >= 0, 1.0, e) / (1 + e)
        residual, v = yr - wr * p, wr * p * (1 - p)
        ga, gb = residual.sum(-1), (residual * xr).sum(-1)
        haa, hab, hbb = v.sum(-1), (v * xr).sum(-1), (v * xr * xr).sum(-1)
        det = haa * hbb - hab**2
        # Nearly separated classes drive the curvature to 0; nearly equal x make the columns one.
        lost = ~(det > 1e-10 * np.maximum(haa * hbb, 1e-12 * total[rows] ** 2))
        safe = np.where(lost, 1.0, det)
        step_a[rows] = np.where(lost, 0.0, (hbb * ga - hab * gb) / safe)
        step_b[rows] = np.where(lost, 0.0, (haa * gb - hab * ga) / safe)
        gain[rows] = ga * step_a[rows] + gb * step_b[rows]
        a[rows] += step_a[rows]
        b[rows] += step_b[rows]
        ok[rows[lost]] = False
        small = np.maximum(np.abs(step_a[rows]), np.abs(step_b[rows])) < tolerance
        active[rows[small | lost]] = False
    ok &= ~active
    return np.where(ok, a, np.nan).reshape(lead), np.where(ok, b, np.nan).reshape(lead)


def _line_loss(z: Array, w: Array, y: Array) -> tuple[Array, Array, Array]:
    """Less the log-likelihood at the line's values ``z``, shape (rows,); also z and exp(-|z|)."""
    e = np.exp(-np.abs(z))
    return (w * (np.maximum(z, 0) + np.log1p(e)) - y * z).sum(-1), z, e


def _overlap(x: Array, negative: Array, positive: Array) -> NDArray[np.bool_]:
    """Whether each class reaches beyond the other's nearer end, row by row."""
    low, high = [], []
    for part in (negative, positive):
        low.append(np.where(part > 0, x, np.inf).min(-1, initial=np.inf))
        high.append(np.where(part > 0, x, -np.inf).max(-1, initial=-np.inf))
    return np.asarray((high[0] > low[1]) & (high[1] > low[0]))


def calibration_line(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Calibration intercept and slope: the logistic regression of the label on logit(score).

    Perfect calibration gives (0, 1); a slope below 1 means scores that are too extreme (Cox 1958,
    Biometrika 45; Van Calster et al. 2019, BMC Medicine 17). Both are fitted together.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        weight: Weights of 0 or more, shape (..., n); 1 for each case if None.

    Returns:
        Intercepts and slopes, each of shape (...,); NaN where no finite line is the likeliest (see
        ``recalibration_line``), for instance where the classes do not overlap.

    Raises:
        InputError: Labels, scores or weights cannot be used, or differ in length.

    >>> a, b = calibration_line([0, 1, 1, 1, 0, 0, 0, 1], [0.75] * 4 + [0.25] * 4)
    >>> round(float(a), 6) + 0.0, round(float(b), 6)
    (0.0, 1.0)
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    return recalibration_line(logit(s), w, w * y)


def calibration_intercept(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> Array:
    """The intercept of ``calibration_line``, in units of log odds; 0 is perfect.

    Arguments, NaN and errors as for ``calibration_line``.

    >>> y = [1, 1, 1, 0] * 25 + [1, 0, 0, 0] * 25
    >>> round(float(calibration_intercept(y, [0.5] * 100 + [0.1] * 100)), 2)  # scores are too low
    1.1
    """
    return calibration_line(y_true, y_score, weight)[0]


def calibration_slope(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> Array:
    """The slope of ``calibration_line``; 1 is perfect, below 1 the scores are too extreme.

    Arguments, NaN and errors as for ``calibration_line``.

    >>> y = [1, 1, 1, 0] * 25 + [1, 0, 0, 0] * 25
    >>> round(float(calibration_slope(y, [0.9] * 100 + [0.1] * 100)), 2)
    0.5
    """
    return calibration_line(y_true, y_score, weight)[1]


def grid_cell(y_score: ArrayLike, grid: int) -> NDArray[np.intp]:
    """The one of ``grid`` equal intervals of [0, 1] that each score lies in.

    Unlike ``bin_index`` it checks nothing and rounds as the product does: for histograms that are
    fine enough for neither to matter.

    Args:
        y_score: Probabilities, any shape.
        grid: Number of intervals.

    Returns:
        Numbers from 0 to ``grid - 1``, same shape.

    >>> grid_cell([0.0, 0.26, 1.0], 4).tolist()
    [0, 1, 3]
    """
    return np.minimum((np.asarray(y_score, np.float64) * grid).astype(np.intp), grid - 1)


def smoothed(residual: ArrayLike, sigma: float) -> Array:
    """``residual`` under a Gaussian of width ``sigma``, reflected at 0 and 1.

    Args:
        residual: Values over equal intervals of [0, 1], shape (..., intervals).
        sigma: Standard deviation as a share of [0, 1]. A width of 0 changes nothing; it is the
            bandwidth that smECE finds where no score is wrong.

    Returns:
        Same shape as ``residual``; the sum over the last axis is kept.

    >>> smoothed([0.0, 1.0, 0.0], 0.0).tolist()
    [0.0, 1.0, 0.0]
    >>> smoothed([0.0, 1.0, 0.0], 0.2).round(2).tolist()
    [0.17, 0.66, 0.17]
    """
    r = np.asarray(residual, np.float64)
    width = sigma * r.shape[-1]
    if width < 1e-9:  # in cells
        return r.copy()
    return np.asarray(gaussian_filter1d(r, width, mode="reflect", truncate=5.0))


def smooth_ece(y_true: ArrayLike, y_score: ArrayLike, grid: int = 2000) -> float:
    """Smooth calibration error, smECE, in [0, 1]: no bins, and a bandwidth that sets itself.

    smECE_σ is the integral of ``|mean of K_σ(t, score)(label - score)|`` over t in [0, 1], with a
    Gaussian kernel reflected at both ends; smECE is the σ at which smECE_σ = σ (Błasiok and
    Nakkiran 2023, "Smooth ECE: Principled Reliability Diagrams via Kernel Smoothing").

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        grid: Number of equal intervals of [0, 1] on which residuals are gathered first.

    Returns:
        The error; NaN where there is no case.

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> round(smooth_ece([1, 0] * 500, [0.6] * 1000), 2)
    0.1
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    if not len(y):
        return float("nan")
    return smooth_error(np.bincount(grid_cell(s, grid), y - s, minlength=grid) / len(y))


def smooth_error(residual: Array) -> float:
    """``smooth_ece`` from residuals that are gathered on a grid already.

    Args:
        residual: Sum of label - score in each of equal intervals of [0, 1], over the number of all
            cases, shape (intervals,). Its length is the ``grid`` of ``smooth_ece``.

    Returns:
        The smooth calibration error.

    >>> residual = np.zeros(2000)
    >>> residual[1200] = -0.1  # all cases at a score of 0.6, half of them positive
    >>> round(smooth_error(residual), 2)
    0.1
    """

    def error(sigma: float) -> float:
        return float(np.abs(smoothed(residual, sigma)).sum())

    low, high = 0.5 / len(residual), 1.0
    for _ in range(30):  # smECE_σ falls as σ grows, so the crossing is single
        middle = (low + high) / 2
        low, high = (middle, high) if error(middle) > middle else (low, middle)
    return error(high)
