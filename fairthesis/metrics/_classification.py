"""Metrics of one group: counts give rates, scores give AUROC, average precision, Brier, log loss.

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
    calibration_intercept,
    calibration_slope,
    ece,
    ece_debiased,
)

Array = NDArray[np.float64]


def ratio(part: ArrayLike, whole: ArrayLike) -> Array:
    """``part / whole``, NaN where ``whole`` is 0: a rate over no cases is not known.

    >>> ratio([1.0, 0.0], [2.0, 0.0])
    array([0.5, nan])
    """
    a, b = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(a, b, out=np.full(a.shape, np.nan), where=b != 0)


def counts(
    y_true: ArrayLike, y_pred: ArrayLike, weight: ArrayLike | None = None
) -> tuple[Array, Array, Array, Array]:
    """True positives, false positives, true negatives, false negatives (weighted).

    ``y_true`` and ``y_pred`` have shape (n,), ``weight`` (..., n); each count has shape (...,).

    >>> [int(c) for c in counts([1, 0, 0, 1], [1, 1, 0, 0])]
    [1, 1, 1, 1]
    """
    y, p = inputs.check_binary(y_true), inputs.check_binary(y_pred, "y_pred")
    inputs.check_same_length(y, p, "y_pred")
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    cells = np.stack([y & p, ~y & p, ~y & ~p, y & ~p], axis=-1).astype(np.float64)
    totals = w @ cells
    return totals[..., 0], totals[..., 1], totals[..., 2], totals[..., 3]


def accuracy(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """(TP + TN) / all, in [0, 1]."""
    tp, fp, tn, fn = map(np.asarray, (tp, fp, tn, fn))
    return ratio(tp + tn, tp + fp + tn + fn)


def balanced_accuracy(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """(TPR + TNR) / 2, in [0, 1]; NaN where a class is absent."""
    return (tpr(tp, fp, tn, fn) + tnr(tp, fp, tn, fn)) / 2


def tpr(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """True positive rate (sensitivity, recall), TP / (TP + FN).

    >>> float(tpr(3, 0, 0, 1))
    0.75
    """
    return ratio(tp, np.asarray(tp) + np.asarray(fn))


def fpr(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """False positive rate, FP / (FP + TN)."""
    return ratio(fp, np.asarray(fp) + np.asarray(tn))


def tnr(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """True negative rate (specificity), TN / (FP + TN)."""
    return ratio(tn, np.asarray(fp) + np.asarray(tn))


def fnr(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """False negative rate (miss rate), FN / (TP + FN)."""
    return ratio(fn, np.asarray(tp) + np.asarray(fn))


def ppv(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Positive predictive value (precision), TP / (TP + FP)."""
    return ratio(tp, np.asarray(tp) + np.asarray(fp))


def npv(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Negative predictive value, TN / (TN + FN)."""
    return ratio(tn, np.asarray(tn) + np.asarray(fn))


def prevalence(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Share of cases that are positive, (TP + FN) / all."""
    tp, fp, tn, fn = map(np.asarray, (tp, fp, tn, fn))
    return ratio(tp + fn, tp + fp + tn + fn)


def selection_rate(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Share of cases that are called positive, (TP + FP) / all."""
    tp, fp, tn, fn = map(np.asarray, (tp, fp, tn, fn))
    return ratio(tp + fp, tp + fp + tn + fn)


@dataclass(frozen=True)
class Ties:
    """Where each positive stands, positives and negatives in descending order of score."""

    above: NDArray[np.intp]  # negatives scored above it
    at: NDArray[np.intp]  # negatives scored at least as high
    last: NDArray[np.intp]  # positives scored at least as high


def find_ties(positives: ArrayLike, negatives: ArrayLike) -> Ties:
    """The standing of each positive, from descending scores of positives and of negatives."""
    p, n = -np.asarray(positives), -np.asarray(negatives)
    return Ties(
        np.searchsorted(n, p, "left"),
        np.searchsorted(n, p, "right"),
        np.searchsorted(p, p, "right"),
    )


def cumulate(weight: NDArray[Any]) -> NDArray[Any]:
    """Cumulative sums along the last axis with a leading 0, shape (..., n + 1)."""
    total = np.zeros((*weight.shape[:-1], weight.shape[-1] + 1), weight.dtype)
    np.cumsum(weight, axis=-1, out=total[..., 1:])
    return total


def rank_sums(
    w_pos: NDArray[Any], cum_pos: NDArray[Any], cum_neg: NDArray[Any], ties: Ties
) -> tuple[Array, Array]:
    """AUROC and average precision from cumulated weights in descending order of score.

    With N_above(i) and N_tied(i) the weights of the negatives scored above and equal to positive
    i, and P_at(i), N_at(i) the weights of all positives and negatives scored at least as high:

        AUROC = 1 - sum_i w_i (N_above(i) + N_tied(i) / 2) / (P N)
        AP    = sum_i w_i P_at(i) / (P_at(i) + N_at(i)) / P
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
    """AUROC and average precision together: both rest on the cumulative sums of ``rank_sums``.

    AUROC is the Mann-Whitney statistic with ties at one half (Hanley and McNeil 1982); AP is the
    step-wise area under precision and recall, without interpolation (as scikit-learn's).
    NaN where there is no positive or, for AUROC, no negative.
    """
    y, s = inputs.check_cases(y_true, y_score)
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    order = np.argsort(-s, kind="stable")
    positives, negatives = order[y[order]], order[~y[order]]
    w_pos, w_neg = np.take(w, positives, axis=-1), np.take(w, negatives, axis=-1)
    ties = find_ties(s[positives], s[negatives])
    return rank_sums(w_pos, cumulate(w_pos), cumulate(w_neg), ties)


def auroc(y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None) -> Array:
    """Area under the ROC curve as a weighted rank sum, ties counted one half; see ``ranking``.

    >>> float(auroc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    return ranking(y_true, y_score, weight)[0]


def average_precision(
    y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None
) -> Array:
    """Average precision, sum of (recall step) x precision, in [0, 1]; see ``ranking``.

    >>> round(float(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])), 4)
    0.8333
    """
    return ranking(y_true, y_score, weight)[1]


def brier(y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None) -> Array:
    """Brier score (1950), the mean of (score - label)^2, in [0, 1]; smaller is better.

    >>> float(brier([0, 1], [0.5, 1.0]))
    0.125
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    return _mean((s - y) ** 2, weight)


def log_loss(y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None = None) -> Array:
    """Mean negative log likelihood, -mean of log P(label), in nats; scores clipped to [eps, 1-eps].

    eps is the machine precision of float64, as in scikit-learn.

    >>> round(float(log_loss([1, 0], [0.5, 0.5])), 4)
    0.6931
    """
    return _mean(log_losses(y_true, y_score), weight)


def log_losses(y_true: ArrayLike, y_score: ArrayLike) -> Array:
    """The log loss of each case, shape (n,)."""
    eps = np.finfo(np.float64).eps
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    p = np.clip(s, eps, 1 - eps)
    return -np.where(y, np.log(p), np.log1p(-p))


def _mean(values: Array, weight: ArrayLike | None) -> Array:
    if weight is None:
        return np.asarray(values.mean() if len(values) else np.nan)
    w = inputs.check_weights(weight, len(values))
    return ratio(w @ values.astype(w.dtype), w.sum(-1))


Rate = Callable[[ArrayLike, ArrayLike, ArrayLike, ArrayLike], Array]
Score = Callable[..., Array]

RATES: dict[str, Rate] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "tpr": tpr,
    "fpr": fpr,
    "tnr": tnr,
    "fnr": fnr,
    "ppv": ppv,
    "npv": npv,
    "prevalence": prevalence,
    "selection_rate": selection_rate,
}
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
# In the order in which tables and reports show them.
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
    """All of ``METRICS`` for one set of cases; a case is called positive at score >= threshold.

    >>> round(evaluate([0, 1, 0, 1], [0.2, 0.9, 0.6, 0.7])["accuracy"], 2)
    0.75
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    cells = counts(y, s >= threshold, weight)
    rates = {name: float(f(*cells)) for name, f in RATES.items()}
    scores = {name: float(f(y, s, weight)) for name, f in SCORES.items()}
    return {name: (rates | scores)[name] for name in METRICS}
