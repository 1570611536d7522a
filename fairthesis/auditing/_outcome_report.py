"""What an audit of numbers per case found, and the files that say so."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis.auditing._outcome_metrics import OutcomeMetric
from fairthesis.auditing._outcome_page import render_outcomes
from fairthesis.auditing._report import Estimate, Gap
from fairthesis.storage import (
    check_writable,
    table_writer,
    text_writer,
    without_formulas,
    write_together,
)

SCHEMA = "fairthesis.outcomes/1"


@dataclass(frozen=True)
class OutcomeEstimate(Estimate):
    """A value with its 95 % interval, and the rows behind it.

    ``n`` rows have the metric's numbers, ``n_missing`` have not; ``n_cases`` are those that it
    rests on: of a concordance index the events, of all others the ``n`` rows.

    >>> OutcomeEstimate(0.8, (0.75, 0.84), n=90, n_missing=3, n_cases=90).n_missing
    3
    """

    n: int = 0
    n_missing: int = 0
    n_cases: int = 0


@dataclass(frozen=True)
class OutcomeGap(Gap):
    """A gap, or the value of the group that fares worst, which ``group`` names then.

    >>> OutcomeGap(0.71, (0.66, 0.76), group="F").group
    'F'
    """

    group: str | None = None


@dataclass(frozen=True)
class OutcomeGroup:
    """One group's counts and metrics; see ``Group`` for ``chance`` and ``effective_patients``.

    >>> one = OutcomeEstimate(0.8, n=90, n_cases=25)
    >>> OutcomeGroup(n=90, n_patients=60, metrics={"mean:dice": one}).compared("mean:dice", 30)
    False
    """

    n: int
    n_patients: int
    metrics: Mapping[str, OutcomeEstimate]
    chance: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    effective_patients: float = math.nan

    def compared(self, metric: str, floor: int) -> bool:
        """Whether enough cases of the group have the metric's numbers, and it has a value."""
        found = self.metrics[metric]
        return found.n_cases >= max(floor, 1) and math.isfinite(found.value)


@dataclass(frozen=True)
class OutcomesReport:
    """An audit of numbers per case; ``write`` puts it in a directory.

    ``metrics`` says what each name means, ``overall`` and ``groups`` (attribute, group) hold the
    estimates, ``disparities`` (attribute, name) ``METRIC_gap`` and ``worst_group_METRIC``,
    ``pairs`` (attribute) every pair of groups. ``sketches`` are the shares that the page draws of
    each group's numbers (attribute, metric).

    >>> from fairthesis.auditing import audit_outcomes
    >>> table = pd.DataFrame({"dice": [0.8, 0.9, 0.7, 0.6] * 30, "sex": ["f", "f", "m", "m"] * 30})
    >>> quick = {"n_boot": 50, "n_permutations": 50}
    >>> report = audit_outcomes(table, groups=["sex"], metrics=["mean:dice:higher"], **quick)
    >>> worst = report.disparities["sex"]["worst_group_mean:dice"]
    >>> worst.group, round(worst.value, 2)
    ('m', 0.65)
    """

    n_rows: int
    n_patients: int | None
    metrics: Mapping[str, OutcomeMetric]
    overall: Mapping[str, OutcomeEstimate]
    groups: Mapping[str, Mapping[str, OutcomeGroup]]
    disparities: Mapping[str, Mapping[str, OutcomeGap]]
    pairs: Mapping[str, list[dict[str, Any]]]
    warnings: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    sketches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The report as ``audit.json`` holds it; numbers that are not known are None."""
        return {
            "schema": SCHEMA,
            "n_rows": self.n_rows,
            "n_patients": self.n_patients,
            "metrics": {
                name: {
                    "kind": metric.kind,
                    "columns": list(metric.columns),
                    "better": metric.better,
                    "words": metric.words,
                }
                for name, metric in self.metrics.items()
            },
            "overall": {name: _plain(e) for name, e in self.overall.items()},
            "groups": {
                attribute: {
                    name: {
                        "n": group.n,
                        "n_patients": group.n_patients,
                        "metrics": {m: _plain(e) for m, e in group.metrics.items()},
                    }
                    for name, group in members.items()
                }
                for attribute, members in self.groups.items()
            },
            "disparities": {
                attribute: {name: _plain(gap) for name, gap in gaps.items()}
                for attribute, gaps in self.disparities.items()
            },
            "warnings": list(self.warnings),
            "further": {
                "pairs": {
                    attribute: [{k: _known(v) for k, v in row.items()} for row in rows]
                    for attribute, rows in self.pairs.items()
                },
                "effective_patients": {
                    attribute: {
                        name: _known(group.effective_patients) for name, group in members.items()
                    }
                    for attribute, members in self.groups.items()
                },
            },
        }

    def to_json(self) -> str:
        """``to_dict`` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tidy tables ``overall``, ``groups``, ``disparities``, and ``further``, the pairs."""
        groups = [
            {
                "attribute": attribute,
                "group": name,
                "n_rows": group.n,
                "n_patients": group.n_patients,
                "metric": m,
                **_row(_plain(e)),
            }
            for attribute, members in self.groups.items()
            for name, group in members.items()
            for m, e in group.metrics.items()
        ]
        gaps = [
            {"attribute": attribute, "name": name, "group": gap.group, **_row(_plain(gap))}
            for attribute, members in self.disparities.items()
            for name, gap in members.items()
        ]
        pairs = [
            {"attribute": attribute, **_row({k: _known(v) for k, v in pair.items()})}
            for attribute, rows in self.pairs.items()
            for pair in rows
        ]
        overall = [{"metric": m, **_row(_plain(e))} for m, e in self.overall.items()]
        rows = {"overall": overall, "groups": groups, "disparities": gaps, "further": pairs}
        return {name: pd.DataFrame(table) for name, table in rows.items()}

    def to_html(self) -> str:
        """One self-contained page."""
        chance = {
            a: {g: m.chance for g, m in members.items()} for a, members in self.groups.items()
        }
        return render_outcomes(self.to_dict(), self.settings, chance, self.sketches)

    def write(self, directory: str | Path) -> list[Path]:
        """Write ``audit.json``, ``audit.html`` and the tidy CSVs; never mixed with an older audit.

        Where ``audit.json`` is there, all of them are, and of this audit.
        """
        directory = Path(directory)
        check_writable(directory)
        files = {
            "audit.json": text_writer(self.to_json()),
            "audit.html": text_writer(self.to_html()),
        }
        for name, table in self.tables().items():
            files[f"{name}.csv"] = table_writer(without_formulas(table), f"{name}.csv")
        write_together(directory, files, last="audit.json")
        return [directory / name for name in files]


def _plain(estimate: OutcomeEstimate | OutcomeGap) -> dict[str, Any]:
    found: dict[str, Any] = {"value": _known(estimate.value), "ci": _known(estimate.ci)}
    if isinstance(estimate, OutcomeEstimate):
        return found | {key: getattr(estimate, key) for key in ("n", "n_missing", "n_cases")}
    for key in ("null_mean", "null_q95", "p_value", "p_value_corrected"):
        found[key] = _known(getattr(estimate, key))
    return found | ({} if estimate.group is None else {"group": estimate.group})


def _row(plain: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table: an interval is two columns."""
    found: dict[str, Any] = {}
    for key, value in plain.items():
        if key.startswith("ci") or key.endswith("_ci"):
            found[f"{key}_low"], found[f"{key}_high"] = value or (None, None)
        else:
            found[key] = value
    found.pop("group", None)
    return found


def _known(value: Any) -> Any:
    """For JSON: an interval is a list, and what is not known is None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return list(value) if isinstance(value, tuple) else value
