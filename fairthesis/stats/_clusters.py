"""Metrics of groups with standard errors that know of patients, for any assignment of groups.

Every metric here is a mean, a ratio of sums or a U-statistic of rows. A patient's influence on a
group's value is what leaving the patient out changes, and the variance of the value is the sum of
squared influences times (m - 1) / m, m patients: the jackknife with the patient as the unit (Efron
and Stein 1981; the cluster-robust variance that Bell and McCaffrey 2002 call CR3, which a patient
with most of the images does not make too small).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Labels = NDArray[np.integer]
Made = TypeVar("Made")
AT_ONCE = 1_000_000


class Assignment:
    """Which group each row is in, in one or several replicates, and which rows hang together.

    A cell holds the rows of a patient in a group. Groups, cells and rows of all replicates are laid
    side by side, so that one pass computes all of them: replicate r has the groups r k and up.

    Args:
        group: Group of each row, numbered from 0, shape (replicates, n); None where ``own`` says
            it, and it is made when asked for.
        patient: Patient of each row, numbered from 0, shape (n,).
        n_groups: Number of groups k.
        own: Group of each patient, shape (replicates, patients), where every patient has one; else
            None, and a patient's rows in different groups are a cell each.

    >>> one = Assignment(np.array([[0, 0, 1]]), np.array([0, 0, 1]), 2, np.array([[0, 1]]))
    >>> one.cell.tolist(), one.cell_group.tolist()
    ([0, 0, 1], [0, 1])
    """

    def __init__(
        self, group: Labels | None, patient: Index, n_groups: int, own: Labels | None
    ) -> None:
        self._rows, self.patient, self.n_groups, self.own = group, patient, n_groups, own
        self.replicates = len(self.own if self.own is not None else self.rows)
        self.size = self.replicates * n_groups
        self._codes: dict[int, Index] = {}
        self.n_patients = int(patient.max()) + 1 if own is None else own.shape[1]

    @cached_property
    def rows(self) -> Labels:
        """The group of each row, shape (replicates, n)."""
        if self._rows is None:
            assert self.own is not None
            return self.own[:, self.patient]
        return self._rows

    def parts(self, width: int) -> Iterator[Assignment]:
        """A few replicates at a time: as many as hold ``AT_ONCE`` numbers of ``width`` each."""
        step = max(1, AT_ONCE // max(width, 1))
        for first in range(0, self.replicates, step):
            some = slice(first, first + step)
            group, own = (None if x is None else x[some] for x in (self._rows, self.own))
            yield Assignment(group, self.patient, self.n_groups, own)

    def codes(self, digits: int) -> Index:
        """The groups of each patient in ``digits`` replicates as the digits of a number.

        Shape (replicates / digits rounded up, patients); see ``_group_sums``. Kept, as metrics ask
        for the same.
        """
        assert self.own is not None
        if digits not in self._codes:
            own, k = self.own, self.n_groups
            codes = np.zeros((-(-len(own) // digits), own.shape[1]), np.intp)
            for row in range(len(own) - 1, -1, -1):
                code = codes[row // digits]
                code *= k
                code += own[row]
            self._codes[digits] = codes
        return self._codes[digits]

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

    @staticmethod
    def joined(parts: Sequence[Values]) -> Values:
        """Replicates one after the other."""
        shared = [part.covariance for part in parts if part.covariance is not None]
        return Values(
            value=np.concatenate([part.value for part in parts]),
            variance=np.concatenate([part.variance for part in parts]),
            weight=np.concatenate([part.weight for part in parts]),
            covariance=np.concatenate(shared) if shared else None,
        )


class Clustered(Protocol):
    """A metric that gives ``Values`` for an assignment of groups to rows.

    >>> from fairthesis.stats import RatioOfSums
    >>> sex = np.array([[0, 0, 1, 1]])
    >>> share: Clustered = RatioOfSums(np.array([1.0, 0, 1, 1]), np.ones(4))
    >>> share.values(Assignment(sex, np.arange(4), 2, sex)).value.tolist()
    [[0.5, 1.0]]
    """

    def values(self, groups: Assignment) -> Values:
        """Value, variance and weight of every group."""


class PerPatients(Generic[Made]):
    """What a metric prepares once for all assignments of the same patients.

    Permutations share one array of patients; it is what tells them from others.

    Args:
        make: What is made of the first of these assignments.

    >>> sex, who = np.array([[0, 1]]), np.arange(2)
    >>> rows = PerPatients(lambda groups: [len(groups.patient)])
    >>> first, again = (rows.of(Assignment(sex, who, 2, sex)) for _ in range(2))
    >>> first, first is again
    ([2], True)
    """

    def __init__(self, make: Callable[[Assignment], Made]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._kept: tuple[Index, Made] | None = None

    def of(self, groups: Assignment) -> Made:
        """What was made for these patients, or is made now."""
        with self._lock:  # threads that start together would each make it
            if self._kept is None or self._kept[0] is not groups.patient:
                self._kept = (groups.patient, self._make(groups))
            return self._kept[1]


def raised(spread: tuple[Array, Array | None], patients: Array) -> tuple[Array, Array | None]:
    """The variance of a share of 0 or 1: at least that of half a case among the patients.

    >>> raised((np.array([[0.0]]), None), np.array([[10.0]]))[0].tolist()
    [[0.005]]
    """
    variance, covariance = spread
    least = np.maximum(variance, 0.5 / np.maximum(patients, 1) ** 2)
    if covariance is not None:
        np.einsum("rkk->rk", covariance)[:] = least
    return least, covariance
