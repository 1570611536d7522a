"""A map from score to probability for each group, as an estimator."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import interp1d
from sklearn.base import BaseEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted

from fairthesis import metrics
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import check_binary
from fairthesis.postprocessing._groups import Array, codes_of, names_of, scores_of

#: Maps that ``recalibrate`` can fit: a line on the logit, or a monotone step function.
CALIBRATIONS = ("logistic", "isotonic")


class GroupRecalibration(BaseEstimator):  # type: ignore[misc]
    """Scores recalibrated in each group by a map of its own.

    Args:
        method: ``logistic``, p = 1 / (1 + exp(-(a + b logit(score)))) with the line of
            ``fairthesis.metrics.recalibration_line`` (Platt 1999; Cox 1958), or ``isotonic``, the
            monotone function that is linear between knots (Zadrozny and Elkan 2002), which wants
            some hundreds of cases per group.

    ``fit(X, y, sensitive_features=...)``: X the scores, probabilities of shape (n,) or (n, 1), y
    labels 0 and 1 (n,), and the group of each row (n,). ``transform(X, sensitive_features=...)``
    gives probabilities (n,). After ``fit`` ``groups_`` are the names, ``knots_`` (k, 2) the scores
    and values of all groups one after the other (a and b of the line), and ``ends_`` (groups,)
    where each group's end.

    Raises:
        InputError: for an unknown method, a group with one class, where no rising line can be
            fitted, a group at use that was not there at ``fit``, and a row whose group is unknown.

    >>> rng = np.random.default_rng(0)
    >>> sex, y = rng.choice(["f", "m"], 1000), rng.integers(0, 2, 1000)
    >>> score = 0.8 + 0.1 * rng.random(1000) + 0.02 * y
    >>> found = GroupRecalibration().fit(score, y, sensitive_features=sex)
    >>> round(float(found.transform(score, sensitive_features=sex).mean()), 1)
    0.5
    """

    groups_: list[str]
    knots_: Array
    ends_: NDArray[np.int64]

    def __init__(self, method: str = "logistic"):
        self.method = method

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, sensitive_features: ArrayLike
    ) -> GroupRecalibration:
        """Fit a map for each group; see the class."""
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
    ) -> GroupRecalibration:
        """``fit`` on arrays of one length that are known to be what they must be."""
        if self.method not in CALIBRATIONS:
            raise unknown("calibration", self.method, CALIBRATIONS)
        self.groups_ = sorted(set(groups))
        knots = []
        for name in self.groups_:
            y, s = positive[groups == name].astype(np.float64), scores[groups == name]
            if not 0 < y.sum() < len(y):
                raise InputError(
                    f"{column} = {name} has {int(y.sum())} positive of {len(y)} cases{where}: "
                    "expected both classes to recalibrate on."
                )
            knots.append(_fitted(self.method, y, s, name))
        self.knots_ = np.concatenate(knots)
        self.ends_ = np.cumsum([len(part) for part in knots])
        return self

    def transform(self, X: ArrayLike, *, sensitive_features: ArrayLike) -> Array:
        """Recalibrated scores, shape (n,); see the class."""
        check_is_fitted(self)
        scores = scores_of(X)
        codes = codes_of(names_of(sensitive_features, len(scores)), self.groups_)
        found = np.empty(len(scores))
        for k, knots in enumerate(np.split(self.knots_, self.ends_[:-1])):
            own = codes == k
            found[own] = _applied(self.method, knots, scores[own])
        return found


def _fitted(method: str, y: Array, s: Array, name: str) -> Array:
    if method == "isotonic":
        fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(s, y)
        return np.stack([fitted.X_thresholds_, fitted.y_thresholds_], axis=1)
    a, b = metrics.recalibration_line(metrics.logit(s), np.ones(len(y)), y)
    if not np.isfinite(a) or b <= 0:
        raise InputError(
            f"No rising calibration line can be fitted for {name}: the classes are separated, all "
            "scores are equal, or higher scores are less often positive."
        )
    return np.array([[a, b]])


def _applied(method: str, knots: Array, new: Array) -> Array:
    if method == "isotonic":
        x, y = knots.T
        if len(x) == 1:
            return np.repeat(y, len(new))
        return np.asarray(interp1d(x, y)(np.clip(new, x[0], x[-1])), np.float64)
    a, b = knots[0]
    return np.asarray(1 / (1 + np.exp(-(a + b * metrics.logit(new)))), np.float64)
