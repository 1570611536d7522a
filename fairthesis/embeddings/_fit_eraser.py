"""Erasers fitted on rows that need not fit into memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fairthesis.data import Vectors
from fairthesis.embeddings._eraser import Array

PART = 65_536  # rows that are held at a time


def fit_eraser(
    eraser: Any,
    X: ArrayLike | Vectors,
    attribute: ArrayLike,
    rows: ArrayLike | None = None,
    *,
    target: ArrayLike | None = None,
) -> Any:
    """Fit an eraser on some rows, which are read part by part where they lie on disk.

    Args:
        eraser: of ``ERASERS``; one without ``partial_fit`` holds all of the rows.
        X: the embedding, shape (n, d), or ``data.Vectors``.
        attribute: the group of each row, shape (n,).
        rows: the places of those to fit on; all by default.
        target: as of the eraser's ``fit``, shape (n,); for one that takes it.

    Returns:
        The eraser itself.

    Raises:
        InputError: as of the eraser.

    >>> from fairthesis.data import Vectors
    >>> from fairthesis.embeddings import Leace
    >>> x = np.array([[0, 1], [1, 0], [4, 1], [5, 0]], np.float32)
    >>> kept = Vectors(x, np.arange(4), "")
    >>> fit_eraser(Leace(), kept, ["f", "f", "m", "m"]).transform(x)[:, 0].round(6).tolist()
    [2.0, 3.0, 2.0, 3.0]
    """
    x, a = rows_of(X), np.asarray(attribute)
    own = np.arange(len(a)) if rows is None else np.asarray(rows)
    y = None if target is None else np.asarray(target)
    if isinstance(x, np.ndarray) or not hasattr(eraser, "partial_fit"):
        given = {} if y is None else {"target": y[own]}
        return eraser.fit(np.asarray(x[own], np.float64), a[own], **given)
    eraser.__dict__.pop("moments_", None)
    for start in range(0, len(own), PART):
        part = own[start : start + PART]
        given = {} if y is None else {"target": y[part]}
        eraser.partial_fit(np.asarray(x[part], np.float64), a[part], **given)
    eraser.transform(np.asarray(x[own[:1]], np.float64))  # so that it is refused here if at all
    return eraser


def rows_of(x: Any) -> Array | Vectors:
    """Rows in float64, or on disk as they are."""
    return x if isinstance(x, Vectors) else np.asarray(x, np.float64)
