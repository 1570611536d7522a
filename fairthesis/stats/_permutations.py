"""Do groups differ? Studentised permutation of group labels over patients.

Exchanging groups between patients at random gives the distribution of a gap only where groups are
alike in everything. They seldom are: they differ in prevalence, in size and in images per patient.
So a difference is divided by its standard error before it is compared (Janssen 1997; Chung and
Romano 2013, "Exact and asymptotically robust permutation tests", Ann. Stat. 41): the test then
errs as often as it says also where only the metric in question is equal, and stays exact where
groups are exchangeable. Rates and AUROC are properties of the cases of one label, and there groups
are exchanged among the patients' positive cases, and among their negative cases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis.stats import _resampling as resampling
from fairthesis.stats._clusters import Assignment, Clustered, Values
from fairthesis.stats._group_sums import compact

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Labels = NDArray[np.integer]
#: Over more groups than this, p values are given of each group against the rest, and none of pairs.
MAX_PAIRED = 20


@dataclass(frozen=True)
class GroupTest:
    """What permutations say of one metric's groups.

    Attributes:
        value: The metric of each group, shape (groups,).
        null: Values that the groups would have if they were equal, shape (n_permutations, groups):
            the common value, plus each group's studentised deviation from the rest times its own
            standard error.
        largest: The largest studentised difference between two groups: first as observed, then in
            every permutation, shape (1 + n_permutations,); to the rest, for more groups than
            ``MAX_PAIRED``.
        error: Standard error of each group's difference to the rest, shape (groups,).
        rest: Weighted mean of all groups but each, shape (groups,).
        reach: How many standard errors the farthest group lies from the rest in 95 of 100
            permutations.
        rest_p: p value of each group against the rest, shape (groups,).
        rest_p_corrected: The same by the largest difference (max-T) of all groups.
        pair_p: p value of each pair, shape (groups, groups); NaN for more than ``MAX_PAIRED``.
        pair_p_corrected: The same by the largest difference (max-T) of all pairs.

    >>> from fairthesis.stats import RatioOfSums
    >>> called = np.array([1.0, 1, 0, 1, 0, 0])
    >>> sex = np.array([0, 0, 0, 1, 1, 1], np.uint8)
    >>> tests = permuted_tests(
    ...     {"selection_rate": RatioOfSums(called, np.ones(6))},
    ...     np.arange(6), sex, n_permutations=99, seed=0, stream="sex",
    ... )
    >>> bool(tests["selection_rate"].pair_p[0, 1] > 0.5)
    True
    """

    value: Array
    null: Array
    largest: Array
    error: Array
    rest: Array
    reach: float
    rest_p: Array
    rest_p_corrected: Array
    pair_p: Array
    pair_p_corrected: Array

    def band(self) -> tuple[Array, Array]:
        """Where a group's value differs from the rest no more than chance does, for all at once."""
        return self.rest - self.reach * self.error, self.rest + self.reach * self.error


def permuted_tests(
    tested: Mapping[str, Clustered],
    patient: Index,
    labels: Labels,
    *,
    n_permutations: int,
    seed: int,
    stream: str,
    within: NDArray[np.bool_] | None = None,
) -> dict[str, GroupTest]:
    """Test whether groups differ in each metric, by studentised permutation over patients.

    T is a group's difference to the weighted mean of the others, over its cluster-robust standard
    error, computed anew in every permutation. Where every patient is in one group, groups are
    exchanged between patients; else (the view of an image, say) each patient's labels are a block
    (``label_permuter``).

    Args:
        tested: Name to metric, of the rows below.
        patient: Patient of each row, numbered from 0, shape (n,).
        labels: Group of each row, numbered from 0, shape (n,).
        n_permutations: Number of permutations.
        seed: Seed of the permutations.
        stream: Name of the attribute, so that each has permutations of its own.
        within: Where given, the rows' label: groups are exchanged among the patients' positive
            cases, and among their negative ones, so that each group keeps its prevalence. Then a
            difference in prevalence is none in rates or AUROC.

    Returns:
        Name to ``GroupTest``.

    >>> from fairthesis.stats import RatioOfSums
    >>> called, y = np.array([1.0, 1, 0, 1, 0, 0]), np.array([1.0, 1, 1, 1, 0, 0])
    >>> tests = permuted_tests(
    ...     {"tpr": RatioOfSums(called * y, y)}, np.arange(6),
    ...     np.array([0, 0, 1, 1, 0, 1]), n_permutations=50, seed=0, stream="sex", within=y > 0,
    ... )
    >>> tests["tpr"].value.tolist(), tests["tpr"].null.shape
    ([1.0, 0.5], (50, 2))
    """
    _, patient = compact(patient)
    k = int(labels.max()) + 1
    permuted = _permuter(patient, labels, k, within)
    observed = {name: metric.values(permuted([])) for name, metric in tested.items()}
    seen = {name: _studentised(one) for name, one in observed.items()}
    exceeded = {name: np.zeros((2, k, k), np.int64) for name in tested}
    lock = threading.Lock()

    def part(draws: range) -> Array:
        found = np.empty((len(draws), len(tested), k + 2))
        streams = [
            resampling.generator(seed, f"permutation {stream}", replicate) for replicate in draws
        ]
        groups = permuted(streams)
        for column, (name, metric) in enumerate(tested.items()):
            rest, pairs = _studentised(_values(metric, groups))
            found[:, column, :k], found[:, column, k] = rest, np.abs(rest).max(-1)
            found[:, column, -1] = _largest(rest, pairs)
            if pairs.size:
                own, pairs = np.abs(seen[name][1][0]) - SLACK, np.abs(pairs)
                both = [(pairs >= own).sum(0), (pairs.max((1, 2))[:, None, None] >= own).sum(0)]
                with lock:
                    exceeded[name] += both
        return found

    width = min(WIDTH * len(labels), resampling.CHUNK // TOGETHER)
    null = resampling.in_chunks(part, n_permutations, width, f"permutations, {stream}")
    return {
        name: _test(observed[name], seen[name], null[:, column], exceeded[name])
        for column, name in enumerate(tested)
    }


def group_values(
    metric: Clustered, patient: Index, labels: Labels, n_groups: int | None = None
) -> Values:
    """A metric of every group as observed: one replicate of ``Values``.

    Args:
        metric: Of the rows below.
        patient: Patient of each row, numbered from 0, shape (n,).
        labels: Group of each row, numbered from 0, shape (n,).
        n_groups: Number of groups; the largest label plus 1 if None.

    >>> from fairthesis.stats import RatioOfSums
    >>> share = RatioOfSums(np.array([1.0, 0, 1, 1]), np.ones(4))
    >>> group_values(share, np.arange(4), np.array([0, 0, 1, 1])).value.tolist()
    [[0.5, 1.0]]
    """
    _, patient = compact(patient)
    k = int(labels.max()) + 1 if n_groups is None else n_groups
    return metric.values(_permuter(patient, labels, k, None)([]))


SLACK = 1e-9  # sums taken in another order differ in the last digits
WIDTH = 10
TOGETHER = 8  # permutations at a time, however many rows: they share passes (_group_sums)


def _values(metric: Clustered, groups: Assignment) -> Values:
    """A metric in all replicates: at once where it can, else in as many as memory allows."""
    if getattr(metric, "wide", False):
        return metric.values(groups)
    width = WIDTH * len(groups.patient) // 2
    return Values.joined([metric.values(part) for part in groups.parts(width)])


def _studentised(found: Values) -> tuple[Array, Array]:
    """Differences to the rest and between pairs, each over its standard error."""
    rest = _over(*found.against_rest())
    if rest.shape[1] > MAX_PAIRED:
        return rest, np.empty((0, 0, 0))
    return rest, _over(*found.pairs())


def _largest(rest: Array, pairs: Array) -> Array:
    return np.abs(pairs).max((1, 2)) if pairs.size else np.abs(rest).max(1)


def _over(difference: Array, error: Array) -> Array:
    """Quotients; 0 where both are, and infinite where only the error is."""
    flat = np.where(np.abs(difference) < SLACK, 0.0, np.copysign(np.inf, difference))
    return np.divide(difference, error, out=flat, where=error > 0)


def _test(
    observed: Values, seen: tuple[Array, Array], null: Array, exceeded: NDArray[np.int64]
) -> GroupTest:
    difference, error = (found[0] for found in observed.against_rest())
    value, share = observed.value[0], observed.weight[0] / max(observed.weight[0].sum(), 1e-12)
    n, rest = len(null), seen[0][0]
    T, largest = null[:, :-2], null[:, -2]
    own = np.abs(rest) - SLACK
    every = np.append(_largest(*seen), null[:, -1])
    pairs = (1 + exceeded) / (1 + n) if len(rest) <= MAX_PAIRED else np.full(exceeded.shape, np.nan)
    T = np.where(np.isfinite(T), T, np.copysign(FAR, T))
    return GroupTest(
        value=value,
        null=float((share * value).sum()) + (1 - share) * error * T,
        largest=every,
        error=error,
        rest=value - difference,
        reach=float(np.quantile(np.minimum(largest, FAR), resampling.LEVEL)) if n else np.nan,
        rest_p=(1 + (np.abs(T) >= own).sum(0)) / (1 + n),
        rest_p_corrected=(1 + (largest[:, None] >= own).sum(0)) / (1 + n),
        pair_p=pairs[0],
        pair_p_corrected=pairs[1],
    )


FAR = 1e6  # standard errors: in place of infinitely many


def _permuter(
    patient: Index, labels: Labels, k: int, within: NDArray[np.bool_] | None
) -> Callable[[list[np.random.Generator]], Assignment]:
    """A function that gives the groups as permuted by each generator, or of none as observed."""
    n_patients = int(patient.max()) + 1
    labels = labels.astype(np.intp)
    own = np.empty(n_patients, np.intp)
    own[patient] = labels
    if (own[patient] == labels).all():
        unit, strata = patient, [own]
        if within is not None:
            # A patient's positive cases are a unit, and their negative ones another.
            kinds, unit = compact(patient + n_patients * ~within)
            n_positive = int(np.searchsorted(kinds, n_patients))
            strata = [own[kinds[:n_positive]], own[kinds[n_positive:] - n_patients]]
            strata = [stratum for stratum in strata if len(stratum)]
        small = np.min_scalar_type(k - 1)

        def by_patient(streams: list[np.random.Generator]) -> Assignment:
            if not streams:
                return Assignment(labels[None], patient, k, own[None])
            drawn = np.empty((len(streams), sum(map(len, strata))), small)
            for row, rng in zip(drawn, streams, strict=True):
                first = 0
                for stratum in strata:
                    turned = stratum.copy()
                    rng.shuffle(turned)
                    row[first : first + len(turned)] = turned
                    first += len(turned)
            return Assignment(None, unit, k, drawn)

        return by_patient
    parts = (
        [np.arange(len(labels))] if within is None else [*map(np.flatnonzero, (within, ~within))]
    )
    parts = [rows for rows in parts if len(rows)]
    permute = [resampling.label_permuter(labels[rows], patient[rows]) for rows in parts]

    def by_row(streams: list[np.random.Generator]) -> Assignment:
        drawn = np.tile(labels, (max(len(streams), 1), 1))
        for row, rng in zip(drawn, streams, strict=False):
            for rows, one in zip(parts, permute, strict=True):
                row[rows] = one(rng)
        return Assignment(drawn, patient, k, None)

    return by_row
