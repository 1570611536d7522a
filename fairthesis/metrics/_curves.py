"""Curves by group, as small tables: ROC, reliability, and counts at every threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairthesis import inputs
from fairthesis.metrics._calibration import bin_sums

#: The thresholds of ``threshold_counts``: 0, 0.01, ..., 1, shape (101,).
THRESHOLDS = np.round(np.linspace(0, 1, 101), 2)


def roc_curve(y_true: ArrayLike, y_score: ArrayLike, points: int = 200) -> pd.DataFrame:
    """The ROC curve as a table, thinned to about ``points`` rows.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Scores of any range, shape (n,).
        points: Distinct scores that are kept at most, equally spaced in their order.

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
    for name, part in (("fpr", np.sort(s[~y])), ("tpr", np.sort(s[y]))):
        above = len(part) - np.searchsorted(part, cut, "left")
        table[name] = above / len(part) if len(part) else np.full(len(cut), np.nan)
    return pd.DataFrame(table)


def reliability_curve(y_true: ArrayLike, y_score: ArrayLike, n_bins: int = 10) -> pd.DataFrame:
    """Share of positives by score, in equal-width bins that hold cases.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Probabilities, shape (n,).
        n_bins: Number of equal-width bins.

    Returns:
        Columns ``score`` (mean in the bin), ``rate`` (share of positives), ``low`` and ``high``
        (its 95 % interval: Wilson 1927, JASA 22) and ``n`` (cases); no row for an empty bin.

    Raises:
        InputError: Labels or scores cannot be used, or differ in length.

    >>> reliability_curve([0, 1, 1], [0.6, 0.6, 0.9]).round(2).to_dict("list")["rate"]
    [0.5, 1.0]
    >>> reliability_curve([0, 1], [0.6, 0.6])[["low", "high"]].round(2).values.tolist()
    [[0.09, 0.91]]
    """
    n, scores, labels = bin_sums(y_true, y_score, n_bins=n_bins)
    some = n > 0
    n, scores, labels = n[some], scores[some], labels[some]
    p, z = labels / n, 1.959964
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    columns = {"score": scores / n, "rate": p, "low": middle - half, "high": middle + half}
    return pd.DataFrame(columns | {"n": n.astype(int)})


def threshold_counts(
    y_true: ArrayLike, y_score: ArrayLike, thresholds: ArrayLike | None = None
) -> pd.DataFrame:
    """True and false positives at each of ``thresholds``, by default ``THRESHOLDS``.

    Args:
        y_true: Labels of 0 and 1, shape (n,).
        y_score: Scores, shape (n,).
        thresholds: Numbers, shape (t,); 0, 0.01, ..., 1 if None.

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
    for name, part in (("tp", np.sort(s[y])), ("fp", np.sort(s[~y]))):
        table[name] = (len(part) - np.searchsorted(part, cuts, "left")).astype(np.float64)
    return pd.DataFrame(table)
