"""What monitoring found, and the files that say so."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.auditing._monitor_page import render_monitor
from fairthesis.storage import (
    check_writable,
    table_writer,
    text_writer,
    without_formulas,
    write_together,
)

SCHEMA = "fairthesis.monitor/1"


@dataclass(frozen=True)
class MonitorReport:
    """A model's numbers over time; ``write`` puts them in a directory.

    ``periods`` has a row for each group and period: counts (``n_unlabelled`` have no label yet),
    ``prevalence``, ``mean_score``, each metric with ``_low`` and ``_high`` (95 %, over patients),
    the ``_evidence`` against each limit (1 raises the alarm) and the shifts from the reference with
    p values (Holm). ``tests`` has a row for each group and limit: ``n_bets`` patients, ``p_value``
    (valid at any time, corrected for all tests), ``alarm`` (its period, None without one) and the
    ``side`` of the limit.

    >>> from fairthesis.auditing import monitor
    >>> table = pd.DataFrame({"day": ["2024-01-31", "2024-02-01"] * 50, "sex": ["F", "M"] * 50})
    >>> table["y_true"], table["y_score"] = [0, 1, 1, 0] * 25, [0.2, 0.8, 0.9, 0.1] * 25
    >>> report = monitor(table, time="day", groups=["sex"], limits={"tpr": 0.7})
    >>> report.alarms, report.periods[["group", "period", "n", "tpr"]].values.tolist()[0]
    ([], ['all rows', '2024-01', 50, 1.0])
    """

    periods: pd.DataFrame
    tests: pd.DataFrame
    limits: Mapping[str, float]
    reference: tuple[str, ...]
    threshold: float
    rule: str
    n_rows: int
    n_patients: int | None
    n_unlabelled: int
    warnings: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alarms(self) -> list[dict[str, Any]]:
        """The tests that raised an alarm, in the order of their periods."""
        found = self.tests[self.tests["alarm"].notna()].sort_values("alarm", kind="stable")
        return [_plain(row) for row in found.to_dict("records")]

    def to_dict(self) -> dict[str, Any]:
        """The report as ``monitor.json`` holds it; numbers that are not known are None."""
        return {
            "schema": SCHEMA,
            "n_rows": self.n_rows,
            "n_patients": self.n_patients,
            "n_unlabelled": self.n_unlabelled,
            "threshold": {"value": self.threshold, "rule": self.rule},
            "limits": dict(self.limits),
            "reference": list(self.reference),
            "alarms": self.alarms,
            "tests": [_plain(row) for row in self.tests.to_dict("records")],
            "periods": [_plain(row) for row in self.periods.to_dict("records")],
            "settings": dict(self.settings),
            "warnings": list(self.warnings),
        }

    def to_html(self) -> str:
        """One self-contained page."""
        return render_monitor(self.to_dict())

    def write(self, directory: str | Path) -> list[Path]:
        """Write ``monitor.json``, ``monitor.html`` and ``periods.csv``, all of them or none."""
        directory = Path(directory)
        check_writable(directory)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        files = {
            "monitor.json": text_writer(text),
            "monitor.html": text_writer(self.to_html()),
            "periods.csv": table_writer(without_formulas(self.periods), "periods.csv"),
        }
        write_together(directory, files, last="monitor.json")
        return [directory / name for name in files]


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row for JSON: None where a number is not known."""
    found = {}
    for key, value in row.items():
        if isinstance(value, float | np.floating):
            found[str(key)] = float(value) if math.isfinite(value) else None
        else:
            found[str(key)] = value.item() if isinstance(value, np.generic) else value
    return found
