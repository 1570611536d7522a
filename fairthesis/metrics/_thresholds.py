"""Operating points: a number, or a rule that is fixed beforehand and applied to validation rows.

A case is called positive where its score is at least the threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis import inputs
from fairthesis.errors import InputError, unknown
from fairthesis.metrics._weighing import weight_from

RULES = ("youden", "fpr=0.2", "tnr=0.8")


def parse_threshold(threshold: float | str) -> tuple[str, float | None]:
    """A threshold, given as a number or by a rule, as (rule, number).

    Args:
        threshold: A number from 0 to 1, or one of the rules ``youden``, ``fpr=0.2`` and ``tnr=0.8``
            (with any rate from 0 to 1), which ``choose_threshold`` applies.

    Returns:
        The rule, ``fixed`` for a number, and its number, None for ``youden``.

    Raises:
        InputError: It is none of these, or the number is no rate.

    >>> [parse_threshold(given) for given in (0.5, "youden", "tnr=0.8")]
    [('fixed', 0.5), ('youden', None), ('tnr', 0.8)]
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
    y_true: ArrayLike,
    y_score: ArrayLike,
    rule: str,
    rate: float | None = None,
    weight: ArrayLike | None = None,
) -> float:
    """The threshold by a rule from ``parse_threshold``, among the scores that occur.

    ``youden`` maximises TPR - FPR (Youden 1950, Cancer 3; the highest such score where several do);
    ``fpr`` is the lowest score at which at most ``rate`` of the negatives are called positive;
    ``tnr`` the same with a false positive rate of 1 - ``rate``. Choose it on validation rows and
    apply it to others.

    Args:
        y_true: Labels of 0 and 1, shape (n,), of both classes.
        y_score: Scores of any range, shape (n,).
        rule: ``youden``, ``fpr`` or ``tnr``.
        rate: The number of the rule; not used by ``youden``.
        weight: Weights of 0 or more, shape (n,); 1 for each case if None.

    Returns:
        A score that occurs; a number just above the highest one where even that calls too many
        positive.

    Raises:
        InputError: A class is absent, the rule is not known, or labels or scores cannot be used.

    >>> y, s = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    >>> choose_threshold(y, s, "fpr", 0.5), choose_threshold(y, s, "youden")
    (0.35, 0.8)
    """
    y, s = inputs.check_cases(y_true, y_score)
    candidates: NDArray[np.float64] = np.unique(s)[::-1]
    w = np.asarray(inputs.check_weights(weight, len(y)), np.float64)
    false, negatives = weight_from(s[~y], w[~y], candidates)
    true, positives = weight_from(s[y], w[y], candidates)
    if not negatives or not positives:
        raise InputError(
            "The threshold rule needs positive and negative cases in the validation rows "
            f"(split == 'val'), but got {positives:g} and {negatives:g}."
        )
    # 1 less the share below, as ever: the last bit decides where Youden's index is the same.
    false, true = (1 - (n - above) / n for n, above in ((negatives, false), (positives, true)))
    if rule == "youden":
        return float(candidates[np.argmax(true - false)])
    if rate is None or rule not in ("fpr", "tnr"):
        raise unknown("threshold rule", rule, RULES)
    limit = rate if rule == "fpr" else 1 - rate
    allowed = candidates[false <= limit + 1e-12]
    # Where even the highest score is too many, nothing is called positive.
    return float(allowed[-1]) if len(allowed) else float(np.nextafter(candidates[0], 2.0))
