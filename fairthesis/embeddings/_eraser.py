"""What all erasers are: estimators of scikit-learn whose ``transform`` is an affine map."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fairthesis.embeddings._projections import kept_share
from fairthesis.errors import InputError

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before scikit-learn 1.6

    def validate_data(estimator: Any, *given: Any, **options: Any) -> Any:
        """The method that became a function."""
        return estimator._validate_data(*given, **options)


Array = NDArray[np.float64]

LITTLE = 0.05  # of the variance: less than this is nearly nothing


class WholeSpaceWarning(UserWarning):
    """An eraser leaves nothing, or nearly nothing, of the embedding.

    So many groups differ in so few numbers that hiding them hides the rest. Take fewer groups, a
    wider embedding, or erase given the target.

    >>> issubclass(WholeSpaceWarning, UserWarning)
    True
    """


class Eraser(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """x -> x - P (x - mean), with ``mean_`` (d,) and ``projection_`` P (d, d) from ``fit``.

    ``rank_`` is the rank of P, ``kept_variance_`` the share of the embedding's variance that is
    left, ``groups_`` the attribute's values.
    """

    mean_: Array
    projection_: Array
    rank_: int
    kept_variance_: float
    groups_: list[Any]

    def transform(self, X: ArrayLike) -> Array:
        """The erased embedding, shape (n, d).

        Raises:
            InputError: for another width than that of ``fit``, or numbers that are not finite.
        """
        check_is_fitted(self)
        x = valid_rows(self, X)
        self._ready()
        return x - (x - self.mean_) @ self.projection_.T

    @property
    def uses_target(self) -> bool:
        """Whether what is fitted depends on a target."""
        return bool(getattr(self, "given_target", False))

    def _ready(self) -> None:
        """Has what ``transform`` needs computed, where ``partial_fit`` put it off."""

    def _set(self, mean: Array, projection: Array, rank: int, covariance: Array) -> None:
        self.mean_, self.projection_, self.rank_ = mean, projection, rank
        self.kept_variance_ = kept_share(covariance, projection)
        if self.kept_variance_ < LITTLE:
            warnings.warn(
                f"{type(self).__name__} takes {rank} of {len(mean)} directions and leaves "
                f"{self.kept_variance_:.1%} of the variance of the embedding: little is left for "
                f"anything else than the attribute and its {len(self.groups_)} groups. Fewer "
                "groups, more directions, a wider embedding, or erasure given the target leave "
                "more.",
                WholeSpaceWarning,
                stacklevel=3,
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # the same for scikit-learn before 1.6
        return {"requires_y": True}


def valid_rows(estimator: Any, X: ArrayLike) -> Array:
    """Rows to be transformed, shape (n, d), as those of ``fit`` were."""
    try:
        return validate_data(estimator, X, dtype=np.float64, reset=False)
    except ValueError as error:
        raise InputError(str(error)) from error


def valid_fit(
    estimator: Any,
    X: ArrayLike,
    attribute: ArrayLike,
    target: ArrayLike | None = None,
    *,
    reset: bool = True,
) -> tuple[Array, NDArray[Any], NDArray[Any] | None]:
    """Rows, attribute (n,) and target (n,) to fit on.

    Raises:
        InputError: for numbers that are not finite, an unknown group or target, lengths that
            differ, and an attribute whose every row is a group of its own.
    """
    least = 2 if reset else 1
    try:
        x, a = validate_data(
            estimator, X, attribute, dtype=np.float64, reset=reset, ensure_min_samples=least
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    if pd.isna(a).any():
        raise InputError(
            f"The attribute is unknown in {int(pd.isna(a).sum())} of {len(a)} rows: fit on the "
            "rows where it is known."
        )
    if target is None:
        return x, a, None
    t = np.asarray(target)
    if len(t) != len(x):
        raise InputError(f"Expected a target for each of {len(x)} rows, but got {t.shape}.")
    return x, a, t


def stated(target: NDArray[Any] | None) -> NDArray[Any] | None:
    """A target of one column that is known in every row.

    Raises:
        InputError: where it is not.
    """
    if target is not None and (target.ndim != 1 or pd.isna(target).any()):
        raise InputError(
            f"Expected one target that is stated in all rows, but got shape {target.shape} with "
            f"{int(pd.isna(target).sum())} values not stated: fit on the rows where it is."
        )
    return target


def two_groups(groups: list[Any], n: int) -> None:
    """Refuses an attribute of one value.

    Raises:
        InputError: it names the value.
    """
    if len(groups) < 2:
        raise InputError(
            f"The attribute is '{groups[0]}' in all {n} rows: expected two groups or more."
        )
