"""What resampled patients do to smECE and xAUC, from scores gathered in histograms.

Neither is a function of a few counts, but both follow from histograms: of label - score for smECE,
of positives and of negatives for xAUC. A sparse matrix (patients, intervals) turns the patients'
counts of all resamples into theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from fairthesis import metrics
from fairthesis.metrics import grid_cell
from fairthesis.stats._resampling import Counts, in_chunks, patient_counts

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Equal intervals of the score in which residuals are gathered for smECE: narrower than its
#: bandwidths.
GRID = 128
RANKS = 256  # intervals of the score for xAUC, each with the same number of cases


def residual_histograms(
    y: Array,
    s: Array,
    patient: Index,
    masks: Sequence[NDArray[np.bool_]],
    n_boot: int,
    seed: int,
    weight: Array | None = None,
) -> NDArray[Any]:
    """Histograms of label - score for the rows of every mask in every resample of patients.

    They are what ``fairthesis.metrics.smooth_error`` and ``smooth_interval`` need.

    Args:
        y: Labels of 0 and 1, shape (n,).
        s: Probabilities, shape (n,).
        patient: Patient of each row, numbered from 0, shape (n,).
        masks: Which rows each group has, each of shape (n,).
        n_boot: Number of resamples.
        seed: Seed of the draws, which are those of ``bootstrap``.
        weight: Weight of each row, shape (n,); 1 if None.

    Returns:
        Sums of label - score in ``GRID`` equal intervals of the score, over the number of cases:
        float32, shape (n_boot, masks, GRID). NaN where a resample holds no row of the mask.

    >>> y, s = np.array([1.0, 0, 0]), np.array([0.75, 0.25, 0.25])
    >>> found = residual_histograms(y, s, np.arange(3), [y >= 0], n_boot=50, seed=0)
    >>> found.shape, sorted({round(float(total), 2) for total in found.sum(axis=-1).ravel()})
    ((50, 1, 128), [-0.25, -0.08, 0.08, 0.25])
    """
    statistic = residual_statistic(y, s, patient, masks, weight)
    n_patients = int(patient.max()) + 1
    return in_chunks(
        lambda draws: statistic(patient_counts(n_patients, draws, seed)),
        n_boot,
        max(n_patients, len(masks) * (GRID + 1)),
    )


def residual_statistic(
    y: Array,
    s: Array,
    patient: Index,
    masks: Sequence[NDArray[np.bool_]],
    weight: Array | None = None,
) -> Callable[[Counts], NDArray[Any]]:
    """``residual_histograms`` as a function of how often each patient was drawn.

    Args:
        y: Labels of 0 and 1, shape (n,).
        s: Probabilities, shape (n,).
        patient: Patient of each row, numbered from 0, shape (n,).
        masks: Which rows each group has, each of shape (n,).
        weight: Weight of each row, shape (n,); 1 if None.

    Returns:
        A function for ``bootstrap``: patient counts (c, patients) give (c, masks, GRID).

    >>> y, s = np.array([1.0, 0]), np.array([0.75, 0.25])
    >>> found = residual_statistic(y, s, np.arange(2), [y >= 0])(np.ones((1, 2), np.float32))
    >>> found.shape, float(found.sum())
    ((1, 1, 128), 0.0)
    """
    places = [np.flatnonzero(mask) for mask in masks]
    rows = np.concatenate(places)
    part = np.repeat(np.arange(len(masks)), [len(place) for place in places])
    width, n_patients = GRID + 1, int(patient.max()) + 1  # the last column counts the cases
    column = np.concatenate([part * width + grid_cell(s[rows], GRID), part * width + GRID])
    w = np.ones(len(rows)) if weight is None else weight[rows]
    values = np.concatenate([w * (y - s)[rows], w]).astype(np.float32)
    matrix = _by_patient(values, np.tile(patient[rows], 2), column, n_patients, len(masks) * width)

    def statistic(counts: Counts) -> NDArray[Any]:
        sums = (counts @ matrix).reshape(len(counts), len(masks), width)
        n, found = sums[..., GRID:], sums[..., :GRID]
        return np.divide(found, n, out=np.full_like(found, np.nan), where=n > 0)

    return statistic


def cross_auroc_statistic(
    y: Array,
    s: Array,
    patient: Index,
    codes: NDArray[np.integer],
    n_groups: int,
    weight: Array | None = None,
) -> Callable[[Counts], Array]:
    """xAUC of every pair of groups, as a function of how often each patient was drawn.

    See ``fairthesis.metrics.cross_auroc``. Scores are gathered in 256 intervals with about equal
    numbers of cases; those of one interval count as ties, and tied scores always share one. The
    error is about 1 % of the replicates' spread.

    Args:
        y: Labels of 0 and 1, shape (n,).
        s: Scores of any range, shape (n,).
        patient: Patient of each row, numbered from 0, shape (n,).
        codes: Group of each row, numbered from 0, -1 where it is not known, shape (n,).
        n_groups: Number of groups.
        weight: Weight of each row, shape (n,); 1 if None.

    Returns:
        A function for ``bootstrap``: patient counts (c, patients) give (c, groups, groups),
        positives of the first group against negatives of the second; NaN where there are none.

    >>> y, s = np.array([0.0, 1, 0, 1]), np.array([0.2, 0.4, 0.6, 0.8])
    >>> codes = np.array([0, 0, 1, 1])
    >>> cross_auroc_statistic(y, s, np.arange(4), codes, 2)(np.ones((1, 4), np.float32)).tolist()
    [[[1.0, 0.0], [1.0, 1.0]]]
    """
    cut = np.unique(np.quantile(s, np.linspace(0, 1, RANKS + 1)[1:-1]))
    cell = np.searchsorted(cut, s, "right")
    n_patients = int(patient.max()) + 1
    histograms = []
    for kind in (y > 0, y <= 0):
        rows = np.flatnonzero(kind & (codes >= 0))
        column = codes[rows].astype(np.intp) * RANKS + cell[rows]
        w = np.ones(len(rows)) if weight is None else weight[rows]
        single = w.astype(np.float32)
        histograms.append(_by_patient(single, patient[rows], column, n_patients, n_groups * RANKS))

    def statistic(counts: Counts) -> Array:
        p, n = (
            (counts @ matrix).reshape(len(counts), n_groups, RANKS).astype(np.float64)
            for matrix in histograms
        )
        below = n.cumsum(-1) - n / 2
        return metrics.ratio(
            p @ below.swapaxes(1, 2), p.sum(-1)[:, :, None] * n.sum(-1)[:, None, :]
        )

    return statistic


def _by_patient(
    values: NDArray[np.float32], patient: Index, column: Index, n_patients: int, width: int
) -> csr_array:
    """Sums of ``values`` by patient and column; equal entries are added."""
    return csr_array((values, (patient, column)), shape=(n_patients, width))
