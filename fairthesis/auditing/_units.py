"""Rows to search through, and the smallest parts of them that move when patients are exchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Rows:
    """Rows by arrays of shape (n,): label, score, call, patient (from 0) and cell."""

    y: Array
    s: Array
    called: NDArray[np.bool_]
    patient: Index
    cell: Index

    def part(self, rows: NDArray[np.bool_]) -> Rows:
        """Some of the rows, their patients numbered anew."""
        patient = np.unique(self.patient[rows], return_inverse=True)[1].reshape(-1)
        return Rows(self.y[rows], self.s[rows], self.called[rows], patient, self.cell[rows])


def label_pattern(y: Array, patient: Index) -> Index:
    """1 for a patient with positive rows only, 2 with negative ones only, 3 with both."""
    n = int(patient.max()) + 1
    positive = np.bincount(patient, y > 0, n) > 0
    negative = np.bincount(patient, y <= 0, n) > 0
    return np.asarray(positive + 2 * negative, np.intp)


def placements(y: Array, s: Array) -> Array:
    """Of each row the share of the other class's rows that it is ranked rightly against."""
    positive = y > 0
    found = np.empty(len(y))
    for mine, other in ((positive, ~positive), (~positive, positive)):
        reference = np.sort(s[other])
        left, right = (np.searchsorted(reference, s[mine], side) for side in ("left", "right"))
        found[mine] = (left + right) / 2 / max(len(reference), 1)
    found[~positive] = 1 - found[~positive]
    return found


class Units:
    """The rows of one class, gathered by patient and cell: the smallest parts that move."""

    def __init__(self, rows: Rows, mine: NDArray[np.bool_], n_cells: int, n_patients: int) -> None:
        key, self.of_row = np.unique(
            rows.patient[mine] * n_cells + rows.cell[mine], return_inverse=True
        )
        self.patient, self.cell = np.divmod(key, n_cells)
        self.count = np.bincount(self.patient, minlength=n_patients)
        self.first = np.cumsum(self.count) - self.count
        self.place = np.arange(len(key)) - self.first[self.patient]
        self.n = np.bincount(self.of_row, minlength=len(key)).astype(np.float64)

    def sums(self, values: Array) -> Array:
        return np.asarray(np.bincount(self.of_row, values, len(self.n)), np.float64)

    def moved(self, donor: Index, turn: Array) -> Index:
        """The cells when each patient has those of a donor, shape (permutations, units).

        Where the donor has several, they are taken in turn from a random one on.
        """
        own = donor[:, self.patient]
        count = self.count[own]
        start = (turn[:, self.patient] * count).astype(np.intp)
        return self.cell[self.first[own] + (self.place + start) % count]


def unit_pairs(first: Units, second: Units) -> tuple[Index, Index]:
    """Every unit of one class with every unit of the other that the same patient has."""
    several = second.count[first.patient]
    left = np.repeat(np.arange(len(first.patient)), several)
    ends = np.cumsum(several)
    right = np.arange(len(left)) - np.repeat(ends - several, several)
    return left, right + np.repeat(second.first[first.patient], several)


def counted(codes: Index, weights: Array, n: int) -> Array:
    """Sums of weights by code, for each row of codes."""
    rows = len(codes)
    flat = (codes + n * np.arange(rows)[:, None]).ravel()
    total = np.bincount(flat, np.broadcast_to(weights, codes.shape).ravel(), rows * n)
    return np.asarray(total, np.float64).reshape(rows, n)
