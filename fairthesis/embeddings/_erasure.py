"""Erasing an attribute from an embedding: an affine map that is fitted once and applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis.embeddings._erasers import Leace
from fairthesis.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LeaceEraser:
    """x -> x - P (x - mean): an affine map, fitted once and applied to any rows.

    Args:
        mean: of the fitting rows, shape (d,).
        projection: P, shape (d, d); from ``fit_leace`` of rank at most the number of groups less
            one.

    >>> eraser = LeaceEraser(mean=np.array([1.0, 0.0]), projection=np.diag([1.0, 0.0]))
    >>> eraser([[3.0, 4.0], [5.0, 6.0]]).tolist()  # rows that it has not seen
    [[1.0, 4.0], [1.0, 6.0]]
    """

    mean: Array
    projection: Array

    def __call__(self, embedding: ArrayLike) -> Array:
        """The erased embedding, shape (n, d); NaN stays NaN.

        Raises:
            InputError: for another shape than (n, d).
        """
        x = np.asarray(embedding, np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise InputError(
                f"Expected an embedding of shape (n, {len(self.mean)}), but got {x.shape}."
            )
        return x - (x - self.mean) @ self.projection.T


def fit_leace(embedding: ArrayLike, attribute: ArrayLike) -> LeaceEraser:
    """Least-squares concept erasure (Belrose et al. 2023, "LEACE", theorem 4.3), as a function.

    ``Leace`` is the same as an estimator, with its formula and what it cannot do.

    Args:
        embedding: finite numbers, shape (n, d).
        attribute: the group of each row, shape (n,): numbers or text.

    Raises:
        InputError: for shapes that do not fit, or an attribute with one value.

    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [4.0, 1.0], [5.0, 0.0]])
    >>> erased = fit_leace(x, [0, 0, 1, 1])(x)
    >>> bool(np.allclose(erased[:2].mean(0), erased[2:].mean(0)))
    True
    """
    x, a = np.asarray(embedding, np.float64), np.asarray(attribute)
    if x.ndim != 2 or len(x) != len(a):
        raise InputError(
            f"Expected an embedding of shape (n, d) and n attribute values, but got {x.shape} and "
            f"{a.shape}."
        )
    fitted = Leace().fit(x, a)
    return LeaceEraser(fitted.mean_, fitted.projection_)
