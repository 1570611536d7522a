"""What metrics are computed from when groups are permuted: sums over rows sorted once.

A group is the places that it holds among all rows in ascending order of score.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.stats import _resampling as resampling
from fairthesis.stats._summary import Summary

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def permuted_groups(
    y: Array,
    s: Array,
    patient: Index,
    labels: NDArray[np.uint8],
    threshold: float,
    statistics: Mapping[str, Callable[[Summary], Array]],
    n_permutations: int,
    seed: int,
    stream: str,
) -> dict[str, Array]:
    """``statistics`` of every group under permuted group labels.

    Args:
        y: Labels of 0 and 1, shape (n,).
        s: Probabilities, shape (n,).
        patient: Patient of each row, numbered from 0, shape (n,); labels are permuted over patients
            by ``label_permuter``.
        labels: Group of each row, numbered from 0, shape (n,).
        threshold: A case is called positive at a score of at least this.
        statistics: Name to function of a ``Summary``.
        n_permutations: Number of permutations.
        seed: Seed of the permutations.
        stream: Name of the attribute, so that each has permutations of its own.

    Returns:
        Name to values of shape (n_permutations, groups).

    >>> y, s = np.array([0.0, 1, 0, 1]), np.array([0.1, 0.6, 0.7, 0.8])
    >>> sex = np.array([0, 0, 1, 1], np.uint8)
    >>> null = permuted_groups(
    ...     y, s, np.arange(4), sex, 0.5, {"brier": lambda g: g.brier}, 3, seed=0, stream="sex"
    ... )
    >>> null["brier"].mean(axis=1).round(3).tolist()  # what one group gains the other loses
    [0.175, 0.175, 0.175]
    """
    rows = _Ordered(y, s, threshold)
    permute = resampling.label_permuter(labels, patient, rows.order)
    groups = range(int(labels.max()) + 1)

    def one(replicate: int) -> Array:
        group = permute(resampling.generator(seed, f"permutation {stream}", replicate))
        found = rows.permuted(group, groups)
        return np.stack([of(found) for of in statistics.values()])

    null = resampling.in_chunks(
        lambda part: np.stack([one(replicate) for replicate in part]), n_permutations, len(y)
    )
    return {name: null[:, k] for k, name in enumerate(statistics)}


@dataclass(frozen=True)
class Permuted:
    """The groups of one permutation, a ``Summary``: every array has a value per group.

    Attributes:
        confusion: True and false positives, true and false negatives at the threshold.
        auroc: Area under the ROC curve; NaN where a group lacks a class.
        brier: Mean of (score - label) squared.
        bins: Cases, sum of scores and positives of each calibration bin, shape (groups, bins).
        noise: 1, a sample's own sampling noise (``metrics.ece_debiased_from_bins``).

    >>> y, s = np.array([0.0, 1, 0, 1]), np.array([0.1, 0.6, 0.7, 0.8])
    >>> def positives(found):
    ...     tp, _, _, fn = found.confusion
    ...     return tp + fn
    >>> sex = np.array([0, 0, 1, 1], np.uint8)
    >>> null = permuted_groups(
    ...     y, s, np.arange(4), sex, 0.5, {"positives": positives}, 2, seed=0, stream="sex"
    ... )
    >>> null["positives"].sum(axis=1).tolist()
    [2.0, 2.0]
    """

    confusion: tuple[Array, Array, Array, Array]
    auroc: Array
    brier: Array
    bins: tuple[Array, Array, Array]
    noise: float = 1.0


class _Ordered:
    """All rows in ascending order of score: bins and the threshold are then places in the order.

    A group is the places that it holds, and every count is read from where these places lie.
    """

    def __init__(self, y: Array, s: Array, threshold: float) -> None:
        self.order = np.lexsort((y, s))  # among ties, negatives first
        self.s = s[self.order]
        self.positive = y[self.order] > 0
        self.squared = (self.s - self.positive) ** 2
        bin_of = metrics.bin_index(self.s)
        self.edges = np.searchsorted(bin_of, np.arange(metrics.N_BINS + 1))
        self.cut = np.searchsorted(self.s, threshold, "left")
        # Ties count one half, the mean of "negatives first" and "positives first".
        turned = np.lexsort((~self.positive, self.s))
        tied = (self.positive[turned] != self.positive).any()
        self.turned = turned if tied else None

    def permuted(self, group: NDArray[np.uint8], groups: range) -> Permuted:
        """What metrics of the groups are computed from, when ``group`` is each row's."""
        n, label_sum, score_sum = (np.empty((len(groups), metrics.N_BINS)) for _ in range(3))
        called, tp, pairs, squared = (np.empty(len(groups)) for _ in range(4))
        for k, places in enumerate(_places(group, len(groups))):
            ranks = np.flatnonzero(self.positive[places])
            at = np.searchsorted(places, self.edges)
            below = np.searchsorted(ranks, at)
            n[k], label_sum[k] = at[1:] - at[:-1], below[1:] - below[:-1]
            score_sum[k] = _sums(self.s[places], at)
            above = np.searchsorted(places, self.cut)
            called[k] = len(places) - above
            tp[k] = len(ranks) - np.searchsorted(ranks, above)
            squared[k] = self.squared[places].sum()
            pairs[k] = ranks.sum()
            if self.turned is not None:
                other = self.turned[group[self.turned] == k]
                pairs[k] = (pairs[k] + np.flatnonzero(self.positive[other]).sum()) / 2
        P, total = label_sum.sum(1), n.sum(1)
        fp, fn = called - tp, P - tp
        return Permuted(
            confusion=(tp, fp, total - P - fp, fn),
            # A positive's rank less the positives before it is the negatives before it.
            auroc=metrics.ratio(pairs - P * (P - 1) / 2, P * (total - P)),
            brier=metrics.ratio(squared, total),
            bins=(n, score_sum, label_sum),
        )


def _places(group: NDArray[np.uint8], n_groups: int) -> list[Index]:
    """The places of each group, ascending; a scan per group is faster than a sort while few."""
    if n_groups <= 8:
        return [np.flatnonzero(group == k) for k in range(n_groups)]
    ends = np.cumsum(np.bincount(group, minlength=n_groups))
    return np.split(np.argsort(group, kind="stable"), ends[:-1])


def _sums(values: Array, edges: Index) -> Array:
    """Sums between consecutive edges, 0 where two of them are equal."""
    sums = np.zeros(len(edges) - 1)
    some = edges[:-1] < edges[1:]
    if some.any():
        sums[some] = np.add.reduceat(values, edges[:-1][some])
    return sums
