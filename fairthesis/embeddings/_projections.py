"""The projections behind the erasers, as functions of covariances.

Each gives P of x -> x - P (x - mean), shape (d, d).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis.errors import InputError

Array = NDArray[np.float64]

FLAT = 1e-12  # of the largest variance: a direction with less holds rounding alone
UNCORRELATED = 1e-9  # correlations: below this they are rounding
TOGETHER = 1e-6  # squared sine of the angle below which two directions are one


@dataclass(frozen=True)
class Whitening:
    """Axes of a covariance (d, r), and the root of the variance along each (r,)."""

    axes: Array
    root: Array

    @property
    def whiten(self) -> Array:
        """W, shape (d, d)."""
        return self.axes / self.root @ self.axes.T

    @property
    def unwhiten(self) -> Array:
        """The pseudo-inverse of W, shape (d, d)."""
        return self.axes * self.root @ self.axes.T


def oas(covariance: Array, n: int) -> float:
    """The share by which a covariance of n rows is shrunk towards the sphere, 0 to 1.

    Oracle approximating shrinkage (Chen, Wiesel, Eldar and Hero 2010). Unlike Ledoit and Wolf's it
    needs the covariance alone, so that rows may come in pieces.
    """
    d = len(covariance)
    squares, mu = float((covariance**2).mean()), float(np.trace(covariance) / d)
    below = (n + 1) * (squares - mu**2 / d)
    return 1.0 if below <= 0 else min(1.0, (squares + mu**2) / below)


def whitening(
    covariance: Array, n: int, shrinkage: float | str | None = None, directions: int | None = None
) -> tuple[Whitening, float]:
    """Axes and roots of the covariance that is left after shrinking, and the share it was shrunk.

    ``directions`` keeps the axes of largest variance. Without shrinkage axes without variance are
    left out, as the pseudo-inverse does.
    """
    size, axes = np.linalg.eigh(covariance)
    kept = size > FLAT * size.max()
    if directions is not None:
        kept &= np.arange(len(size)) >= len(size) - directions
    share = oas(covariance, n) if shrinkage == "auto" else float(shrinkage or 0)
    if share > 0:
        size = (1 - share) * size + share * size.mean()
    return Whitening(axes[:, kept], np.sqrt(size[kept])), share


def least_change(white: Whitening, columns: Array) -> tuple[Array, int]:
    """LEACE's P and its rank: the least change that sends ``columns`` (d, k) to 0.

    P = W⁺ Π W, Π the orthogonal projection onto the columns of W · ``columns``.
    """
    left = _basis(white, columns)
    return white.unwhiten @ left @ left.T @ white.whiten, left.shape[1]


def keeping(white: Whitening, columns: Array, kept: Array) -> tuple[Array, int]:
    """SPLINCE's P: the least change that sends ``columns`` to 0 and leaves ``kept`` as it is.

    P = W⁺ A (B'A)⁻¹ B' W with A a basis of W · ``columns`` and B its part orthogonal to W ·
    ``kept``: the complement of the paper's W⁺ V (U'V)⁻¹ U' W.

    Raises:
        InputError: where a combination of the first is one of the second.
    """
    a, y = _basis(white, columns), _basis(white, kept)
    b = a - y @ (y.T @ a)
    between = b.T @ a
    if a.shape[1] and np.linalg.eigvalsh(between)[0] < TOGETHER:
        raise InputError(
            "The target and the attribute lie in one direction of the embedding: what is taken "
            "from one is taken from the other. Use leace, or leace given the target."
        )
    inside = a @ np.linalg.solve(between, b.T) if a.shape[1] else np.zeros((len(a), len(a)))
    return white.unwhiten @ inside @ white.whiten, a.shape[1]


def _basis(white: Whitening, columns: Array) -> Array:
    left, strength, _ = np.linalg.svd(white.whiten @ columns, full_matrices=False)
    return left[:, strength > UNCORRELATED]


def kept_share(covariance: Array, projection: Array) -> float:
    """The variance after erasure as a share of that before, 0 or more (oblique: also above 1)."""
    rest = np.eye(len(covariance)) - projection
    total = np.trace(covariance)
    return float(np.sum((rest @ covariance) * rest) / total) if total > 0 else 0.0
