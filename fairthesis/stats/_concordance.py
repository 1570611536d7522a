"""Harrell's concordance index of groups, in O(n log n) per resample or permutation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.stats._clusters import Assignment, Values
from fairthesis.stats._medians import in_slices
from fairthesis.stats._resampling import Counts

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Index = NDArray[np.intp]


class ConcordantPairs:
    """The share of comparable pairs in which the case with the earlier event has the higher risk.

    A pair is comparable where the earlier time is an event's; at equal times an event comes before
    a censored case, and two events cannot be compared. Equal risks count half (Harrell et al. 1982,
    J. Am. Med. Assoc. 247). With A concordant of B comparable pairs in a group, and a and b those
    that a patient is part of, the influence of the patient is (a - C b) / (B - b). The variance of
    a C of 1 or 0 is at least that of ``RatioOfSums``'s share, among the group's patients.

    Args:
        time: Time of event or censoring, shape (n,).
        event: 1 where the event was seen, 0 where censored, shape (n,).
        risk: Predicted risk, higher for an earlier event, shape (n,).

    >>> pairs = ConcordantPairs(
    ...     np.array([1.0, 2, 3, 4]), np.array([1.0, 1, 0, 1]), np.array([0.9, 0.4, 0.6, 0.1])
    ... )
    >>> everyone = np.zeros((1, 4), int)
    >>> found = pairs.values(Assignment(everyone, np.arange(4), 1, everyone))
    >>> found.value.tolist()  # 4 of 5 pairs: not those of 2 and 3
    [[0.8]]
    """

    def __init__(self, time: Array, event: Array, risk: Array) -> None:
        self.time, self.event, self.risk = time, event > 0, risk

    @cached_property
    def _halvings(self) -> Halvings:
        return Halvings(self.time, self.event, self.risk)

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        R, k, n = groups.replicates, groups.n_groups, len(self.time)
        within = (groups.rows[:, None] == np.arange(k)[:, None]).astype(np.float32)
        found = self._halvings.pairs(within.reshape(R * k, n), backwards=True)
        own = groups.rows[:, None]
        cells = []
        for of_rows in found:
            of_own = np.take_along_axis(of_rows.reshape(R, k, n), own, axis=1).ravel()
            summed = np.bincount(groups.cell, of_own, len(groups.cell_group))
            cells.append(np.asarray(summed, np.float64))
        a, b = cells
        # Each pair is counted with both of its cases.
        A, B = groups.by_group(a) / 2, groups.by_group(b) / 2
        value = metrics.ratio(A, B)
        at = groups.cell_group
        others = B[at] - b
        influence = (a - np.nan_to_num(value)[at] * b) / np.where(others > 0, others, np.inf)
        m = groups.by_group(b > 0)
        variance, covariance = groups.spread(influence, m)
        variance = np.maximum(variance, 0.5 / np.maximum(groups.shaped(m), 1) ** 2)
        if covariance is not None:
            np.einsum("rkk->rk", covariance)[:] = variance
        cases = np.bincount(groups.group, minlength=groups.size)
        weight = groups.shaped(B / np.maximum(cases, 1))
        return Values(groups.shaped(value), variance, weight, covariance)

    def resampled(self, patient: Index, rows: Index, n_patients: int) -> Callable[[Counts], Array]:
        """C of ``rows`` under patient counts; see ``FunctionOfSums.resampled``."""
        some = Halvings(self.time[rows], self.event[rows], self.risk[rows])
        who = patient[rows]

        def indices(counts: Counts) -> Array:
            weight = np.take(counts, who, axis=1)
            sums = [
                np.einsum("rn,rn->r", weight, of_rows, dtype=np.float64)
                for of_rows in some.pairs(weight, backwards=False)
            ]
            return metrics.ratio(*sums)

        return in_slices(indices, len(who))


@dataclass(frozen=True)
class Level:
    """Cases of two halves of every block, in the order of block and risk, and where runs begin.

    ``rows`` are the cases; ``earlier`` is where one is an event of an earlier half, ``later`` where
    it is of a later half. ``block`` and ``tie`` are the first and last place (excluded) of each
    case's block, and of its equals in risk within it, of shape (2, cases).

    >>> [level] = Halvings(np.array([1.0, 2]), np.array([True, True]), np.array([0.5, 0.1])).levels
    >>> level.rows.tolist(), level.earlier.tolist(), level.later.tolist()
    ([1, 0], [False, True], [True, False])
    """

    rows: Index
    earlier: NDArray[np.bool_]
    later: NDArray[np.bool_]
    block: Index
    tie: Index


class Halvings:
    """Cases ordered by time and halved again and again: two of different time part at one level.

    There the one is in the earlier half of a block and the other in the later, and who of the later
    half has the lower risk is counted by a running sum over the block in the order of risk.

    Args:
        time: Time of event or censoring, shape (n,).
        event: Whether the event was seen, shape (n,).
        risk: Predicted risk, shape (n,).

    >>> three = Halvings(np.array([1.0, 2, 3]), np.ones(3, bool), np.array([0.5, 0.6, 0.1]))
    >>> concordant, comparable = three.pairs(np.ones((1, 3), np.float32), backwards=False)
    >>> concordant.tolist(), comparable.tolist()
    ([[1.0, 1.0, 0.0]], [[2.0, 1.0, 0.0]])
    """

    def __init__(self, time: Array, event: NDArray[np.bool_], risk: Array) -> None:
        self.order = np.lexsort((~event, time))
        new = np.diff(time[self.order], prepend=time[:1]) != 0
        new |= np.diff(event[self.order].astype(int), prepend=0) == -1
        new[:1] = False
        self.rank = np.empty(len(time), np.intp)
        self.rank[self.order] = np.cumsum(new)
        self.event = event
        self.levels = list(self._made(risk))
        self.run = _runs(new)

    def _made(self, risk: Array) -> Iterator[Level]:
        for bit in range(int(self.rank.max(initial=0)).bit_length()):
            side, block = self.rank >> bit & 1, self.rank >> (bit + 1)
            kept = np.flatnonzero((side == 1) | self.event)
            rows = kept[np.lexsort((risk[kept], block[kept]))]
            new_block = np.diff(block[rows], prepend=-1) != 0
            new = new_block | (np.diff(risk[rows], prepend=0) != 0)
            later = side[rows] == 1
            yield Level(rows, ~later, later, _runs(new_block), _runs(new))

    def pairs(self, weight: Array32, backwards: bool) -> tuple[Array32, Array32]:
        """Concordant and comparable partners of each case, by weight, each of shape (c, n).

        Args:
            weight: How often each case counts, whole numbers, shape (c, n).
            backwards: Whether partners with an earlier event count too; else those after it alone,
                so that each pair is counted once.
        """
        concordant, comparable = np.zeros_like(weight), np.empty_like(weight)
        for level in self.levels:
            rows = level.rows
            w = _at(weight, rows)
            beyond = _running(w * level.later)
            tie, block = level.tie[:, level.earlier], level.block[:, level.earlier]
            lower = (_at(beyond, tie[0]) + _at(beyond, tie[1])) / 2 - _at(beyond, block[0])
            concordant[:, rows[level.earlier]] += lower
            if backwards:
                before = _running(w * level.earlier)
                tie, block = level.tie[:, level.later], level.block[:, level.later]
                higher = _at(before, block[1]) - (_at(before, tie[0]) + _at(before, tie[1])) / 2
                concordant[:, rows[level.later]] += higher
        w, event = weight[:, self.order], self.event[self.order]
        every = _running(w)
        found = (every[:, -1:] - every[:, self.run[1]]) * event
        if backwards:
            found = found + _running(w * event)[:, self.run[0]]
        comparable[:, self.order] = found
        return concordant, comparable


def _at(values: Array32, places: Index) -> Array32:
    """Columns of ``values``; places are in range by construction, and numpy spares the check."""
    return np.take(values, places, axis=1, mode="clip")


def _running(values: Array32) -> Array32:
    """Sums of all values before each place, and of all of them, shape (c, n + 1)."""
    found = np.zeros((len(values), values.shape[1] + 1), np.float32)
    np.cumsum(values, axis=1, out=found[:, 1:])
    return found


def _runs(new: NDArray[np.bool_]) -> Index:
    """First and last place (excluded) of the run that each place is in, shape (2, n)."""
    if not len(new):
        return np.empty((2, 0), np.intp)
    starts = np.flatnonzero(np.append(True, new[1:]))
    run = np.cumsum(np.append(True, new[1:])) - 1
    return np.stack([starts[run], np.append(starts[1:], len(new))[run]])
