"""What an audit found: estimates, gaps with their chance levels, and the report that holds them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis.auditing._adjusted_page import adjusted_rows
from fairthesis.auditing._html import render
from fairthesis.auditing._rows import AuditedRows
from fairthesis.auditing._wording import CARD, model_card
from fairthesis.metrics import NEEDED
from fairthesis.storage import (
    check_writable,
    table_writer,
    text_writer,
    without_formulas,
    write_together,
)

SCHEMA = "fairthesis.audit/1"
#: What a group must have ``floor`` of to be compared in a metric; elsewhere its rows count.
COUNTED = {"auroc": ("n_positive", "n_negative"), "tpr": ("n_positive",), "fpr": ("n_negative",)}


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval.

    ``value`` is NaN where it is not defined (an AUROC of one class), ``ci`` None where no interval
    can be given: without resamples, or where over 5 % of them leave the value undefined.

    >>> Estimate(0.8, (0.75, 0.84)).ci
    (0.75, 0.84)
    """

    value: float
    ci: tuple[float, float] | None = None


@dataclass(frozen=True)
class Gap(Estimate):
    """A disparity with its chance level: what it is where all groups are equal.

    Equal groups are made by studentised permutation over patients (``stats.permuted_tests``):
    within the label for rates and AUROC, so that a difference in prevalence is none in them;
    demographic parity, accuracy and Brier score differ by prevalence alone.
    ``null_mean`` is the mean gap of equal groups, ``null_q95`` its 95 % point, towards the worse
    side: for ``worst_group_auroc``, where smaller is worse, 95 % lie above it. ``p_value`` is the
    share of permutations with a gap at least as large, ``p_value_corrected`` the same after
    Westfall and Young's correction for the other gaps of the attribute (``stats.step_down``). All
    are NaN without permutations.

    >>> gap = Gap(0.09, (0.02, 0.16), null_mean=0.03, null_q95=0.07, p_value=0.01)
    >>> gap.value > gap.null_q95
    True
    """

    null_mean: float = math.nan
    null_q95: float = math.nan
    p_value: float = math.nan
    p_value_corrected: float = math.nan


@dataclass(frozen=True)
class Group:
    """One group's counts and metrics.

    ``chance`` holds, for metrics that gaps are made of, where the group's value would lie in 95 of
    100 cases if it were like the other groups; it holds for all groups of an attribute at once.
    ``metrics`` are the estimates by name. ``effective_patients`` is how many patients with equal
    numbers of rows the group's are worth (``stats.effective_patients``).

    >>> group = Group(n=90, n_patients=60, n_positive=20, n_negative=70, metrics={})
    >>> group.compared("tpr", floor=30), group.compared("fpr", floor=30)
    (False, True)
    """

    n: int
    n_patients: int
    n_positive: int
    n_negative: int
    metrics: Mapping[str, Estimate]
    chance: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    effective_patients: float = math.nan

    def compared(self, metric: str, floor: int) -> bool:
        """Whether the group has enough cases of the kind that ``metric`` rests on.

        Positives for a true positive rate, negatives for a false positive rate, both for AUROC and
        metrics of your own, rows for everything else; one of each at least.
        """
        counts = COUNTED.get(metric, ("n",) if metric in NEEDED else ("n_positive", "n_negative"))
        return min(getattr(self, name) for name in counts) >= max(floor, 1)


@dataclass(frozen=True)
class FairnessReport:
    """An audit's results; ``write`` puts them in a directory.

    ``overall`` and ``groups`` (attribute, group) hold the estimates, ``disparities`` (attribute,
    name) the gaps, ``warnings`` what a reader has to know of the table. ``additional`` is the key
    ``further`` of ``audit.json``: ``overall`` and ``groups`` estimates of the rates, net benefit
    and smECE beyond ``metrics.METRICS``, and ``cross_auroc`` and its intervals ``cross_auroc_ci``
    (attribute, group of the positives, group of the negatives).

    >>> from fairthesis.auditing import audit
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"y_true": [0, 1] * 100, "sex": ["f", "f", "m", "m"] * 50})
    >>> table["y_score"] = rng.random(200) / 2 + table["y_true"] / 4
    >>> report = audit(table, groups=["sex"], n_boot=50, n_permutations=50)
    >>> report.threshold, list(report.tables())
    (0.5, ['overall', 'groups', 'disparities', 'further'])
    >>> report.disparities["sex"]["auroc_gap"].p_value > 0
    True
    """

    n_rows: int
    n_patients: int | None
    threshold: float
    rule: str
    overall: Mapping[str, Estimate]
    groups: Mapping[str, Mapping[str, Group]]
    disparities: Mapping[str, Mapping[str, Gap]]
    warnings: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    additional: Mapping[str, Any] = field(default_factory=dict)
    data: AuditedRows | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The report as ``audit.json`` holds it; numbers that are not known are None."""
        return {
            "schema": SCHEMA,
            "n_rows": self.n_rows,
            "n_patients": self.n_patients,
            "threshold": {"value": self.threshold, "rule": self.rule},
            "overall": {name: _plain(e) for name, e in self.overall.items()},
            "groups": {
                attribute: {
                    name: {
                        "n": group.n,
                        "n_patients": group.n_patients,
                        "n_positive": group.n_positive,
                        "n_negative": group.n_negative,
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
            **({"further": self._additional()} if self.additional else {}),
        }

    def _additional(self) -> dict[str, Any]:
        found = self.additional
        return {
            "overall": {name: _plain(e) for name, e in found["overall"].items()},
            "groups": {
                attribute: {
                    name: {m: _plain(e) for m, e in group.items()} for name, group in groups.items()
                }
                for attribute, groups in found["groups"].items()
            },
            "cross_auroc": {
                attribute: {
                    name: {other: _known(value) for other, value in row.items()}
                    for name, row in rows.items()
                }
                for attribute, rows in found["cross_auroc"].items()
            },
            "cross_auroc_ci": {
                attribute: {
                    name: {other: None if ci is None else list(ci) for other, ci in row.items()}
                    for name, row in rows.items()
                }
                for attribute, rows in found["cross_auroc_ci"].items()
            },
            **({"flow": dict(found["flow"])} if "flow" in found else {}),
            **({"missing": found["missing"]} if "missing" in found else {}),
            **({"positive_means": found["positive_means"]} if "positive_means" in found else {}),
            **({"decision": True} if found.get("decision") else {}),
            **_of_rule(found.get("rule")),
            **{key: found[key] for key in ("adjusted", "weight") if key in found},
            "pairs": {
                attribute: [_known_row(row) for row in rows]
                for attribute, rows in found.get("pairs", {}).items()
            },
            "effective_patients": {
                attribute: {
                    name: _known(group.effective_patients) for name, group in members.items()
                }
                for attribute, members in self.groups.items()
            },
        }

    def to_json(self) -> str:
        """``to_dict`` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def tables(self) -> dict[str, pd.DataFrame]:
        """Tidy tables ``overall``, ``groups``, ``disparities``, ``further``: a row per number.

        Of an audit that is adjusted for other columns also ``adjusted``, crude and adjusted values.
        """
        overall = [{"metric": m, **_row(e)} for m, e in self.overall.items()]
        groups = [
            {
                "attribute": attribute,
                "group": name,
                "n": group.n,
                "n_patients": group.n_patients,
                "n_positive": group.n_positive,
                "n_negative": group.n_negative,
                "metric": m,
                **_row(e),
            }
            for attribute, members in self.groups.items()
            for name, group in members.items()
            for m, e in group.metrics.items()
        ]
        gaps = [
            {"attribute": attribute, "name": name, **_row(gap)}
            for attribute, members in self.disparities.items()
            for name, gap in members.items()
        ]
        rows = {"overall": overall, "groups": groups, "disparities": gaps}
        if self.additional:
            rows["further"] = [
                {"attribute": attribute, "group": group, "metric": m, **_row(e)}
                for (attribute, group), estimates in {
                    ("", ""): self.additional["overall"],
                    **{
                        (a, g): e
                        for a, gs in self.additional["groups"].items()
                        for g, e in gs.items()
                    },
                }.items()
                for m, e in estimates.items()
            ]
        if "adjusted" in self.additional:
            rows["adjusted"] = adjusted_rows(self.additional["adjusted"])
        return {name: pd.DataFrame(table) for name, table in rows.items()}

    def model_card(self) -> str:
        """A model card as Markdown: what was measured, and a heading for what only people can say.

        After Mitchell et al. 2019 and TRIPOD+AI (Collins et al. 2024).
        """
        asked = [f"## {heading}\n\nNot stated.\n" for heading in CARD]
        return "\n".join(["# Model card\n", model_card(self.to_dict()), *asked])

    def to_html(self, *, explorer: bool = True) -> str:
        """One self-contained page, with or without the threshold ``explorer``.

        From the explorer the group, label and score (to 0.01) of single rows can be read back.
        """
        chance = {
            a: {g: m.chance for g, m in members.items()} for a, members in self.groups.items()
        }
        # Of decisions there are no curves, and no threshold to explore.
        data = None if self.settings.get("decision") else self.data
        return render(self.to_dict(), self.settings, chance, data, explorer)

    def write(self, directory: str | Path, *, explorer: bool = True) -> list[Path]:
        """Write ``audit.json``, ``audit.html`` and the tidy CSVs; never mixed with an older audit.

        Where ``audit.json`` is there, all of them are, and of this audit.
        """
        directory = Path(directory)
        check_writable(directory)
        texts = {"audit.json": self.to_json(), "audit.html": self.to_html(explorer=explorer)}
        tables = {f"{name}.csv": without_formulas(t) for name, t in self.tables().items()}
        files = {name: text_writer(text) for name, text in texts.items()}
        files |= {name: table_writer(table, name) for name, table in tables.items()}
        write_together(directory, files, last="audit.json", stale=("further.csv", "adjusted.csv"))
        return [directory / name for name in files]


def _plain(estimate: Estimate) -> dict[str, Any]:
    found: dict[str, Any] = {"value": _known(estimate.value)}
    found["ci"] = None if estimate.ci is None else list(estimate.ci)
    if isinstance(estimate, Gap):
        for key in ("null_mean", "null_q95", "p_value", "p_value_corrected"):
            found[key] = _known(getattr(estimate, key))
    return found


def _of_rule(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Intervals at a threshold chosen anew: overall, and by attribute and group."""
    if found is None:
        return {}
    groups: dict[str, dict[str, Any]] = {}
    for (attribute, name), rates in found["rates"].items():
        groups.setdefault(attribute, {})[name] = {
            metric: None if ci is None else list(ci) for metric, ci in rates.items()
        }
    overall = groups.pop("")[""]
    ends = found["threshold"]
    threshold = None if ends is None else list(ends)
    return {"rule": {"threshold_ci": threshold, "overall": overall, "groups": groups}}


def _known_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """For JSON: intervals are lists, and what is not known is None."""
    return {
        key: list(value)
        if isinstance(value, tuple)
        else _known(value)
        if isinstance(value, float)
        else value
        for key, value in row.items()
    }


def _row(estimate: Estimate) -> dict[str, Any]:
    plain = _plain(estimate)
    low, high = plain.pop("ci") or (None, None)
    return {"value": plain.pop("value"), "ci_low": low, "ci_high": high, **plain}


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
