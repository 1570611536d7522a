"""What metrics are computed from in all resamples and permutations: sums over rows sorted once.

With a group's positives and negatives in descending order of score, cumulative sums of the
resampled weights give every threshold, bin and rank at once: counts, bins and recalibration are
differences of them, AUROC and average precision sums over them. Which metrics are wanted is the
caller's: a metric is a function of a ``Summary``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.stats import _resampling as resampling

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Index = NDArray[np.intp]

# Points at which the recalibration line is fitted in a replicate: its error is then about 2 % of
# the replicates' spread (tested), and falls with more.
SUPPORT = 128


class Summary(Protocol):
    """What a metric is computed from, in resamples as in permutations.

    Every array has a value per resample of one group (``Resampled``), or per group of one
    permutation (in ``permuted_groups``). A metric that is a function of a summary works for both.

    >>> y, s = np.array([0.0, 1, 0, 1]), np.array([0.1, 0.6, 0.7, 0.8])
    >>> def sensitivity(summary: Summary) -> Array:
    ...     tp, _, _, fn = summary.confusion
    ...     return metrics.ratio(tp, tp + fn)
    >>> group = prepare(y, s, np.arange(4), threshold=0.7)
    >>> sensitivity(group.resampled(np.ones((1, 4), np.float32))).tolist()
    [0.5]
    >>> sex = np.array([0, 0, 1, 1], np.uint8)
    >>> options = {"threshold": 0.7, "n_permutations": 3, "seed": 0, "stream": "sex"}
    >>> permuted_groups(
    ...     y, s, np.arange(4), sex, statistics={"tpr": sensitivity}, **options
    ... )["tpr"].shape
    (3, 2)
    """

    @property
    def noise(self) -> float:
        """How often the sampling noise is in the sums (``metrics.ece_debiased_from_bins``)."""

    @property
    def confusion(self) -> tuple[Array, Array, Array, Array]:
        """True and false positives, true and false negatives at the threshold."""

    @property
    def auroc(self) -> Array:
        """Area under the ROC curve; NaN where a class is missing."""

    @property
    def brier(self) -> Array:
        """Mean of (score - label) squared."""

    @property
    def bins(self) -> tuple[Array, Array, Array]:
        """Cases, sum of scores and positives of each calibration bin, shape (..., bins)."""


@dataclass(frozen=True)
class GroupRows:
    """One group's rows, sorted once for all resamples; made by ``prepare``.

    Attributes:
        positives: Patient of each positive, in descending order of score.
        negatives: Patient of each negative, likewise.
        ties: How positives and negatives interleave.
        cut: Number of positives and of negatives at or above the threshold.
        bins: First positive and first negative of each calibration bin, and the end.
        support: The same for the points at which the recalibration line is fitted.
        logits: Mean logit of the scores at each of these points.
        line: Intercept and slope of the recalibration line at these points, full sample.
        shift: What collapsing to these points changed in intercept and slope.
        beyond: Positives above each negative, and negatives not below each positive.
        scores: Scores of positives and of negatives.
        losses: Brier and log loss of each positive and of each negative, each of shape (2, cases).

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9])
    >>> group = prepare(y, s, np.array([7, 8, 9]), threshold=0.5)
    >>> group.positives.tolist(), group.cut
    ([9, 8], (1, 0))
    """

    positives: Index
    negatives: Index
    ties: metrics.Ties
    cut: tuple[int, int]
    bins: tuple[Index, Index]
    support: tuple[Index, Index]
    logits: Array
    line: tuple[float, float]
    shift: tuple[float, float]
    beyond: tuple[Index, Index]
    scores: tuple[Array32, Array32]
    losses: tuple[Array32, Array32]

    def resampled(self, counts: Array32) -> Resampled:
        """The group under patient counts, shape (c, n_patients)."""
        return Resampled(self, counts)


class Resampled:
    """One group in c resamples: every property is an array of shape (c,), computed when asked.

    It is a ``Summary``, and has what permutations have no use for.

    >>> y, s, who = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9]), np.arange(3)
    >>> group = prepare(y, s, who, threshold=0.5)
    >>> found = group.resampled(np.array([[1, 1, 1], [1, 2, 0]], np.float32))
    >>> found.auroc.tolist(), [int(tp) for tp in found.confusion[0]]
    ([1.0, 1.0], [1, 0])
    """

    noise = 2.0  # a resample's own, and that of the sample it is drawn from

    def __init__(self, rows: GroupRows, counts: Array32) -> None:
        self.rows = rows
        # Places are in range by construction; "clip" spares numpy the check.
        self.w_pos = np.take(counts, rows.positives, axis=1, mode="clip")
        self.w_neg = np.take(counts, rows.negatives, axis=1, mode="clip")
        self.cum_pos, self.cum_neg = metrics.cumulate(self.w_pos), metrics.cumulate(self.w_neg)

    @cached_property
    def positives(self) -> Array:
        """Positive cases."""
        return self.cum_pos[:, -1].astype(np.float64)

    @cached_property
    def negatives(self) -> Array:
        """Negative cases."""
        return self.cum_neg[:, -1].astype(np.float64)

    @cached_property
    def confusion(self) -> tuple[Array, Array, Array, Array]:
        """True and false positives, true and false negatives at the threshold."""
        tp, fp = (
            c[:, k].astype(np.float64)
            for c, k in zip((self.cum_pos, self.cum_neg), self.rows.cut, strict=True)
        )
        return tp, fp, self.negatives - fp, self.positives - tp

    @cached_property
    def _ranked(self) -> tuple[Array, Array]:
        return metrics.rank_sums(self.w_pos, self.cum_pos, self.cum_neg, self.rows.ties)

    @property
    def auroc(self) -> Array:
        """Area under the ROC curve; NaN where a class is missing."""
        return self._ranked[0]

    @property
    def average_precision(self) -> Array:
        """Mean precision at the positives; NaN where there is none."""
        return self._ranked[1]

    def _loss(self, k: int) -> Array:
        sums = self.w_pos @ self.rows.losses[0][k] + self.w_neg @ self.rows.losses[1][k]
        return metrics.ratio(sums.astype(np.float64), self.positives + self.negatives)

    @property
    def brier(self) -> Array:
        """Mean of (score - label) squared."""
        return self._loss(0)

    @property
    def log_loss(self) -> Array:
        """Mean of -log of the probability that the label was given."""
        return self._loss(1)

    @cached_property
    def bins(self) -> tuple[Array, Array, Array]:
        """Cases, sum of scores and positives of each calibration bin, shape (c, bins).

        The rows are sorted by falling score, and so are the bins here.
        """
        rows = self.rows
        both = (
            (self.w_pos, rows.scores[0], rows.bins[0]),
            (self.w_neg, rows.scores[1], rows.bins[1]),
        )
        first, second = (_weighted_segments(*part) for part in both)
        labels = _segments(self.cum_pos, rows.bins[0])
        return labels + _segments(self.cum_neg, rows.bins[1]), first + second, labels

    @cached_property
    def recalibration(self) -> tuple[Array, Array]:
        """Intercept and slope of the logistic recalibration line (Cox 1958)."""
        rows = self.rows
        at = _segments(self.cum_pos, rows.support[0])
        a, b = metrics.recalibration_line(
            rows.logits,
            at + _segments(self.cum_neg, rows.support[1]),
            at,
            rows.line,
            tolerance=1e-5,
        )
        return a + rows.shift[0], b + rows.shift[1]

    def tpr_at_fpr(self, rate: float) -> Array:
        """As ``metrics.tpr_at_fpr`` of repeated rows; counts are whole numbers."""
        most = np.floor(rate * self.negatives + 1e-9).astype(np.float32)
        # the first negative that is too many
        over = [np.searchsorted(c, x, "right") for c, x in zip(self.cum_neg, most, strict=True)]
        row = np.arange(len(self.positives))
        tp = self.cum_pos[row, self.rows.beyond[0][np.array(over) - 1]]
        return metrics.ratio(tp, np.where(self._both, self.positives, 0))

    def fpr_at_tpr(self, rate: float) -> Array:
        """As ``metrics.fpr_at_tpr`` of repeated rows; counts are whole numbers."""
        need = np.ceil(rate * self.positives - 1e-9).astype(np.float32)
        # as many positives as are needed
        enough = [np.searchsorted(c, x) for c, x in zip(self.cum_pos, need, strict=True)]
        row = np.arange(len(self.positives))
        fp = self.cum_neg[row, self.rows.beyond[1][np.array(enough)]]
        return metrics.ratio(fp, np.where(self._both, self.negatives, 0))

    @property
    def _both(self) -> NDArray[np.bool_]:
        return (self.positives > 0) & (self.negatives > 0)


def _segments(cumulative: Array32, edges: Index) -> Array:
    return np.diff(np.take(cumulative, edges, axis=1, mode="clip").astype(np.float64), axis=1)


def _weighted_segments(weight: Array32, values: Array32, edges: Index) -> Array:
    """Sums of ``weight * values`` between consecutive edges, without holding the products."""
    parts = [weight[:, a:b] @ values[a:b] for a, b in pairwise(edges)]
    return np.stack(parts, axis=1).astype(np.float64)


def prepare(y: Array, s: Array, patient: Index, threshold: float) -> GroupRows:
    """Sort a group's rows, and find where bins, threshold and ties begin.

    Args:
        y: Labels of 0 and 1, shape (n,), at least one row.
        s: Probabilities, shape (n,), without NaN.
        patient: Patient of each row, shape (n,): its column in the patient counts.
        threshold: A case is called positive at a score of at least this.

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9])
    >>> group = prepare(y, s, np.arange(3), threshold=0.5)
    >>> found = group.resampled(np.ones((1, 3), np.float32))  # each patient once: the sample itself
    >>> [int(count) for (count,) in found.confusion]  # TP, FP, TN, FN
    [1, 0, 1, 1]
    """
    order = np.argsort(-s, kind="stable")
    y, s, patient = y[order], s[order], patient[order]
    pos, neg = y > 0, y <= 0
    bin_of = metrics.bin_index(s)
    n_bins = metrics.N_BINS
    bins = tuple(
        np.searchsorted(-bin_of[part], -np.arange(n_bins - 1, -2, -1)) for part in (pos, neg)
    )
    x = metrics.logit(s)
    # Half the support points hold equal numbers of cases, half are equally spaced: the few
    # extreme scores weigh most in the slope.
    spaced = np.searchsorted(-x, -np.linspace(x[0], x[-1], SUPPORT // 2))
    quantiles = np.linspace(0, len(s), SUPPORT // 2 + 1).astype(np.intp)
    edge = np.unique(np.concatenate([quantiles, spaced])).astype(np.intp)
    support = tuple(np.concatenate([[0], np.cumsum(part)])[edge] for part in (pos, neg))
    logits = np.add.reduceat(x, edge[:-1]) / np.diff(edge)
    exact = metrics.recalibration_line(x, np.ones(len(y)), y)
    n_pos = np.diff(support[0]).astype(np.float64)
    rough = metrics.recalibration_line(logits, np.diff(edge), n_pos)
    shift = tuple(np.nan_to_num(float(e - r)) for e, r in zip(exact, rough, strict=True))
    losses = np.stack([(s - y) ** 2, metrics.log_losses(y, s)]).astype(np.float32)
    single = s.astype(np.float32)
    start = tuple(float(r) for r in rough)
    # No negative is too many where the last is reached, and no positive calls no one positive.
    above = np.append(np.searchsorted(-s[pos], -s[neg], "left"), pos.sum())
    not_below = np.insert(np.searchsorted(-s[neg], -s[pos], "right"), 0, 0)
    return GroupRows(
        positives=patient[pos],
        negatives=patient[neg],
        ties=metrics.find_ties(s[pos], s[neg]),
        cut=(int((s[pos] >= threshold).sum()), int((s[neg] >= threshold).sum())),
        bins=(bins[0], bins[1]),
        support=(support[0], support[1]),
        logits=logits,
        line=(start[0], start[1]) if np.isfinite(start).all() else (0.0, 1.0),
        shift=(shift[0], shift[1]),
        beyond=(above, not_below),
        scores=(single[pos], single[neg]),
        losses=(losses[:, pos], losses[:, neg]),
    )


def bootstrap_groups(
    groups: Sequence[GroupRows],
    statistics: Sequence[Callable[[Resampled], Array]],
    n_patients: int,
    n_boot: int,
    seed: int,
) -> Array:
    """``statistics`` of every group in every resample of patients.

    All groups see the same draw of patients, so that their differences are paired.

    Args:
        groups: The rows of each group, from ``prepare``.
        statistics: Functions of a ``Resampled``, each giving one value per resample, (c,), or
            several, (c, k): they are laid side by side.
        n_patients: Number of patients that are drawn from.
        n_boot: Number of resamples.
        seed: Seed of the draws.

    Returns:
        Shape (n_boot, groups, values).

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9])
    >>> group = prepare(y, s, np.arange(3), threshold=0.5)
    >>> found = bootstrap_groups([group], [lambda r: r.brier, lambda r: r.auroc], 3, 40, seed=0)
    >>> found.shape, bool(np.isnan(found[..., 1]).any())  # some resamples hold a single class
    ((40, 1, 2), True)
    """
    if not n_boot:  # no replicates, no intervals
        return np.empty((0, len(groups), len(statistics)))
    return resampling.bootstrap(_statistic(groups, statistics), n_patients, n_boot, seed)


def jackknife_groups(
    groups: Sequence[GroupRows],
    statistics: Sequence[Callable[[Resampled], Array]],
    n_patients: int,
    seed: int,
) -> Array:
    """``statistics`` of every group, each block of patients left out in turn.

    Args:
        groups: The rows of each group, from ``prepare``.
        statistics: Functions of a ``Resampled``, as for ``bootstrap_groups``.
        n_patients: Number of patients.
        seed: Seed of the blocks; see ``jackknife``.

    Returns:
        Shape (blocks, groups, values).

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9])
    >>> group = prepare(y, s, np.arange(3), threshold=0.5)
    >>> found = jackknife_groups([group], [lambda r: r.positives], 3, seed=0)
    >>> sorted(found.ravel().tolist())
    [1.0, 1.0, 2.0]
    """
    return resampling.jackknife(_statistic(groups, statistics), n_patients, seed)


def _statistic(
    groups: Sequence[GroupRows], statistics: Sequence[Callable[[Resampled], Array]]
) -> Callable[[resampling.Counts], Array]:
    def statistic(counts: resampling.Counts) -> Array:
        values = []
        for group in groups:
            found = group.resampled(counts)
            own = [of(found) for of in statistics]
            values.append(np.concatenate([v.reshape(len(v), -1) for v in own], axis=-1))
        return np.stack(values, axis=1)

    return statistic


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
