"""A group's numbers in a period, with intervals over patients; and what bets against a limit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import ks_2samp, mannwhitneyu

from fairthesis.errors import InputError
from fairthesis.stats import drift_evidence, generator, obuchowski

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Z95 = float(ndtri(0.975))
METRICS = ("tpr", "fpr", "auroc", "oe")
FEW = 10  # patients on a side, below which no shift is tested
Value = tuple[float, float, float]  # and the ends of its interval
UNKNOWN: Value = (math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Part:
    """Rows of one group: label (NaN where not known), score, call, patient, period."""

    y: Array
    s: Array
    called: NDArray[np.bool_]
    patient: Index
    period: Index

    def rows(self, mask: NDArray[np.bool_]) -> Part:
        return Part(
            self.y[mask], self.s[mask], self.called[mask], self.patient[mask], self.period[mask]
        )


def metric_value(part: Part, metric: str) -> Value:
    """A metric over labelled rows, with its 95 % interval over patients; NaN where not known."""
    if metric in ("tpr", "fpr"):
        mine = part.y > 0 if metric == "tpr" else part.y <= 0
        return _rate(part.called[mine].astype(np.float64), part.patient[mine])
    if metric == "auroc":
        return _auroc(part)
    return _observed_over_expected(part)


def _sums(patient: Index, *values: Array) -> list[Array]:
    _, code = np.unique(patient, return_inverse=True)
    counted = (np.bincount(code.reshape(-1), value) for value in values)
    return [np.asarray(total, np.float64) for total in counted]


def _rate(hit: Array, patient: Index) -> Value:
    """Wilson's interval (1927) with the effective number of cases, r (1 - r) / variance."""
    if not len(hit):
        return UNKNOWN
    a, b = _sums(patient, hit, np.ones(len(hit)))
    r, n = float(a.sum() / b.sum()), float(b.sum() ** 2 / (b**2).sum())
    if 0 < r < 1 and n > 1:
        variance = float(((a - r * b) ** 2).sum() / b.sum() ** 2 * n / (n - 1))
        n = min(r * (1 - r) / variance, b.sum()) if variance > 0 else n
    middle, spread = r + Z95**2 / (2 * n), Z95 * math.sqrt(r * (1 - r) / n + (Z95 / (2 * n)) ** 2)
    low, high = ((middle + sign * spread) / (1 + Z95**2 / n) for sign in (-1, 1))
    return r, max(low, 0.0), min(high, 1.0)


def _auroc(part: Part) -> Value:
    """Obuchowski's error (1997) on the logit, where the interval stays within 0 and 1."""
    if not 0 < (part.y > 0).sum() < len(part.y):
        return UNKNOWN
    try:
        found = obuchowski(part.y, part.s, part.patient)
    except InputError:  # one patient, or one case, of a class
        positive, negative = part.s[part.y > 0], part.s[part.y <= 0]
        above = positive[:, None] > negative
        return float((above + 0.5 * (positive[:, None] == negative)).mean()), math.nan, math.nan
    a, error = found.value, found.standard_error
    if not 0 < a < 1 or error <= 0:
        return a, math.nan, math.nan
    middle, half = math.log(a / (1 - a)), Z95 * error / (a * (1 - a))
    low, high = (1 / (1 + math.exp(-(middle + sign * half))) for sign in (-1, 1))
    return a, low, high


def _observed_over_expected(part: Part) -> Value:
    """Positive cases over the sum of scores; interval on the logarithm, over patients."""
    o, e = _sums(part.patient, part.y, part.s) if len(part.y) else (np.zeros(1), np.zeros(1))
    if e.sum() <= 0:
        return UNKNOWN
    ratio, m = float(o.sum() / e.sum()), len(o)
    if ratio == 0 or m < 2:
        return ratio, math.nan, math.nan
    error = math.sqrt(float(((o - ratio * e) ** 2).sum()) * m / (m - 1)) / float(o.sum())
    return ratio, ratio * math.exp(-Z95 * error), ratio * math.exp(Z95 * error)


def limit_evidence(
    part: Part, metric: str, limit: float, n_periods: int, seed: int, stream: str
) -> tuple[list[Array], int]:
    """Log capital against a limit after each period, one-sided (two of them for oe), and patients.

    Each patient bets once, with their rows of the first period in which they have a labelled case
    of the kind: values of one patient hang together, and a second bet would not be fair.
    """
    if metric in ("tpr", "fpr"):
        mine = part.y > 0 if metric == "tpr" else part.y <= 0
        share, period = _once(part.rows(mine), part.called[mine].astype(np.float64))
        excess, most = (limit - share, 1 - limit) if metric == "tpr" else (share - limit, limit)
        return [drift_evidence(excess, period, n_periods, most)], len(period)
    if metric == "auroc":
        ranked, period = _matched(part, n_periods, seed, stream)
        return [drift_evidence(limit - ranked, period, n_periods, 1 - limit)], len(period)
    over, period = _once(part, part.y - limit * part.s)
    under, _ = _once(part, part.s / limit - part.y)
    found = [
        drift_evidence(excess, period, n_periods, most)
        for excess, most in ((over, limit), (under, 1.0))
    ]
    return found, len(period)


def _once(part: Part, values: Array) -> tuple[Array, Index]:
    """The mean of each patient's values in the first of their periods, and that period."""
    if not len(part.y):
        return np.empty(0), np.empty(0, np.intp)
    who, code = np.unique(part.patient, return_inverse=True)
    code = code.reshape(-1)
    first = np.full(len(who), np.iinfo(np.intp).max)
    np.minimum.at(first, code, part.period)
    own = part.period == first[code]
    total = np.bincount(code[own], values[own], len(who))
    return total / np.bincount(code[own], minlength=len(who)), first


def _matched(part: Part, n_periods: int, seed: int, stream: str) -> tuple[Array, Index]:
    """Patients of the rarer class, each ranked against others of their own of the other class.

    Within a period each new patient gives one row, drawn at random: of a positive case where they
    have one. Each of the rarer class gets as many of the other as there are for all; the shares
    ranked rightly (ties one half) are independent, and their mean is the AUROC.
    """
    first = _once(part, part.y)[1]
    _, code = np.unique(part.patient, return_inverse=True)
    new = part.period == first[code.reshape(-1)] if len(first) else np.zeros(0, bool)
    shares, when = [], []
    for number in range(n_periods):
        rows = part.rows(new & (part.period == number))
        random = generator(seed, stream, number)
        shuffled = random.permutation(len(rows.y))
        # Positive rows first, at random among them; then the first row of each patient.
        shuffled = shuffled[np.argsort(-rows.y[shuffled], kind="stable")]
        _, place = np.unique(rows.patient[shuffled], return_index=True)
        one = shuffled[np.sort(place)]
        positive, negative = (rows.s[one[rows.y[one] == label]] for label in (1, 0))
        few, many = sorted((positive, negative), key=len)
        if not len(few):
            continue
        size = len(many) // len(few)
        against = many[: size * len(few)].reshape(len(few), size)
        sign = 1.0 if few is positive else -1.0
        right = sign * (few[:, None] - against)
        shares.append(((right > 0) + 0.5 * (right == 0)).mean(axis=1))
        when.append(np.full(len(few), number))
    if not shares:
        return np.empty(0), np.empty(0, np.intp)
    return np.concatenate(shares), np.concatenate(when).astype(np.intp)


def shift(part: Part, reference: Sequence[int], number: int, what: str) -> tuple[float, float]:
    """How far a period is from the reference over patients' means, and the p value of it.

    ``prevalence``: the difference of the means, by Mann and Whitney's test; ``scores``: Kolmogorov
    and Smirnov's largest distance of the distributions, by their test.
    """
    if what == "prevalence":
        part = part.rows(~np.isnan(part.y))
    values = part.y if what == "prevalence" else part.s
    sides = []
    for mask in (np.isin(part.period, list(reference)), part.period == number):
        total, n = _sums(part.patient[mask], values[mask], np.ones(int(mask.sum())))
        sides.append(total / n)
    before, now = sides
    if min(len(before), len(now)) < FEW:
        return math.nan, math.nan
    if what == "scores":
        found = ks_2samp(now, before, method="asymp")
        return float(found.statistic), float(found.pvalue)
    if before.min() == before.max() == now.min() == now.max():
        return 0.0, 1.0
    p = mannwhitneyu(now, before, alternative="two-sided", method="asymptotic").pvalue
    return float(now.mean() - before.mean()), float(p)
