"""AUROC from pairs within strata: cases and controls of one fold, or one site, are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis.stats._resampling import Counts

Array = NDArray[np.float64]


class StratifiedPairs:
    """Concordant pairs over all pairs of a case and a control of the same stratum.

    ``sum_f conc_f / sum_f pairs_f``: the mean of the strata's AUROC, weighted by their pairs. A
    stratum without a pair adds nothing, and scores of two strata, which may be of two models and
    not on one scale, are never compared. This is the covariate-adjusted AUROC of Janes and Pepe
    (2009, Biometrika 96) with weights by pairs; for folds it is the averaging of Airola et al.
    (2011, Comput. Stat. Data Anal. 55) and LeDell, Petersen and van der Laan (2015, Electron. J.
    Stat. 9) in the place of pooled scores, which Forman and Scholz (2010, SIGKDD Explor. 12) and
    Airola et al. show to be biased.

    Args:
        y: Labels 0 and 1, shape (n,).
        s: Scores, shape (n,).
        stratum: Any integers, shape (n,).
        patient: Place of each case's patient in the counts, shape (n,).

    >>> y, s = np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.3, 0.2])
    >>> within = StratifiedPairs(y, s, np.array([0, 0, 1, 1]), np.arange(4))
    >>> within(np.ones((1, 4), np.float32)), within.pairs  # of the pooled ones, 3 of 4
    (array([1.]), 2)
    """

    def __init__(self, y: ArrayLike, s: ArrayLike, stratum: ArrayLike, patient: ArrayLike) -> None:
        case, score = np.asarray(y) == 1, np.asarray(s, np.float64)
        which, who = np.asarray(stratum), np.asarray(patient, np.intp)
        self._strata: list[tuple[NDArray[np.intp], ...]] = []
        self.pairs = 0
        for one in np.unique(which):
            rows = np.flatnonzero(which == one)
            rows = rows[np.argsort(score[rows], kind="stable")]
            cases, controls = rows[case[rows]], rows[~case[rows]]
            if not len(cases) or not len(controls):
                continue
            self.pairs += len(cases) * len(controls)
            below, upto = (
                np.searchsorted(score[controls], score[cases], side)
                for side in ("left", "right")
            )  # fmt: skip
            self._strata.append((who[cases], who[controls], below, upto))

    def __call__(self, counts: Counts) -> Array:
        """The value in each resample, shape (c,); NaN where it has no pair."""
        weight = np.asarray(counts, np.float64)
        concordant, pairs = np.zeros(len(weight)), np.zeros(len(weight))
        for cases, controls, below, upto in self._strata:
            w = weight[:, cases]
            sums = np.zeros((len(weight), len(controls) + 1))
            np.cumsum(weight[:, controls], axis=1, out=sums[:, 1:])
            concordant += (w * (sums[:, below] + sums[:, upto])).sum(axis=1) / 2
            pairs += w.sum(axis=1) * sums[:, -1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, concordant / pairs, np.nan)
