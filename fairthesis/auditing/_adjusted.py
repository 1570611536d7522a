"""Is it the group, or what goes with it? Groups' values, standardised to one mix of other columns.

Direct standardisation: with r_gh the value of group g in stratum h, and p_h the share of all
compared groups' cases that are in h, ::

    adjusted value of g = sum_h p_h r_gh.

p_h is of the cases that the metric rests on: positives for a true positive rate. For AUROC, r_gh
compares the positives and negatives of one stratum, and p_h is of the positives: the
covariate-adjusted AUROC (Janes and Pepe 2009, Biometrika 96). A stratum counts where every compared
group has such cases; the share of the cases that are in these strata is the common support.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis import metrics, stats
from fairthesis.auditing._adjusted_page import estimate_dict, known
from fairthesis.auditing._estimates import interval_of, level_of, unanimous_interval
from fairthesis.auditing._gaps import RANGES
from fairthesis.auditing._metrics import RESAMPLED_METRICS
from fairthesis.auditing._report import Estimate, Gap, Group
from fairthesis.auditing._rows import AuditedRows
from fairthesis.auditing._strata import Covariate, joined
from fairthesis.auditing._wording import label_of

Array = NDArray[np.float64]
Index = NDArray[np.intp]
#: What is standardised, and the gap that is made of it.
ADJUSTED: dict[str, str] = {
    metric: gap
    for metric in ("auroc", "tpr", "fpr", "selection_rate", "accuracy", "brier")
    for gap, of in RANGES.items()
    if of == metric
}
LEAST_SUPPORT = 0.5
FEW_CASES = 5
ROUNDED = 1e-12  # what rounding does to a sum of shares


class AdjustedGroups:
    """The groups of one attribute, standardised to the joint strata of some columns.

    Args:
        data: The audited rows.
        attribute: One of ``data.groups``.
        by: Names of ``data.covariates``.
        compared: Metric to the codes of the groups that are compared in it.
        n_boot: Resamples of patients.
        seed: Seed of the draws, which are those of the audit's other intervals.
    """

    def __init__(
        self,
        data: AuditedRows,
        attribute: str,
        by: Sequence[str],
        compared: Mapping[str, Sequence[int]],
        n_boot: int,
        seed: int,
    ) -> None:
        self.data, self.attribute, self.by = data, attribute, list(by)
        self.compared: dict[str, list[int]] = {m: list(compared[m]) for m in ADJUSTED}
        self.code = np.asarray(data.groups[attribute].codes, np.intp)
        self.stratum = joined([data.covariates[name] for name in by])
        self.n_strata = int(self.stratum.max()) + 1
        weight = np.ones(len(data.y)) if data.weight is None else data.weight
        called = data.s >= data.threshold
        # Which rows a metric rests on, and what it is the mean of (AUROC is none).
        self.positive, everyone = data.y > 0, np.ones(len(data.y), bool)
        self.rests: dict[str, NDArray[np.bool_]] = dict.fromkeys(ADJUSTED, everyone)
        self.rests |= {"tpr": self.positive, "auroc": self.positive, "fpr": ~self.positive}
        self.weight = weight
        self.means: dict[str, Array] = {
            **dict.fromkeys(("tpr", "fpr", "selection_rate"), called.astype(np.float64)),
            "accuracy": 1.0 * (called == self.positive),
            "brier": (data.s - data.y) ** 2,
        }
        self.cells = {
            (g, h): np.flatnonzero((self.code == g) & (self.stratum == h))
            for g in sorted({g for groups in self.compared.values() for g in groups})
            for h in np.unique(self.stratum[self.code == g]).tolist()
        }
        self.drawn = self._draw(n_boot, seed)

    def _draw(self, n_boot: int, seed: int) -> Array:
        """Every metric of every cell in every resample, (n_boot, cells, metrics)."""
        data = self.data
        if not n_boot or not self.cells:
            return np.empty((0, len(self.cells), len(ADJUSTED)))
        parts = [
            stats.prepare(
                data.y[rows],
                data.s[rows],
                data.patient[rows],
                data.threshold,
                None if data.weight is None else data.weight[rows],
            )
            for rows in self.cells.values()
        ]
        wanted = [RESAMPLED_METRICS[m] for m in ADJUSTED]
        return stats.bootstrap_groups(parts, wanted, int(data.patient.max()) + 1, n_boot, seed)

    def cases(self, metric: str, group: int, weighted: bool = True) -> Array:
        """Cases of each stratum that a metric rests on, (strata,); of AUROC, its positives."""
        rows = self.rests[metric] & (self.code == group)
        weight = self.weight[rows] if weighted else None
        sums = np.bincount(self.stratum[rows], weight, self.n_strata)
        return np.asarray(sums, np.float64)

    def fewest(self, metric: str) -> Array:
        """The fewest cases of any compared group in each stratum; of AUROC, of either label."""
        found = [self.cases(metric, g, weighted=False) for g in self.compared[metric]]
        if metric == "auroc":
            found += [self.cases("fpr", g, weighted=False) for g in self.compared[metric]]
        return np.min(found, axis=0)

    def standard(self, metric: str) -> tuple[Array, float]:
        """The share of the cases in each stratum, (strata,), and the common support."""
        total = np.sum([self.cases(metric, g) for g in self.compared[metric]], axis=0)
        kept = np.where(self.fewest(metric) > 0, total, 0.0)
        if not kept.any():
            return kept, 0.0
        return kept / kept.sum(), float(kept.sum() / total.sum())

    def adjusted(self, metric: str, group: int, share: Array) -> tuple[Estimate, float, Array]:
        """A group's standardised value, its effective number of cases, and its replicates."""
        strata = np.flatnonzero(share > 0).tolist()
        value = sum(share[h] * self._value(metric, self.cells[group, h]) for h in strata)
        columns = [k for k, cell in enumerate(self.cells) if cell[0] == group and cell[1] in strata]
        found = self.drawn[..., list(ADJUSTED).index(metric)][:, columns]
        # A resample may lack a small stratum: the others stand in for it.
        seen = np.isfinite(found) * share[strata]
        drawn = metrics.ratio((np.nan_to_num(found) * seen).sum(1), seen.sum(1))
        kinds = [self.rests[metric], *([~self.positive] if metric == "auroc" else [])]
        kept = [self._standing(kind, group, share) for kind in kinds]
        level = max(level_of(self.data.patient[rows], weight) for rows, weight in kept)
        rows, weight = kept[0]
        patient = self.data.patient[rows]
        ends = interval_of(float(value), drawn, np.empty(0), level)
        if len(drawn) and metric not in ("auroc", "brier") and min(value, 1 - value) < ROUNDED:
            value = round(value)  # a share of 0 or 1: there, resamples say nothing
            ends = unanimous_interval(value, patient, weight=weight)
        return Estimate(float(value), ends), stats.effective_patients(weight), drawn

    def _value(self, metric: str, rows: Index) -> float:
        if metric == "auroc":
            data = self.data
            return float(metrics.auroc(data.y[rows], data.s[rows], self.weight[rows]))
        rows = rows[self.rests[metric][rows]]
        w = self.weight[rows]
        return float(metrics.ratio((w * self.means[metric][rows]).sum(), w.sum()))

    def _standing(self, kind: NDArray[np.bool_], group: int, share: Array) -> tuple[Index, Array]:
        """The group's rows of a kind, and for how much of the standard each of them stands."""
        rows = np.flatnonzero(kind & (self.code == group) & (share[self.stratum] > 0))
        at = self.stratum[rows]
        sums = np.bincount(at, self.weight[rows], self.n_strata)
        return rows, share[at] * self.weight[rows] / sums[at]

    def of(self, metric: str) -> tuple[dict[int, tuple[Estimate, float]], Estimate, float]:
        """Every compared group's adjusted value and effective cases, their gap, and the support."""
        compared = self.compared[metric]
        share, support = self.standard(metric) if len(compared) > 1 else (np.zeros(1), math.nan)
        nothing = Estimate(math.nan)
        if len(compared) < 2 or support < LEAST_SUPPORT:
            return dict.fromkeys(compared, (nothing, math.nan)), nothing, support
        found = {g: self.adjusted(metric, g, share) for g in compared}
        values = np.array([one.value for one, _, _ in found.values()])
        ends = [one.ci for one, _, _ in found.values()]
        interval = None
        if all(end is not None for end in ends):
            low, high = np.array(ends).T
            together = self._correlation([drawn for _, _, drawn in found.values()])
            interval = stats.GroupEnds(values, low, high, together).gap()
        gap = Estimate(float(np.ptp(values)), interval)
        return {g: (one, cases) for g, (one, cases, _) in found.items()}, gap, support

    def _correlation(self, drawn: Sequence[Array]) -> Array | None:
        """Of the groups' values, where groups share patients."""
        known_rows = self.code >= 0
        patient, code = self.data.patient[known_rows], self.code[known_rows]
        pairs = np.unique(patient * (code.max() + 1) + code)
        if len(pairs) == len(np.unique(patient)):
            return None
        every = np.stack(drawn)
        every = every[:, np.isfinite(every).all(0)]
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(np.atleast_2d(np.corrcoef(every)))

    def to_dict(
        self, members: Mapping[str, Group], gaps: Mapping[str, Gap], told: list[str]
    ) -> dict[str, Any]:
        """As ``further.adjusted`` of ``audit.json`` holds it; what to beware of is in ``told``."""
        names = list(members)
        groups: dict[str, dict[str, Any]] = {name: {} for name in names}
        found: dict[str, Any] = {}
        support: dict[str, float | None] = {}
        for metric, of_gap in ADJUSTED.items():
            values, gap, support_of = self.of(metric)
            support[metric] = known(support_of)
            for g, (one, cases) in values.items():
                groups[names[g]][metric] = {
                    "crude": estimate_dict(members[names[g]].metrics[metric]),
                    "adjusted": estimate_dict(one),
                    "effective_cases": known(cases),
                }
            found[metric] = {
                "crude": estimate_dict(gaps[of_gap]),
                "adjusted": estimate_dict(gap),
            }
        told += self._warnings(support)
        cuts = {name: self.data.covariates[name].cuts for name in self.by}
        return {
            "by": self.by,
            "cuts": {name: list(cut) for name, cut in cuts.items() if cut is not None},
            "strata": self.n_strata,
            "support": support,
            "groups": groups,
            "gaps": found,
        }

    def _warnings(self, support: Mapping[str, float | None]) -> list[str]:
        head = f"{self.attribute} adjusted for {', '.join(self.by)}"
        lost: dict[str, list[str]] = {}
        few: dict[str, list[str]] = {}
        for metric, share in support.items():
            if share is None:
                continue
            if share < LEAST_SUPPORT:
                lost.setdefault(
                    f"only {_percent(share)} of the cases are in strata that every compared group "
                    f"has cases in, and {_percent(LEAST_SUPPORT)} are asked for: not adjusted. "
                    "Take fewer columns or coarser ones",
                    [],
                ).append(label_of(metric))
                continue
            if share < 1:
                lost.setdefault(
                    f"some strata lack a compared group and are left out; what is adjusted speaks "
                    f"for the other {_percent(share)} of the cases",
                    [],
                ).append(label_of(metric))
            fewest = self.fewest(metric)
            small = int(((fewest > 0) & (fewest < FEW_CASES)).sum())
            if small:
                few.setdefault(f"{small} of {int((fewest > 0).sum())} strata", []).append(
                    label_of(metric)
                )
        told = [f"{head}, {' and '.join(of)}: {what}." for what, of in lost.items()]
        if few:
            where = "; ".join(f"{what} ({', '.join(of)})" for what, of in few.items())
            told.append(
                f"{head}: some group has fewer than {FEW_CASES} cases that the metric rests on in "
                f"{where}. Intervals of what is adjusted may be too narrow there."
            )
        return told


def _percent(share: float) -> str:
    """Rounded down: a share that is not all of them is not told as such."""
    return f"{math.floor(1000 * share) / 10:g} %"


def columns_for(
    parts: Sequence[str], covariates: Mapping[str, Covariate], made_of: Mapping[str, Sequence[str]]
) -> list[str]:
    """The columns that an attribute made of ``parts`` can be adjusted for: none of itself.

    >>> one = Covariate(np.array([0, 1]))
    >>> columns_for(["sex"], {"sex": one, "age": one}, {"sex": ["sex"], "age": ["age"]})
    ['age']
    """
    return [name for name in covariates if not set(made_of[name]) & set(parts)]
