"""AUROC of groups, with its standard error over patients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis.stats._clusters import Assignment, PerPatients, Values, raised
from fairthesis.stats._placements import Placements

Array = NDArray[np.float64]
Index = NDArray[np.intp]


class RankedCases:
    """AUROC, with the variance of DeLong et al. (1988) for clustered cases (Obuchowski 1997).

    With V the share of the group's negatives below a positive, and of its positives above a
    negative (ties count half), and A their mean, the influence of a patient is the sum of V - A
    over their positives, by all other positives, and the same of their negatives. The variance of
    an AUROC of 1 is at least that of ``RatioOfSums``'s share.

    Args:
        y: Labels of 0 and 1, shape (n,).
        s: Scores, shape (n,).
        weight: Weight of each row, above 0, shape (n,); 1 if None. A case then counts as so many
            in shares, means and sums.

    >>> y, s = np.array([0.0, 1, 0, 1]), np.array([0.1, 0.6, 0.7, 0.8])
    >>> everyone = np.zeros((1, 4), int)
    >>> RankedCases(y, s).values(Assignment(everyone, np.arange(4), 1, everyone)).value.tolist()
    [[0.75]]
    """

    wide = True  # takes many replicates at once

    def __init__(self, y: Array, s: Array, weight: Array | None = None) -> None:
        self._of = PerPatients(lambda groups: Placements.of(y > 0, s, groups))
        self.order = np.argsort(s, kind="stable")
        self.weight = None if weight is None else weight[self.order]
        self.positive = y[self.order] > 0
        ordered = s[self.order]
        self.block = np.cumsum(np.diff(ordered, prepend=ordered[:1]) != 0)
        self.tied = bool(len(s)) and self.block[-1] + 1 < len(s)

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        if self.weight is None and groups.own is not None:
            placed = self._of.of(groups)
            if placed is not None and placed.serves(groups.n_groups):
                return placed.values(groups)
        return Values.joined([self._sorted(part) for part in groups.parts(len(self.order))])

    def _sorted(self, groups: Assignment) -> Values:
        """By sorting the cases of each replicate by group, and within it by score."""
        R, n, size = groups.replicates, len(self.order), groups.size
        label = groups.rows[:, self.order] + groups.offset(groups.n_groups)
        label = label.ravel().astype(np.uint16 if size < 2**16 else np.intp)
        by = np.argsort(label, kind="stable")  # by replicate and group, then by score
        total = np.bincount(label, minlength=size)
        positive = np.take(np.tile(self.positive, R), by)
        at = np.flatnonzero(positive), np.flatnonzero(~positive)
        n_positive = np.bincount(label[by[at[0]]], minlength=size)
        counts = n_positive, total - n_positive
        P: NDArray[Any] = counts[0]
        N: NDArray[Any] = counts[1]
        cell = np.take(groups.cell.reshape(R, n)[:, self.order].ravel(), by)
        before = self._before(at, by % n, total) if self.tied else None
        weights = None
        if self.weight is not None:
            w = self.weight[by % n]
            weights = w[at[0]], w[at[1]]
            before = self._before(at, by % n, total, w)
            P, N = (
                np.bincount(label[by[rows]], one, size)
                for rows, one in zip(at, weights, strict=True)
            )
        A = np.full(size, np.nan)
        of_cells: Array = np.zeros(len(groups.cell_group))
        with_class = []
        for k, (own, other) in enumerate(((P, N), (N, P))):
            group = np.repeat(np.arange(size), counts[k])
            w_own = None if weights is None else weights[k]
            # Of the other class there are as many before a case as places less its own class.
            seen: NDArray[Any] = at[k] - np.arange(len(at[k])) if before is None else before[k]
            below = seen - np.repeat(np.cumsum(other) - other, counts[k])
            V: Array = below / np.repeat(np.where(other > 0, other, 1), counts[k])
            if k == 0:
                sums = np.bincount(group, V if w_own is None else w_own * V, size)
                A = np.asarray(sums / np.where(own > 0, own, 1), np.float64)
                A[(P == 0) | (N == 0)] = np.nan
                V -= np.nan_to_num(A)[group]
            else:  # positives above a negative
                V = 1 - np.nan_to_num(A)[group] - V
            if w_own is not None:
                V = w_own * V
            mine = cell[at[k]]
            cases = np.bincount(mine, w_own, len(of_cells))
            others = own[groups.cell_group] - cases
            of_cells += np.bincount(mine, V, len(of_cells)) / np.where(others > 0, others, np.inf)
            with_class.append(groups.by_group(cases > 0))
        # A patient with cases of both classes is one cell, not two.
        some = groups.by_group(np.bincount(cell, minlength=len(of_cells)) > 0)
        spread = raised(groups.spread(of_cells, some), groups.shaped(np.minimum(*with_class)))
        weight = P * N / np.where(P + N > 0, P + N, 1)
        return Values(groups.shaped(A), spread[0], groups.shaped(weight), spread[1])

    def _before(
        self, at: tuple[Index, Index], place: Index, total: Index, weight: Array | None = None
    ) -> tuple[Array, Array]:
        """Cases of the other class before each case, over all groups; ties count half."""
        block = self.block[place]
        new = np.ones(len(place), bool)
        new[1:] = block[1:] != block[:-1]
        ends = np.cumsum(total)
        new[ends[ends < len(place)]] = True
        first = np.flatnonzero(new)
        run = np.cumsum(new) - 1
        last = np.append(first[1:], len(place))
        upto = np.zeros(len(place) + 1)
        upto[at[0] + 1] = 1.0 if weight is None else weight[at[0]]
        positives = np.cumsum(upto)
        of_run = (positives[first] + positives[last]) / 2
        middle = (first + last) / 2
        if weight is not None:
            everyone = np.append(0.0, np.cumsum(weight))
            middle = (everyone[first] + everyone[last]) / 2
        return (middle - of_run)[run[at[0]]], of_run[run[at[1]]]
