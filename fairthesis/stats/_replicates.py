"""All metrics of all resamples and permutations, from rows that are sorted by score once.

With a group's positives and negatives in descending order of score, cumulative sums of the
resampled weights give every threshold, bin and rank at once: counts, bins and recalibration are
differences of them, AUROC and average precision sums over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics
from fairthesis.metrics import (
    N_BINS,
    NEEDED,
    RATE,
    bin_index,
    ece_debiased_from_bins,
    ece_from_bins,
    logit,
    recalibration_line,
)
from fairthesis.stats._resampling import (
    Counts,
    bootstrap,
    generator,
    in_chunks,
    jackknife,
    label_permuter,
)

Array = NDArray[np.float64]
Array32 = NDArray[np.float32]
Index = NDArray[np.intp]

# Points at which the recalibration line is fitted in a replicate: its error is then about 2 % of
# the replicates' spread (tested), and falls with more.
SUPPORT = 128
# What a replicate holds: the audit's metrics, then the rates at a fixed other rate.
FIXED = ("tpr_at_fpr_0.2", "fpr_at_tpr_0.8")
NAMES = (*metrics.METRICS, *FIXED)


@dataclass(frozen=True)
class GroupRows:
    """One group's rows, ready for resampling; see ``prepare``."""

    positives: Index  # the patient of each positive, in descending order of score
    negatives: Index
    ties: metrics.Ties
    cut: tuple[int, int]  # positives and negatives at or above the threshold
    bins: tuple[Index, Index]  # first positive and negative of each calibration bin, and the end
    support: tuple[Index, Index]  # the same for the support points
    logits: Array  # mean logit at each support point
    line: tuple[float, float]  # recalibration of the full sample
    shift: tuple[float, float]  # what collapsing to the support points changed in it
    beyond: tuple[Index, Index]  # positives above each negative, negatives not below each positive
    scores: tuple[Array32, Array32]
    losses: tuple[Array32, Array32]  # Brier and log loss of each case, shape (2, n)

    def metrics(self, counts: Array32) -> dict[str, Array]:
        """All of ``NAMES`` under patient counts (c, n_patients): arrays of shape (c,)."""
        return self.metrics_and_bins(counts)[0]

    def metrics_and_bins(self, counts: Array32) -> tuple[dict[str, Array], Array]:
        """``metrics``, and cases and sum of label - score per calibration bin, (c, 2, bins)."""
        # Places are in range by construction; "clip" spares numpy the check.
        w_pos = np.take(counts, self.positives, axis=1, mode="clip")
        w_neg = np.take(counts, self.negatives, axis=1, mode="clip")
        cum_pos, cum_neg = metrics.cumulate(w_pos), metrics.cumulate(w_neg)
        P, N = (cum[:, -1].astype(np.float64) for cum in (cum_pos, cum_neg))
        auroc, ap = metrics.rank_sums(w_pos, cum_pos, cum_neg, self.ties)
        tp, fp = (
            c[:, k].astype(np.float64) for c, k in zip((cum_pos, cum_neg), self.cut, strict=True)
        )
        found = {name: f(tp, fp, N - fp, P - tp) for name, f in metrics.RATES.items()}
        both = ((w_pos, self.scores[0], self.bins[0]), (w_neg, self.scores[1], self.bins[1]))
        scores = sum(_weighted_segments(*part) for part in both)
        squared, logarithmic = (
            (w_pos @ self.losses[0][k] + w_neg @ self.losses[1][k]).astype(np.float64)
            for k in (0, 1)
        )
        labels = _segments(cum_pos, self.bins[0])
        weight = labels + _segments(cum_neg, self.bins[1])
        found |= {"auroc": auroc, "average_precision": ap}
        found["brier"] = metrics.ratio(squared, P + N)
        found["log_loss"] = metrics.ratio(logarithmic, P + N)
        found["ece"] = ece_from_bins(weight, scores, labels)
        found["ece_debiased"] = ece_debiased_from_bins(weight, scores, labels, noise=2.0)
        at = _segments(cum_pos, self.support[0])
        a, b = recalibration_line(
            self.logits, at + _segments(cum_neg, self.support[1]), at, self.line, tolerance=1e-5
        )
        found |= self._fixed(cum_pos, cum_neg, P, N)
        found["calibration_intercept"] = a + self.shift[0]
        found["calibration_slope"] = b + self.shift[1]
        # Sorted by falling score, the bins run downwards; others count them upwards.
        bins = np.stack([weight, labels - scores], axis=1)[:, :, ::-1]
        return {name: found[name] for name in NAMES}, bins

    def _fixed(self, cum_pos: Array32, cum_neg: Array32, P: Array, N: Array) -> dict[str, Array]:
        """Rates at a fixed other rate: how far down the scores that rate reaches, then the other.

        As ``operating.tpr_at_fpr`` and ``fpr_at_tpr`` of repeated rows; counts are whole numbers.
        """
        most = np.floor(RATE * N + 1e-9).astype(np.float32)
        need = np.ceil((1 - RATE) * P - 1e-9).astype(np.float32)
        # the first negative that is too many, and as many positives as are needed
        over = [np.searchsorted(c, x, "right") for c, x in zip(cum_neg, most, strict=True)]
        enough = [np.searchsorted(c, x) for c, x in zip(cum_pos, need, strict=True)]
        row = np.arange(len(P))
        tp, fp = (
            cum_pos[row, self.beyond[0][np.array(over) - 1]],
            cum_neg[row, self.beyond[1][np.array(enough)]],
        )
        both = (P > 0) & (N > 0)
        rates = (metrics.ratio(tp, np.where(both, P, 0)), metrics.ratio(fp, np.where(both, N, 0)))
        return dict(zip(FIXED, rates, strict=True))


def _segments(cumulative: Array32, edges: Index) -> Array:
    return np.diff(np.take(cumulative, edges, axis=1, mode="clip").astype(np.float64), axis=1)


def _weighted_segments(weight: Array32, values: Array32, edges: Index) -> Array:
    """Sums of ``weight * values`` between consecutive edges, without holding the products."""
    parts = [weight[:, a:b] @ values[a:b] for a, b in pairwise(edges)]
    return np.stack(parts, axis=1).astype(np.float64)


def prepare(y: Array, s: Array, patient: Index, threshold: float) -> GroupRows:
    """Sort a group's rows and find where bins, threshold and ties begin.

    ``patient`` indexes the columns of the patient counts.
    """
    order = np.argsort(-s, kind="stable")
    y, s, patient = y[order], s[order], patient[order]
    pos, neg = y > 0, y <= 0
    bin_of = bin_index(s)
    n_bins = N_BINS
    bins = tuple(
        np.searchsorted(-bin_of[part], -np.arange(n_bins - 1, -2, -1)) for part in (pos, neg)
    )
    x = logit(s)
    # Half the support points hold equal numbers of cases, half are equally spaced: the few
    # extreme scores weigh most in the slope.
    spaced = np.searchsorted(-x, -np.linspace(x[0], x[-1], SUPPORT // 2))
    quantiles = np.linspace(0, len(s), SUPPORT // 2 + 1).astype(np.intp)
    edge = np.unique(np.concatenate([quantiles, spaced])).astype(np.intp)
    support = tuple(np.concatenate([[0], np.cumsum(part)])[edge] for part in (pos, neg))
    logits = np.add.reduceat(x, edge[:-1]) / np.diff(edge)
    exact = recalibration_line(x, np.ones(len(y)), y)
    n_pos = np.diff(support[0]).astype(np.float64)
    rough = recalibration_line(logits, np.diff(edge), n_pos)
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


def bootstrap_metrics(parts: list[GroupRows], n_patients: int, n_boot: int, seed: int) -> Array:
    """``NAMES`` of every part in every resample, shape (n_boot, parts, names).

    All parts see the same draw of patients.
    """
    return bootstrap_metrics_and_bins(parts, n_patients, n_boot, seed)[0]


def bootstrap_metrics_and_bins(
    parts: list[GroupRows], n_patients: int, n_boot: int, seed: int
) -> tuple[Array, Array]:
    """``bootstrap_metrics``, and the calibration bins, shape (n_boot, parts, 2, bins)."""
    n = len(NAMES)
    if not n_boot:  # no replicates, no intervals
        return np.empty((0, len(parts), n)), np.empty((0, len(parts), 2, N_BINS))
    drawn = bootstrap(_statistic(parts), n_patients, n_boot, seed)
    return drawn[..., :n], drawn[..., n:].reshape(*drawn.shape[:2], 2, N_BINS)


def jackknife_metrics(parts: list[GroupRows], n_patients: int, seed: int) -> Array:
    """``NAMES`` of every part with a block of patients left out, shape (blocks, parts, names)."""
    return jackknife(_statistic(parts), n_patients, seed)[..., : len(NAMES)]


def _statistic(parts: list[GroupRows]) -> Callable[[Counts], Array]:
    def statistic(counts: Counts) -> Array:
        values = []
        for part in parts:
            found, bins = part.metrics_and_bins(counts)
            values.append(
                np.concatenate(
                    [np.stack(list(found.values()), axis=-1), bins.reshape(len(bins), -1)], axis=-1
                )
            )
        return np.stack(values, axis=1)

    return statistic


def permutation_null(
    y: Array,
    s: Array,
    patient: Index,
    labels: NDArray[np.uint8],
    threshold: float,
    n_permutations: int,
    seed: int,
    stream: str,
) -> dict[str, Array]:
    """``disparity.NEEDED`` metrics under permuted labels, each of shape (n_permutations, groups).

    Labels are permuted over patients by ``resampling.label_permuter``.
    """
    rows = _Ordered(y, s, threshold)
    permute = label_permuter(labels, patient, rows.order)
    groups = range(int(labels.max()) + 1)

    def one(replicate: int) -> Array:
        group = permute(generator(seed, f"permutation {stream}", replicate))
        return rows.metrics(group, groups)

    null = in_chunks(
        lambda part: np.stack([one(replicate) for replicate in part]), n_permutations, len(y)
    )
    return {name: null[:, k] for k, name in enumerate(NEEDED)}


class _Ordered:
    """All rows in ascending order of score: bins and the threshold are then places in the order.

    A group is the places that it holds, and every count is read from where these places lie.
    """

    def __init__(self, y: Array, s: Array, threshold: float) -> None:
        self.order = np.lexsort((y, s))  # among ties, negatives first
        self.s = s[self.order]
        self.positive = y[self.order] > 0
        self.squared = (self.s - self.positive) ** 2
        bin_of = bin_index(self.s)
        self.edges = np.searchsorted(bin_of, np.arange(N_BINS + 1))
        self.cut = np.searchsorted(self.s, threshold, "left")
        # Ties count one half, the mean of "negatives first" and "positives first".
        turned = np.lexsort((~self.positive, self.s))
        tied = (self.positive[turned] != self.positive).any()
        self.turned = turned if tied else None

    def metrics(self, group: NDArray[np.uint8], groups: range) -> Array:
        """``disparity.NEEDED`` metrics of each group, shape (metrics, groups)."""
        n, label_sum, score_sum = (np.empty((len(groups), N_BINS)) for _ in range(3))
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
        values = {
            # A positive's rank less the positives before it is the number of negatives before it.
            "auroc": metrics.ratio(pairs - P * (P - 1) / 2, P * (total - P)),
            "ece_debiased": ece_debiased_from_bins(n, score_sum, label_sum),
            "brier": metrics.ratio(squared, total),
        }
        for name in set(NEEDED) - set(values):
            values[name] = metrics.RATES[name](tp, fp, total - P - fp, fn)
        return np.stack([values[name] for name in NEEDED])


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
