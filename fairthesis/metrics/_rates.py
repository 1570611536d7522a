"""Counts of one group give rates: of arrays of any shape, NaN over no cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis import inputs

Array = NDArray[np.float64]


def ratio(part: ArrayLike, whole: ArrayLike) -> Array:
    """``part / whole``, NaN where ``whole`` is 0: a rate over no cases is not known.

    Args:
        part: Numerators, any shape.
        whole: Denominators, any shape that broadcasts with it.

    Returns:
        Quotients, of the broadcast shape.

    >>> ratio([1.0, 0.0], [2.0, 0.0]).tolist()
    [0.5, nan]
    """
    a, b = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(a, b, out=np.full(a.shape, np.nan), where=b != 0)


def counts(
    y_true: ArrayLike, y_pred: ArrayLike, weight: ArrayLike | None = None
) -> tuple[Array, Array, Array, Array]:
    """True positives, false positives, true negatives and false negatives, weighted.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_pred: Decisions of 0 and 1, shape (n,).
        weight: Weights of 0 or more, shape (..., n); 1 for each case if None.

    Returns:
        Four arrays of shape (...,), in the order that the rates take them.

    Raises:
        InputError: Labels, decisions or weights cannot be used, or differ in length.

    >>> found = counts([1, 0, 0, 1], [1, 1, 0, 0])
    >>> [int(c) for c in found], float(tpr(*found))
    ([1, 1, 1, 1], 0.5)
    """
    y, p = inputs.check_binary(y_true), inputs.check_binary(y_pred, "y_pred")
    inputs.check_same_length(y, p, "y_pred")
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    kinds = np.stack([y & p, ~y & p, ~y & ~p, y & ~p], axis=-1).astype(np.float64)
    totals = w @ kinds
    return totals[..., 0], totals[..., 1], totals[..., 2], totals[..., 3]


def accuracy(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Share of cases that are called rightly, (TP + TN) / all, in [0, 1].

    Args:
        tp: True positives, as from ``counts``; the four counts may have any shapes that broadcast.
        fp: False positives.
        tn: True negatives.
        fn: False negatives.

    Returns:
        Of the broadcast shape; NaN where there is no case.

    >>> float(accuracy(2, 1, 5, 2))
    0.7
    """
    tp, fp, tn, fn = map(np.asarray, (tp, fp, tn, fn))
    return ratio(tp + tn, tp + fp + tn + fn)


def balanced_accuracy(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """(TPR + TNR) / 2, in [0, 1]; 0.5 is chance, whatever the prevalence.

    Takes counts as ``accuracy`` does; NaN where a class is absent.

    >>> float(balanced_accuracy(0, 0, 90, 10)), float(accuracy(0, 0, 90, 10))
    (0.5, 0.9)
    """
    return (tpr(tp, fp, tn, fn) + tnr(tp, fp, tn, fn)) / 2


def tpr(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """True positive rate (sensitivity, recall), TP / (TP + FN), in [0, 1].

    Takes counts as ``accuracy`` does; NaN where no case is positive.

    >>> float(tpr(3, 0, 0, 1))
    0.75
    """
    return ratio(tp, np.asarray(tp) + np.asarray(fn))


def fpr(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """False positive rate, FP / (FP + TN), in [0, 1].

    Takes counts as ``accuracy`` does; NaN where no case is negative.

    >>> fpr([0, 0], [1, 0], [3, 0], [0, 5]).tolist()
    [0.25, nan]
    """
    return ratio(fp, np.asarray(fp) + np.asarray(tn))


def tnr(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """True negative rate (specificity), TN / (FP + TN), in [0, 1].

    Takes counts as ``accuracy`` does; NaN where no case is negative.

    >>> float(tnr(0, 1, 3, 0))
    0.75
    """
    return ratio(tn, np.asarray(fp) + np.asarray(tn))


def fnr(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """False negative rate (miss rate), FN / (TP + FN), in [0, 1].

    Takes counts as ``accuracy`` does; NaN where no case is positive.

    >>> float(fnr(3, 0, 0, 1))
    0.25
    """
    return ratio(fn, np.asarray(tp) + np.asarray(fn))


def ppv(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Positive predictive value (precision), TP / (TP + FP), in [0, 1].

    Takes counts as ``accuracy`` does; NaN where no case is called positive. It depends on the
    prevalence: equal TPR and FPR give groups of unequal prevalence unequal values.

    >>> ppv([80, 8], [10, 10], [90, 90], [20, 2]).round(2).tolist()
    [0.89, 0.44]
    """
    return ratio(tp, np.asarray(tp) + np.asarray(fp))


def npv(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Negative predictive value, TN / (TN + FN), in [0, 1].

    Takes counts as ``accuracy`` does; NaN where no case is called negative.

    >>> float(npv(0, 0, 9, 1))
    0.9
    """
    return ratio(tn, np.asarray(tn) + np.asarray(fn))


def prevalence(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Share of cases that are positive, (TP + FN) / all, in [0, 1].

    Takes counts as ``accuracy`` does; NaN where there is no case.

    >>> float(prevalence(3, 2, 4, 1))
    0.4
    """
    tp, fp, tn, fn = map(np.asarray, (tp, fp, tn, fn))
    return ratio(tp + fn, tp + fp + tn + fn)


def selection_rate(tp: ArrayLike, fp: ArrayLike, tn: ArrayLike, fn: ArrayLike) -> Array:
    """Share of cases that are called positive, (TP + FP) / all, in [0, 1].

    Takes counts as ``accuracy`` does; NaN where there is no case.

    >>> float(selection_rate(3, 2, 4, 1))
    0.5
    """
    tp, fp, tn, fn = map(np.asarray, (tp, fp, tn, fn))
    return ratio(tp + fp, tp + fp + tn + fn)


Rate = Callable[[ArrayLike, ArrayLike, ArrayLike, ArrayLike], Array]


#: Name to function of (TP, FP, TN, FN): the metrics that need a threshold. All lie in [0, 1].
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
