"""Operating points: a number, or a rule that is fixed beforehand and applied to validation rows.

A case is called positive where its score is at least the threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis import inputs
from fairthesis.errors import InputError, unknown

RULES = ("youden", "fpr=0.2", "tnr=0.8")


def parse_threshold(threshold: float | str) -> tuple[str, float | None]:
    """A threshold as (rule, number): ``("fixed", 0.5)``, ``("youden", None)``, ``("fpr", 0.2)``.

    >>> parse_threshold("tnr=0.8")
    ('tnr', 0.8)
    """
    text = str(threshold).strip()
    if text == "youden":
        return "youden", None
    name, equals, number = text.partition("=")
    kind, digits = (name.strip(), number) if equals else ("fixed", text)
    try:
        value = float(digits) if kind in ("fixed", "fpr", "tnr") else None
    except ValueError:
        value = None
    if value is None:
        raise unknown("threshold", threshold, ["a number from 0 to 1", *RULES])
    if not 0 <= value <= 1:
        raise InputError(
            f"The threshold is {text!r}: expected a number from 0 to 1, or one of the rules "
            f"{', '.join(RULES)}."
        )
    return kind, value


def choose_threshold(
    y_true: ArrayLike, y_score: ArrayLike, rule: str, rate: float | None = None
) -> float:
    """The threshold by a rule from ``parse``, among the scores that occur.

    ``youden`` maximises TPR - FPR (Youden 1950; the highest such score where several do);
    ``fpr`` is the lowest score at which at most ``rate`` of the negatives are called positive;
    ``tnr`` the same with a false positive rate of 1 - ``rate``.

    >>> choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], "fpr", 0.5)
    0.35
    """
    y, s = inputs.check_cases(y_true, y_score)
    candidates: NDArray[np.float64] = np.unique(s)[::-1]
    negatives, positives = np.sort(s[~y]), np.sort(s[y])
    if not len(negatives) or not len(positives):
        raise InputError(
            "The threshold rule needs positive and negative cases in the validation rows "
            f"(split == 'val'), but got {len(positives)} and {len(negatives)}."
        )
    false = 1 - np.searchsorted(negatives, candidates, "left") / len(negatives)
    true = 1 - np.searchsorted(positives, candidates, "left") / len(positives)
    if rule == "youden":
        return float(candidates[np.argmax(true - false)])
    if rate is None or rule not in ("fpr", "tnr"):
        raise unknown("threshold rule", rule, RULES)
    limit = rate if rule == "fpr" else 1 - rate
    allowed = candidates[false <= limit + 1e-12]
    # Where even the highest score is too many, nothing is called positive.
    return float(allowed[-1]) if len(allowed) else float(np.nextafter(candidates[0], 2.0))
