"""Curves by group, as small tables: ROC, reliability, and counts at every threshold."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from fairthesis import inputs
from fairthesis.metrics._calibration import bin_sums

THRESHOLDS = np.round(np.linspace(0, 1, 101), 2)


def roc_curve(y_true: ArrayLike, y_score: ArrayLike, points: int = 200) -> pd.DataFrame:
    """Columns ``threshold, fpr, tpr``: the ROC curve, thinned to about ``points`` rows.

    >>> roc_curve([0, 1], [0.2, 0.7])["tpr"].tolist()
    [0.0, 1.0, 1.0]
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
    """Columns ``score, rate, low, high, n`` for equal-width bins of the score that hold cases.

    ``rate`` is the share of positives; ``low`` and ``high`` its 95 % Wilson interval (1927).

    >>> reliability_curve([0, 1], [0.6, 0.6])["rate"].tolist()
    [0.5]
    """
    n, scores, labels = bin_sums(y_true, y_score, n_bins=n_bins)
    some = n > 0
    n, scores, labels = n[some], scores[some], labels[some]
    p, z = labels / n, 1.959964
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    columns = {"score": scores / n, "rate": p, "low": middle - half, "high": middle + half}
    return pd.DataFrame(columns | {"n": n.astype(int)})


def threshold_counts(y_true: ArrayLike, y_score: ArrayLike) -> pd.DataFrame:
    """Columns ``threshold, tp, fp``: positives and negatives scored at least 0, 0.01, ..., 1.

    >>> threshold_counts([0, 1], [0.2, 0.7]).iloc[50].tolist()
    [0.5, 1.0, 0.0]
    """
    y, s = inputs.check_cases(y_true, y_score)
    table = {"threshold": THRESHOLDS.astype(np.float64)}
    for name, part in (("tp", np.sort(s[y])), ("fp", np.sort(s[~y]))):
        table[name] = (len(part) - np.searchsorted(part, THRESHOLDS, "left")).astype(np.float64)
    return pd.DataFrame(table)
