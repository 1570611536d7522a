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
from fairthesis.stats._group_sums import compact, summed_by_group

Array = NDArray[np.float64]
Index = NDArray[np.intp]
LARGEST = 8_000_000  # numbers in a table of groups and places: 64 MB


@dataclass(frozen=True)
class Side:
    """The cases of one label, and their places among those of the other.

    Attributes:
        units: Numbers of the patients with such cases, by number of cases, then by place.
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
        cut_at, cut_of = compact(np.concatenate([low, high]))
        first, last = cut_of[: len(s)], cut_of[len(s) :]
        ends = None
        place = first
        if (first != last).any():
            pairs, place = np.unique(first * len(cut_at) + last, return_inverse=True)
            ends = np.stack(np.divmod(pairs, len(cut_at)))
        m = np.bincount(unit)
        lowest = np.full(len(m), len(ranked) + len(s) + 1)
        np.minimum.at(lowest, unit, place)
        # Those with a case at the same place side by side: neighbours then read neighbours.
        units = np.lexsort((lowest, m))[np.count_nonzero(m == 0) :]
        rank = np.empty(len(m), np.intp)
        rank[units] = np.arange(len(units))
        placed = place[np.lexsort((place, rank[unit]))]
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
            upto=np.cumsum(np.bincount(cut_at, minlength=len(ranked)))[: len(ranked)],
            cuts=len(cut_at),
            ends=ends,
            centre=float((low + high).mean() / 2 / max(len(ranked), 1)) if len(s) else 0.0,
        )

    def sums(self, own: NDArray[np.integer], k: int, others: Array) -> tuple[Array, Array]:
        """Sums over patients of their placements less the centre, and of the squares of these.

        Args:
            own: Group of each patient, shape (replicates, patients).
            k: Number of groups.
            others: Number of cases of the other label, shape (replicates groups,).

        Returns:
            Both of shape (blocks, replicates groups).
        """
        R, cuts = len(own), self.cuts + 1
        offset = np.arange(R)[:, None]
        at = np.take(own, self.order, axis=1, mode="clip").astype(np.intp)
        at *= cuts
        at += self.upto if R == 1 else self.upto + offset * (k * cuts)
        found = np.bincount(at.ravel(), minlength=R * k * cuts).reshape(R * k, cuts)
        below = np.cumsum(found, axis=1, out=found)
        if self.ends is not None:  # cases of the same score count half
            below = below[:, self.ends[0]] + below[:, self.ends[1]]
        scale = np.where(others > 0, others, 1) * (1 if self.ends is None else 2)
        table = below * (1 / scale[:, None])
        table -= self.centre
        width, flat = table.shape[1], table.ravel()
        group = np.take(own, self.units, axis=1, mode="clip").astype(np.intp)
        group += k * offset
        sums = np.empty((2, len(self.blocks), R * k))
        for block, (m, some) in enumerate(self.blocks):
            groups, place = group[:, some], self.place[block]
            row = groups * width
            summed = np.take(flat, row + place[0], mode="clip")
            for j in range(1, m):
                summed += np.take(flat, row + place[j], mode="clip")
            groups, summed = groups.ravel(), summed.ravel()
            sums[0, block] = np.bincount(groups, summed, R * k)
            summed *= summed
            sums[1, block] = np.bincount(groups, summed, R * k)
        return sums[0], sums[1]


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
    kind: Index  # block of each patient, those of negatives after those of positives

    @classmethod
    def of(cls, positive: NDArray[np.bool_], s: Array, groups: Assignment) -> Placements | None:
        """Of cases with these labels and scores; None where a patient has cases of both."""
        unit = groups.patient
        has = [np.bincount(unit[m], minlength=groups.n_patients) > 0 for m in (positive, ~positive)]
        if (has[0] & has[1]).any():
            return None
        one, other = (s[positive], unit[positive]), (s[~positive], unit[~positive])
        both = Side.of(*one, *other), Side.of(*other, *one)
        kind = np.zeros(groups.n_patients, np.intp)
        where = [side.units[some] for side in both for _, some in side.blocks]
        for block, patients in enumerate(where):
            kind[patients] = block
        return cls(*both, kind)

    def serves(self, n_groups: int) -> bool:
        """Whether the tables of so many groups are small enough."""
        return n_groups * max(self.positives.cuts, self.negatives.cuts) <= LARGEST

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        blocks = [side.blocks for side in (self.positives, self.negatives)]
        # Patients of each group and number of cases.
        n = summed_by_group(groups, None, self.kind, sum(map(len, blocks)), [None])[0]
        width = len(self.positives.order) + len(self.negatives.order)
        tables = groups.n_groups * (self.positives.cuts + self.negatives.cuts)
        found, first = [], 0
        for part in groups.parts(max(width, tables)):
            some = n[first : first + part.replicates].reshape(part.size, -1).T
            found.append(self._values(part, (some[: len(blocks[0])], some[len(blocks[0]) :])))
            first += part.replicates
        return Values.joined(found)

    def _values(self, groups: Assignment, n: tuple[Array, Array]) -> Values:
        """``n`` patients of each of both labels, each of shape (blocks, replicates groups)."""
        own, k = groups.own, groups.n_groups
        assert own is not None
        both = (self.positives, self.negatives)
        m = [np.array([many for many, _ in side.blocks], np.float64)[:, None] for side in both]
        P, N = ((many * of).sum(0) for many, of in zip(m, n, strict=True))
        sums = [side.sums(own, k, other) for side, other in zip(both, (N, P), strict=True)]
        known = (P > 0) & (N > 0)
        beyond = metrics.ratio(sums[0][0].sum(0), P)
        A = np.where(known, self.positives.centre + beyond, np.nan)
        # The influence of m positives is the sum of V - A, of m negatives that of 1 - A - V.
        middle = (self.positives.centre, 1 - self.negatives.centre)
        squares = np.zeros(groups.size)
        for i, (own_cases, sign) in enumerate(((P, 1.0), (N, -1.0))):
            move = m[i] * (middle[i] - np.nan_to_num(A))
            total = sums[i][1] + 2 * sign * move * sums[i][0] + n[i] * move**2
            others = own_cases - m[i]
            over = np.where(others > 0, others, np.inf) ** 2
            squares += (np.maximum(total, 0) / over).sum(0)
        patients = n[0].sum(0), n[1].sum(0)
        some = patients[0] + patients[1]
        variance = squares * np.maximum(some - 1, 0) / np.maximum(some, 1)
        weight = P * N / np.where(P + N > 0, P + N, 1)
        spread = raised((groups.shaped(variance), None), groups.shaped(np.minimum(*patients)))
        return Values(groups.shaped(A), spread[0], groups.shaped(weight))
