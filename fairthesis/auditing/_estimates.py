"""Every metric of an audit with its interval: all rows, then every group of every attribute."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairthesis import stats
from fairthesis.auditing._additional import additional_metrics, cross_aurocs, net_benefit_of
from fairthesis.auditing._metrics import (
    CALIBRATION,
    FIXED,
    RESAMPLED_METRICS,
    Metric,
    bin_residuals,
    first_values,
)
from fairthesis.auditing._report import Estimate, Group
from fairthesis.auditing._rows import AuditedRows
from fairthesis.auditing._rule import rule_intervals
from fairthesis.auditing._weights import values_of
from fairthesis.metrics import N_BINS, bin_index, bin_sums, grid_cell
from fairthesis.stats import Interval, calibration_intervals, smooth_interval

# What rests on both labels, and is known no better than the rarer one.
RANKING = ("auroc", "average_precision", "calibration_intercept", "calibration_slope")
MOST_CROSSED = 20
Replicates = Mapping[str, NDArray[np.float64]]


class GroupEstimates:
    """All rows, then every group of every attribute: values, replicates, intervals."""

    def __init__(
        self,
        data: AuditedRows,
        n_boot: int,
        seed: int,
        interval: str,
        extra: Mapping[str, Metric] | None = None,
    ) -> None:
        self.data, self.extra = data, dict(extra or {})
        first_values(self.extra, data.y, data.s, data.weight)
        self.place = {name: k for k, name in enumerate([*RESAMPLED_METRICS, *self.extra])}
        self.n_boot, self.seed, self.interval = n_boot, seed, interval
        self._levels: dict[int, dict[str, float]] = {}
        self.masks = [np.ones(len(data.y), bool)]
        self.first = {}
        for attribute, column in data.groups.items():
            self.first[attribute] = len(self.masks)
            self.masks += [column.codes == k for k in range(len(column.categories))]
        n_patients, n, n_bins = int(data.patient.max()) + 1, len(self.masks), N_BINS
        self.drawn = np.empty((0, n, len(self.place)))
        self.bins = np.empty((0, n, 2, n_bins))
        self.left_out = np.empty((0, n, len(self.place)))
        self.residuals = np.empty((0, n, stats.GRID), np.float32)
        self.crossed: dict[str, NDArray[np.float64]] = {}
        if n_boot:
            rows = [
                stats.prepare(
                    data.y[m], data.s[m], data.patient[m], data.threshold, data.weight_of(m)
                )
                for m in self.masks
            ]
            wanted = list(RESAMPLED_METRICS.values())
            who = (data.y, data.s, data.patient)
            asked = [
                stats.of_groups(rows, [*wanted, bin_residuals]),
                stats.residual_statistic(*who, self.masks, data.weight),
                *map(self._cross_statistic, self._crossed_attributes()),
            ]
            found = stats.bootstrap_together(asked, n_patients, n_boot, seed)
            drawn, self.residuals, *crossed = found
            self.crossed = dict(zip(self._crossed_attributes(), crossed, strict=True))
            self.drawn = drawn[..., : len(wanted)]
            self.bins = drawn[..., len(wanted) :].reshape(n_boot, n, 2, n_bins)
            if interval == "bca":
                self.left_out = stats.jackknife_groups(rows, wanted, n_patients, seed)
            if self.extra:
                self._resample_extra()

    def _crossed_attributes(self) -> list[str]:
        # Of every pair of very many groups nobody reads, and they take their square of time.
        return [a for a, c in self.data.groups.items() if len(c.categories) <= MOST_CROSSED]

    def _cross_statistic(self, attribute: str) -> Callable[[stats.Counts], NDArray[np.float64]]:
        data, column = self.data, self.data.groups[attribute]
        rows, n = (data.y, data.s, data.patient), len(column.categories)
        return stats.cross_auroc_statistic(*rows, column.codes, n, data.weight)

    def _resample_extra(self) -> None:
        """The columns of a user's metrics, beside those that are built in."""
        data, functions = self.data, list(self.extra.values())
        rows = (data.y, data.s, data.patient, self.masks)
        with warnings.catch_warnings():  # once per resample says no more than once
            warnings.simplefilter("ignore")
            own = (self.seed, data.weight)
            drawn = stats.bootstrap_functions(functions, *rows, self.n_boot, *own)
            self.drawn = np.concatenate([self.drawn, drawn], axis=-1)
            if self.interval == "bca":
                left_out = stats.jackknife_functions(functions, *rows, *own)
                self.left_out = np.concatenate([self.left_out, left_out], axis=-1)

    def estimates(self, part: int) -> dict[str, Estimate]:
        """Every metric of one part with its interval."""
        y, s = self.data.y[self.masks[part]], self.data.s[self.masks[part]]
        w = self.data.weight_of(self.masks[part])
        exact = values_of(y, s, self.data.threshold, w)
        exact |= {name: stats.value_of(f, y, s, w) for name, f in self.extra.items()}
        levels = self.levels(part)
        found = {
            name: Estimate(
                exact[name],
                interval_of(
                    exact[name], self.drawn[:, part, k], self.left_out[:, part, k], levels[name]
                ),
            )
            for name, k in self.place.items()
            if name in exact
        }
        return found | self._unanimous(part, exact) | self._calibration(part, exact)

    def levels(self, part: int) -> dict[str, float]:
        """The level at which each metric's percentiles are read (``stats.expanded_level``)."""
        if part not in self._levels:
            self._levels[part] = self._levels_of(part)
        return dict(self._levels[part])

    def _levels_of(self, part: int) -> dict[str, float]:
        rows = self.masks[part]
        y, called = self.data.y[rows] > 0, self.data.s[rows] >= self.data.threshold
        patient, w = self.data.patient[rows], self.data.weight_of(rows)

        def level(cases: NDArray[np.bool_]) -> float:
            return level_of(patient[cases], None if w is None else w[cases])

        everyone = level(np.ones(len(y), bool))
        positive, negative = level(y), level(~y)
        rarer = max(positive, negative)
        both = (
            "auroc",
            "average_precision",
            "calibration_intercept",
            "calibration_slope",
            *FIXED,
            *CALIBRATION,
        )
        found = dict.fromkeys(self.place, everyone) | dict.fromkeys(both, rarer)
        found |= {"tpr": positive, "fnr": positive, "tnr": negative, "fpr": negative}
        found |= {"ppv": level(called), "npv": level(~called), "balanced_accuracy": rarer}
        return found | dict.fromkeys(self.extra, rarer)

    def _unanimous(self, part: int, exact: Mapping[str, float]) -> dict[str, Estimate]:
        """The shares of 0 or 1: there, resamples say nothing of the precision."""
        if not self.n_boot:
            return {}
        rows = self.masks[part]
        y, called = self.data.y[rows] > 0, self.data.s[rows] >= self.data.threshold
        patient, w = self.data.patient[rows], self.data.weight_of(rows)
        of = {"tpr": y, "fnr": y, "tnr": ~y, "fpr": ~y, "ppv": called, "npv": ~called}
        of |= dict.fromkeys(("accuracy", "prevalence", "selection_rate"), np.ones(len(y), bool))
        return {
            name: Estimate(
                exact[name],
                unanimous_interval(
                    exact[name], patient[cases], weight=None if w is None else w[cases]
                ),
            )
            for name, cases in of.items()
            if exact[name] in (0, 1)
        }

    def _calibration(self, part: int, exact: Mapping[str, float]) -> dict[str, Estimate]:
        names = ("ece", "ece_debiased")
        if not len(self.bins):
            return {name: Estimate(exact[name]) for name in names}
        rows = self.masks[part]
        y, s, patient = self.data.y[rows], self.data.s[rows], self.data.patient[rows]
        n, scores, labels = bin_sums(y, s, self.data.weight_of(rows))
        bins = bin_index(s)
        # Effective patients of each bin: the numbers that its replicates rest on.
        of_pairs = np.bincount(patient * N_BINS + bins)
        pairs = np.flatnonzero(of_pairs)
        m = of_pairs[pairs]
        sums, squares = (
            np.bincount(pairs % N_BINS, values, N_BINS) for values in (m, m.astype(np.float64) ** 2)
        )
        patients = sums**2 / np.maximum(squares, 1)
        cases = np.bincount(bins, minlength=N_BINS)
        drawn = self.bins[:, part]
        level = self.levels(part)["ece"]
        ends = calibration_intervals(
            n, labels - scores, drawn[:, 0], drawn[:, 1], patients, cases=cases, level=level
        )
        return {name: Estimate(exact[name], ends[name]) for name in names}

    def overall(self) -> dict[str, Estimate]:
        """Every metric over all rows."""
        return self.estimates(0)

    def groups(self, attribute: str) -> dict[str, Group]:
        """The groups of one attribute."""
        found = {}
        for k, name in enumerate(self.data.groups[attribute].categories):
            part = self.first[attribute] + k
            mask = self.masks[part]
            positive = int(self.data.y[mask].sum())
            found[str(name)] = Group(
                n=int(mask.sum()),
                n_patients=int(np.count_nonzero(np.bincount(self.data.patient[mask]))),
                n_positive=positive,
                n_negative=int(mask.sum()) - positive,
                effective_patients=stats.effective_patients(
                    stats.cases_of_patients(
                        self.data.patient[mask], weight=self.data.weight_of(mask)
                    )
                ),
                metrics=self.estimates(part),
            )
        return found

    def replicates(self, attribute: str) -> Replicates:
        """Replicates of the user's metrics in every group, each (replicates, groups)."""
        first, n = self.first[attribute], len(self.data.groups[attribute].categories)
        return {m: self.drawn[:, first : first + n, self.place[m]] for m in self.extra}

    def additional(
        self,
        overall: Mapping[str, Estimate],
        members: Mapping[str, Mapping[str, Group]],
        means: str = "disease",
    ) -> dict[str, Any]:
        """``ADDITIONAL`` of all rows and every group, and xAUC of every pair of groups."""
        few = self._crossed_attributes()
        crossed = {a: cross_aurocs(self.data, a) if a in few else {} for a in members}

        def of(part: int, known: Mapping[str, Estimate]) -> dict[str, Estimate]:
            rows, t = self.masks[part], self.data.threshold
            y, s, w = self.data.y[rows], self.data.s[rows], self.data.weight_of(rows)
            plain = additional_metrics(y, s, t, known, means, w)
            boot, jackknife = (
                {m: drawn[:, part, k] for m, k in self.place.items()}
                for drawn in (self.drawn, self.left_out)
            )
            for one in (boot, jackknife):
                one["net_benefit"] = net_benefit_of(one, t)
            levels = self.levels(part)
            levels["net_benefit"] = levels["accuracy"]
            ends = {
                m: interval_of(plain[m].value, boot[m], jackknife[m], levels[m])
                for m in (*FIXED, *CALIBRATION, "net_benefit")
            }
            if len(self.residuals) and len(y):
                w = np.ones(len(y)) if w is None else w
                sums = np.bincount(grid_cell(s, stats.GRID), w * (y - s), stats.GRID)
                ends["smooth_ece"] = smooth_interval(
                    sums / w.sum(), self.residuals[:, part], levels["ece"]
                )
            return plain | {m: Estimate(plain[m].value, e) for m, e in ends.items()}

        return {
            "overall": of(0, overall),
            "groups": {
                a: {g: of(self.first[a] + k, m.metrics) for k, (g, m) in enumerate(groups.items())}
                for a, groups in members.items()
            },
            **self._of_rule(),
            "cross_auroc": crossed,
            "cross_auroc_ci": {
                a: self._crossed(a, crossed[a]) if crossed[a] else {} for a in members
            },
        }

    def _of_rule(self) -> dict[str, Any]:
        """``rule``: intervals in which the threshold's choice is uncertain as well."""
        if self.data.validation is None or not self.n_boot:
            return {}
        masks = {("", ""): self.masks[0]}
        for attribute, column in self.data.groups.items():
            for k, name in enumerate(column.categories):
                masks[attribute, str(name)] = self.masks[self.first[attribute] + k]
        return {"rule": rule_intervals(self.data, masks, self.n_boot, self.seed)}

    def _crossed(
        self, attribute: str, values: Mapping[str, Mapping[str, float]]
    ) -> dict[str, dict[str, Interval | None]]:
        """Intervals of ``cross_aurocs``."""
        n = len(self.data.groups[attribute].categories)
        none = np.empty((0, n, n))
        drawn, left_out = self.crossed.get(attribute, none), none
        if self.n_boot and self.interval == "bca":
            n_patients = int(self.data.patient.max()) + 1
            statistic = self._cross_statistic(attribute)
            left_out = stats.jackknife(statistic, n_patients, self.seed)
        return {
            a: {
                b: interval_of(v, drawn[:, i, j], left_out[:, i, j])
                for j, (b, v) in enumerate(row.items())
            }
            for i, (a, row) in enumerate(values.items())
        }


def interval_of(
    value: float,
    drawn: NDArray[np.float64],
    left_out: NDArray[np.float64],
    level: float = stats.LEVEL,
) -> tuple[float, float] | None:
    """The percentile interval, or BCa where there are jackknife values; None where not known.

    Replicates that are all the same, as those of an AUROC of 1, say nothing of the precision.
    """
    if not math.isfinite(value) or not len(drawn) or _constant(drawn):
        return None
    if not len(left_out):
        return stats.percentile_interval(drawn, level)
    ends = stats.bca_interval(value, drawn, left_out, level)
    return ends if np.isfinite(ends).all() else None


def _constant(drawn: NDArray[np.float64]) -> bool:
    known = drawn[np.isfinite(drawn)]
    return not len(known) or known.min() == known.max()


def level_of(patients: NDArray[np.intp], weight: NDArray[np.float64] | None = None) -> float:
    """The level at which percentiles are read of a value that rests on cases of these patients.

    ``patients`` has each case's patient, ``weight`` how many cases it counts for.
    """
    cases = stats.cases_of_patients(patients, weight=weight)
    squares = None if weight is None else stats.cases_of_patients(patients, weight=weight**2)
    return stats.expanded_level(stats.degrees_of_freedom(cases, squares))


def unanimous_interval(
    value: float,
    patients: NDArray[np.intp],
    level: float = stats.LEVEL,
    weight: NDArray[np.float64] | None = None,
) -> tuple[float, float]:
    """Clopper and Pearson's interval (1934) of a share that is 0 or 1 among all cases.

    ``patients`` has each case's patient. It counts patients, as if all cases of one were alike:
    with p the share and m patients, p^m is the chance to see none (or all) of them. Where cases
    have weights, m is the effective number of patients (Kish 1965; Korn and Graubard 1998).

    >>> low, high = unanimous_interval(1.0, np.arange(20))
    >>> round(low, 3), high
    (0.832, 1.0)
    """
    m = float(len(np.unique(patients)))
    if weight is not None:
        m = stats.effective_patients(stats.cases_of_patients(patients, weight=weight))
    reach = float(((1 - level) / 2) ** (1 / m))
    return (reach, 1.0) if value == 1 else (0.0, 1 - reach)
