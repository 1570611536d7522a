"""What a model does at an operating point: missed and false diagnoses, fixed rates, net benefit."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from fairthesis import inputs
from fairthesis.errors import InputError
from fairthesis.metrics._rates import fnr, fpr, ratio
from fairthesis.metrics._scores import Array, auroc

#: The fixed false positive rate of an audit; its mirror is a true positive rate of 0.8.
RATE = 0.2


def underdiagnosis_rate(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Share of the diseased who are called healthy, FN / (TP + FN), in [0, 1].

    Seyyed-Kalantari et al. 2021 (Nature Medicine 27) state it as the false positive rate of "no
    finding", which is this rate with the disease as the positive class. Takes counts, as from
    ``counts``; NaN where no case is positive.

    >>> float(underdiagnosis_rate(3, 0, 0, 1))
    0.25
    """
    return fnr(tp, fp, tn, fn)


def overdiagnosis_rate(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Share of the healthy who are called diseased, FP / (FP + TN), in [0, 1].

    Takes counts, as from ``counts``; NaN where no case is negative.

    >>> float(overdiagnosis_rate(0, 1, 3, 0))
    0.25
    """
    return fpr(tp, fp, tn, fn)


def _rates(y_true: ArrayLike, y_score: ArrayLike, weight: ArrayLike | None) -> tuple[Array, Array]:
    """TPR and FPR at every threshold that occurs, from "nothing is positive" downwards."""
    y, s = inputs.check_cases(y_true, y_score)
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    order = np.argsort(s)[::-1]
    s, y, w = s[order], y[order], w[order]
    last = np.append(np.flatnonzero(np.diff(s)), len(s) - 1) if len(s) else np.empty(0, np.intp)
    found = []
    for own in (y, ~y):
        called = np.append(0.0, np.cumsum(w * own)[last])
        found.append(ratio(called, called[-1]))
    return found[0], found[1]


def tpr_at_fpr(
    y_true: ArrayLike, y_score: ArrayLike, limit: float, weight: ArrayLike | None = None
) -> float:
    """Highest true positive rate among thresholds with FPR <= ``limit``; nothing is interpolated.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Scores of any range, shape (n,).
        limit: The false positive rate that is allowed, in [0, 1].
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        A rate in [0, 1], 0 where every threshold allows more; NaN where a class is absent.

    Raises:
        InputError: ``limit`` is no rate, or labels or scores cannot be used.

    >>> tpr_at_fpr([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.8], 0.0)
    0.5
    """
    _check_rate("limit", limit)
    true, false = _rates(y_true, y_score, weight)
    if np.isnan(true).any() or np.isnan(false).any():
        return float("nan")
    return float(true[false <= limit + 1e-12].max())


def fpr_at_tpr(
    y_true: ArrayLike, y_score: ArrayLike, floor: float, weight: ArrayLike | None = None
) -> float:
    """Lowest false positive rate among thresholds with TPR >= ``floor``; nothing is interpolated.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Scores of any range, shape (n,).
        floor: The true positive rate that is asked for, in [0, 1].
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        A rate in [0, 1]; NaN where a class is absent.

    Raises:
        InputError: ``floor`` is no rate, or labels or scores cannot be used.

    >>> fpr_at_tpr([0, 0, 1, 1], [0.1, 0.6, 0.5, 0.8], 1.0)
    0.5
    """
    _check_rate("floor", floor)
    true, false = _rates(y_true, y_score, weight)
    if np.isnan(true).any() or np.isnan(false).any():
        return float("nan")
    return float(false[true >= floor - 1e-12].min())


def _check_rate(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InputError(f"{name} is {value}: expected a rate from 0 to 1.")


def net_benefit(y_true: ArrayLike, y_score: ArrayLike, thresholds: ArrayLike) -> Array:
    """Net benefit, TP/n - FP/n · t/(1-t) at each threshold t, in units of true positives per case.

    Vickers and Elkin 2006, Medical Decision Making 26. Compare with calling everyone positive,
    prevalence - (1 - prevalence) · t/(1-t), and no one, 0. Meaningful for calibrated scores: t is
    both the cut-off and the risk at which treating and not treating are worth the same.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        thresholds: Risks t in [0, 1), any shape.

    Returns:
        Shape of ``thresholds``; NaN where there is no case.

    Raises:
        InputError: A threshold lies outside [0, 1), or labels or scores cannot be used.

    >>> net_benefit([0, 1], [0.3, 0.9], [0.5, 0.2]).tolist()
    [0.5, 0.375]
    """
    y, s = inputs.check_cases(y_true, y_score, probability=True)
    t = np.asarray(thresholds, np.float64)
    if not ((t >= 0) & (t < 1)).all():
        raise InputError("A threshold of net benefit lies outside [0, 1): expected a risk.")
    tp, fp = ((np.sort(part) >= t[..., None]).sum(-1) for part in (s[y], s[~y]))
    return ratio(tp - fp * t / (1 - t), len(y))


def cross_auroc(
    positives: ArrayLike,
    negatives: ArrayLike,
    weights: tuple[ArrayLike, ArrayLike] | None = None,
) -> float:
    """xAUC: the chance that a positive of one group is scored above a negative of another.

    Kallus and Zhou 2019 (NeurIPS); ties count one half. With both sets from one group it is that
    group's AUROC.

    Args:
        positives: Scores of the positives of one group, shape (p,).
        negatives: Scores of the negatives of the other, shape (n,).
        weights: Weights of both, of 0 or more, shapes (p,) and (n,); 1 for each case if None.

    Returns:
        A number in [0, 1]; NaN where a set is empty.

    Raises:
        InputError: A score is NaN, or no number.

    >>> a, b = {1: [0.9, 0.8], 0: [0.7, 0.6]}, {1: [0.5, 0.4], 0: [0.3, 0.2]}
    >>> cross_auroc(a[1], a[0]), cross_auroc(b[1], b[0])  # each group by itself
    (1.0, 1.0)
    >>> cross_auroc(b[1], a[0])  # the scores of b are lower: its positives rank below a's negatives
    0.0
    """
    p, n = inputs.check_scores(positives, "positives"), inputs.check_scores(negatives, "negatives")
    labels = np.concatenate([np.ones(len(p)), np.zeros(len(n))])
    w = None if weights is None else np.concatenate(weights)
    return float(auroc(labels, np.concatenate([p, n]), w))
