"""Calibration errors of groups by their squares, with standard errors over patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.stats._clusters import Assignment, PerPatients, Values
from fairthesis.stats._group_sums import MOST_KINDS, compact, kinds, summed_by_group

Array = NDArray[np.float64]
Index = NDArray[np.intp]


class SquaredCalibrationError:
    """Mean squared difference of observed rate and score over bins, free of sampling noise.

    With D_k the mean of label - score in bin k, v_k its variance over patients and w_k the bin's
    share of cases, the value is sum w_k (D_k^2 - v_k): its mean is 0 under perfect calibration,
    however few or many images a patient has. The variance is
    sum w_k^2 (4 max(D_k^2 - v_k, 0) v_k + 2 v_k^2), that of a squared normal variable. Bins in
    which a group has fewer than two patients are passed over. Groups that share patients count as
    independent.

    Args:
        y: Labels of 0 and 1, shape (n,).
        s: Probabilities, shape (n,).
        weight: Weight of each row, above 0, shape (n,); 1 if None.

    >>> rng = np.random.default_rng(0)
    >>> s = rng.random(4000)
    >>> y = (rng.random(4000) < s) * 1.0
    >>> everyone = np.zeros((1, 4000), int)
    >>> found = SquaredCalibrationError(y, s).values(
    ...     Assignment(everyone, np.arange(4000), 1, everyone)
    ... )
    >>> bool(abs(found.value[0, 0]) < 3 * found.variance[0, 0] ** 0.5)
    True
    """

    wide = True  # takes many replicates at once

    def __init__(self, y: Array, s: Array, weight: Array | None = None) -> None:
        self.weight = np.ones(len(y)) if weight is None else weight
        self.residual, self.bin = (y - s) * self.weight, metrics.bin_index(s)
        self._of = PerPatients(self._cells)

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        if groups.own is None:
            R = groups.replicates
            residual, weight = (np.tile(x, R) for x in (self.residual, self.weight))
            cells = Cells.of(groups.cell, np.tile(self.bin, R), residual, weight)
            return self._found(groups, self._each(cells, groups.cell_group[None], groups.size))
        cells = self._of.of(groups)
        if cells.kind is None:
            found = []
            for part in groups.parts(len(cells.n)):
                group = part.cell_group.reshape(part.replicates, -1)
                found.append(self._found(part, self._each(cells, group, part.size)))
            return Values.joined(found)
        return self._found(groups, self._by_kind(cells, groups))

    def _cells(self, groups: Assignment) -> Cells:
        return Cells.of(groups.patient, self.bin, self.residual, self.weight).by_kind()

    @staticmethod
    def _each(cells: Cells, group: Index, size: int) -> list[Array]:
        """Sums over the cells of each group and bin, shape (groups, bins).

        ``group`` has the group of each patient, shape (replicates, patients).
        """
        n_bins = metrics.N_BINS
        at = (group[:, cells.patient] * n_bins + cells.bin).ravel()
        n, R = (np.tile(x, len(group)) for x in (cells.n, cells.residual))
        return [
            np.asarray(np.bincount(at, x, size * n_bins), np.float64).reshape(-1, n_bins)
            for x in (n, R, R**2, R * n, n**2, np.ones(len(n)))
        ]

    @staticmethod
    def _by_kind(cells: Cells, groups: Assignment) -> list[Array]:
        """The same where few numbers of rows occur: sums by bin and number, times the number."""
        assert cells.kind is not None
        n_bins, rows = metrics.N_BINS, cells.rows
        columns = [None, cells.residual, cells.squares]
        of_kinds = summed_by_group(groups, cells.patient, cells.kind, len(rows) * n_bins, columns)
        M, R, RR = (x.reshape(groups.size, len(rows), n_bins) for x in of_kinds)
        return [
            np.einsum("gkb,k->gb", x, power)
            for x, power in (
                *((M, rows), (R, rows**0), (RR, rows**0), (R, rows), (M, rows**2), (M, rows**0)),
            )
        ]

    @staticmethod
    def _found(groups: Assignment, sums: list[Array]) -> Values:
        N, R, RR, RN, NN, M = sums
        cases = np.where(N > 0, N, 1)
        D = R / cases
        v = np.maximum(RR - 2 * D * RN + D**2 * NN, 0) / cases**2
        v *= M / np.maximum(M - 1, 1)
        w = np.where(M > 1, N, 0.0)
        total = w.sum(1)
        w /= np.where(total > 0, total, 1)[:, None]
        value = np.where(total > 0, (w * (D**2 - v)).sum(1), np.nan)
        variance = (w**2 * (4 * np.maximum(D**2 - v, 0) * v + 2 * v**2)).sum(1)
        return Values(groups.shaped(value), groups.shaped(variance), groups.shaped(total))


@dataclass(frozen=True)
class Cells:
    """Patients' rows in each bin: their number (or weight) and their sum of label - score.

    Attributes:
        patient: Patient of each cell, in rising order; in several replicates, the patient's cell.
        bin: Its bin.
        residual: Sum of label - score.
        n: Number of rows, or the sum of their weights.
        kind: Which of ``rows`` and which bin the cell has, ``which * bins + bin``; None where there
            are too many, or nobody has looked.
        rows: The different values of ``n``.
        squares: There, ``residual`` squared.

    >>> two = Cells.of(*map(np.array, ([0, 0, 1], [3, 3, 3], [0.5, -0.25, 0.5], [1.0, 1, 1])))
    >>> two.patient.tolist(), two.residual.tolist(), two.n.tolist()
    ([0, 1], [0.25, 0.5], [2.0, 1.0])
    """

    patient: Index
    bin: Index
    residual: Array
    n: Array
    kind: Index | None
    rows: Array
    squares: Array | None = None

    @classmethod
    def of(cls, cell: Index, bins: Index, residual: Array, weight: Array) -> Cells:
        """Of rows with these values, shape (n,)."""
        at, place = compact(cell * metrics.N_BINS + bins)
        sums, n = (np.asarray(np.bincount(place, x), np.float64) for x in (residual, weight))
        return cls(at // metrics.N_BINS, at % metrics.N_BINS, sums, n, None, np.empty(0))

    def by_kind(self) -> Cells:
        """The same with ``kind`` and ``rows``, where these are few."""
        rows, which = kinds(self.n)
        if len(rows) > max(1, min(MOST_KINDS, len(self.n) // 8) // 4):
            return self
        kind = which * metrics.N_BINS + self.bin
        return Cells(self.patient, self.bin, self.residual, self.n, kind, rows, self.residual**2)
