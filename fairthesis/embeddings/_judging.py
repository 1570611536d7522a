"""Probes judged on the test part: AUROCs with intervals over patients, and their floors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis import stats
from fairthesis.embeddings._floors import floor_of
from fairthesis.embeddings._probes import Array, Codes, fit_probe, macro_auroc, probabilities
from fairthesis.embeddings._tables import ProbePart

SCOPES = ("marginal", "given the target")
FLOOR = 10  # of each group in a stratum of the fitting part, for a probe within strata


@dataclass(frozen=True)
class ProbeResult:
    """How well one probe recovers the attribute from one source.

    ``source`` is ``encoder``, ``random encoder``, ``target alone``, or the name of a table that was
    given beside; ``shuffled_mean`` and ``shuffled_q95`` are the mean and 95 % point over refits
    with the attribute shuffled; of fewer than 20 refits there is no 95 % point (NaN).
    """

    source: str
    probe: str
    scope: str
    auroc: float
    ci_low: float = float("nan")
    ci_high: float = float("nan")
    shuffled_mean: float = float("nan")
    shuffled_q95: float = float("nan")


def usable_strata(fit: ProbePart, test: ProbePart, n_groups: int) -> dict[int, tuple[int, int]]:
    """The strata (classes of ``target``) and how many cases their smallest group has in each part.

    A probe can be fitted and judged where these are ``FLOOR`` and 1 or more.
    """
    sizes = {}
    for c in range(int(max(fit.target.max(), test.target.max(), 1)) + 1):
        own = np.bincount(fit.group[fit.target == c], minlength=n_groups)
        there = np.bincount(test.group[test.target == c], minlength=n_groups)
        sizes[c] = int(own.min()), int(there.min())
    return sizes


class Judge:
    """AUROCs on the test part with intervals; the same draws of patients for all readings."""

    def __init__(self, test: ProbePart, n_groups: int, classes: list[int], n_boot: int, seed: int):
        self.test, self.n_groups, self.classes = test, n_groups, classes
        self.n_boot, self.seed = n_boot, seed

    def rows(self, scope: str) -> NDArray[np.bool_]:
        if scope == SCOPES[0]:
            return np.ones(len(self.test.group), bool)
        return np.isin(self.test.target, self.classes)

    def value(self, scope: str, scores: Array, group: Codes) -> float:
        rows = self.rows(scope)
        strata = None if scope == SCOPES[0] else self.test.target[rows]
        return float(macro_auroc(group[rows], scores[rows], strata))

    def interval(self, scope: str, scores: Array) -> tuple[float, float]:
        rows = self.rows(scope)
        group, who = self.test.group[rows], self.test.patient[rows]
        strata = None if scope == SCOPES[0] else self.test.target[rows]

        def statistic(counts: stats.Counts) -> Array:
            return macro_auroc(group, scores[rows], strata, counts[:, who])

        n_patients = int(self.test.patient.max()) + 1
        drawn = stats.bootstrap(statistic, n_patients, self.n_boot, self.seed)
        return stats.percentile_interval(drawn) or (float("nan"), float("nan"))


def _scores(
    name: str, scope: str, fit: ProbePart, test: ProbePart, judge: Judge, seed: int
) -> Array:
    """The probe's P(group) for each test case, shape (n, groups)."""
    if scope == SCOPES[0]:
        probe = fit_probe(name, fit.x, fit.group, seed)
        return probabilities(probe, test.x, judge.n_groups)
    scores = np.zeros((len(test.group), judge.n_groups))
    for c in judge.classes:
        inside, rows = fit.target == c, test.target == c
        if len(np.unique(fit.group[inside])) < 2:  # possible after shuffling: nothing to recover
            continue
        probe = fit_probe(name, fit.x[inside], fit.group[inside], seed)
        scores[rows] = probabilities(probe, test.x[rows], judge.n_groups)
    return scores


def read(
    source: str,
    name: str,
    fit: ProbePart,
    test: ProbePart,
    judge: Judge,
    n_shuffles: int,
    seed: int,
    scopes: Sequence[str] = SCOPES,
) -> list[ProbeResult]:
    """A reading in each of the scopes in which there is something to be judged."""
    found = []
    for scope in scopes if judge.classes else SCOPES[:1]:
        with stats.round_of(1 + n_shuffles, f"{name}, {scope}") as bar:
            scores = _scores(name, scope, fit, test, judge, seed)
            bar.update(1)
            null = []
            for k in range(n_shuffles):
                null.append(_shuffled(name, scope, fit, test, judge, k, seed))
                bar.update(1)
        value = judge.value(scope, scores, test.group)
        ci = judge.interval(scope, scores) if judge.n_boot else (np.nan, np.nan)
        found.append(ProbeResult(source, name, scope, value, ci[0], ci[1], *floor_of(null)))
    return found


def _shuffled(
    name: str, scope: str, fit: ProbePart, test: ProbePart, judge: Judge, k: int, seed: int
) -> float:
    """The AUROC after a refit with the attribute shuffled over patients in both parts."""
    rng = stats.generator(seed, "shuffled attribute", k)
    moved = [stats.label_permuter(part.group, part.patient)(rng) for part in (fit, test)]
    shuffled = ProbePart(fit.x, moved[0], fit.target, fit.patient)
    return judge.value(scope, _scores(name, scope, shuffled, test, judge, seed), moved[1])
