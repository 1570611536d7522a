"""A rate, a share or a mean of groups: a ratio of two sums over rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.stats._clusters import Assignment, PerPatients, Values, raised
from fairthesis.stats._group_sums import MOST_KINDS, compact, kinds, summed_by_group

Array = NDArray[np.float64]
Index = NDArray[np.intp]
FEW = 64


class RatioOfSums:
    """A ratio of two sums over rows: a rate, a share, a mean.

    The influence of a patient with sums a and b is (a - r b) / (B - b), with B the group's sum of
    b. A share that is 0 or 1 has no spread among its cases; its variance is at least 1 / (2 m^2),
    m patients, that of half a case among them.

    Args:
        numerator: Shape (n,).
        denominator: Shape (n,), 0 or more.
        share: Whether the ratio is a share of cases.

    >>> tpr = RatioOfSums(np.array([1.0, 0, 1, 1]), np.ones(4))
    >>> sex = np.array([[0, 0, 1, 1]])
    >>> found = tpr.values(Assignment(sex, np.arange(4), 2, sex))
    >>> found.value.tolist(), found.variance.round(6).tolist()
    ([[0.5, 1.0]], [[0.25, 0.125]])
    """

    wide = True  # takes many replicates at once

    def __init__(self, numerator: Array, denominator: Array, share: bool = True) -> None:
        self.numerator, self.denominator, self.share = numerator, denominator, share
        self._of = PerPatients(self._patients)

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        if groups.own is not None:
            return self._of_patients(groups)
        size = len(groups.cell_group)
        a, b = (
            np.asarray(np.bincount(groups.cell, np.tile(x, groups.replicates), size), np.float64)
            for x in (self.numerator, self.denominator)
        )
        top, bottom = groups.by_group(a), groups.by_group(b)
        value = metrics.ratio(top, bottom)
        cells = groups.by_group(b > 0)
        at = groups.cell_group
        others = bottom[at] - b
        influence = (a - np.nan_to_num(value)[at] * b) / np.where(others > 0, others, np.inf)
        spread = groups.spread(influence, cells)
        shaped = map(groups.shaped, (value, cells, bottom))
        return self._found(spread, *shaped)

    def _patients(self, groups: Assignment) -> Patients:
        return Patients.of(self.numerator, self.denominator, groups)

    def _of_patients(self, groups: Assignment) -> Values:
        """Where a patient has one group: sums by group of the patients' sums."""
        who = self._of.of(groups)
        if who.b is None:
            parts = groups.parts(len(who.kept))
            return Values.joined([self._one_by_one(part, who) for part in parts])
        columns = [None] if who.rest is None else [None, *who.rest]
        n, *sums = summed_by_group(groups, who.kept, who.kind, len(who.b), columns)
        b = who.b
        bottom, cells = n @ b, n.sum(-1)
        others = bottom[..., None] - b
        over = 1 / np.where(others > 0, others, np.inf) ** 2
        if who.a is not None:  # patients with the same two sums are counted together
            value = metrics.ratio(n @ who.a, bottom)
            influence = who.a - np.nan_to_num(value)[..., None] * b
            squares = (n * influence**2 * over).sum(-1)
        else:
            # Of a less the common ratio times b, so that no digits are lost in the squares.
            first, second = sums
            beyond = metrics.ratio(first.sum(-1), bottom)
            value = who.common + beyond
            moved = np.nan_to_num(beyond)[..., None] * b
            squares = np.maximum(second - 2 * moved * first + n * moved**2, 0)
            squares = (squares * over).sum(-1)
        variance = squares * np.maximum(cells - 1, 0) / np.maximum(cells, 1)
        return self._found((variance, None), value, cells, bottom)

    def _one_by_one(self, groups: Assignment, who: Patients) -> Values:
        """Sums over patients, each with two sums of their own."""
        assert groups.own is not None
        at = (groups.own[:, who.kept] + groups.offset(groups.n_groups)).ravel()
        a, b = np.tile(who.sums, groups.replicates)
        top, bottom = (np.bincount(at, x, groups.size) for x in (a, b))
        cells = np.bincount(at, minlength=groups.size).astype(np.float64)
        value = metrics.ratio(top, bottom)
        others = bottom[at] - b
        influence = (a - np.nan_to_num(value)[at] * b) / np.where(others > 0, others, np.inf)
        squares = np.bincount(at, influence**2, groups.size)
        variance = squares * np.maximum(cells - 1, 0) / np.maximum(cells, 1)
        shaped = map(groups.shaped, (value, cells, np.asarray(bottom, np.float64)))
        return self._found((groups.shaped(variance), None), *shaped)

    def _found(
        self, spread: tuple[Array, Array | None], value: Array, cells: Array, weight: Array
    ) -> Values:
        """All of shape (replicates, groups)."""
        if self.share:
            spread = raised(spread, cells)
        return Values(value, spread[0], weight, spread[1])


@dataclass(frozen=True)
class Patients:
    """The patients that count in a ratio of sums, and what is the same in all permutations.

    Attributes:
        kept: Number of each, in rising order.
        sums: Their sums a and b, shape (2, patients).
        kind: Kind of each: of those of ``a`` and ``b`` together, or of ``b`` alone.
        b: Sum b of each kind; None where there are too many.
        a: Sum a of each kind; None where kinds are of ``b`` alone.
        rest: There, each patient's a less the common ratio times b, and its square; else None.
        common: Sum of all a over that of all b.

    >>> sex = np.array([[0, 1, 1]])
    >>> groups = Assignment(None, np.array([0, 1, 1, 2]), 2, sex)
    >>> found = Patients.of(np.array([1.0, 1, 0, 1]), np.ones(4), groups)
    >>> found.kind.tolist(), found.a.tolist(), found.b.tolist()
    ([0, 1, 0], [1.0, 1.0], [1.0, 2.0])
    """

    kept: Index
    sums: Array
    kind: Index
    b: Array | None
    a: Array | None
    rest: tuple[Array, Array] | None
    common: float

    @classmethod
    def of(cls, numerator: Array, denominator: Array, groups: Assignment) -> Patients:
        """Of rows with these values, shape (n,)."""
        both = [np.bincount(groups.patient, x, groups.n_patients) for x in (numerator, denominator)]
        kept = np.flatnonzero(both[1] > 0)
        a, b = sums = np.stack(both)[:, kept].astype(np.float64)
        common = float(a.sum() / b.sum()) if len(kept) else 0.0
        most = max(FEW, min(MOST_KINDS, len(kept) // 8))
        of_b, kind_b = kinds(b)
        if len(of_b) > most:
            return cls(kept, sums, kind_b, None, None, None, common)
        of_a, kind_a = kinds(a)
        if len(of_a) <= most:
            pairs, kind = compact(kind_a * len(of_b) + kind_b)
            if len(pairs) <= most:
                pair_a, pair_b = of_a[pairs // len(of_b)], of_b[pairs % len(of_b)]
                return cls(kept, sums, kind, pair_b, pair_a, None, common)
        rest = a - common * b
        return cls(kept, sums, kind_b, of_b, None, (rest, rest**2), common)
