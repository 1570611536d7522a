"""AUROC of groups of patients by counting, without sorting the cases in every permutation.

Permuting groups moves no score. Where a case stands among all cases of the other label is found
once; a permutation only decides which of these count. So the cases of a group that lie below each
place are running sums of a table (groups, places), in which every case looks up its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.stats._clusters import Assignment, Values, raised

Array = NDArray[np.float64]
Index = NDArray[np.intp]
LARGEST = 8_000_000  # numbers in a table of groups and places: 64 MB


@dataclass(frozen=True)
class Side:
    """The cases of one label, and their places among those of the other.

    Attributes:
        units: Numbers of the patients with such cases, those with the same number of cases in a
            row, fewest first.
        blocks: Number of cases m, and the patients that have it as a slice of ``units``.
        place: Place of each case in the table; of each block an array of shape (m, patients).
        order: Patient of each case of the *other* label, in rising order of score.
        upto: For each of these, the first cut that it lies below.
        cuts: Number of cuts.
        ends: For each place, the cuts before and after cases of the same score, shape (2, places);
            None where no score of one label occurs in the other, and places are cuts.
        centre: Mean placement of all cases.
    """

    units: Index
    blocks: tuple[tuple[int, slice], ...]
    place: tuple[Index, ...]
    order: Index
    upto: Index
    cuts: int
    ends: Index | None
    centre: float

    @classmethod
    def of(cls, s: Array, unit: Index, other: Array, other_unit: Index) -> Side:
        """Of the scores and patients of one label's cases, and of the other's."""
        order = np.argsort(other, kind="stable")
        ranked = other[order]
        low, high = (np.searchsorted(ranked, s, side) for side in ("left", "right"))
        cut_at, cut_of = np.unique(np.concatenate([low, high]), return_inverse=True)
        first, last = cut_of[: len(s)], cut_of[len(s) :]
        ends = None
        place = first
        if (first != last).any():
            pairs, place = np.unique(first * len(cut_at) + last, return_inverse=True)
            ends = np.stack(np.divmod(pairs, len(cut_at)))
        m = np.bincount(unit)
        units = np.argsort(m, kind="stable")
        units = units[np.searchsorted(m[units], 1) :]
        # Cases by number of cases of their patient, then by patient.
        rank = np.empty(len(m), np.intp)
        rank[units] = np.arange(len(units))
        placed = place[np.argsort(rank[unit], kind="stable")]
        blocks: list[tuple[int, slice]] = []
        places, done = [], 0
        for many, patients in zip(*np.unique(m[units], return_counts=True), strict=True):
            start = blocks[-1][1].stop if blocks else 0
            blocks.append((int(many), slice(start, start + int(patients))))
            cases = placed[done : done + many * patients]
            places.append(np.ascontiguousarray(cases.reshape(patients, many).T))
            done += many * patients
        return cls(
            units=units,
            blocks=tuple(blocks),
            place=tuple(places),
            order=other_unit[order],
            upto=np.searchsorted(cut_at, np.arange(len(ranked)), "right"),
            cuts=len(cut_at),
            ends=ends,
            centre=float((low + high).mean() / 2 / max(len(ranked), 1)) if len(s) else 0.0,
        )

    def sums(self, own: NDArray[np.integer], k: int, others: Array) -> tuple[Array, Array, Array]:
        """Patients, sums of placements less the centre, and of their squares.

        Args:
            own: Group of each patient, shape (replicates, patients).
            k: Number of groups.
            others: Number of cases of the other label, shape (replicates groups,).

        Returns:
            Each of shape (blocks, replicates groups).
        """
        R, cuts = len(own), self.cuts
        label = np.take(own, self.order, axis=1, mode="clip")
        at = np.multiply(label, cuts + 1, dtype=np.intp)
        at += self.upto
        offset = np.arange(R)[:, None]
        at += offset * (k * (cuts + 1))
        found = np.bincount(at.ravel(), minlength=R * k * (cuts + 1)).reshape(R * k, cuts + 1)
        below = np.cumsum(found, axis=1)
        if self.ends is not None:  # cases of the same score count half
            below = below[:, self.ends[0]] + below[:, self.ends[1]]
        scale = np.where(others > 0, others, 1) * (1 if self.ends is None else 2)
        table = below / scale[:, None] - self.centre
        width, flat = table.shape[1], table.ravel()
        group = np.take(own, self.units, axis=1, mode="clip") + k * offset
        sums = []
        for (m, some), place in zip(self.blocks, self.place, strict=True):
            groups = group[:, some]
            row = groups * width
            summed = np.take(flat, row + place[0], mode="clip")
            for j in range(1, m):
                summed += np.take(flat, row + place[j], mode="clip")
            which, summed = groups.ravel(), summed.ravel()
            sums.append(
                (
                    np.bincount(which, minlength=R * k),
                    np.bincount(which, summed, R * k),
                    np.bincount(which, summed * summed, R * k),
                )
            )
        many = np.asarray(sums, np.float64).reshape(-1, 3, R * k)
        return many[:, 0], many[:, 1], many[:, 2]


@dataclass(frozen=True)
class Placements:
    """The cases of both labels, where no patient has both; see ``RankedCases`` for the formulas.

    >>> y, s = np.array([0.0, 1, 0, 1]), np.array([0.1, 0.6, 0.7, 0.8])
    >>> sex = Assignment(None, np.arange(4), 2, np.array([[0, 0, 1, 1], [0, 1, 1, 0]]))
    >>> Placements.of(y > 0, s, sex).values(sex).value.tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    """

    positives: Side
    negatives: Side

    @classmethod
    def of(cls, positive: NDArray[np.bool_], s: Array, groups: Assignment) -> Placements | None:
        """Of cases with these labels and scores; None where a patient has cases of both."""
        unit = groups.patient
        has = [np.bincount(unit[m], minlength=groups.n_patients) > 0 for m in (positive, ~positive)]
        if (has[0] & has[1]).any():
            return None
        one, other = (s[positive], unit[positive]), (s[~positive], unit[~positive])
        return cls(Side.of(*one, *other), Side.of(*other, *one))

    def serves(self, n_groups: int) -> bool:
        """Whether the tables of so many groups are small enough."""
        return n_groups * max(self.positives.cuts, self.negatives.cuts) <= LARGEST

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        width = len(self.positives.order) + len(self.negatives.order)
        tables = groups.n_groups * (self.positives.cuts + self.negatives.cuts)
        parts = groups.parts(max(width, tables))
        return Values.joined([self._values(part) for part in parts])

    def _values(self, groups: Assignment) -> Values:
        own, k = groups.own, groups.n_groups
        assert own is not None
        both = (self.positives, self.negatives)
        P, N = (self._cases(side, own, k) for side in both)
        sums = [side.sums(own, k, other) for side, other in zip(both, (N, P), strict=True)]
        known = (P > 0) & (N > 0)
        centre = self.positives.centre
        beyond = metrics.ratio(sums[0][1].sum(0), P)
        A = np.where(known, centre + beyond, np.nan)
        squares = np.zeros(groups.size)
        units = []
        # The influence of m positives is the sum of V - A, of m negatives that of 1 - A - V.
        for side, own_cases, (n, first, second), sign in zip(
            both, (P, N), sums, (1.0, -1.0), strict=True
        ):
            m = np.array([many for many, _ in side.blocks], np.float64)[:, None]
            middle = side.centre if sign > 0 else 1 - side.centre
            move = m * (middle - np.nan_to_num(A))
            total = np.maximum(second + 2 * sign * move * first + n * move**2, 0)
            others = own_cases - m
            squares += (total / np.where(others > 0, others, np.inf) ** 2).sum(0)
            units.append(n.sum(0))
        some = units[0] + units[1]
        variance = squares * np.maximum(some - 1, 0) / np.maximum(some, 1)
        least = groups.shaped(np.minimum(*units))
        weight = P * N / np.where(P + N > 0, P + N, 1)
        spread = raised((groups.shaped(variance), None), least)
        return Values(groups.shaped(A), spread[0], groups.shaped(weight))

    @staticmethod
    def _cases(side: Side, own: NDArray[np.integer], k: int) -> Array:
        """Cases of each group, shape (replicates groups,)."""
        found = np.zeros(len(own) * k)
        offset = k * np.arange(len(own))[:, None]
        for m, some in side.blocks:
            group = np.take(own, side.units[some], axis=1, mode="clip") + offset
            found += m * np.bincount(group.ravel(), minlength=len(found))
        return found
