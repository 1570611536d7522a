"""The gaps of one attribute: intervals, chance levels, p values, and the table of pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._metrics import TESTED_METRICS, WITHIN_LABEL, gap_of
from fairthesis.auditing._report import Gap, Group
from fairthesis.auditing._rows import AuditedRows
from fairthesis.stats import GroupEnds, GroupTest, Interval

Array = NDArray[np.float64]
# The gaps that are the range of one metric.
RANGES: dict[str, str] = {
    "auroc_gap": "auroc",
    "tpr_difference": "tpr",
    "fpr_difference": "fpr",
    "demographic_parity_difference": "selection_rate",
    "accuracy_gap": "accuracy",
    "ece_gap": "ece_debiased",
    "brier_gap": "brier",
}
ODDS = ("tpr", "fpr")
REST = "all others"


class AttributeGaps:
    """Everything that compares the groups of one attribute.

    Args:
        data: The audited rows.
        attribute: One of ``data.groups``.
        found: Its groups.
        drawn: Replicates of the user's metrics, name to (n_boot, groups).
        floor: What a group must have to be compared (``Group.compared``).
        n_permutations: Permutations; 0 for no chance levels.
        seed: Seed of the permutations.
        intervals: Whether intervals are given.
        scored: Whether cases have scores; decisions have no AUROC and no calibration.
    """

    def __init__(
        self,
        data: AuditedRows,
        attribute: str,
        found: Mapping[str, Group],
        drawn: Mapping[str, Array],
        *,
        floor: int,
        n_permutations: int,
        seed: int,
        intervals: bool,
        scored: bool = True,
    ) -> None:
        self.data, self.attribute, self.found, self.drawn = data, attribute, found, drawn
        self.n_permutations, self.seed, self.intervals = n_permutations, seed, intervals
        self.names, self.groups = list(found), list(found.values())
        self.compared = {
            metric: [k for k, group in enumerate(self.groups) if group.compared(metric, floor)]
            for metric in (*TESTED_METRICS, *drawn)
            if scored or metric in metrics.RATES
        }
        self.compared |= {m: [] for m in TESTED_METRICS if m not in self.compared}
        self._known_shared: dict[tuple[int, ...], bool] = {}

    def values(self, metric: str) -> Array:
        """The metric of every group; NaN of those that are not compared, (groups,)."""
        found = np.full(len(self.groups), np.nan)
        for k in self.compared[metric]:
            found[k] = self.groups[k].metrics[metric].value
        return found

    @cached_property
    def tests(self) -> dict[str, GroupTest]:
        """``stats.permuted_tests`` of every metric with two groups or more."""
        if not self.n_permutations:
            return {}
        asked: dict[tuple[bool, tuple[int, ...]], list[str]] = {}
        for metric in TESTED_METRICS:
            if len(self.compared[metric]) > 1:
                key = (metric in WITHIN_LABEL, tuple(self.compared[metric]))
                asked.setdefault(key, []).append(metric)
        found: dict[str, GroupTest] = {}
        for (within, compared), names in asked.items():
            rows, labels = self._rows(compared)
            y, s, w = self.data.y[rows], self.data.s[rows], self.data.weight_of(rows)
            found |= stats.permuted_tests(
                {m: TESTED_METRICS[m](y, s, self.data.threshold, w) for m in names},
                self.data.patient[rows],
                labels,
                n_permutations=self.n_permutations,
                seed=self.seed,
                stream=self.attribute,
                within=y > 0 if within else None,
            )
        return found

    def _shared(self, compared: tuple[int, ...]) -> bool:
        """Whether a patient has rows in several of these groups."""
        if compared not in self._known_shared:
            rows, labels = self._rows(compared)
            patient = self.data.patient[rows]
            own = np.zeros(int(patient.max(initial=0)) + 1, np.intp)
            own[patient] = labels
            self._known_shared[compared] = bool((own[patient] != labels).any())
        return self._known_shared[compared]

    def _rows(self, compared: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
        codes = self.data.groups[self.attribute].codes
        rows = np.isin(codes, compared)
        return rows, np.searchsorted(compared, codes[rows])

    @cached_property
    def ends(self) -> dict[str, GroupEnds]:
        """The compared groups' own intervals, of every metric where all of them have one."""
        found = {}
        for metric, compared in self.compared.items():
            own = [self.groups[k].metrics[metric] for k in compared]
            if not self.intervals or len(own) < 2 or any(e.ci is None for e in own):
                continue
            low, high = np.array([e.ci for e in own]).T
            value = np.array([e.value for e in own])
            # A debiased error may lie outside the interval of the true one.
            value = np.clip(value, low, high) if metric == "ece_debiased" else value
            found[metric] = GroupEnds(value, low, high, self._correlation(metric))
        return found

    def _correlation(self, metric: str) -> Array | None:
        """Of the groups' estimates, where groups share patients."""
        compared = self.compared[metric]
        if not self._shared(tuple(compared)):
            return None
        rows, labels = self._rows(compared)
        patient = self.data.patient[rows]
        if metric in self.drawn:
            return np.atleast_2d(np.corrcoef(self.drawn[metric][:, compared], rowvar=False))
        y, s = self.data.y[rows], self.data.s[rows]
        tested = TESTED_METRICS[metric](y, s, self.data.threshold, self.data.weight_of(rows))
        values = stats.group_values(tested, patient, labels)
        if values.covariance is None:
            return None
        error = np.sqrt(values.variance[0])
        return np.nan_to_num(metrics.ratio(values.covariance[0], np.outer(error, error)))

    def gaps(self, primary: Sequence[str]) -> dict[str, Gap]:
        """Every disparity; p values are corrected among ``primary`` ones, and among the others."""
        own = {gap_of(metric): metric for metric in self.drawn}
        values = metrics.disparities({m: self.values(m) for m in metrics.NEEDED})
        values |= {name: metrics.spread(self.values(m)) for name, m in own.items()}
        ends = self._intervals(own)
        found = {}
        for name, value in values.items():
            v, ci = float(value), ends.get(name)
            # The true error's interval need not hold the debiased estimate.
            if ci is not None and math.isfinite(v):
                low, high = min(ci[0], v), max(ci[1], v)
                found[name] = Gap(v, (low, high if name in own else min(high, 1.0)))
            else:
                found[name] = Gap(v)
        for names in (list(primary), [n for n in found if n not in primary]):
            self._test(found, names, own)
        return found

    def _intervals(self, own: Mapping[str, str]) -> dict[str, Interval]:
        found = {
            name: self.ends[m].gap() for name, m in {**RANGES, **own}.items() if m in self.ends
        }
        if "auroc" in self.ends:
            found["worst_group_auroc"] = self.ends["auroc"].lowest()
        if all(m in self.ends for m in ODDS):
            both = [self.ends[m] for m in ODDS]
            found["equalized_odds_difference"] = stats.larger_gap(both)
            found["equalized_odds_difference_mean"] = stats.mean_gap(both)
        return found

    def _test(self, gaps: dict[str, Gap], names: Sequence[str], own: Mapping[str, str]) -> None:
        """Fill in chance levels and p values of ``names``, corrected among these."""
        statistics, chance = self._statistics(own), self._chance(own)
        tested = [n for n in names if n in statistics and math.isfinite(gaps[n].value)]
        if not tested:
            return
        both = np.stack([statistics[n] for n in tested], axis=-1)
        raw, corrected = stats.step_down(both[0], both[1:])
        for name, p, p_corrected in zip(tested, raw, corrected, strict=True):
            level = 0.05 if name in metrics.SMALLER_IS_WORSE else 0.95
            equal = chance[name][np.isfinite(chance[name])]
            gaps[name] = replace(
                gaps[name],
                null_mean=float(equal.mean()) if len(equal) else math.nan,
                null_q95=float(np.quantile(equal, level)) if len(equal) else math.nan,
                p_value=float(p),
                p_value_corrected=float(p_corrected),
            )

    def _statistics(self, own: Mapping[str, str]) -> dict[str, Array]:
        """What each gap is tested by: as observed, then in every permutation, (1 + n,).

        The largest studentised difference of two groups. Where it is beyond chance, so is at least
        one pair in the table of pairs.
        """
        largest = {m: test.largest for m, test in self.tests.items()}
        found = {name: largest[m] for name, m in RANGES.items() if m in largest}
        if "auroc" in self.tests:
            # That some group is worse than others is that any two differ. The largest distance
            # below the rest alone errs too often where groups differ in everything else.
            found["worst_group_auroc"] = largest["auroc"]
        if all(m in largest for m in ODDS):
            both = np.stack([largest[m] for m in ODDS])
            found["equalized_odds_difference"] = both.max(0)
            found["equalized_odds_difference_mean"] = both.mean(0)
        for name, metric in own.items():
            if metric in self._moved:
                value, drawn = self._moved[metric]
                error = np.nanstd(drawn, axis=0)
                every = np.vstack([value, drawn])
                apart = every[:, :, None] - every[:, None]
                spread = np.hypot(error[:, None], error)
                ratio = np.divide(apart, spread, out=np.zeros_like(apart), where=spread > 0)
                # Step-down needs as many replicates of each.
                of_pairs = np.nan_to_num(np.abs(ratio)).max((1, 2))
                null = np.resize(of_pairs[1:], self.n_permutations)
                found[name] = np.append(of_pairs[0], null)
        return found

    @cached_property
    def _moved(self) -> dict[str, tuple[Array, Array]]:
        """Of a user's metrics: values, and replicates moved so that all groups have one value.

        A function of the rows has no standard error in a permutation; resamples of the patients
        stand for those of equal groups (Efron and Tibshirani 1993, 16.4).
        """
        found = {}
        for metric, drawn in self.drawn.items():
            value = self.values(metric)
            if len(drawn) and self.n_permutations and np.isfinite(value).sum() > 1:
                found[metric] = (value, drawn - value + np.nanmean(value))
        return found

    def _chance(self, own: Mapping[str, str]) -> dict[str, Array]:
        """Every gap where all groups are equal, in every permutation."""
        null = {}
        for metric in metrics.NEEDED:
            test = self.tests.get(metric)
            null[metric] = np.full((self.n_permutations if test else 1, len(self.groups)), np.nan)
            if test:
                null[metric][:, self.compared[metric]] = test.null
        null["ece_debiased"] = np.sqrt(np.maximum(null["ece_debiased"], 0))
        with np.errstate(invalid="ignore"):
            found = metrics.disparities(null)
        return found | {
            n: metrics.spread(self._moved[m][1]) for n, m in own.items() if m in self._moved
        }

    def bands(self) -> dict[str, dict[str, tuple[float, float]]]:
        """By group and metric: where the value differs from the other groups' as chance does.

        A band holds for all groups of a metric at once.
        """
        found: dict[str, dict[str, tuple[float, float]]] = {name: {} for name in self.names}
        for metric, test in self.tests.items():
            low, high = test.band()
            if metric == "ece_debiased":
                low, high = (np.sqrt(np.maximum(end, 0)) for end in (low, high))
            for k, a, b in zip(self.compared[metric], low, high, strict=True):
                if math.isfinite(a) and math.isfinite(b):
                    found[self.names[k]][metric] = (float(a), float(b))
        return found

    def pairs(self, reference: str) -> list[dict[str, Any]]:
        """Every pair of compared groups in every metric: difference, ratio, p; first less second.

        The second one is ``reference`` where the pair holds it. Of more than ``stats.MAX_PAIRED``
        groups each is compared with all others together, ``REST``.
        """
        rows: list[dict[str, Any]] = []
        for metric, compared in self.compared.items():
            if len(compared) > stats.MAX_PAIRED:
                rows += self._against_rest(metric)
            if not 2 <= len(compared) <= stats.MAX_PAIRED:
                continue
            order = sorted(range(len(compared)), key=lambda i: self.names[compared[i]] == reference)
            for place, i in enumerate(order):
                rows += [self._pair(metric, i, j) for j in order[place + 1 :]]
        return rows

    def _against_rest(self, metric: str) -> list[dict[str, Any]]:
        """Each group less the weighted mean of all others, by the permutations' standard error."""
        test = self.tests.get(metric)
        if test is None or metric == "ece_debiased":  # tested by its square: not a difference of it
            return []
        rows = []
        for i, k in enumerate(self.compared[metric]):
            value, rest, error = (float(x[i]) for x in (test.value, test.rest, test.error))
            row: dict[str, Any] = {
                "metric": metric,
                "first": self.names[k],
                "second": REST,
                "difference": value - rest,
                "ratio": float(metrics.ratio(value, rest)),
                "ratio_ci": None,
                "p_value": float(test.rest_p[i]),
                "p_value_corrected": float(test.rest_p_corrected[i]),
            }
            for name, reach in (("ci", stats.quantile_of(1e9)), ("ci_simultaneous", test.reach)):
                ends = (value - rest - reach * error, value - rest + reach * error)
                row[name] = ends if self.intervals else None
            rows.append(row)
        return rows

    def _pair(self, metric: str, i: int, j: int) -> dict[str, Any]:
        first, second = (self.groups[self.compared[metric][k]].metrics[metric] for k in (i, j))
        ends, test = self.ends.get(metric), self.tests.get(metric)
        row: dict[str, Any] = {
            "metric": metric,
            "first": self.names[self.compared[metric][i]],
            "second": self.names[self.compared[metric][j]],
            "difference": first.value - second.value,
            "ci": None,
            "ci_simultaneous": None,
            "ratio": float(metrics.ratio(first.value, second.value)),
            "ratio_ci": None,
            "p_value": math.nan if test is None else float(test.pair_p[i, j]),
            "p_value_corrected": math.nan if test is None else float(test.pair_p_corrected[i, j]),
        }
        if ends is not None:
            for name, (low, high) in {
                "ci": ends.differences(),
                "ci_simultaneous": ends.differences(simultaneous=True),
                "ratio_ci": ends.ratios(),
            }.items():
                if np.isfinite([low[i, j], high[i, j]]).all():
                    row[name] = (float(low[i, j]), float(high[i, j]))
        return row
