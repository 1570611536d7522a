"""Metrics that are a function of sums over rows: a mean, RMSE, R², quadratic kappa."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fairthesis.stats._clusters import Assignment, Values
from fairthesis.stats._resampling import Counts

Array = NDArray[np.float64]
Index = NDArray[np.intp]


class FunctionOfSums:
    """A function of sums over rows, with its jackknife over patients.

    With S the sums of a group's rows and s those of a patient, the influence of the patient is
    f(S) - f(S - s), what leaving them out changes. For a ratio of two sums it is that of
    ``RatioOfSums``.

    Args:
        columns: What is summed, shape (n, columns); the first column is 1 where a row counts, and
            0 where not.
        function: Sums of shape (..., columns) to values of shape (...); NaN where not defined.

    >>> error = np.array([1.0, -1, 3, 5])
    >>> rmse = FunctionOfSums(
    ...     np.stack([np.ones(4), error**2], axis=1), lambda s: np.sqrt(s[..., 1] / s[..., 0])
    ... )
    >>> sex = np.array([[0, 0, 1, 1]])
    >>> rmse.values(Assignment(sex, np.arange(4), 2, sex)).value.round(3).tolist()
    [[1.0, 4.123]]
    """

    def __init__(self, columns: Array, function: Callable[[Array], Array]) -> None:
        self.columns, self.function = columns, function
        self._sums: tuple[Index, Array] | None = None

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        cells, at = self._of_cells(groups), groups.cell_group
        total = np.stack([groups.by_group(column) for column in cells.T], axis=-1)
        n = groups.by_group(cells[:, 0] > 0)
        value = self._value(total)
        change = np.nan_to_num(value[at] - self._value(total[at] - cells))
        variance, covariance = groups.spread(np.where(cells[:, 0] > 0, change, 0.0), n)
        return Values(groups.shaped(value), variance, groups.shaped(total[:, 0]), covariance)

    def _value(self, sums: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            found = self.function(sums)
        return np.where((sums[..., 0] > 0) & np.isfinite(found), found, np.nan)

    def _of_cells(self, groups: Assignment) -> Array:
        """Sums of every cell's rows, shape (cells, columns)."""
        if groups.own is None:
            return _summed(
                np.tile(self.columns, (groups.replicates, 1)), groups.cell, len(groups.cell_group)
            )
        # The same for every permutation of the same patients.
        if self._sums is None or self._sums[0] is not groups.patient:
            of_patients = _summed(self.columns, groups.patient, groups.n_patients)
            self._sums = (groups.patient, of_patients)
        return np.tile(self._sums[1], (groups.replicates, 1))

    def resampled(self, patient: Index, rows: Index, n_patients: int) -> Callable[[Counts], Array]:
        """The value of ``rows`` under patient counts, (c, n_patients) to (c,).

        Args:
            patient: Patient of each row, numbered from 0, shape (n,).
            rows: Places of the rows that count.
            n_patients: Number of patients.
        """
        sums = _summed(self.columns[rows], patient[rows], n_patients)
        return lambda counts: self._value(counts.astype(np.float64) @ sums)


def _summed(columns: Array, at: Index, size: int) -> Array:
    return np.stack([np.bincount(at, column, size) for column in columns.T], axis=-1)
