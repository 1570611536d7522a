"""The audits of several targets together: what stands beside them, and the folder that holds it."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis import stats
from fairthesis.auditing._averages import Average, Key
from fairthesis.auditing._decisions import Decisions
from fairthesis.auditing._report import FairnessReport
from fairthesis.auditing._target_files import SCHEMA, file_writers, folder_names, written_before
from fairthesis.auditing._target_page import render_targets
from fairthesis.storage import check_writable, write_together


@dataclass(frozen=True)
class FairnessReports:
    """The audits of several targets; ``write`` puts them in a directory.

    ``reports`` holds a ``FairnessReport`` by target, ``failed`` why others could not be audited.
    ``averages`` are means over targets by (attribute, gap), and by ("", metric) over all rows;
    ``decisions`` is what ``audit_targets(classes=...)`` adds. ``p_over_targets`` are the p values
    by (attribute, gap) and target, corrected over the targets (Holm 1979): each question is a
    family of its own. ``warnings`` are those of the whole table; each report has its own.

    >>> from fairthesis.auditing import audit_targets
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"y_true": [0, 1] * 200, "sex": ["f", "f", "m", "m"] * 100})
    >>> table["y_score"], table["target"] = rng.random(400), ["edema"] * 200 + ["mass"] * 200
    >>> found = audit_targets(table, groups=["sex"], n_boot=50, n_permutations=50)
    >>> list(found.tables()), found.averages["", "auroc"].n_targets
    (['overall', 'groups', 'disparities', 'further', 'macro'], 2)
    >>> own = found.reports["edema"].disparities["sex"]["auroc_gap"].p_value
    >>> found.p_over_targets["sex", "auroc_gap"]["edema"] >= own
    True
    """

    reports: Mapping[str, FairnessReport]
    failed: Mapping[str, str]
    averages: Mapping[Key, Average]
    warnings: tuple[str, ...] = ()
    decisions: Decisions | None = None
    folders: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folders", folder_names(self.reports))

    @cached_property
    def p_over_targets(self) -> dict[Key, dict[str, float]]:
        """Holm's p values over targets, by (attribute, gap) and target; NaN without a test."""
        found = {}
        for key in self.averages:
            attribute, name = key
            if attribute:
                own = {t: r.disparities[attribute][name].p_value for t, r in self.reports.items()}
                found[key] = dict(zip(own, stats.holm(list(own.values())), strict=True))
        return found

    @property
    def n_comparisons(self) -> int:
        """How many gaps of all targets and attributes have a p value."""
        every = [p for row in self.p_over_targets.values() for p in row.values()]
        return sum(map(math.isfinite, every))

    def to_dict(self) -> dict[str, Any]:
        """The reports as ``audit.json`` holds them; numbers that are not known are None."""
        gaps: dict[str, dict[str, Any]] = {}
        p_values: dict[str, dict[str, Any]] = {}
        for (attribute, name), average in self.averages.items():
            gaps.setdefault(attribute, {})[name] = _average(average, bool(attribute))
        for (attribute, name), row in self.p_over_targets.items():
            known = {target: _known(p) for target, p in row.items()}
            p_values.setdefault(attribute, {})[name] = known
        return {
            "schema": SCHEMA,
            "targets": {name: report.to_dict() for name, report in self.reports.items()},
            "failed": dict(self.failed),
            "folders": dict(self.folders),
            "macro": {"overall": gaps.pop("", {}), "disparities": gaps},
            "p_over_targets": p_values,
            "n_comparisons": self.n_comparisons,
            "warnings": list(self.warnings),
            **({"decisions": self.decisions.to_dict()} if self.decisions else {}),
        }

    def to_json(self) -> str:
        """``to_dict`` as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """One self-contained page; its links lead to the targets' own pages beside it."""
        return render_targets(self.to_dict(), next(iter(self.reports.values())).settings)

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of ``FairnessReport.tables`` with a column ``target``, and ``macro``.

        ``disparities`` has ``p_value_targets`` as well. With classes there are ``decisions`` and
        ``confusion`` too.
        """
        parts: dict[str, list[pd.DataFrame]] = {}
        for target, report in self.reports.items():
            for name, table in report.tables().items():
                parts.setdefault(name, []).append(table.assign(target=target))
        found = {}
        for name, tables in parts.items():
            whole = pd.concat([t.dropna(axis=1, how="all") for t in tables], ignore_index=True)
            columns = ["target", *(c for c in tables[0].columns if c != "target")]
            found[name] = whole.reindex(columns=columns)
        gaps = found["disparities"]
        keys = zip(gaps["attribute"], gaps["name"], gaps["target"], strict=True)
        gaps["p_value_targets"] = [self.p_over_targets[a, n][t] for a, n, t in keys]
        found["macro"] = pd.DataFrame(
            {
                "attribute": attribute,
                "name": name,
                "value": average.value,
                "ci_low": None if average.ci is None else average.ci[0],
                "ci_high": None if average.ci is None else average.ci[1],
                "null_mean": average.null_mean,
                "n_targets": average.n_targets,
            }
            for (attribute, name), average in self.averages.items()
        )
        if self.decisions:
            found |= self.decisions.tables()
        return found

    def write(self, directory: str | Path, *, explorer: bool = True) -> list[Path]:
        """Write ``audit.json``, ``audit.html``, tidy CSVs, and a folder for each target.

        A target's folder holds what ``FairnessReport.write`` writes; ``folders`` says its name.
        Where ``audit.json`` is there, all files are, and of these audits: what an older one wrote
        for other targets goes.

        Returns:
            The files of the directory itself, and the targets' folders.
        """
        directory = Path(directory)
        check_writable(directory)
        own = file_writers(self.tables(), {"audit.json": self.to_json, "audit.html": self.to_html})
        files = dict(own)
        for name, report in self.reports.items():
            texts: dict[str, Callable[[], str]] = {
                "audit.json": report.to_json,
                "audit.html": partial(report.to_html, explorer=explorer),
            }
            single = file_writers(report.tables(), texts)
            files |= {f"{self.folders[name]}/{file}": write for file, write in single.items()}
        stale = [file for file in written_before(directory) if file not in files]
        write_together(directory, files, last="audit.json", stale=stale)
        for folder in {(directory / file).parent for file in stale} - {directory}:
            with contextlib.suppress(OSError):  # not empty, or there no more
                folder.rmdir()
        return [directory / name for name in (*own, *self.folders.values())]


def _average(average: Average, gap: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"value": _known(average.value)}
    found["ci"] = None if average.ci is None else list(average.ci)
    found["n_targets"] = average.n_targets
    return found | ({"null_mean": _known(average.null_mean)} if gap else {})


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
