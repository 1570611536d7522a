"""Every metric of an audit of numbers per case with its interval: all rows, then every group."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fairthesis import stats
from fairthesis.auditing._estimates import interval_of, unanimous_interval
from fairthesis.auditing._outcome_kinds import Measured, value_over
from fairthesis.auditing._outcome_metrics import OutcomeMetric
from fairthesis.auditing._outcome_report import OutcomeEstimate, OutcomeGroup
from fairthesis.auditing._outcome_rows import OutcomeRows
from fairthesis.errors import InputError

Array = NDArray[np.float64]


class OutcomeEstimates:
    """All rows, then every group of every attribute: values, replicates, intervals."""

    def __init__(
        self, data: OutcomeRows, metrics: Mapping[str, OutcomeMetric], n_boot: int, seed: int
    ) -> None:
        self.data, self.n_patients = data, int(data.patient.max()) + 1
        self.masks, self.first = [np.ones(len(data.patient), bool)], {}
        for attribute, column in data.groups.items():
            self.first[attribute] = len(self.masks)
            self.masks += [column.codes == k for k in range(len(column.categories))]
        self.measured: dict[str, Measured] = {}
        self.drawn: dict[str, Array] = {}
        for name, metric in metrics.items():
            known = data.known[name]
            self.measured[name] = metric.measure([one[known] for one in data.columns[name]])
            if not math.isfinite(value := self._value(name, 0)):
                raise InputError(
                    f"{name} is {value} over the {int(known.sum())} rows that have its numbers: "
                    "expected columns in which it is defined. A constant truth has no R² and no "
                    "kappa, and a concordance index needs an event before another time."
                )
            self.drawn[name] = self._resampled(name, n_boot, seed)

    def _rows(self, metric: str, part: int) -> NDArray[np.intp]:
        """Places of a part's rows among those that have the metric's numbers."""
        return np.flatnonzero(self.masks[part][self.data.known[metric]])

    def _value(self, metric: str, part: int) -> float:
        patient = self.data.patient[self.data.known[metric]]
        return value_over(self.measured[metric], self._rows(metric, part), self.n_patients, patient)

    def _resampled(self, metric: str, n_boot: int, seed: int) -> Array:
        """Replicates of every part, shape (n_boot, parts)."""
        patient = self.data.patient[self.data.known[metric]]
        found = np.full((n_boot, len(self.masks)), np.nan)
        rows = [self._rows(metric, part) for part in range(len(self.masks))]
        some = [part for part, own in enumerate(rows) if len(own)]
        of = [self.measured[metric].resampled(patient, rows[p], self.n_patients) for p in some]
        if n_boot:
            with warnings.catch_warnings():  # once per resample says no more than once
                warnings.simplefilter("ignore")
                found[:, some] = stats.bootstrap(
                    lambda counts: np.stack([one(counts) for one in of], axis=1),
                    self.n_patients,
                    n_boot,
                    seed,
                )
        return found

    def estimate(self, metric: str, part: int) -> OutcomeEstimate:
        """A metric of one part with its interval."""
        measured, rows = self.measured[metric], self._rows(metric, part)
        patient, cases = self.data.patient[self.data.known[metric]][rows], measured.cases[rows]
        value, drawn = self._value(metric, part), self.drawn[metric][:, part]
        freedom = stats.degrees_of_freedom(stats.cases_of_patients(patient, cases))
        ci = interval_of(value, drawn, np.empty(0), stats.expanded_level(freedom))
        if measured.share and value in (0, 1) and len(drawn):
            ci = unanimous_interval(value, patient)
        n = int(self.masks[part].sum())
        return OutcomeEstimate(
            value, ci, n=len(rows), n_missing=n - len(rows), n_cases=int(cases.sum())
        )

    def overall(self) -> dict[str, OutcomeEstimate]:
        """Every metric over all rows."""
        return {metric: self.estimate(metric, 0) for metric in self.measured}

    def groups(self, attribute: str) -> dict[str, OutcomeGroup]:
        """The groups of one attribute."""
        found = {}
        for k, name in enumerate(self.data.groups[attribute].categories):
            part = self.first[attribute] + k
            patient = self.data.patient[self.masks[part]]
            counts = stats.cases_of_patients(patient)
            found[str(name)] = OutcomeGroup(
                n=len(patient),
                n_patients=len(counts),
                metrics={metric: self.estimate(metric, part) for metric in self.measured},
                effective_patients=stats.effective_patients(counts),
            )
        return found

    def replicates(self, attribute: str) -> dict[str, Array]:
        """Replicates of every metric in every group, each (n_boot, groups)."""
        first, n = self.first[attribute], len(self.data.groups[attribute].categories)
        return {metric: drawn[:, first : first + n] for metric, drawn in self.drawn.items()}
