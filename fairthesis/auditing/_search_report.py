"""What a search found, and the files that say so."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.auditing._search_page import render_search
from fairthesis.storage import (
    check_writable,
    table_writer,
    text_writer,
    without_formulas,
    write_together,
)

SCHEMA = "fairthesis.search/1"


@dataclass(frozen=True)
class SearchReport:
    """What a search found; ``write`` puts it in a directory.

    ``groups`` has a row for each group and metric that was compared, worst first: ``group``,
    ``metric``, ``n``, ``n_patients``, ``n_positive``, ``n_negative`` (discovery half), ``value``,
    ``rest``, ``difference`` (group minus rest), ``standard_error``, ``statistic`` (larger is
    worse), ``p_value`` (corrected for the whole search), ``found``; of those found also the
    ``confirm_`` columns (held-back half: values, interval, p by Holm), ``confirmed`` and
    ``explained_by``. ``searched`` says what was looked through, ``warnings`` what a reader has to
    know of the table.

    >>> from fairthesis.auditing import search
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"y_true": np.tile([0, 1], 600), "sex": rng.choice(["F", "M"], 1200)})
    >>> worse = 0.4 * (table["sex"] == "F") * table["y_true"]
    >>> table["y_score"] = 0.3 + 0.5 * table["y_true"] - worse * rng.random(1200) * 1.5
    >>> report = search(table, groups=["sex"], metrics=["tpr"], n_permutations=199)
    >>> report.found()[["group", "metric", "confirmed"]].values.tolist()
    [['sex=F', 'tpr', True]]
    """

    groups: pd.DataFrame
    searched: Mapping[str, Any]
    threshold: float
    rule: str
    warnings: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def found(self) -> pd.DataFrame:
        """The rows of ``groups`` that fare worse beyond chance."""
        return self.groups[self.groups["found"]]

    def to_dict(self) -> dict[str, Any]:
        """The report as ``search.json`` holds it; numbers that are not known are None."""
        return {
            "schema": SCHEMA,
            "threshold": {"value": self.threshold, "rule": self.rule},
            "searched": dict(self.searched),
            "groups": [
                {str(key): _plain(value) for key, value in row.items()}
                for row in self.groups.to_dict("records")
            ],
            "settings": dict(self.settings),
            "warnings": list(self.warnings),
        }

    def to_html(self) -> str:
        """One self-contained page."""
        return render_search(self.to_dict())

    def write(self, directory: str | Path) -> list[Path]:
        """Write ``search.json``, ``search.html`` and ``groups.csv``, all of them or none."""
        directory = Path(directory)
        check_writable(directory)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        table = without_formulas(self.groups)
        files = {
            "search.json": text_writer(text),
            "search.html": text_writer(self.to_html()),
            "groups.csv": table_writer(table, "groups.csv"),
        }
        write_together(directory, files, last="search.json")
        return [directory / name for name in files]


def _plain(value: Any) -> Any:
    """A value for JSON: None where it is not known."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
