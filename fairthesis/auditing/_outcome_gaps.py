"""The gaps of one attribute in metrics of a number per case: intervals, chance levels, pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._outcome_kinds import RATIOS, Measured
from fairthesis.auditing._outcome_metrics import OutcomeMetric
from fairthesis.auditing._outcome_report import OutcomeGap, OutcomeGroup
from fairthesis.auditing._outcome_rows import OutcomeRows
from fairthesis.auditing._outcome_sides import (
    FAR,
    STRAYED,
    Turned,
    badness,
    gap_of,
    gap_values,
    worst_interval,
    worst_of,
)
from fairthesis.stats import Clustered, GroupEnds, GroupTest

Array = NDArray[np.float64]


class OutcomeGaps:
    """Everything that compares the groups of one attribute.

    Args:
        data: The rows.
        attribute: One of ``data.groups``.
        found: Its groups.
        metrics: The metrics by name, and what was ``measured`` of each one's own rows.
        drawn: Replicates of each metric in every group, name to (n_boot, groups).
        floor: Cases that a group needs to be compared.
        n_permutations: Permutations; 0 for no chance levels.
        seed: Seed of the permutations.
    """

    def __init__(
        self,
        data: OutcomeRows,
        attribute: str,
        found: Mapping[str, OutcomeGroup],
        metrics: Mapping[str, OutcomeMetric],
        measured: Mapping[str, Measured],
        drawn: Mapping[str, Array],
        *,
        floor: int,
        n_permutations: int,
        seed: int,
    ) -> None:
        self.data, self.attribute, self.metrics, self.measured = data, attribute, metrics, measured
        self.drawn, self.n_permutations, self.seed = drawn, n_permutations, seed
        self.names, self.groups = list(found), list(found.values())
        self.compared = {
            m: [k for k, group in enumerate(self.groups) if group.compared(m, floor)]
            for m in metrics
        }
        self.sign = {m: -1 if of.better == "lower" else 1 for m, of in metrics.items()}

    def values(self, metric: str) -> Array:
        """The metric of every group; NaN of those that are not compared, (groups,)."""
        found = np.full(len(self.groups), np.nan)
        for k in self.compared[metric]:
            found[k] = self.groups[k].metrics[metric].value
        return found

    def _kept(self, metric: str) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        """Which of the metric's own rows are of compared groups, and the group of each of these."""
        codes = self.data.groups[self.attribute].codes[self.data.known[metric]]
        rows = np.isin(codes, self.compared[metric])
        return rows, np.searchsorted(self.compared[metric], codes[rows])

    def _clustered(self, metric: str, rows: NDArray[np.bool_]) -> Clustered | None:
        """The metric of some of its own rows."""
        own = [one[self.data.known[metric]][rows] for one in self.data.columns[metric]]
        return self.metrics[metric].measure(own).tested

    @cached_property
    def tests(self) -> dict[str, GroupTest]:
        """``stats.permuted_tests`` of every metric that has standard errors, turned."""
        # Metrics of the same rows and groups are tested in the same permutations.
        asked: dict[tuple[bytes, tuple[int, ...]], dict[str, Clustered]] = {}
        for m, compared in self.compared.items():
            if self.n_permutations and len(compared) > 1 and self.measured[m].tested is not None:
                of = self._clustered(m, self._kept(m)[0])
                assert of is not None
                key = (self.data.known[m].tobytes(), tuple(compared))
                asked.setdefault(key, {})[m] = Turned(of, self.sign[m])
        found: dict[str, GroupTest] = {}
        for tested in asked.values():
            first = next(iter(tested))
            rows, labels = self._kept(first)
            found |= stats.permuted_tests(
                tested,
                self.data.patient[self.data.known[first]][rows],
                labels,
                n_permutations=self.n_permutations,
                seed=self.seed,
                stream=self.attribute,
            )
        return found

    @cached_property
    def ends(self) -> dict[str, GroupEnds]:
        """The compared groups' own intervals, of every metric where all of them have one."""
        found = {}
        for m, compared in self.compared.items():
            own = [self.groups[k].metrics[m] for k in compared]
            if len(own) < 2 or any(e.ci is None for e in own):
                continue
            low, high = np.array([e.ci for e in own]).T
            value = np.array([e.value for e in own])
            found[m] = GroupEnds(value, low, high, self._correlation(m))
        return found

    def _correlation(self, metric: str) -> Array | None:
        """Of the groups' estimates, where groups share patients."""
        rows, labels = self._kept(metric)
        patient = self.data.patient[self.data.known[metric]][rows]
        pairs = np.unique(patient * len(self.groups) + labels)
        if len(pairs) == len(np.unique(patient)):
            return None
        of = self._clustered(metric, rows)
        if of is None:
            found = self.drawn[metric][:, self.compared[metric]]
            return np.atleast_2d(np.corrcoef(found[np.isfinite(found).all(1)], rowvar=False))
        values = stats.group_values(of, patient, labels)
        if values.covariance is None:
            return None
        error = np.sqrt(values.variance[0])
        return np.nan_to_num(metrics.ratio(values.covariance[0], np.outer(error, error)))

    def gaps(self, primary: Sequence[str]) -> dict[str, OutcomeGap]:
        """Gaps and worst groups; p values are corrected among ``primary``, and among the others."""
        found: dict[str, OutcomeGap] = {}
        for m, of in self.metrics.items():
            values, ends = self.values(m), self.ends.get(m)
            every = gap_values(of.better, values)
            gap = float(every["gap"])
            found[gap_of(m)] = OutcomeGap(gap, ends.gap() if ends and math.isfinite(gap) else None)
            if "worst" in every:
                worst, turned = float(every["worst"]), badness(of.better, values)
                known = len(self.compared[m]) > 1
                found[worst_of(m)] = OutcomeGap(
                    worst if known else math.nan,
                    worst_interval(of.better, ends) if ends and known else None,
                    group=self.names[int(np.nanargmax(turned))] if known else None,
                )
        for names in (list(primary), [n for n in found if n not in primary]):
            self._test(found, names)
        return found

    def _test(self, gaps: dict[str, OutcomeGap], names: Sequence[str]) -> None:
        """Fill in chance levels and p values of ``names``, corrected among these."""
        statistics, chance = self._statistics(), self._chance()
        tested = [n for n in names if n in statistics and math.isfinite(gaps[n].value)]
        if not tested:
            return
        both = np.stack([np.clip(statistics[n], -FAR, FAR) for n in tested], axis=-1)
        raw, corrected = stats.step_down(both[0], both[1:])
        # Towards the worse side: for a metric that should be high, the worst group's low end.
        lower = {worst_of(m) for m, of in self.metrics.items() if of.better == "higher"}
        for name, p, p_corrected in zip(tested, raw, corrected, strict=True):
            equal = chance[name][np.isfinite(chance[name])]
            gaps[name] = replace(
                gaps[name],
                null_mean=float(equal.mean()) if len(equal) else math.nan,
                null_q95=float(np.quantile(equal, 0.05 if name in lower else 0.95))
                if len(equal)
                else math.nan,
                p_value=float(p),
                p_value_corrected=float(p_corrected),
            )

    def _statistics(self) -> dict[str, Array]:
        """What each gap is tested by: as observed, then in every permutation, (1 + n,)."""
        found: dict[str, Array] = {}
        for m, test in self.tests.items():
            found[gap_of(m)] = test.largest
            if self.metrics[m].better in ("higher", "lower"):
                found[worst_of(m)] = test.largest  # some group is worse: some two differ
        for m, (value, drawn) in self._moved.items():
            error = np.nanstd(drawn, axis=0)
            every = np.vstack([value, drawn])
            apart = every[:, :, None] - every[:, None]
            spread = np.hypot(error[:, None], error)
            ratio = np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0)
            of_pairs = np.nan_to_num(np.abs(ratio)).max((1, 2))
            # Step-down needs as many replicates of each.
            found[gap_of(m)] = np.append(of_pairs[0], np.resize(of_pairs[1:], self.n_permutations))
        return found

    @cached_property
    def _moved(self) -> dict[str, tuple[Array, Array]]:
        """Of functions of the rows: values, and replicates moved so that all groups have one value.

        They have no standard error in a permutation; resamples of the patients stand for those of
        equal groups (Efron and Tibshirani 1993, 16.4).
        """
        found = {}
        for m, drawn in self.drawn.items():
            some = self.compared[m]
            if self.measured[m].tested is None and len(drawn) and len(some) > 1:
                value = self.values(m)[some]
                if self.n_permutations:
                    found[m] = (value, drawn[:, some] - value + value.mean())
        return found

    def _chance(self) -> dict[str, Array]:
        """Every gap where all groups are equal, in every permutation."""
        found: dict[str, Array] = {}
        for m, test in self.tests.items():
            strayed = np.abs(test.null - test.value) > STRAYED * test.error
            null = np.where(strayed & (test.error > 0), np.nan, test.null) * self.sign[m]
            every = gap_values(self.metrics[m].better, null)
            found |= {gap_of(m): every["gap"], worst_of(m): every.get("worst", np.empty(0))}
        return found | {gap_of(m): metrics.spread(moved) for m, (_, moved) in self._moved.items()}

    def bands(self) -> dict[str, dict[str, tuple[float, float]]]:
        """By group and metric: where the value differs from the other groups' as chance does."""
        found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in self.names}
        for m, test in self.tests.items():
            if not test.reach < STRAYED:
                continue
            low, high = np.sort([self.sign[m] * end for end in test.band()], axis=0)
            for k, a, b in zip(self.compared[m], low, high, strict=True):
                if math.isfinite(a) and math.isfinite(b):
                    found[self.names[k]][m] = (float(a), float(b))
        return found

    def pairs(self, reference: str) -> list[dict[str, Any]]:
        """Every pair of compared groups in every metric: difference, ratio, p; first less second.

        The second one is ``reference`` where the pair holds it.
        """
        rows: list[dict[str, Any]] = []
        for m, compared in self.compared.items():
            if not 2 <= len(compared) <= stats.MAX_PAIRED:
                continue
            order = sorted(range(len(compared)), key=lambda i: self.names[compared[i]] == reference)
            for place, i in enumerate(order):
                rows += [self._pair(m, i, j) for j in order[place + 1 :]]
        return rows

    def _pair(self, metric: str, i: int, j: int) -> dict[str, Any]:
        first, second = (self.compared[metric][k] for k in (i, j))
        a, b = (self.groups[k].metrics[metric].value for k in (first, second))
        ends, test = self.ends.get(metric), self.tests.get(metric)
        ratio = self.metrics[metric].kind in RATIOS and min(a, b) > 0
        row: dict[str, Any] = {
            "metric": metric,
            "first": self.names[first],
            "second": self.names[second],
            "difference": a - b,
            "ci": None,
            "ci_simultaneous": None,
            "ratio": a / b if ratio else math.nan,
            "ratio_ci": None,
            "p_value": math.nan if test is None else float(test.pair_p[i, j]),
            "p_value_corrected": math.nan if test is None else float(test.pair_p_corrected[i, j]),
        }
        if ends is not None:
            found = {"ci": ends.differences(), "ci_simultaneous": ends.differences(True)}
            if ratio:
                found["ratio_ci"] = ends.ratios()
            for name, (low, high) in found.items():
                if np.isfinite([low[i, j], high[i, j]]).all():
                    row[name] = (float(low[i, j]), float(high[i, j]))
        return row
