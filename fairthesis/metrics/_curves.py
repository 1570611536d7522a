"""Curves by group, as small tables: ROC, reliability, and counts at every threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairthesis import inputs
from fairthesis.metrics._calibration import bin_sums
from fairthesis.metrics._rates import ratio
from fairthesis.metrics._weighing import weight_from

#: The thresholds of ``threshold_counts``: 0, 0.01, ..., 1, shape (101,).
THRESHOLDS = np.round(np.linspace(0, 1, 101), 2)


def roc_curve(
    y_true: ArrayLike, y_score: ArrayLike, points: int = 200, weight: ArrayLike | None = None
) -> pd.DataFrame:
    """The ROC curve as a table, thinned to about ``points`` rows.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Scores of any range, shape (n,).
        points: Distinct scores that are kept at most, equally spaced in their order.
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        Columns ``threshold, fpr, tpr`` from "nothing is called positive" (threshold infinity)
        downwards; a rate of an absent class is NaN.

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> roc_curve([0, 1], [0.2, 0.7]).to_dict("list")
    {'threshold': [inf, 0.7, 0.2], 'fpr': [0.0, 0.0, 1.0], 'tpr': [0.0, 1.0, 1.0]}
    """
    y, s = inputs.check_cases(y_true, y_score)
    cut = np.unique(s)[::-1]
    if len(cut) > points:
        cut = cut[np.unique(np.linspace(0, len(cut) - 1, points).astype(np.intp))]
    cut = np.concatenate([[np.inf], cut])
    table = {"threshold": cut}
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    for name, part in (("fpr", ~y), ("tpr", y)):
        table[name] = ratio(*weight_from(s[part], w[part], cut))
    return pd.DataFrame(table)


def reliability_curve(
    y_true: ArrayLike, y_score: ArrayLike, n_bins: int = 10, weight: ArrayLike | None = None
) -> pd.DataFrame:
    """Share of positives by score, in equal-width bins that hold cases.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        n_bins: Number of equal-width bins.
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        Columns ``score`` (mean in the bin), ``rate`` (share of positives), ``low`` and ``high``
        (its 95 % interval: Wilson 1927, JASA 22; of weighted cases, with Kish's effective number)
        and ``n`` (cases, unweighted); no row for an empty bin.

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> reliability_curve([0, 1, 1], [0.6, 0.6, 0.9]).round(2).to_dict("list")["rate"]
    [0.5, 1.0]
    >>> reliability_curve([0, 1], [0.6, 0.6])[["low", "high"]].round(2).values.tolist()
    [[0.09, 0.91]]
    """
    cases = bin_sums(y_true, y_score, n_bins=n_bins)[0]
    w = np.asarray(inputs.check_weights(weight, int(cases.sum())), np.float64)
    total, scores, labels = bin_sums(y_true, y_score, w, n_bins)
    squares = bin_sums(y_true, y_score, w * w, n_bins)[0]
    some = total > 0
    cases, total, scores, labels = cases[some], total[some], scores[some], labels[some]
    n = total**2 / squares[some]
    p, z = labels / total, 1.959964
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    columns = {"score": scores / total, "rate": p, "low": middle - half, "high": middle + half}
    return pd.DataFrame(columns | {"n": cases.astype(int)})


def threshold_counts(
    y_true: ArrayLike,
    y_score: ArrayLike,
    thresholds: ArrayLike | None = None,
    weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """True and false positives at each of ``thresholds``, by default ``THRESHOLDS``.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Scores, shape (n,).
        thresholds: Numbers, shape (t,); 0, 0.01, ..., 1 if None.
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        Columns ``threshold, tp, fp``: positives and negatives scored at least each threshold.

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> threshold_counts([0, 1], [0.2, 0.7]).iloc[[20, 50]].to_dict("list")
    {'threshold': [0.2, 0.5], 'tp': [1.0, 1.0], 'fp': [1.0, 0.0]}
    >>> threshold_counts([0, 1], [0.0002, 0.7], [0.0004])["fp"].tolist()
    [0.0]
    """
    y, s = inputs.check_cases(y_true, y_score)
    cuts = np.asarray(THRESHOLDS if thresholds is None else thresholds, np.float64)
    table = {"threshold": cuts}
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    for name, part in (("tp", y), ("fp", ~y)):
        table[name] = weight_from(s[part], w[part], cuts)[0]
    return pd.DataFrame(table)
