"""Erasers of group means: LEACE, SPLINCE and the projection of mean differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis.embeddings._eraser import Eraser, stated, two_groups, valid_fit
from fairthesis.embeddings._moments import Moments, merged, moments
from fairthesis.embeddings._projections import Array, Whitening, keeping, least_change, whitening
from fairthesis.errors import InputError, unknown

ROUNDING = 1e-6  # of the embedding's spread: embeddings are stored with 24 bits


class Leace(Eraser):
    """Least-squares concept erasure: the least change after which no linear probe succeeds.

    r(x) = x - W⁺ Π W (x - E x), with W = Cov(X)^(-1/2) (pseudo-inverse) and Π the orthogonal
    projection onto the columns of W Cov(X, Z), Z the one-hot attribute. On the fitting rows the
    groups then have one mean, so no linear probe does better than a constant one; and no other
    affine map with that property moves the embedding less in squares. Curved probes may still
    recover the attribute. On new rows the means differ again by what chance did to the fitting
    rows, and much more so where rows are few for the width: ``measure_erasure`` says how much.

    Args:
        given_target: make the means one within each class of the target, so that what the target
            alone explains of the attribute stays. ``fit`` then needs ``target``.
        shrinkage: None, the covariance of W as it is; a share from 0 to 1 of it that is replaced by
            the sphere of the same size; or ``auto``, by oracle approximating shrinkage (Chen et
            al. 2010). The means stay one; the change is no longer the least on the fitting rows.
        directions: None, all; or how many of the directions of largest variance are kept. The
            others are made constant: fewer numbers, less to overfit, and what they held is lost.

    ``fit(X, y, target=None)``: X (n, d) finite, y the group of each row (n,), ``target`` a class
    of each row (n,). ``partial_fit`` takes rows in pieces, one pass, with the result of all rows
    at once but for rounding. ``transform(X)`` needs no group.

    Raises:
        InputError: for shapes that do not fit, numbers that are not finite, one group, an option
            out of range, or ``given_target`` without a target.

    Reference: Belrose et al., NeurIPS 2023, theorem 4.3.

    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [4.0, 1.0], [5.0, 0.0]])
    >>> eraser = Leace().fit(x, ["f", "f", "m", "m"])
    >>> erased = eraser.transform(x)
    >>> bool(np.allclose(erased[:2].mean(0), erased[2:].mean(0))), eraser.rank_
    (True, 1)
    >>> pieces = Leace().partial_fit(x[::2], ["f", "m"]).partial_fit(x[1::2], ["f", "m"])
    >>> bool(np.allclose(pieces.transform(x), erased))
    True
    """

    moments_: Moments

    def __init__(
        self,
        *,
        given_target: bool = False,
        shrinkage: float | str | None = None,
        directions: int | None = None,
    ):
        self.given_target = given_target
        self.shrinkage = shrinkage
        self.directions = directions

    def fit(self, X: ArrayLike, y: ArrayLike, target: ArrayLike | None = None) -> Leace:
        """Fit on these rows alone; see the class."""
        self._take(X, y, target, reset=True)
        self._ready()
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, target: ArrayLike | None = None) -> Leace:
        """Add rows to those that were fitted before."""
        self._take(X, y, target, reset=not hasattr(self, "moments_"))
        return self

    def _take(self, X: ArrayLike, y: ArrayLike, target: ArrayLike | None, *, reset: bool) -> None:
        x, a, t = valid_fit(self, X, y, target, reset=reset)
        check_options(self.shrinkage, self.directions, x.shape[1])
        new = moments(x, a, self._cells(t))
        self.moments_ = new if reset else merged(self.moments_, new)
        self.groups_ = self.moments_.groups
        self.__dict__.pop("projection_", None)  # of fewer rows

    def set_moments(self, values: dict[str, Any]) -> None:
        """Take up running moments that were saved, so that ``partial_fit`` goes on from them."""
        self.moments_ = Moments(**values)

    def _cells(self, target: NDArray[Any] | None) -> NDArray[Any] | None:
        """The classes that the moments are told apart by, beside the groups."""
        return stated(needed(target)) if self.given_target else None

    def _ready(self) -> None:
        if hasattr(self, "projection_"):
            return
        seen = self.moments_
        two_groups(seen.groups, seen.n)
        white, self.shrinkage_ = whitening(seen.covariance, seen.n, self.shrinkage, self.directions)
        projection, rank = self._projection(white, seen)
        if self.directions is not None:
            projection = projection + np.eye(len(seen.mean)) - white.axes @ white.axes.T
            rank += len(seen.mean) - white.axes.shape[1]
        self._set(seen.mean, projection, rank, seen.covariance)

    def _projection(self, white: Whitening, seen: Moments) -> tuple[Array, int]:
        columns = seen.within_targets() if self.given_target else seen.with_groups()
        return least_change(white, columns)


class Splince(Leace):
    """LEACE that leaves the embedding's covariance with the target exactly as it is.

    r(x) = x - P (x - E x), P the oblique projection that sends Cov(X, Z), Z the one-hot attribute,
    to 0, leaves Cov(X, Y), Y the one-hot target, alone, and among those moves the embedding least
    in squares after whitening. It moves more than LEACE does: where attribute and target lie close
    together, much more (``kept_variance_`` may rise above 1). A head that is fitted anew without a
    penalty predicts alike after both; a head that is kept, or fitted with a penalty, does not.

    Args:
        shrinkage: as of ``Leace``.
        directions: as of ``Leace``; the covariance is then kept within these directions.

    ``fit(X, y, target=None)`` as of ``Leace``; without a target there is nothing to keep, and it
    is LEACE.

    Raises:
        InputError: as of ``Leace``, and where attribute and target lie in one direction.

    Reference: Holstege, Ravfogel and Wouters, NeurIPS 2025 (theorem 1).

    >>> rng = np.random.default_rng(0)
    >>> sex, y = rng.integers(0, 2, 200), rng.integers(0, 2, 200)
    >>> x = rng.normal(size=(200, 3)) + np.c_[sex, sex + y, 0 * y]
    >>> erased = Splince().fit(x, sex, target=y).transform(x)
    >>> with_target = lambda x: (x - x.mean(0)).T @ (y - y.mean()) / 200
    >>> bool(np.allclose(with_target(erased), with_target(x)))
    True
    >>> bool(np.allclose(erased[sex == 0].mean(0), erased[sex == 1].mean(0)))
    True
    """

    def __init__(self, *, shrinkage: float | str | None = None, directions: int | None = None):
        super().__init__(shrinkage=shrinkage, directions=directions)

    @property
    def uses_target(self) -> bool:
        """Whether what is fitted depends on a target."""
        return True

    def _cells(self, target: NDArray[Any] | None) -> NDArray[Any] | None:
        return stated(target)

    def _projection(self, white: Whitening, seen: Moments) -> tuple[Array, int]:
        return keeping(white, seen.with_groups(), seen.with_targets())


class MeanDifferences(Eraser):
    """The orthogonal projection off the directions in which the groups' means differ.

    r(x) = x - Q Q' (x - E x), Q an orthonormal basis of the differences of ``mean_differences``. It
    is the simplest eraser, and the one that overfits least: no covariance is estimated. It moves
    the embedding more than LEACE needs to.

    Args:
        given_target: differences within each class of each target, so that those which come from
            the target alone stay. ``fit`` then needs ``target``, shape (n,) or (n, targets) of 0
            and 1, NaN where not stated.

    ``fit(X, y, target=None)``: X (n, d) finite, y the group of each row (n,).

    Raises:
        InputError: as of ``Leace``.

    Reference: Bolukbasi et al., NeurIPS 2016.

    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [4.0, 1.0], [5.0, 0.0]])
    >>> MeanDifferences().fit(x, ["f", "f", "m", "m"]).transform(x).tolist()
    [[2.5, 1.0], [2.5, 0.0], [2.5, 1.0], [2.5, 0.0]]
    """

    def __init__(self, *, given_target: bool = False):
        self.given_target = given_target

    def fit(self, X: ArrayLike, y: ArrayLike, target: ArrayLike | None = None) -> MeanDifferences:
        """Fit on these rows; see the class."""
        x, group, t = valid_fit(self, X, y, target)
        self.groups_ = np.unique(group).tolist()
        two_groups(self.groups_, len(x))
        classes = needed(t) if self.given_target else np.zeros(len(x))
        directions = mean_differences(x, group, classes.reshape(len(x), -1))
        _, size, axes = np.linalg.svd(directions, full_matrices=False)
        basis = axes[size > ROUNDING * x.std()]
        centred = x - x.mean(0)
        self._set(x.mean(0), basis.T @ basis, len(basis), centred.T @ centred / len(x))
        return self


def mean_differences(z: ArrayLike, group: ArrayLike, y_true: ArrayLike) -> Array:
    """Group mean less class mean, for every class of every target, shape (directions, d).

    Args:
        z: the embedding, shape (n, d).
        group: of each row, shape (n,); none is None.
        y_true: 0, 1 or NaN (in no class), shape (n, targets).

    >>> z = np.array([[0.0, 1.0], [2.0, 1.0], [5.0, 5.0]])
    >>> group, y = np.array(["f", "m", "f"], object), np.array([[0.0], [0.0], [1.0]])
    >>> mean_differences(z, group, y).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    z, group, y_true = np.asarray(z), np.asarray(group), np.asarray(y_true)
    found = []
    for y in y_true.T:
        for c in (0, 1):
            inside = y == c
            if inside.any():
                middle = z[inside].mean(0)
                for value in sorted(set(group[inside])):
                    found.append(z[inside & (group == value)].mean(0) - middle)
    return np.array(found).reshape(-1, z.shape[1])


def needed(target: NDArray[Any] | None) -> NDArray[Any]:
    """The target that an eraser given it cannot do without.

    Raises:
        InputError: where there is none.
    """
    if target is None:
        raise InputError("given_target is True, but no target is given: fit with target=...")
    return target


def check_options(shrinkage: float | str | None, directions: int | None, width: int) -> None:
    """Refuses options out of range.

    Raises:
        InputError: it names the value.
    """
    if isinstance(shrinkage, str) and shrinkage != "auto":
        raise unknown("shrinkage", shrinkage, ["auto"], "Or a number from 0 to 1.")
    if isinstance(shrinkage, int | float) and not 0 <= shrinkage <= 1:
        raise InputError(f"shrinkage is {shrinkage:g}: expected auto, or a number from 0 to 1.")
    if directions is not None and not 1 <= directions <= width:
        raise InputError(
            f"directions is {directions}: expected a whole number from 1 to the width, {width}."
        )
