"""A threshold for each group that lowers no group's true positive rate, as an estimator."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fairthesis.errors import InputError
from fairthesis.inputs import check_binary
from fairthesis.postprocessing._groups import Array, codes_of, names_of, scores_of


class LevelUpThresholds(BaseEstimator):  # type: ignore[misc]
    """A threshold per group that raises the worst group's TPR to the best one's; none is lowered.

    From one threshold for all, every group's threshold goes down until its true positive rate on
    the fitting rows is at least the highest among groups; it never goes up, so no group's TPR falls
    below what the single threshold gives, on any data. The price is paid in false positives.

    Args:
        threshold: the single one, 0 to 1.

    ``fit(X, y, sensitive_features=...)``: X the scores, probabilities of shape (n,) or (n, 1), y
    labels 0 and 1 (n,), and the group of each row (n,). ``predict(X, sensitive_features=...)``
    gives decisions 0 and 1, 1 where the score is at least the group's threshold. After ``fit``
    ``groups_`` are the names and ``thresholds_`` (groups,) the thresholds.

    Raises:
        InputError: for a threshold out of range, a group without a positive case, a group at use
            that was not there at ``fit``, and a row whose group is unknown.

    Reference: Mittelstadt, Wachter and Russell 2023 (on levelling up).

    >>> found = LevelUpThresholds().fit(
    ...     [0.6, 0.7, 0.4, 0.3], [1, 1, 1, 1], sensitive_features=["f", "f", "m", "m"]
    ... )
    >>> found.groups_, found.thresholds_.tolist()
    (['f', 'm'], [0.5, 0.3])
    >>> found.predict([0.4, 0.4], sensitive_features=["f", "m"]).tolist()
    [0, 1]
    """

    groups_: list[str]
    thresholds_: Array

    def __init__(self, threshold: float = 0.5):
        self.threshold = threshold

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, sensitive_features: ArrayLike
    ) -> LevelUpThresholds:
        """Find the thresholds on these rows; see the class."""
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
    ) -> LevelUpThresholds:
        """``fit`` on arrays of one length that are known to be what they must be."""
        if not 0 <= self.threshold <= 1:
            raise InputError(f"threshold is {self.threshold:g}: expected a number from 0 to 1.")
        self.groups_ = sorted(set(groups))
        descending = []
        for name in self.groups_:
            own = np.sort(scores[positive & (groups == name)])[::-1]
            if not len(own):
                raise InputError(f"{column} = {name} has no positive case{where}.")
            descending.append(own)
        best = max(float((own >= self.threshold).mean()) for own in descending)
        found = []
        for own in descending:
            needed = int(np.ceil(best * len(own) - 1e-9))
            found.append(min(self.threshold, float(own[needed - 1]) if needed else self.threshold))
        self.thresholds_ = np.array(found)
        return self

    def predict(self, X: ArrayLike, *, sensitive_features: ArrayLike) -> NDArray[np.int64]:
        """Decisions, shape (n,); see the class."""
        check_is_fitted(self)
        scores = scores_of(X)
        return decide(scores, names_of(sensitive_features, len(scores)), self.by_group())

    def by_group(self) -> dict[str, float]:
        """The threshold of each group by its name."""
        return dict(zip(self.groups_, self.thresholds_.tolist(), strict=True))


def decide(
    scores: Array, groups: NDArray[np.object_], cut: Mapping[str, float]
) -> NDArray[np.int64]:
    """1 where the score is at least the threshold of the row's group, else 0.

    Raises:
        InputError: for a group without a threshold.
    """
    names = list(cut)
    own = np.array([cut[name] for name in names])[codes_of(groups, names)]
    return np.asarray(scores >= own, np.int64)
