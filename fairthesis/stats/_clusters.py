"""Metrics of groups with standard errors that know of patients, for any assignment of groups.

Every metric here is a mean, a ratio of sums or a U-statistic of rows. A patient's influence on a
group's value is what leaving the patient out changes, and the variance of the value is the sum of
squared influences times (m - 1) / m, m patients: the jackknife with the patient as the unit (Efron
and Stein 1981; the cluster-robust variance that Bell and McCaffrey 2002 call CR3, which a patient
with most of the images does not make too small).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Labels = NDArray[np.integer]
FEW_KINDS = 64


class Assignment:
    """Which group each row is in, in one or several replicates, and which rows hang together.

    A cell holds the rows of a patient in a group. Groups, cells and rows of all replicates are laid
    side by side, so that one pass computes all of them: replicate r has the groups r k and up.

    Args:
        group: Group of each row, numbered from 0, shape (replicates, n).
        patient: Patient of each row, numbered from 0, shape (n,).
        n_groups: Number of groups k.
        own: Group of each patient, shape (replicates, patients), where every patient has one; else
            None, and a patient's rows in different groups are a cell each.

    >>> one = Assignment(np.array([[0, 0, 1]]), np.array([0, 0, 1]), 2, np.array([[0, 1]]))
    >>> one.cell.tolist(), one.cell_group.tolist()
    ([0, 0, 1], [0, 1])
    """

    def __init__(self, group: Labels, patient: Index, n_groups: int, own: Labels | None) -> None:
        self.rows, self.patient, self.n_groups, self.own = group, patient, n_groups, own
        self.replicates = len(group)
        self.size = self.replicates * n_groups
        self.n_patients = int(patient.max()) + 1 if own is None else own.shape[1]

    def offset(self, width: int) -> Index:
        """First place of each replicate where one takes ``width`` places, (replicates, 1)."""
        return np.arange(0, self.replicates * width, width)[:, None]

    @cached_property
    def group(self) -> Index:
        """The group of each row of every replicate, shape (replicates n,)."""
        return (self.rows + self.offset(self.n_groups)).ravel()

    @cached_property
    def cell(self) -> Index:
        """The cell of each row of every replicate, shape (replicates n,)."""
        if self.own is not None:
            return (self.patient + self.offset(self.n_patients)).ravel()
        within = self.patient * self.n_groups + self.rows
        return (within + self.offset(self.n_patients * self.n_groups)).ravel()

    @cached_property
    def cell_group(self) -> Index:
        """The group of each cell, shape (cells,)."""
        if self.own is not None:
            return (self.own + self.offset(self.n_groups)).ravel()
        within = np.tile(np.arange(self.n_groups), self.n_patients)
        return (within + self.offset(self.n_groups)).ravel()

    def by_group(self, values: NDArray[Any]) -> Array:
        """Sums of the cells' values by group, shape (replicates groups,)."""
        return np.asarray(np.bincount(self.cell_group, values, self.size), np.float64)

    def shaped(self, values: NDArray[Any]) -> Array:
        """Values of groups, shape (replicates, groups)."""
        return np.asarray(values.reshape(self.replicates, self.n_groups), np.float64)

    def spread(self, influence: Array, cells: Array) -> tuple[Array, Array | None]:
        """Variance of the groups' values from the cells' influences, and their covariance.

        ``cells`` counts each group's cells, m: sums of squares are multiplied by (m - 1) / m.

        Returns:
            Shape (replicates, groups); and (replicates, groups, groups), or None where no groups
            share patients.
        """
        shrink = np.sqrt(np.maximum(cells - 1, 0) / np.maximum(cells, 1))
        if self.own is not None:
            return self.shaped(self.by_group(influence * influence) * shrink**2), None
        table = influence.reshape(self.replicates, self.n_patients, self.n_groups)
        table = table * self.shaped(shrink)[:, None]
        covariance = np.asarray(table.swapaxes(1, 2) @ table)
        return np.einsum("rkk->rk", covariance).copy(), covariance


@dataclass(frozen=True)
class Values:
    """A metric of each group: value, variance, and the weight of the group in a common value.

    Attributes:
        value: Shape (replicates, groups); NaN where a group has no case that counts.
        variance: Its variance, shape (replicates, groups).
        weight: Cases that count, shape (replicates, groups).
        covariance: Of groups that share patients, shape (replicates, groups, groups); else None.

    >>> one = Values(np.array([[0.9, 0.7]]), np.array([[0.01, 0.03]]), np.array([[30.0, 10.0]]))
    >>> difference, error = one.against_rest()
    >>> difference.round(3).tolist(), error.round(3).tolist()
    ([[0.2, -0.2]], [[0.2, 0.2]])
    """

    value: Array
    variance: Array
    weight: Array
    covariance: Array | None = None

    def against_rest(self) -> tuple[Array, Array]:
        """Each group less the weighted mean of all others, and its standard error."""
        k = self.value.shape[1]
        if self.covariance is None:  # sums, for hundreds of groups
            w, v = self.weight, self.variance
            others = w.sum(1, keepdims=True) - w
            others = np.where(others > 0, others, np.inf)
            sums = (w * self.value).sum(1, keepdims=True) - w * self.value
            squares = (w**2 * v).sum(1, keepdims=True) - w**2 * v
            error = np.sqrt(np.maximum(v + squares / others**2, 0))
            return self.value - sums / others, error
        rest = np.broadcast_to(self.weight[:, None], (len(self.weight), k, k)) * (1 - np.eye(k))
        total = rest.sum(-1, keepdims=True)
        contrast = np.eye(k) - np.divide(rest, total, out=np.zeros_like(rest), where=total > 0)
        difference = (contrast @ self.value[..., None])[..., 0]
        variance = ((contrast @ self.covariance) * contrast).sum(-1)
        return difference, np.sqrt(np.maximum(variance, 0))

    def pairs(self) -> tuple[Array, Array]:
        """Each group less each other one, and its standard error, (replicates, groups, groups)."""
        own = self.variance
        variance = own[:, :, None] + own[:, None]
        if self.covariance is not None:
            variance = variance - 2 * self.covariance
        difference = self.value[:, :, None] - self.value[:, None]
        return difference, np.sqrt(np.maximum(variance, 0))


class Clustered(Protocol):
    """A metric that gives ``Values`` for an assignment of groups to rows.

    >>> sex = np.array([[0, 0, 1, 1]])
    >>> share: Clustered = RatioOfSums(np.array([1.0, 0, 1, 1]), np.ones(4))
    >>> share.values(Assignment(sex, np.arange(4), 2, sex)).value.tolist()
    [[0.5, 1.0]]
    """

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""


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

    def __init__(self, numerator: Array, denominator: Array, share: bool = True) -> None:
        self.numerator, self.denominator, self.share = numerator, denominator, share
        self._kinds: tuple[Index, Index, Index, Array, Array] | None = None

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
        return self._found(groups, value, groups.spread(influence, cells), cells, bottom)

    def _of_patients(self, groups: Assignment) -> Values:
        """Where a patient has one group: patients with the same two sums are counted together."""
        # The same for every permutation of the same patients.
        if self._kinds is None or self._kinds[0] is not groups.patient:
            sums = np.stack(
                [
                    np.bincount(groups.patient, x, groups.n_patients)
                    for x in (self.numerator, self.denominator)
                ]
            )
            kept = np.flatnonzero(sums[1] > 0)
            pairs, kind = np.unique(sums[:, kept], axis=1, return_inverse=True)
            self._kinds = (groups.patient, kept, kind.ravel(), pairs[0], pairs[1])
        _, kept, kind, a, b = self._kinds
        assert groups.own is not None
        group = groups.own[:, kept] + groups.offset(groups.n_groups)
        if len(a) > FEW_KINDS:  # a table of groups by kinds would be larger than the patients
            return self._one_by_one(groups, group.ravel(), a[kind], b[kind])
        at = (group * len(a) + kind).ravel()
        n = np.bincount(at, minlength=groups.size * len(a)).reshape(-1, len(a)).astype(np.float64)
        cells, top, bottom = n.sum(1), n @ a, n @ b
        value = metrics.ratio(top, bottom)
        others = bottom[:, None] - b
        influence = (a - np.nan_to_num(value)[:, None] * b) / np.where(others > 0, others, np.inf)
        variance = (n * influence**2).sum(1) * np.maximum(cells - 1, 0) / np.maximum(cells, 1)
        return self._found(groups, value, (groups.shaped(variance), None), cells, bottom)

    def _one_by_one(self, groups: Assignment, at: Index, a: Array, b: Array) -> Values:
        """Sums over patients of groups ``at``, each with two sums of their own."""
        a, b = np.tile(a, groups.replicates), np.tile(b, groups.replicates)
        top, bottom = (np.bincount(at, x, groups.size) for x in (a, b))
        cells = np.bincount(at, minlength=groups.size).astype(np.float64)
        value = metrics.ratio(top, bottom)
        others = bottom[at] - b
        influence = (a - np.nan_to_num(value)[at] * b) / np.where(others > 0, others, np.inf)
        squares = np.bincount(at, influence**2, groups.size)
        variance = squares * np.maximum(cells - 1, 0) / np.maximum(cells, 1)
        found = (groups.shaped(variance), None)
        return self._found(groups, value, found, cells, np.asarray(bottom, np.float64))

    def _found(
        self,
        groups: Assignment,
        value: Array,
        spread: tuple[Array, Array | None],
        cells: Array,
        weight: Array,
    ) -> Values:
        if self.share:
            spread = _raised(spread, groups.shaped(cells))
        return Values(groups.shaped(value), spread[0], groups.shaped(weight), spread[1])


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

    def __init__(self, y: Array, s: Array, weight: Array | None = None) -> None:
        self.order = np.argsort(s, kind="stable")
        self.weight = None if weight is None else weight[self.order]
        self.positive = y[self.order] > 0
        ordered = s[self.order]
        self.block = np.cumsum(np.diff(ordered, prepend=ordered[:1]) != 0)
        self.tied = bool(len(s)) and self.block[-1] + 1 < len(s)

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
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
        spread = _raised(groups.spread(of_cells, some), groups.shaped(np.minimum(*with_class)))
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

    def __init__(self, y: Array, s: Array, weight: Array | None = None) -> None:
        self.weight = np.ones(len(y)) if weight is None else weight
        self.residual, self.bin = (y - s) * self.weight, metrics.bin_index(s)
        self._cells: tuple[Index, Index, Array, Array] | None = None
        self._patient: Index | None = None

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""
        cell, bins, residual, n = self._sums(groups)
        n_bins = metrics.N_BINS
        at = groups.cell_group[cell] * n_bins + bins
        N, R, RR, RN, NN, M = (
            np.bincount(at, values, groups.size * n_bins).reshape(-1, n_bins)
            for values in (n, residual, residual**2, residual * n, n**2, np.ones(len(n)))
        )
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

    def _sums(self, groups: Assignment) -> tuple[Index, Index, Array, Array]:
        """Cell, bin, sum of residuals and rows of every cell and bin with a row."""
        R, n_bins = groups.replicates, metrics.N_BINS
        if groups.own is None:
            return self._gathered(
                groups.cell,
                np.tile(self.bin, R),
                np.tile(self.residual, R),
                np.tile(self.weight, R),
                n_bins,
            )
        # The same for every permutation of the same patients.
        if self._cells is None or self._patient is not groups.patient:
            self._patient = groups.patient
            self._cells = self._gathered(
                groups.patient, self.bin, self.residual, self.weight, n_bins
            )
        cell, bins, residual, n = self._cells
        cells = (cell + groups.offset(groups.n_patients)).ravel()
        return cells, np.tile(bins, R), np.tile(residual, R), np.tile(n, R)

    @staticmethod
    def _gathered(
        cell: Index, bins: Index, residual: Array, weight: Array, n_bins: int
    ) -> tuple[Index, Index, Array, Array]:
        at, place = np.unique(cell * n_bins + bins, return_inverse=True)
        sums, n = (np.asarray(np.bincount(place, x), np.float64) for x in (residual, weight))
        return at // n_bins, at % n_bins, sums, n


def _raised(spread: tuple[Array, Array | None], patients: Array) -> tuple[Array, Array | None]:
    """The variance of a share of 0 or 1: at least that of half a case among the patients."""
    variance, covariance = spread
    raised = np.maximum(variance, 0.5 / np.maximum(patients, 1) ** 2)
    if covariance is not None:
        np.einsum("rkk->rk", covariance)[:] = raised
    return raised, covariance
