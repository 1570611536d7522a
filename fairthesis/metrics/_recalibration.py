"""The logistic recalibration line: intercept and slope of the label on logit(score)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from fairthesis import inputs

Array = NDArray[np.float64]


LOGIT_EPS = 1e-6
HALVINGS = 40  # of one step of Newton's method, at most: a step of 1e-12 of its length


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


def recalibration_offset(x: ArrayLike, weight: ArrayLike, positive: ArrayLike) -> Array:
    """Intercept a that maximises the likelihood of P(y = 1) = 1 / (1 + exp(-a - x)): slope 1.

    Calibration in the large (Cox 1958; Van Calster et al. 2016, J Clin Epidemiol 74): by how much
    all logits are too low. At the a that is found as many cases are expected as are observed.

    Args:
        x: Logits of scores, shape (m,) or (..., m).
        weight: Weight of all cases at each x, shape (..., m).
        positive: Weight of the positive cases at each x, shape (..., m).

    Returns:
        Intercepts, shape (...,); NaN where a class is absent.

    >>> x = logit([0.25, 0.75])
    >>> round(float(recalibration_offset(x, [100, 100], [40, 90])), 3)
    0.812
    """
    w, y = np.asarray(weight, np.float64), np.asarray(positive, np.float64)
    lead = w.shape[:-1]
    flat = (int(np.prod(lead)), w.shape[-1])
    w, y = w.reshape(flat), y.reshape(flat)
    x = np.broadcast_to(np.asarray(x, np.float64), w.shape)
    total, P = w.sum(-1), y.sum(-1)
    ok = (P > 0) & (total > P)
    a = np.zeros(len(w))
    for _ in range(100):
        p = expit(a[:, None] + x)
        step = (P - (w * p).sum(-1)) / np.maximum((w * p * (1 - p)).sum(-1), 1e-12)
        step = np.where(ok, np.clip(step, -2, 2), 0.0)  # far from the truth the curve is flat
        a += step
        if not (np.abs(step) > 1e-10).any():
            break
    return np.where(ok, a, np.nan).reshape(lead)


def calibration_in_the_large(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> float:
    """Calibration in the large: ``recalibration_offset`` of the scores' logits; 0 is perfect.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,); clipped as for ``logit``.
        weight: Weight of each case, shape (n,); 1 if None.

    Returns:
        The intercept; above 0 where scores are too low on the whole, NaN where a class is absent.

    >>> round(calibration_in_the_large([0, 1, 1, 0], [0.25, 0.75, 0.75, 0.25]), 2)
    0.0
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    w = np.ones(len(y)) if weight is None else inputs.check_weights(weight, len(y))
    return float(recalibration_offset(logit(s), w, w * y))


def observed_expected(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> float:
    """Observed over expected positives, sum(y) / sum(score); 1 is perfect.

    Arguments as for ``calibration_in_the_large``; NaN where all scores are 0.

    >>> observed_expected([0, 1, 1, 0], [0.25, 0.5, 0.5, 0.25])
    1.3333333333333333
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    w = np.ones(len(y)) if weight is None else inputs.check_weights(weight, len(y))
    expected = float((w * s).sum())
    return float((w * y).sum()) / expected if expected > 0 else float("nan")


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
