"""Scores of one group give AUROC, average precision, Brier and log loss; the list of metrics.

Every function takes arrays of any leading shape, so that 2,000 resamples are one call: labels and
scores have shape (n,), weights (..., n), the result (...,). A rate over no cases is NaN.
``METRICS`` declares the metrics of an audit; a new one is a function and a line there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis import inputs
from fairthesis.metrics._calibration import (
    bin_sums,
    ece,
    ece_debiased,
    ece_debiased_from_bins,
    ece_from_bins,
)
from fairthesis.metrics._rates import RATES, Rate, counts, ratio
from fairthesis.metrics._recalibration import (
    calibration_intercept,
    calibration_line,
    calibration_slope,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Ties:
    """How many cases are ranked before each positive, in descending order of score.

    It depends on the scores alone, so one serves all resamples; see ``rank_sums``.

    Attributes:
        above: Negatives scored above each positive, shape (positives,).
        at: Negatives scored at least as high.
        last: Positives scored at least as high, itself among them.

    >>> ties = find_ties([0.8, 0.4], [0.4, 0.1])
    >>> ties.above.tolist(), ties.at.tolist(), ties.last.tolist()
    ([0, 0], [0, 1], [1, 2])
    """

    above: NDArray[np.intp]
    at: NDArray[np.intp]
    last: NDArray[np.intp]


def find_ties(positives: ArrayLike, negatives: ArrayLike) -> Ties:
    """The ``Ties`` of positives and negatives.

    Args:
        positives: Scores of the positives in descending order, shape (p,).
        negatives: Scores of the negatives in descending order, shape (n,).

    >>> find_ties([0.9, 0.9, 0.3], [0.5]).last.tolist()
    [2, 2, 3]
    """
    p, n = -np.asarray(positives), -np.asarray(negatives)
    return Ties(
        np.searchsorted(n, p, "left"),
        np.searchsorted(n, p, "right"),
        np.searchsorted(p, p, "right"),
    )


def cumulate(weight: NDArray[Any]) -> NDArray[Any]:
    """Cumulative sums along the last axis with a leading 0.

    Args:
        weight: Shape (..., n).

    Returns:
        Shape (..., n + 1), of the same type; entry k is the sum of the first k.

    >>> cumulate(np.array([1.0, 2.0, 3.0])).tolist()
    [0.0, 1.0, 3.0, 6.0]
    """
    total = np.zeros((*weight.shape[:-1], weight.shape[-1] + 1), weight.dtype)
    np.cumsum(weight, axis=-1, out=total[..., 1:])
    return total


def rank_sums(
    w_pos: NDArray[Any], cum_pos: NDArray[Any], cum_neg: NDArray[Any], ties: Ties
) -> tuple[Array, Array]:
    """AUROC and average precision from cumulated weights in descending order of score.

    With N_above(i) and N_tied(i) the weights of the negatives scored above and equal to positive
    i, and P_at(i), N_at(i) the weights of all positives and negatives scored at least as high::

        AUROC = 1 - sum_i w_i (N_above(i) + N_tied(i) / 2) / (P N)
        AP    = sum_i w_i P_at(i) / (P_at(i) + N_at(i)) / P

    Args:
        w_pos: Weights of the positives in descending order of score, shape (..., p).
        cum_pos: ``cumulate`` of them, shape (..., p + 1).
        cum_neg: ``cumulate`` of the weights of the negatives, shape (..., n + 1).
        ties: From ``find_ties`` of the same scores.

    Returns:
        AUROC and average precision, each of shape (...,); NaN as in ``ranking``.

    >>> ties = find_ties([0.8, 0.4], [0.5, 0.1])
    >>> w_pos, w_neg = np.array([[1, 1], [2, 0]]), np.ones((2, 2))  # a sample and a resample
    >>> auc, ap = rank_sums(w_pos, cumulate(w_pos), cumulate(w_neg), ties)
    >>> auc.tolist(), ap.round(3).tolist()
    ([0.75, 1.0], [0.833, 1.0])
    """
    P, N = cum_pos[..., -1].astype(np.float64), cum_neg[..., -1].astype(np.float64)
    neg_at = np.take(cum_neg, ties.at, axis=-1, mode="clip")
    tied = (ties.last != np.arange(1, len(ties.last) + 1)).any()
    pos_at = np.take(cum_pos, ties.last, axis=-1, mode="clip") if tied else cum_pos[..., 1:]
    # A resample may leave out every case scored this high: there the weight is 0, so is the term.
    seen = pos_at + neg_at
    precision = np.divide(pos_at, seen, out=np.zeros_like(seen), where=seen > 0)
    if (ties.above != ties.at).any():
        neg_at = (neg_at + np.take(cum_neg, ties.above, axis=-1, mode="clip")) / 2
    lost = (w_pos * neg_at).sum(-1, dtype=np.float64)
    return 1 - ratio(lost, P * N), ratio((w_pos * precision).sum(-1, dtype=np.float64), P)


def ranking(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> tuple[Array, Array]:
    """AUROC and average precision together, from one sorting.

    AUROC is the Mann-Whitney statistic with ties at one half (Hanley and McNeil 1982, Radiology
    143); average precision is the step-wise area under precision and recall, without interpolation
    (as scikit-learn's). See ``rank_sums`` for the formulas.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Scores of any range, shape (n,).
        weight: Weights of 0 or more, shape (..., n); 1 for each case if None.

    Returns:
        Two arrays of shape (...,) in [0, 1]; NaN where there is no positive or, for AUROC, no
        negative.

    Raises:
        InputError: Labels, scores or weights cannot be used, or differ in length.

    >>> auc, ap = ranking([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> float(auc), round(float(ap), 4)
    (0.75, 0.8333)
    """
    y, s = inputs.check_cases(y_true, y_score)
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    order = np.argsort(-s)  # where scores are equal no order counts
    positives, negatives = order[y[order]], order[~y[order]]
    w_pos, w_neg = np.take(w, positives, axis=-1), np.take(w, negatives, axis=-1)
    ties = find_ties(s[positives], s[negatives])
    return rank_sums(w_pos, cumulate(w_pos), cumulate(w_neg), ties)


def auroc(y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None) -> Array:
    """Area under the ROC curve, ties counted one half, in [0, 1].

    The chance that a positive case is scored above a negative one (Hanley and McNeil 1982).
    Arguments, NaN and errors as for ``ranking``.

    >>> float(auroc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8]))
    0.875
    >>> auroc([0, 0, 1], [0.1, 0.6, 0.4], [[1, 1, 1], [2, 0, 1]]).tolist()  # two weightings
    [0.5, 1.0]
    """
    return ranking(y_true, y_score, weight)[0]


def average_precision(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> Array:
    """Average precision, the sum of (recall step) x precision, in [0, 1].

    By chance it is about the prevalence. Arguments, NaN and errors as for ``ranking``.

    >>> round(float(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])), 4)
    0.8333
    """
    return ranking(y_true, y_score, weight)[1]


def brier(y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None) -> Array:
    """Brier score, the mean of (score - label)^2, in [0, 1]; smaller is better.

    Brier 1950, Monthly Weather Review 78.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        weight: Weights of 0 or more, shape (..., n); 1 for each case if None.

    Returns:
        Shape (...,); NaN where there is no case.

    Raises:
        InputError: Labels, scores or weights cannot be used, or differ in length.

    >>> float(brier([0, 1], [0.5, 1.0]))
    0.125
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    return _mean((s - y) ** 2, weight)


def log_loss(y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None) -> Array:
    """Mean negative log likelihood, -mean of log P(label), in nats; smaller is better.

    Probabilities are clipped to [eps, 1 - eps] with eps = 2.2e-16, so that a certain and wrong
    score costs 36. Arguments, NaN and errors as for ``brier``.

    >>> round(float(log_loss([0, 1], [0.5, 0.5])), 4)
    0.6931
    """
    return _mean(log_losses(y_true, y_score), weight)


def log_losses(y_true: ArrayLike, y_score: ArrayLike) -> Array:
    """The log loss of each case, -log P(label), in nats, shape (n,).

    Clipping and errors as for ``log_loss``, of which these are the terms.

    >>> log_losses([0, 1, 1], [0.5, 0.9, 0.0]).round(2).tolist()
    [0.69, 0.11, 36.04]
    """
    eps = np.finfo(np.float64).eps
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    p = np.clip(s, eps, 1 - eps)
    return -np.where(y, np.log(p), np.log1p(-p))


def _mean(values: Array, weight: ArrayLike | None) -> Array:
    if weight is None:
        return np.asarray(values.mean() if len(values) else np.nan)
    w = inputs.check_weights(weight, len(values))
    return ratio(w @ values.astype(w.dtype), w.sum(-1))


Score = Callable[..., Array]

#: Name to function of (labels, scores, weight): the metrics that need no threshold.
SCORES: dict[str, Score] = {
    "auroc": auroc,
    "average_precision": average_precision,
    "brier": brier,
    "log_loss": log_loss,
    "ece": ece,
    "ece_debiased": ece_debiased,
    "calibration_intercept": calibration_intercept,
    "calibration_slope": calibration_slope,
}
#: ``RATES`` and ``SCORES`` together, in the order in which tables and reports show them.
METRICS: dict[str, Rate | Score] = {
    **{name: SCORES[name] for name in ("auroc", "average_precision")},
    **RATES,
    **{name: f for name, f in SCORES.items() if name not in ("auroc", "average_precision")},
}


def evaluate(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    threshold: float = 0.5,
    weight: ArrayLike | None = None,
) -> dict[str, float]:
    """All of ``METRICS`` for one set of cases.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        threshold: A case is called positive at a score of at least this.
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        Name of the metric to value, in the order of ``METRICS``; NaN where one is not known.

    Raises:
        InputError: Labels, scores or weights cannot be used, or differ in length.

    >>> found = evaluate([0, 1, 0, 1], [0.2, 0.9, 0.6, 0.7])
    >>> found["accuracy"], found["auroc"], found["fpr"]
    (0.75, 1.0, 0.5)
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    found = counts(y, s >= threshold, weight)
    rates = {name: float(f(*found)) for name, f in RATES.items()}
    # Pairs that come of one sorting, one fit, one table of bins.
    auc, precision = ranking(y, s, weight)
    intercept, slope = calibration_line(y, s, weight)
    bins = bin_sums(y, s, weight)
    both = {
        "auroc": auc,
        "average_precision": precision,
        "ece": ece_from_bins(*bins),
        "ece_debiased": ece_debiased_from_bins(*bins),
        "calibration_intercept": intercept,
        "calibration_slope": slope,
    }
    scores = {
        name: float(both[name] if name in both else f(y, s, weight)) for name, f in SCORES.items()
    }
    return {name: (rates | scores)[name] for name in METRICS}
