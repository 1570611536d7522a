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

from fairthesis.auditing._units import (
    Array,
    Index,
    Rows,
    Units,
    counted,
    label_pattern,
    placements,
    unit_pairs,
)
from fairthesis.stats import generator

CLASSES = ("positive", "negative")
#: Which rows a metric is a mean over, and the sign that makes a larger difference a worse one.
SEARCHED = {
    "tpr": (("positive",), -1.0),
    "fpr": (("negative",), 1.0),
    "auroc": (("positive", "negative"), -1.0),
}
ENTRIES = 4_000_000  # numbers held at a time in each of the larger arrays: 32 MB


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
            name: Units(rows, mine, self.n_cells, self.n_patients)
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
        all_units = Units(self.rows, np.ones(len(self.rows.y), bool), self.n_cells, self.n_patients)
        left, right = unit_pairs(all_units, all_units)
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
            (a, b): unit_pairs(self.units[a], self.units[b])
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
        squares = self._by_pair(
            (name, name), self._codes((name, name), {name: cells}), unit.n, unit.n
        )
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
        codes = {
            pair: self._codes(pair, cells) for pair in self.unit_pairs if wanted.issuperset(pair)
        }
        with np.errstate(divide="ignore", invalid="ignore"):
            return {m: self._difference(m, cells, codes, number) for m in metrics}

    def _difference(
        self,
        metric: str,
        cells: Mapping[str, Index],
        codes: Mapping[tuple[str, str], Index],
        number: Mapping[tuple[str, str], Array],
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
                part = self._covariance((a, b), kind, codes[a, b], number, mean)
                variance = variance + part * (1 if a == b else 2)
        inside, outside = (sum(mean[name, side] for name in names) for side in ("in", "out"))
        return Differences(np.asarray(inside), np.asarray(outside), np.asarray(variance))

    def _covariance(
        self,
        pair: tuple[str, str],
        kind: str,
        codes: Index,
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
            self._by_pair(pair, codes, first, second)
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
        return counted(cells, weights, self.n_cells)

    def _codes(self, pair: tuple[str, str], cells: Mapping[str, Index]) -> Index:
        """The pair of cells of every two units of a patient, shape (permutations, pairs)."""
        left, right = self.unit_pairs[pair]
        return self.pair_of[cells[pair[0]][:, left], cells[pair[1]][:, right]]

    def _by_pair(self, pair: tuple[str, str], codes: Index, first: Array, second: Array) -> Array:
        left, right = self.unit_pairs[pair]
        return counted(codes, first[left] * second[right], self.n_pairs)

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
