"""A metric given as a function of labels and scores: its replicates.

The sums of ``Resampled`` give the metrics that are built in fast. A function that needs the rows
themselves is called once for every resample, on rows that are repeated as often as their patient
was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fairthesis.stats._resampling import (
    Counts,
    bootstrap,
    jackknife,
)

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Metric = Callable[..., float]  # of labels, scores and, where rows have them, weights


def value_of(function: Metric, y: Array, s: Array, weight: Array | None = None) -> float:
    """``function(y, s)`` as a float, NaN where it is not defined.

    Args:
        function: A metric of labels (0 and 1, int64) and scores.
        y: Labels as numbers, shape (n,).
        s: Scores, shape (n,).
        weight: Where given, passed as ``weight``, shape (n,).

    Returns:
        The value; NaN without rows, and where the function raises ``ValueError`` (of one class,
        say) or ``ZeroDivisionError``. Other errors are not caught.

    >>> precision = lambda y, s: y[s >= 0.5].sum() / len(y[s >= 0.5])
    >>> value_of(precision, np.array([0.0, 1.0]), np.array([0.2, 0.7]))
    1.0
    >>> value_of(lambda y, s: 1 / 0, np.array([1.0]), np.array([0.7]))
    nan
    """
    if not len(y):
        return float("nan")
    try:
        own = {} if weight is None else {"weight": weight}
        return float(function(y.astype(np.int64), s, **own))
    except (ValueError, ZeroDivisionError):
        return float("nan")


def _values(
    functions: Sequence[Metric],
    y: Array,
    s: Array,
    patient: Index,
    masks: Sequence[NDArray[np.bool_]],
    weight: Array | None,
) -> Callable[[Counts], Array]:
    parts = [np.flatnonzero(mask) for mask in masks]

    def statistic(counts: Counts) -> Array:
        found = np.empty((len(counts), len(parts), len(functions)))
        for k, times in enumerate(counts):
            for j, rows in enumerate(parts):
                drawn = np.repeat(rows, times[patient[rows]].astype(np.intp))
                w = None if weight is None else weight[drawn]
                found[k, j] = [value_of(f, y[drawn], s[drawn], w) for f in functions]
        return found

    return statistic


def bootstrap_functions(
    functions: Sequence[Metric],
    y: Array,
    s: Array,
    patient: Index,
    masks: Sequence[NDArray[np.bool_]],
    n_boot: int,
    seed: int,
    weight: Array | None = None,
) -> Array:
    """Values of ``functions`` for the rows of every mask in every resample of patients.

    The draws are those of ``bootstrap``: the same seed gives the same patients, so the values are
    paired over masks, functions and calls.

    Args:
        functions: Metrics of labels and scores; see ``value_of``.
        y: Labels of 0 and 1, shape (n,).
        s: Scores, shape (n,).
        patient: Patient of each row, numbered from 0 (``patient_index``), shape (n,).
        masks: Which rows each group has, each of shape (n,).
        n_boot: Number of resamples.
        seed: Seed of the draws.
        weight: Weight of each row, shape (n,), of which the functions are then as well.

    Returns:
        Shape (n_boot, masks, functions); NaN where a function is not defined.

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9])
    >>> mean = lambda y, s: s.mean()
    >>> found = bootstrap_functions([mean], y, s, np.arange(3), [y > 0], n_boot=100, seed=0)
    >>> found.shape, float(np.nanmin(found).round(2)), float(np.nanmax(found).round(2))
    ((100, 1, 1), 0.4, 0.9)
    """
    statistic = _values(functions, y, s, patient, masks, weight)
    return bootstrap(statistic, _count(patient), n_boot, seed)


def jackknife_functions(
    functions: Sequence[Metric],
    y: Array,
    s: Array,
    patient: Index,
    masks: Sequence[NDArray[np.bool_]],
    seed: int,
    weight: Array | None = None,
) -> Array:
    """Values of ``functions`` for the rows of every mask, each block of patients left out in turn.

    Args:
        functions: Metrics of labels and scores; see ``value_of``.
        y: Labels of 0 and 1, shape (n,).
        s: Scores, shape (n,).
        patient: Patient of each row, numbered from 0, shape (n,).
        masks: Which rows each group has, each of shape (n,).
        seed: Seed of the blocks; see ``jackknife``.
        weight: Weight of each row, as for ``bootstrap_functions``.

    Returns:
        Shape (blocks, masks, functions); NaN where a function is not defined.

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.25, 0.5, 1.0])
    >>> found = jackknife_functions([lambda y, s: s.sum()], y, s, np.arange(3), [y >= 0], seed=0)
    >>> sorted(found.ravel().tolist())
    [0.75, 1.25, 1.5]
    """
    return jackknife(_values(functions, y, s, patient, masks, weight), _count(patient), seed)


def _count(patient: Index) -> int:
    return int(patient.max()) + 1
