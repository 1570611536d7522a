"""fairlearn's ThresholdOptimizer as an estimator whose content is arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fairthesis.errors import InputError, unknown
from fairthesis.inputs import check_binary
from fairthesis.postprocessing._groups import Array, codes_of, names_of, scores_of

CONSTRAINTS = (
    "equalized_odds",
    "demographic_parity",
    "true_positive_rate_parity",
    "false_positive_rate_parity",
)
# Of each group: two rules, "score above" (1) or "below" (-1) a threshold, with their chances; and
# the chance with which both are passed over for a constant.
COLUMNS = (*("p_ignore", "constant", "p0", "side0", "threshold0", "p1", "side1", "threshold1"),)


class Scores(BaseEstimator):  # type: ignore[misc]
    """fairlearn's idea of an estimator for scores that are there already: it hands them through."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> Scores:
        self.fitted_ = True
        return self

    def predict(self, X: ArrayLike) -> Array:
        return np.asarray(X, np.float64).reshape(len(np.asarray(X)), -1)[:, 0]


class RandomizedThresholds(BaseEstimator):  # type: ignore[misc]
    """Thresholds by group, drawn at random between two where a constraint needs it.

    Fitted by fairlearn's ``ThresholdOptimizer``, and applied from arrays: P(1) = p_ignore c +
    (1 - p_ignore) (p0 [score beyond threshold 0] + p1 [score beyond threshold 1]). Two draws for
    one patient may differ: what that means where it is used is to be thought about first.

    Args:
        constraint: ``equalized_odds``, ``demographic_parity``, ``true_positive_rate_parity`` or
            ``false_positive_rate_parity``.
        objective: what fairlearn maximises under the constraint.

    ``fit(X, y, sensitive_features=...)``: X the scores, probabilities of shape (n,) or (n, 1), y
    labels 0 and 1 (n,), and the group of each row (n,). ``predict(X, sensitive_features=...,
    random_state=...)`` draws decisions 0 and 1. After ``fit`` ``groups_`` are the names and
    ``table_`` (groups, 8) the rules.

    Raises:
        InputError: for an unknown constraint, a group with one class, a group at use that was not
            there at ``fit``, and a row whose group is unknown.

    Reference: Hardt, Price and Srebro, NeurIPS 2016.

    >>> rng = np.random.default_rng(0)
    >>> sex, y = rng.choice(["f", "m"], 400), rng.integers(0, 2, 400)
    >>> score = (y + rng.random(400)) / 2
    >>> found = RandomizedThresholds().fit(score, y, sensitive_features=sex)
    >>> found.table_.shape
    (2, 8)
    >>> found.predict([0.1, 0.9], sensitive_features=["f", "m"], random_state=0).tolist()
    [0, 1]
    """

    groups_: list[str]
    table_: Array

    def __init__(
        self, constraint: str = "equalized_odds", objective: str = "balanced_accuracy_score"
    ):
        self.constraint = constraint
        self.objective = objective

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, sensitive_features: ArrayLike
    ) -> RandomizedThresholds:
        """Find the rules on these rows; see the class."""
        scores = scores_of(X)
        groups = names_of(sensitive_features, len(scores))
        return self.fit_checked(scores, check_binary(y, "y"), groups)

    def fit_checked(
        self,
        scores: Array,
        positive: NDArray[np.bool_],
        groups: NDArray[np.object_],
        column: str = "group",
        where: str = "",
    ) -> RandomizedThresholds:
        """``fit`` on arrays of one length that are known to be what they must be."""
        from fairlearn.postprocessing import ThresholdOptimizer

        if self.constraint not in CONSTRAINTS:
            raise unknown("constraint", self.constraint, CONSTRAINTS)
        self.groups_ = sorted(set(groups))
        for name in self.groups_:
            own = positive[groups == name]
            if own.all() or not own.any():
                raise InputError(
                    f"{column} = {name} has only y_true = {int(own[0])}{where}: expected both "
                    "classes in every group. Merge groups, or leave this one out."
                )
        optimizer = ThresholdOptimizer(
            estimator=Scores().fit([], []),
            constraints=self.constraint,
            objective=self.objective,
            prefit=True,
            predict_method="predict",
        )
        optimizer.fit(scores[:, None], positive.astype(int), sensitive_features=groups)
        rules = optimizer.interpolated_thresholder_.interpolation_dict
        self.table_ = np.array([_row(rules[name]) for name in self.groups_])
        return self

    def positive_probability(self, X: ArrayLike, *, sensitive_features: ArrayLike) -> Array:
        """P(decision = 1) of each row, shape (n,)."""
        check_is_fitted(self)
        scores = scores_of(X)
        names = names_of(sensitive_features, len(scores))
        ignored, constant, p0, side0, cut0, p1, side1, cut1 = self.table_[
            codes_of(names, self.groups_)
        ].T
        first, second = _beyond(scores, side0, cut0), _beyond(scores, side1, cut1)
        return ignored * constant + (1 - ignored) * (p0 * first + p1 * second)

    def predict(
        self, X: ArrayLike, *, sensitive_features: ArrayLike, random_state: Any = None
    ) -> NDArray[np.int64]:
        """Decisions drawn at random, shape (n,); the same seed draws the same."""
        chance = self.positive_probability(X, sensitive_features=sensitive_features)
        drawn = check_random_state(random_state).rand(len(chance))
        return np.asarray(chance >= drawn, np.int64)


def _row(rule: Any) -> list[float]:
    """A group's rule in the order of ``COLUMNS``."""
    found = [float(rule.get("p_ignore", 0.0)), float(rule.get("prediction_constant", 0.0))]
    for chance, operation in ((rule.p0, rule.operation0), (rule.p1, rule.operation1)):
        side = {">": 1.0, "<": -1.0}[operation.operator]
        found += [float(chance), side, float(operation.threshold)]
    return found


def _beyond(scores: Array, side: Array, cut: Array) -> NDArray[np.bool_]:
    return np.where(side > 0, scores > cut, scores < cut)
