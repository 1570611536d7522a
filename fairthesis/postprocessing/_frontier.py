"""What one model can reach at each equalized odds difference that is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog

from fairthesis import inputs, metrics
from fairthesis.errors import InputError, unknown

Array = NDArray[np.float64]
OBJECTIVES = ("balanced_accuracy", "accuracy")


def equalized_odds_frontier(
    y_true: ArrayLike,
    y_score: ArrayLike,
    group: ArrayLike,
    epsilons: Sequence[float],
    *,
    objective: str = "balanced_accuracy",
) -> pd.DataFrame:
    """The best value of a model whose groups' rates differ by at most epsilon, for each epsilon.

    A group's rates are those of a threshold drawn at random: any mean of the corners of its ROC
    curve's convex hull. Over the shares w of the corners v of each group g the value

        sum over g of P_g / P TPR_g - N_g / N FPR_g     (balanced accuracy; P TPR - N FPR: accuracy)

    is maximised with ``|TPR_g - TPR_h|`` and ``|FPR_g - FPR_h|`` at most epsilon for all pairs of
    groups: a linear program, which at epsilon 0 is that of equalized odds (Hardt, Price and Srebro
    2016, 4.2). At epsilon 1 every group has the threshold that is best for it. Two models are
    compared fairly at the same epsilon; both on rows that neither chose anything on, or thresholds
    flatter.

    Args:
        y_true: Labels of 0 and 1, shape (n,), both in every group.
        y_score: Scores of any range, shape (n,).
        group: The group of each row, shape (n,); two groups or more.
        epsilons: Equalized odds differences that are allowed, from 0 to 1.
        objective: ``balanced_accuracy`` or ``accuracy``.

    Returns:
        A row for each epsilon, group and threshold that has a share: ``epsilon``, the objective by
        its name, ``difference`` (the largest that is made use of), ``group``, ``tpr``, ``fpr``,
        ``threshold`` (a case is called at this score and above; infinity calls none) and ``share``
        (the chance of that threshold).

    Raises:
        InputError: Arrays cannot be used or differ in length, a group has one class or is not
            known, there is one group, or an epsilon lies outside 0 to 1.

    >>> y, s = [0, 1, 0, 1, 0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8, 0.1, 0.2, 0.3, 0.4]
    >>> found = equalized_odds_frontier(y, s, list("ffffmmmm"), [0, 0.5])
    >>> found.groupby("epsilon")["balanced_accuracy"].first().round(3).to_dict()
    {0.0: 0.75, 0.5: 0.875}
    """
    y, s = inputs.check_cases(y_true, y_score)
    who = np.asarray(group).reshape(-1)
    inputs.check_same_length(y, who, "group")
    names = inputs.text_column(pd.Series(who))
    if objective not in OBJECTIVES:
        raise unknown("objective", objective, OBJECTIVES)
    if names.isna().any():
        raise InputError(
            f"group is empty in {int(names.isna().sum())} rows: expected a group for each row. "
            "Leave these rows out first."
        )
    wrong = [e for e in epsilons if not 0 <= e <= 1]
    if wrong or not len(epsilons):
        given = f"{wrong[0]:g}" if wrong else "an empty list"
        raise InputError(f"epsilons has {given}: expected differences from 0 to 1.")
    hulls = {}
    for name in sorted(names.unique()):
        mine = (names == name).to_numpy(bool)
        if y[mine].all() or not y[mine].any():
            raise InputError(
                f"The group {name} has {int(y[mine].sum())} positive of {int(mine.sum())} cases: "
                "expected both classes in every group. Merge groups, or leave this one out."
            )
        hulls[name] = _hull(metrics.roc_curve(y[mine], s[mine], points=int(mine.sum())))
    if len(hulls) < 2:
        raise InputError(f"All rows are of the group {next(iter(hulls))}: expected two or more.")
    sizes = [(float(y[names == name].sum()), float((~y[names == name]).sum())) for name in hulls]
    weights = np.array(sizes)
    totals = weights.sum(axis=0)
    weights = weights / (2 * totals if objective == "balanced_accuracy" else totals.sum())
    constant = 0.5 if objective == "balanced_accuracy" else totals[1] / totals.sum()
    rows = []
    for epsilon in epsilons:
        shares = _best(list(hulls.values()), weights, float(epsilon))
        pairs = zip(shares, hulls.values(), strict=True)
        rates = [own @ hull[["tpr", "fpr"]].to_numpy() for own, hull in pairs]
        spread = float(np.ptp(np.array(rates), axis=0).max())
        value = constant + sum(w @ (rate * [1, -1]) for w, rate in zip(weights, rates, strict=True))
        for (name, hull), own, (tpr, fpr) in zip(hulls.items(), shares, rates, strict=True):
            rows += [
                {"epsilon": float(epsilon), objective: float(value), "difference": spread,
                 "group": name, "tpr": float(tpr), "fpr": float(fpr),
                 "threshold": float(hull["threshold"].iloc[k]), "share": float(own[k])}
                for k in np.flatnonzero(own > 1e-9)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def _hull(curve: pd.DataFrame) -> pd.DataFrame:
    """The corners of the upper convex hull of a ROC curve, from (0, 0) to (1, 1)."""
    points = curve[["fpr", "tpr"]].to_numpy(np.float64)
    kept: list[int] = []
    for k, (x, y) in enumerate(points):
        while len(kept) > 1:
            (x0, y0), (x1, y1) = points[kept[-2]], points[kept[-1]]
            if (x1 - x0) * (y - y0) < (y1 - y0) * (x - x0):  # the last one lies above the line
                break
            kept.pop()
        kept.append(k)
    return curve.iloc[kept].reset_index(drop=True)


def _best(hulls: list[pd.DataFrame], weights: Array, epsilon: float) -> list[Array]:
    """The shares of each hull's corners that are best under the constraint."""
    ends = np.cumsum([0, *(len(hull) for hull in hulls)])
    n = int(ends[-1])
    value = np.zeros(n + 2)  # and the lowest TPR and FPR of all groups
    upper, bound, equal = [], [], np.zeros((len(hulls), n + 2))
    for g, hull in enumerate(hulls):
        part = slice(int(ends[g]), int(ends[g + 1]))
        equal[g, part] = 1
        value[part] = weights[g, 1] * hull["fpr"] - weights[g, 0] * hull["tpr"]
        for k, name in enumerate(("tpr", "fpr")):
            row = np.zeros(n + 2)
            row[part], row[n + k] = hull[name], -1.0
            upper += [row, -row]  # the lowest and at most epsilon above it
            bound += [epsilon, 0.0]
    found = linprog(
        value, A_ub=np.array(upper), b_ub=bound, A_eq=equal, b_eq=np.ones(len(hulls)), bounds=(0, 1)
    )
    if not found.success:  # equal rates of 0 are always there
        raise RuntimeError(f"The linear program ended without a solution: {found.message}")
    return [np.asarray(found.x[a:b]) for a, b in pairwise(ends)]
