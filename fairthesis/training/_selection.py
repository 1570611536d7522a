"""Which epoch's model is kept: named rules on the validation part, fixed before training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.metrics import auroc, choose_threshold

FLOOR = 5  # positives and negatives that a validation group needs to count as the worst one
WITHIN = 0.01  # AUROC that ``min_leakage`` may give away
FOLDS = 5  # of the probe that ``min_leakage`` fits

Labels = NDArray[np.floating]
Codes = NDArray[np.integer]
Line = Mapping[str, float]


def _group_rows(y: Labels, codes: Codes) -> list[list[NDArray[np.bool_]]]:
    """For each attribute the rows of its groups with at least ``FLOOR`` of either class."""
    found = []
    for column in codes.T:
        rows = [column == group for group in range(int(column.max(initial=-1)) + 1)]
        found.append([r for r in rows if min((y[r] == 1).sum(), (y[r] == 0).sum()) >= FLOOR])
    return found


def validation_scores(y_true: Labels, y_score: Labels, codes: Codes) -> dict[str, float]:
    """Overall and worst-group AUROC on the validation part, averaged over targets.

    The worst group is over all groups of all attributes with 5 positives and 5 negatives or more;
    where there is none it is the overall value.

    Args:
        y_true: 0, 1 or NaN (not stated), shape (n, targets).
        y_score: shape (n, targets).
        codes: group numbers, -1 unknown, shape (n, attributes).

    Returns:
        ``val_auroc`` and ``val_worst_auroc``.

    >>> y = np.tile([[0.0], [1.0]], (20, 1))
    >>> a = np.repeat([[0], [1]], 20, axis=0)
    >>> validation_scores(y, np.where(a == 0, y, 0.5), a)  # chance in group 1
    {'val_auroc': 0.875, 'val_worst_auroc': 0.5}
    """
    overall, worst = [], []
    for y, score in zip(y_true.T, y_score.T, strict=True):
        known = ~np.isnan(y)
        overall.append(float(auroc(y[known], score[known])))
        groups = [rows for rows_of in _group_rows(y, codes) for rows in rows_of]
        values = [float(auroc(y[r & known], score[r & known])) for r in groups]
        worst.append(min(values, default=overall[-1]))
    return {"val_auroc": float(np.mean(overall)), "val_worst_auroc": float(np.mean(worst))}


def validation_gaps(y_true: Labels, y_score: Labels, codes: Codes) -> dict[str, float]:
    """AUROC gap and equalized odds difference, largest over attributes, averaged over targets.

    ``val_gap`` is the largest less the smallest AUROC of the groups, ``val_eo`` the larger of the
    ranges of TPR and FPR, at the threshold that Youden's rule picks on all rows of the target.
    Groups need 5 positives and 5 negatives; with fewer than two such groups the value is 0.
    Arguments as for ``validation_scores``.

    >>> y = np.tile([[0.0], [1.0]], (20, 1))
    >>> a = np.repeat([[0], [1]], 20, axis=0)
    >>> validation_gaps(y, np.where(a == 0, y, 0.5), a)
    {'val_gap': 0.5, 'val_eo': 1.0}
    """
    gaps, odds = [], []
    for y, score in zip(y_true.T, y_score.T, strict=True):
        known = ~np.isnan(y)
        cut = choose_threshold(y[known], score[known], "youden")
        by_attribute: list[tuple[float, float]] = [(0.0, 0.0)]
        for groups in _group_rows(y, codes):
            if len(groups) < 2:
                continue
            areas = [float(auroc(y[r & known], score[r & known])) for r in groups]
            subgroups = [metrics.counts(y[r & known], score[r & known] >= cut) for r in groups]
            rates = [
                np.ptp([float(rate(*subgroup)) for subgroup in subgroups])
                for rate in (metrics.tpr, metrics.fpr)
            ]
            by_attribute.append((float(np.ptp(areas)), float(max(rates))))
        gaps.append(max(gap for gap, _ in by_attribute))
        odds.append(max(odd for _, odd in by_attribute))
    return {"val_gap": float(np.mean(gaps)), "val_eo": float(np.mean(odds))}


def validation_loss(y_true: Labels, y_score: Labels) -> dict[str, float]:
    """Mean log loss over the known labels."""
    known = ~np.isnan(y_true)
    return {"val_loss": float(metrics.log_loss(y_true[known], y_score[known]))}


def validation_leakage(
    z: NDArray[np.floating], y_true: Labels, codes: Codes, patients: Codes, seed: int = 0
) -> dict[str, float]:
    """How well fresh logistic probes recover the attributes given the target: AUROC, 0.5 or more.

    Within each class of each target a probe is fitted on four fifths of the validation patients and
    judged on the last fifth, in turn (cross-fitted by patient, so that no probe is judged where it
    was fitted); AUROC over pairs within a class and fold, mean over targets and attributes.
    A quick look for choosing an epoch, no measurement, as ``fairthesis.embeddings.probe`` is.

    Args:
        z: the disease embedding, shape (n, d).
        y_true: 0, 1 or NaN (not stated), shape (n, targets).
        codes: group numbers, -1 unknown, shape (n, attributes).
        patients: any numbers, shape (n,).
        seed: decides the folds.

    Returns:
        ``val_leakage``; 0.5 where nothing can be judged.

    >>> y, a = np.tile([[0.0], [1.0]], (50, 1)), np.repeat([[0], [1]], 50, axis=0)
    >>> noise = np.random.default_rng(0).normal(size=(100, 2))
    >>> who = np.arange(100)
    >>> round(validation_leakage(noise + 9 * a, y, a, who)["val_leakage"], 2)
    1.0
    >>> validation_leakage(noise + 9 * y, y, a, who)["val_leakage"] < 0.7  # y alone is in it
    True
    """
    from fairthesis.embeddings import fit_probe, macro_auroc, probabilities

    # numbered from 0, then dealt to folds in random order
    who = np.unique(patients, return_inverse=True)[1]
    fold = (np.random.default_rng(seed).permutation(int(who.max()) + 1) % FOLDS)[who]
    found = []
    for y in y_true.T:
        for a in codes.T:
            scores = np.zeros((len(a), int(a.max()) + 1))
            judged = np.zeros(len(a), bool)
            for c in (0, 1):
                for part in range(FOLDS):
                    rows = (y == c) & (a >= 0)
                    fit, test = rows & (fold != part), rows & (fold == part)
                    if len(np.unique(a[fit])) > 1 and test.any():
                        probe = fit_probe("logistic", z[fit], a[fit])
                        scores[test] = probabilities(probe, z[test], scores.shape[1])
                        judged |= test
            strata = (2 * fold + (y == 1))[judged]
            if judged.any():
                area = float(macro_auroc(a[judged], scores[judged], strata))
                found.append(0.5 if math.isnan(area) else max(area, 0.5))
    return {"val_leakage": float(np.mean(found)) if found else 0.5}


def _highest(score: Callable[[Line], float]) -> Callable[[Sequence[Line], float | None], list[int]]:
    """The earliest of the lines with the highest score: no other can win later on."""
    return lambda lines, reference: (
        [max(range(len(lines)), key=lambda i: (score(lines[i]), -i))] if lines else []
    )


def ideal_distance(line: Line) -> float:
    """Distance of an epoch to the ideal point AUROC 1, equalized odds difference 0.

    ``sqrt((1 - AUROC)² + EO²)``, from ``val_auroc`` and ``val_eo`` of the epoch's line of the log.

    >>> round(ideal_distance({"val_auroc": 0.7, "val_eo": 0.4}), 3)
    0.5
    """
    return math.hypot(1 - line["val_auroc"], line["val_eo"])


def least_leaking(lines: Sequence[Line], reference: float | None = None) -> list[int]:
    """The lines that may win by ``min_leakage``, the present winner first.

    An epoch qualifies if its AUROC is at most 0.01 below the reference, or, without one, below the
    best epoch's. Of those that do the one with the lowest leakage wins; if none does, the one
    with the highest AUROC. Later epochs can raise the bar without a reference, so every epoch that
    no other beats in both is kept until then.

    Args:
        lines: of the log, with ``val_auroc`` and ``val_leakage``, of the epochs that may be chosen.
        reference: ERM's validation AUROC, or None.

    Returns:
        Positions in ``lines``; empty where there is none.

    >>> lines = [{"val_auroc": a, "val_leakage": b} for a, b in ((0.80, 0.6), (0.795, 0.55))]
    >>> least_leaking(lines), least_leaking(lines + [{"val_auroc": 0.9, "val_leakage": 0.9}])[0]
    ([1, 0], 2)
    """
    if not lines:
        return []
    bar = (max(line["val_auroc"] for line in lines) if reference is None else reference) - WITHIN
    good = [i for i, line in enumerate(lines) if line["val_auroc"] >= bar - 1e-12]
    if not good:
        return [max(range(len(lines)), key=lambda i: (lines[i]["val_auroc"], -i))]
    order = sorted(good, key=lambda i: (lines[i]["val_leakage"], -lines[i]["val_auroc"], i))
    if reference is not None:
        return order[:1]
    kept: list[int] = []
    for i in order:  # from low leakage to high: worth keeping if its AUROC is higher
        if all(lines[i]["val_auroc"] > lines[k]["val_auroc"] for k in kept):
            kept.append(i)
    return kept


@dataclass(frozen=True)
class Rule:
    """How an epoch is chosen among the eligible ones.

    Args:
        candidates: function of the eligible epochs' lines and ERM's AUROC (or None), which gives
            positions in the lines: the present winner first, then those that later epochs could
            still make win.
        needs: what a line must carry beside AUROC: ``gaps``, ``leakage``, or ``test`` labels.

    >>> first = Rule(lambda lines, _: [i for i, a in enumerate(lines) if a["val_auroc"] > 0.8][:1])
    >>> first.candidates([{"val_auroc": 0.7}, {"val_auroc": 0.85}, {"val_auroc": 0.9}], None)
    [1]
    """

    candidates: Callable[[Sequence[Line], float | None], list[int]]
    needs: frozenset[str] = frozenset()


#: The rules by name, as ``TrainConfig.selection`` takes them.
# overall, worst_group: highest (worst group's) AUROC. last: the last epoch. pareto: the epoch
# nearest to AUROC 1 and equalized odds difference 0, which is on the front of the two.
# min_leakage: see ``least_leaking``. oracle: the pareto rule on the *test* labels, to show how much
# choosing could gain; no number chosen so is ever a result, and none is archived.
RULES: dict[str, Rule] = {
    "overall": Rule(_highest(lambda line: line["val_auroc"])),
    "worst_group": Rule(_highest(lambda line: line["val_worst_auroc"])),
    "last": Rule(_highest(lambda line: line["epoch"])),
    "pareto": Rule(_highest(lambda line: -ideal_distance(line)), frozenset({"gaps"})),
    "min_leakage": Rule(least_leaking, frozenset({"leakage"})),
    "oracle": Rule(
        _highest(lambda line: -math.hypot(1 - line["oracle_test_auroc"], line["oracle_test_eo"])),
        frozenset({"test"}),
    ),
}
