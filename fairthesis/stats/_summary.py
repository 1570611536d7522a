"""What a metric is computed from, in resamples as in permutations."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Summary(Protocol):
    """What a metric is computed from, in resamples as in permutations.

    Every array has a value per resample of one group (``Resampled``), or per group of one
    permutation (in ``permuted_groups``). A metric that is a function of a summary works for both.

    >>> from fairthesis import metrics
    >>> from fairthesis.stats import permuted_groups, prepare
    >>> y, s = np.array([0.0, 1, 0, 1]), np.array([0.1, 0.6, 0.7, 0.8])
    >>> def sensitivity(summary: Summary) -> Array:
    ...     tp, _, _, fn = summary.confusion
    ...     return metrics.ratio(tp, tp + fn)
    >>> group = prepare(y, s, np.arange(4), threshold=0.7)
    >>> sensitivity(group.resampled(np.ones((1, 4), np.float32))).tolist()
    [0.5]
    >>> sex = np.array([0, 0, 1, 1], np.uint8)
    >>> options = {"threshold": 0.7, "n_permutations": 3, "seed": 0, "stream": "sex"}
    >>> permuted_groups(
    ...     y, s, np.arange(4), sex, statistics={"tpr": sensitivity}, **options
    ... )["tpr"].shape
    (3, 2)
    """

    @property
    def noise(self) -> float:
        """How often the sampling noise is in the sums (``metrics.ece_debiased_from_bins``)."""

    @property
    def confusion(self) -> tuple[Array, Array, Array, Array]:
        """True and false positives, true and false negatives at the threshold."""

    @property
    def auroc(self) -> Array:
        """Area under the ROC curve; NaN where a class is missing."""

    @property
    def brier(self) -> Array:
        """Mean of (score - label) squared."""

    @property
    def bins(self) -> tuple[Array, Array, Array]:
        """Cases, sum of scores and positives of each calibration bin, shape (..., bins)."""
