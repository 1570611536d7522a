"""Groups against their rest: differences, their errors over patients, and the same permuted.

A rate is a ratio of sums over patients, and so is, to first order, an AUROC: the mean placement of
the positive rows plus that of the negative ones. Everything here is therefore a sum over cells
(``_candidates``), or over pairs of cells that a patient has, and all groups and permutations are a
few products of matrices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis.stats import generator

Array = NDArray[np.float64]
Index = NDArray[np.intp]
CLASSES = ("positive", "negative")
#: Which rows a metric is a mean over, and the sign that makes a larger difference a worse one.
SEARCHED = {
    "tpr": (("positive",), -1.0),
    "fpr": (("negative",), 1.0),
    "auroc": (("positive", "negative"), -1.0),
}
ENTRIES = 4_000_000  # numbers held at a time in each of the larger arrays: 32 MB


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


class _Units:
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


@dataclass(frozen=True)
class Differences:
    """Shape (permutations, groups): the difference to the rest, and its variance over patients.

    ``inside`` and ``outside`` are the values of both sides.
    """

    inside: Array
    outside: Array
    variance: Array

    def statistic(self, metric: str) -> Array:
        """Difference over standard error, larger where the group fares worse; NaN where neither."""
        difference = SEARCHED[metric][1] * (self.inside - self.outside)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = difference / np.sqrt(np.maximum(self.variance, 0.0))
        return np.where(np.abs(difference) < 1e-12, 0.0, found)


class AgainstRest:
    """Rows and groups, ready for the observed differences and for permuted ones."""

    def __init__(self, rows: Rows, inside: NDArray[np.bool_], outside: NDArray[np.bool_]) -> None:
        self.rows, self.inside, self.outside = rows, inside, outside
        self.n_cells = inside.shape[1]
        self.pattern = label_pattern(rows.y, rows.patient)
        self.n_patients = len(self.pattern)
        self.sides = {"in": inside.astype(np.float64), "out": outside.astype(np.float64)}
        positive = rows.y > 0
        self.mine = {"positive": positive, "negative": ~positive}
        self.units = {
            name: _Units(rows, mine, self.n_cells, self.n_patients)
            for name, mine in self.mine.items()
        }
        placed = placements(rows.y, rows.s)
        # Each metric's values by class, and whether they are those of the class or of the AUROC.
        self.values = {
            ("rate", name): unit.sums(rows.called[self.mine[name]].astype(np.float64))
            for name, unit in self.units.items()
        } | {
            ("auroc", name): unit.sums(placed[self.mine[name]]) for name, unit in self.units.items()
        }
        self._find_pairs()

    def _find_pairs(self) -> None:
        """Pairs of cells that a patient has, and for each two sides the groups that hold them."""
        all_units = _Units(
            self.rows, np.ones(len(self.rows.y), bool), self.n_cells, self.n_patients
        )
        left, right = _pairs(all_units, all_units)
        code = np.unique(all_units.cell[left] * self.n_cells + all_units.cell[right])
        first, second = np.divmod(code, self.n_cells)
        self.pair_of = np.zeros((self.n_cells, self.n_cells), np.intp)
        self.pair_of[first, second] = np.arange(len(code))
        self.n_pairs = len(code)
        self.held = {
            (a, b): self.sides[a][:, first] * self.sides[b][:, second]
            for a in self.sides
            for b in self.sides
        }
        self.held = {sides: held for sides, held in self.held.items() if held.any()}
        self.unit_pairs = {
            (a, b): _pairs(self.units[a], self.units[b])
            for a, b in (("positive",) * 2, ("negative",) * 2, CLASSES)
        }

    def effective(self, name: str) -> tuple[Array, Array]:
        """Effective numbers of patients of a class, in the group and in the rest.

        (sum b)^2 / sum b^2 of their numbers of rows b (Kish 1965): the number of patients where all
        have the same number of rows, fewer where a few patients have most of them.
        """
        unit = self.units[name]
        cells = unit.cell[None, :]
        n = self._by_cell(cells, unit.n)
        squares = self._by_pair((name, name), {name: cells}, unit.n, unit.n)
        found = []
        for side, held in self.sides.items():
            total, square = n @ held.T, squares @ self.held[side, side].T
            found.append(np.divide(total**2, square, out=np.zeros_like(total), where=square > 0)[0])
        return found[0], found[1]

    def observed(self, metric: str) -> Differences:
        """The differences as they are, shape (1, groups); an AUROC is that of the group's rows."""
        if metric == "auroc":
            found = [self._auroc(a, b) for a, b in zip(self.inside, self.outside, strict=True)]
            values = np.array(found, np.float64).reshape(-1, 3).T
            return Differences(*(row[None, :] for row in values))
        own = {name: unit.cell[None, :] for name, unit in self.units.items()}
        return self._differences([metric], own)[metric]

    def permuted(self, metrics: Sequence[str], n: int, seed: int, stream: str) -> dict[str, Array]:
        """Statistics when patients' attributes are exchanged, each of shape (n, groups).

        Within the patients of one label pattern, so that prevalence stays with the groups' kind of
        patient and is no difference; all metrics and groups see the same exchange. An AUROC is
        taken to first order, with placements among all rows.
        """
        found = {metric: np.empty((n, len(self.inside))) for metric in metrics}
        widest = max(
            len(self.inside), self.n_pairs, *(len(left) for left, _ in self.unit_pairs.values())
        )
        step = max(1, min(n, ENTRIES // max(widest, 1)))
        for start in range(0, n, step):
            which = range(start, min(start + step, n))
            donor = np.empty((len(which), self.n_patients), np.intp)
            turn = np.empty((len(which), self.n_patients))
            for k, number in enumerate(which):
                random = generator(seed, stream, number)
                order, turn[k] = random.random(self.n_patients), random.random(self.n_patients)
                for pattern in (1, 2, 3):
                    members = np.flatnonzero(self.pattern == pattern)
                    donor[k, members] = members[np.argsort(order[members])]
            cells = {name: unit.moved(donor, turn) for name, unit in self.units.items()}
            for metric, made in self._differences(metrics, cells).items():
                found[metric][start : start + len(which)] = made.statistic(metric)
        return found

    def _differences(
        self, metrics: Sequence[str], cells: Mapping[str, Index]
    ) -> dict[str, Differences]:
        wanted = {name for metric in metrics for name in SEARCHED[metric][0]}
        number: dict[tuple[str, str], Array] = {}
        for name in wanted:
            by_cell = self._by_cell(cells[name], self.units[name].n)
            number |= {(name, side): by_cell @ held.T for side, held in self.sides.items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            return {m: self._difference(m, cells, number) for m in metrics}

    def _difference(
        self, metric: str, cells: Mapping[str, Index], number: Mapping[tuple[str, str], Array]
    ) -> Differences:
        names, kind = SEARCHED[metric][0], "auroc" if metric == "auroc" else "rate"
        mean: dict[tuple[str, str], Array] = {}
        for name in names:
            by_cell = self._by_cell(cells[name], self.values[kind, name])
            mean |= {
                (name, side): (by_cell @ held.T) / number[name, side]
                for side, held in self.sides.items()
            }
        variance: Array | float = 0.0
        for a, b in self.unit_pairs:
            if a in names and b in names:
                part = self._covariance((a, b), kind, cells, number, mean)
                variance = variance + part * (1 if a == b else 2)
        inside, outside = (sum(mean[name, side] for name in names) for side in ("in", "out"))
        return Differences(np.asarray(inside), np.asarray(outside), np.asarray(variance))

    def _covariance(
        self,
        pair: tuple[str, str],
        kind: str,
        cells: Mapping[str, Index],
        number: Mapping[tuple[str, str], Array],
        mean: Mapping[tuple[str, str], Array],
    ) -> Array | float:
        """Of two classes' differences: sum over patients of the products of their residuals.

        The residual of a patient on one side is (a - r b) / sum b, a the sum of their b rows and r
        the side's mean; a side's own square is multiplied by m / (m - 1), m its effective number
        of patients.
        """
        a, b = pair
        value = {name: self.values[kind, name] for name in pair}
        n = {name: self.units[name].n for name in pair}
        products = [
            self._by_pair(pair, cells, first, second)
            for first in (value[a], n[a])
            for second in (value[b], n[b])
        ]
        total: Array | float = 0.0
        for (s, t), held in self.held.items():
            vv, vn, nv, nn = (product @ held.T for product in products)
            part = vv - mean[b, t] * vn - mean[a, s] * nv + mean[a, s] * mean[b, t] * nn
            part = part / (number[a, s] * number[b, t])
            if a == b and s == t:
                m = number[a, s] ** 2 / nn
                part = part * np.where(m > 1, m / (m - 1), np.nan)
            total = total + (part if s == t else -part)
        return total

    def _by_cell(self, cells: Index, weights: Array) -> Array:
        return _counted(cells, weights, self.n_cells)

    def _by_pair(
        self, pair: tuple[str, str], cells: Mapping[str, Index], first: Array, second: Array
    ) -> Array:
        left, right = self.unit_pairs[pair]
        codes = self.pair_of[cells[pair[0]][:, left], cells[pair[1]][:, right]]
        return _counted(codes, first[left] * second[right], self.n_pairs)

    def _auroc(
        self, inside: NDArray[np.bool_], outside: NDArray[np.bool_]
    ) -> tuple[float, float, float]:
        """The AUROC within the group and within the rest, and the variance of their difference.

        Obuchowski's (1997), with a patient's rows on both sides in one residual.
        """
        residual = np.zeros((2, self.n_patients))
        factor = np.zeros(2)
        values = []
        for sign, cells in ((1.0, inside), (-1.0, outside)):
            rows = self.rows.part(cells[self.rows.cell])
            who = self.rows.patient[cells[self.rows.cell]]
            positive = rows.y > 0
            if not positive.any() or positive.all():
                return np.nan, np.nan, np.nan
            placed = placements(rows.y, rows.s)
            value = float(placed[positive].mean())
            values.append(value)
            for k, mine in enumerate((positive, ~positive)):
                n = np.bincount(who[mine], minlength=self.n_patients)
                part = np.bincount(who[mine], placed[mine] - value, self.n_patients) / mine.sum()
                m = n.sum() ** 2 / (n**2).sum()
                residual[k] += sign * part
                # What the side's own square lacks, as in _covariance.
                factor[k] += (part**2).sum() / (m - 1) if m > 1 else np.nan
        return values[0], values[1], float((residual.sum(axis=0) ** 2).sum() + factor.sum())


def _pairs(first: _Units, second: _Units) -> tuple[Index, Index]:
    """Every unit of one class with every unit of the other that the same patient has."""
    several = second.count[first.patient]
    left = np.repeat(np.arange(len(first.patient)), several)
    ends = np.cumsum(several)
    right = np.arange(len(left)) - np.repeat(ends - several, several)
    return left, right + np.repeat(second.first[first.patient], several)


def _counted(codes: Index, weights: Array, n: int) -> Array:
    """Sums of weights by code, for each row of codes."""
    rows = len(codes)
    flat = (codes + n * np.arange(rows)[:, None]).ravel()
    total = np.bincount(flat, np.broadcast_to(weights, codes.shape).ravel(), rows * n)
    return np.asarray(total, np.float64).reshape(rows, n)
