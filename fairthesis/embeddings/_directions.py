"""How many directions of an embedding can be kept so that an eraser hides the attribute."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import clone

from fairthesis.data import Vectors
from fairthesis.embeddings._erasure_words import TOLERATED
from fairthesis.embeddings._fit_eraser import rows_of
from fairthesis.embeddings._measured_erasure import measure_erasure
from fairthesis.errors import InputError


@dataclass(frozen=True)
class DirectionsTried:
    """What is left on new patients where an eraser keeps so many directions.

    ``attribute`` is the AUROC of a fresh linear probe after erasure, ``target`` that of a fresh
    head (None without a target).

    >>> DirectionsTried(directions=16, attribute=0.52, target=0.8).directions
    16
    """

    directions: int
    attribute: float
    target: float | None


@dataclass(frozen=True)
class Directions:
    """What ``choose_directions`` found: ``chosen``, and each number that was ``tried``.

    >>> tried = (DirectionsTried(8, 0.51, 0.7), DirectionsTried(16, 0.6, 0.8))
    >>> Directions(8, tried).table()["directions"].tolist()
    [8, 16]
    """

    chosen: int
    tried: tuple[DirectionsTried, ...]

    def table(self) -> pd.DataFrame:
        """``tried`` as a table, one row each."""
        return pd.DataFrame([asdict(one) for one in self.tried])


def choose_directions(
    eraser: Any,
    X: ArrayLike | Vectors,
    attribute: ArrayLike,
    patients: ArrayLike | None = None,
    *,
    target: ArrayLike | None = None,
    tolerated: float = TOLERATED,
    seed: int = 0,
) -> Directions:
    """Choose how many directions of largest variance an eraser keeps, on patients it has not seen.

    Powers of two and the whole width are tried by ``measure_erasure`` with a linear probe. Of
    those at which the attribute's AUROC is ``tolerated`` or less the largest is chosen; where there
    is none, the one that leaves the least. The target is measured, and chooses nothing. What is
    measured afterwards on the same patients is a little too good.

    Args:
        eraser: one of ``ERASERS`` that has the option ``directions``.
        X: as of ``measure_erasure``; so are ``attribute``, ``patients`` and ``target``.
        attribute: the group of each row, shape (n,).
        patients: a key of each row, shape (n,).
        target: 0, 1 or NaN, shape (n,).
        tolerated: an AUROC, 0.5 to 1.
        seed: of the folds.

    Raises:
        InputError: for an eraser without that option, and whatever ``measure_erasure`` refuses.

    >>> rng = np.random.default_rng(0)
    >>> a = rng.integers(0, 2, 600)
    >>> scale = np.r_[np.full(8, 5.0), np.ones(92)]  # the target lies in the first eight
    >>> x = scale * (rng.normal(size=(600, 100)) + 0.4 * a[:, None])
    >>> from fairthesis.embeddings import Leace
    >>> choose_directions(Leace(), x, a).chosen < 100
    True
    """
    x, a = rows_of(X), np.asarray(attribute)
    if "directions" not in eraser.get_params():
        raise InputError(
            f"{type(eraser).__name__} has no option directions: expected leace or splince."
        )
    if not 0.5 <= tolerated <= 1:
        raise InputError(f"tolerated is {tolerated:g}: expected an AUROC from 0.5 to 1.")
    width, least = x.shape[1], len(np.unique(a))
    sizes = [2**k for k in range(12) if least <= 2**k < width] + [width]
    tried = []
    for size in sizes:
        found = measure_erasure(
            clone(eraser).set_params(directions=size if size < width else None),
            *(x, a, patients),
            target=target,
            probes=["logistic"],
            n_boot=0,
            n_shuffles=0,
            seed=seed,
        ).readings
        kept = found[1].after if len(found) > 1 else None
        tried.append(DirectionsTried(size, found[0].after, kept))
    little = [one for one in tried if one.attribute <= tolerated]
    if little:
        best = max(little, key=lambda one: one.directions)
    else:
        best = min(tried, key=lambda one: one.attribute)
    return Directions(best.directions, tuple(tried))
