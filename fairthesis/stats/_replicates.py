"""What metrics are computed from in all resamples: sums over rows that are sorted once.

With a group's positives and negatives in descending order of score, cumulative sums of the
resampled weights give every threshold, bin and rank at once: counts, bins and recalibration are
differences of them, AUROC and average precision sums over them. Which metrics are wanted is the
caller's: a metric is a function of a ``Resampled``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

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
SLACK = 1e-12  # of sums of weights, for what rounding does to them


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
        offset_shift: What it changed in the intercept of the line of slope 1.
        beyond: Positives above each negative, and negatives not below each positive.
        scores: Scores of positives and of negatives.
        losses: Brier and log loss of each positive and of each negative, each of shape (2, cases).
        weights: Weights of positives and of negatives; None where each counts once.

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
    offset_shift: float
    beyond: tuple[Index, Index]
    scores: tuple[Array32, Array32]
    losses: tuple[Array32, Array32]
    weights: tuple[Array, Array] | None = None

    def resampled(self, counts: Array32 | NDArray[np.uint8]) -> Resampled:
        """The group under patient counts, shape (c, n_patients)."""
        return Resampled(self, counts)


class Resampled:
    """One group in c resamples: every property is an array of shape (c,), computed when asked.

    A metric is a function of it.

    >>> y, s, who = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9]), np.arange(3)
    >>> group = prepare(y, s, who, threshold=0.5)
    >>> found = group.resampled(np.array([[1, 1, 1], [1, 2, 0]], np.float32))
    >>> found.auroc.tolist(), [int(tp) for tp in found.confusion[0]]
    ([1.0, 1.0], [1, 0])
    """

    noise = 2.0  # a resample's own, and that of the sample it is drawn from

    def __init__(self, rows: GroupRows, counts: Array32 | NDArray[np.uint8]) -> None:
        self.rows = rows
        # Places are in range by construction; "clip" spares numpy the check.
        self.w_pos: NDArray[Any]
        self.w_neg: NDArray[Any]
        self.w_pos, self.w_neg = (
            np.take(counts, cases, axis=1, mode="clip").astype(np.float32, copy=False)
            for cases in (rows.positives, rows.negatives)
        )
        if rows.weights is not None:
            # Of 64 bits: differences of cumulated weights are exact for whole numbers alone.
            self.w_pos = self.w_pos * rows.weights[0]
            self.w_neg = self.w_neg * rows.weights[1]
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

    def confusion_at(self, positives: Index, negatives: Index) -> tuple[Array, Array, Array, Array]:
        """The same where the first ``positives`` and ``negatives`` of each resample are called.

        Args:
            positives: Number of the group's positives at or above the resample's own threshold, in
                descending order of score, shape (c,).
            negatives: The same of negatives.
        """
        row = np.arange(len(self.cum_pos))
        tp, fp = (
            np.take_along_axis(c, k[:, None], axis=1)[row, 0].astype(np.float64)
            for c, k in ((self.cum_pos, positives), (self.cum_neg, negatives))
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
    def bin_squares(self) -> Array | None:
        """Sum of squared weights of each of ``bins``; None where rows have no weights."""
        rows = self.rows
        if rows.weights is None:
            return None
        both = ((self.w_pos, rows.weights[0]), (self.w_neg, rows.weights[1]))
        parts = [
            _weighted_segments(w, own, edges)
            for (w, own), edges in zip(both, rows.bins, strict=True)
        ]
        return parts[0] + parts[1]

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

    @cached_property
    def in_the_large(self) -> Array:
        """Intercept of the recalibration line of slope 1 (``metrics.recalibration_offset``)."""
        rows = self.rows
        at = _segments(self.cum_pos, rows.support[0])
        n = at + _segments(self.cum_neg, rows.support[1])
        return metrics.recalibration_offset(rows.logits, n, at) + rows.offset_shift

    @property
    def observed_expected(self) -> Array:
        """Positives over the sum of scores."""
        expected = self.w_pos @ self.rows.scores[0] + self.w_neg @ self.rows.scores[1]
        return metrics.ratio(self.positives, expected.astype(np.float64))

    def tpr_at_fpr(self, rate: float) -> Array:
        """As ``metrics.tpr_at_fpr`` of repeated rows; without weights counts are whole numbers."""
        most = rate * self.negatives * (1 + SLACK)
        if self.rows.weights is None:
            most = np.floor(rate * self.negatives + 1e-9).astype(np.float32)
        # the first negative that is too many
        over = [np.searchsorted(c, x, "right") for c, x in zip(self.cum_neg, most, strict=True)]
        row = np.arange(len(self.positives))
        tp = self.cum_pos[row, self.rows.beyond[0][np.array(over) - 1]]
        return metrics.ratio(tp, np.where(self._both, self.positives, 0))

    def fpr_at_tpr(self, rate: float) -> Array:
        """As ``metrics.fpr_at_tpr`` of repeated rows; without weights counts are whole numbers."""
        need = rate * self.positives * (1 - SLACK)
        if self.rows.weights is None:
            need = np.ceil(rate * self.positives - 1e-9).astype(np.float32)
        # as many positives as are needed
        enough = [np.searchsorted(c, x) for c, x in zip(self.cum_pos, need, strict=True)]
        row = np.arange(len(self.positives))
        fp = self.cum_neg[row, self.rows.beyond[1][np.array(enough)]]
        return metrics.ratio(fp, np.where(self._both, self.negatives, 0))

    @property
    def _both(self) -> NDArray[np.bool_]:
        return (self.positives > 0) & (self.negatives > 0)


def _segments(cumulative: NDArray[Any], edges: Index) -> Array:
    return np.diff(np.take(cumulative, edges, axis=1, mode="clip").astype(np.float64), axis=1)


def _weighted_segments(weight: NDArray[Any], values: NDArray[Any], edges: Index) -> Array:
    """Sums of ``weight * values`` between consecutive edges, without holding the products."""
    parts = [weight[:, a:b] @ values[a:b] for a, b in pairwise(edges)]
    return np.stack(parts, axis=1).astype(np.float64)


def prepare(
    y: Array, s: Array, patient: Index, threshold: float, weight: Array | None = None
) -> GroupRows:
    """Sort a group's rows, and find where bins, threshold and ties begin.

    Args:
        y: Labels of 0 and 1, shape (n,), at least one row.
        s: Probabilities, shape (n,), without NaN.
        patient: Patient of each row, shape (n,): its column in the patient counts.
        threshold: A case is called positive at a score of at least this.
        weight: Weight of each row, above 0, shape (n,); 1 if None.

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9])
    >>> group = prepare(y, s, np.arange(3), threshold=0.5)
    >>> found = group.resampled(np.ones((1, 3), np.float32))  # each patient once: the sample itself
    >>> [int(count) for (count,) in found.confusion]  # TP, FP, TN, FN
    [1, 0, 1, 1]
    """
    order = np.argsort(-s, kind="stable")
    y, s, patient = y[order], s[order], patient[order]
    w = np.ones(len(y)) if weight is None else weight[order]
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
    total, n_pos = (np.add.reduceat(one, edge[:-1]) for one in (w, w * y))
    logits = np.add.reduceat(w * x, edge[:-1]) / total
    exact = metrics.recalibration_line(x, w, w * y)
    rough = metrics.recalibration_line(logits, total, n_pos)
    shift = tuple(np.nan_to_num(float(e - r)) for e, r in zip(exact, rough, strict=True))
    offset = metrics.recalibration_offset(x, w, w * y)
    rough_offset = metrics.recalibration_offset(logits, total, n_pos)
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
        offset_shift=float(np.nan_to_num(offset - rough_offset)),
        beyond=(above, not_below),
        scores=(single[pos], single[neg]),
        losses=(losses[:, pos], losses[:, neg]),
        weights=None if weight is None else (w[pos], w[neg]),
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
    return resampling.bootstrap(of_groups(groups, statistics), n_patients, n_boot, seed)


def bootstrap_at(
    groups: Sequence[GroupRows],
    called: Sequence[tuple[Index, Index]],
    n_patients: int,
    n_boot: int,
    seed: int,
) -> Array:
    """Counts of every group in every resample of patients, each at a threshold of its own.

    The draws are those of ``bootstrap_groups`` with the same seed.

    Args:
        groups: The rows of each group, from ``prepare``.
        called: For each group, how many of its positives and of its negatives, in descending order
            of score, are at or above each resample's threshold, two arrays of shape (n_boot,).
        n_patients: Number of patients that are drawn from.
        n_boot: Number of resamples.
        seed: Seed of the draws.

    Returns:
        True and false positives, true and false negatives, shape (n_boot, groups, 4).

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9])
    >>> group = prepare(y, s, np.arange(3), threshold=0.5)
    >>> one, none = np.array([1, 1]), np.array([0, 0])
    >>> bootstrap_at([group], [(one, none)], 3, 2, seed=0)[..., 1].tolist()  # no false positive
    [[0.0], [0.0]]
    """

    def statistic(draws: range) -> Array:
        counts = resampling.patient_counts(n_patients, draws, seed)
        found = [
            np.stack(rows.resampled(counts).confusion_at(positives[draws], negatives[draws]), -1)
            for rows, (positives, negatives) in zip(groups, called, strict=True)
        ]
        return np.stack(found, axis=1)

    return resampling.in_chunks(statistic, n_boot, n_patients)


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
    return resampling.jackknife(of_groups(groups, statistics), n_patients, seed)


def of_groups(
    groups: Sequence[GroupRows], statistics: Sequence[Callable[[Resampled], Array]]
) -> Callable[[resampling.Counts], Array]:
    """What ``bootstrap_groups`` asks of every resample, as a function of patient counts.

    Args:
        groups: The rows of each group, from ``prepare``.
        statistics: Functions of a ``Resampled``, as for ``bootstrap_groups``.

    Returns:
        A function for ``bootstrap``: patient counts (c, patients) give (c, groups, values).

    >>> y, s = np.array([0.0, 1, 1]), np.array([0.2, 0.4, 0.9])
    >>> group = prepare(y, s, np.arange(3), threshold=0.5)
    >>> of_groups([group], [lambda r: r.positives])(np.ones((1, 3), np.float32)).tolist()
    [[[2.0]]]
    """

    def statistic(counts: resampling.Counts) -> Array:
        values = []
        # A byte says how often a patient is drawn: a table that a core's cache holds is read.
        small = counts.astype(np.uint8) if counts.max(initial=0) < 256 else counts
        for group in groups:
            found = group.resampled(small)
            own = [of(found) for of in statistics]
            values.append(np.concatenate([v.reshape(len(v), -1) for v in own], axis=-1))
        return np.stack(values, axis=1)

    return statistic
