"""What became of models in another cohort, and the files that say so."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.auditing._compare import Comparison
from fairthesis.auditing._report import FairnessReport
from fairthesis.auditing._shift import Shift
from fairthesis.auditing._transfer_page import render_transfer
from fairthesis.auditing._transfer_wording import transfer_sentences
from fairthesis.storage import (
    check_writable,
    table_writer,
    text_writer,
    without_formulas,
    write_together,
)

SCHEMA = "fairthesis.transfer/1"


@dataclass(frozen=True)
class ModelTransfer:
    """One model: its audits in both cohorts; ``external`` is None where that has no labels.

    ``n_rows`` and ``n_patients`` count the external rows with a score.

    >>> from fairthesis.auditing import FairnessReport
    >>> report = FairnessReport(2, 2, 0.5, "fixed", {}, {}, {}, ())
    >>> ModelTransfer(report, None, 10, 8).external is None
    True
    """

    internal: FairnessReport
    external: FairnessReport | None
    n_rows: int
    n_patients: int


@dataclass(frozen=True)
class TransferReport:
    """What became of models in another cohort; ``write`` puts it in a directory.

    ``changes`` has a row per model, attribute, group and metric: ``internal`` and ``external`` with
    ``_low`` and ``_high`` (95 %), ``change`` with its interval, ``p_value`` and, for those that are
    tested, ``p_holm`` over all of the model's. Gaps are of the groups that are compared in both
    cohorts. ``shifts`` has a row per model and group: the ``verdict`` (``Shift``), the patients,
    ``prevalence`` and, under label shift, ``estimated_prevalence``, and the p values of the tests.
    ``alone`` names groups that one cohort has and the other has not; ``comparisons`` are those of
    several models, by cohort and attribute.

    >>> from fairthesis.auditing import TransferTables, transfer
    >>> rng = np.random.default_rng(0)
    >>> table = pd.DataFrame({"image_id": range(600), "patient_id": range(600)})
    >>> table["split"], table["sex"] = ["val", "test"] * 300, rng.choice(["F", "M"], 600)
    >>> table["y_true"] = rng.integers(0, 2, 600)
    >>> table["y_score"] = (rng.random(600) + table["y_true"]) / 2
    >>> other = table.drop(columns=["y_true", "split"])  # without labels
    >>> quick = {"n_boot": 100, "n_permutations": 0, "n_shift": 99}
    >>> report = transfer({"erm": TransferTables(table, other)}, groups=["sex"], **quick)
    >>> report.labelled, report.shifts[["group", "verdict"]].values.tolist()[0]
    (False, ['all rows', 'no shift shown'])
    """

    models: Mapping[str, ModelTransfer]
    changes: pd.DataFrame
    shifts: pd.DataFrame
    alone: Mapping[str, Mapping[str, list[str]]]
    comparisons: Mapping[tuple[str, str], Comparison]
    warnings: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """Whether the external cohort has labels."""
        return all(model.external is not None for model in self.models.values())

    def to_dict(self) -> dict[str, Any]:
        """The report as ``transfer.json`` holds it; numbers that are not known are None."""
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "labelled": self.labelled,
            "models": {name: _counts(model) for name, model in self.models.items()},
            "changes": [plain(row) for row in self.changes.to_dict("records")],
            "shifts": [plain(row) for row in self.shifts.to_dict("records")],
            "groups_in_one_cohort": {a: dict(found) for a, found in self.alone.items()},
            "comparisons": [
                {"cohort": which, **comparison.to_dict()}
                for (which, _), comparison in self.comparisons.items()
            ],
            "settings": _settings(self.settings),
            "warnings": list(self.warnings),
        }
        return {**found, "sentences": transfer_sentences(found)}

    def to_html(self) -> str:
        """One self-contained page; it points to the audits' pages beside it."""
        return render_transfer(self.to_dict())

    def write(self, directory: str | Path) -> list[Path]:
        """Write ``transfer.json``, ``transfer.html``, ``transfer.csv`` and ``shifts.csv``.

        The full audits lie in ``audits/MODEL-in-distribution`` and ``audits/MODEL-external``. Where
        ``transfer.json`` is there, all of them are, and of this report.
        """
        directory = Path(directory)
        check_writable(directory)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        files: dict[str, Callable[[Path], object]] = {
            "transfer.json": text_writer(text),
            "transfer.html": text_writer(self.to_html()),
            "transfer.csv": table_writer(without_formulas(self.changes), "transfer.csv"),
            "shifts.csv": table_writer(without_formulas(self.shifts), "shifts.csv"),
        }
        for (which, attribute), comparison in self.comparisons.items():
            name = f"comparisons/{which}-{_file_name(attribute)}.csv"
            files[name] = table_writer(without_formulas(comparison.changes), name)
        for name, model in self.models.items():
            files |= _audit_files(model.internal, f"audits/{name}-in-distribution")
            if model.external is not None:
                files |= _audit_files(model.external, f"audits/{name}-external")
        # Names that begin with a dot are of files that are being written.
        stale = ("audits/*/audit.*", "audits/*/[!.]*.csv", "comparisons/[!.]*.csv")
        write_together(directory, files, last="transfer.json", stale=stale)
        return [directory / name for name in files if "/" not in name]


def _file_name(attribute: str) -> str:
    return "".join(c if c.isalnum() or c in "_-" else "-" for c in attribute)


def _audit_files(report: FairnessReport, folder: str) -> dict[str, Callable[[Path], object]]:
    files: dict[str, Callable[[Path], object]] = {
        f"{folder}/audit.json": text_writer(report.to_json()),
        f"{folder}/audit.html": text_writer(report.to_html()),
    }
    for name, table in report.tables().items():
        file = f"{folder}/{name}.csv"
        files[file] = table_writer(without_formulas(table), file)
    return files


def _counts(model: ModelTransfer) -> dict[str, Any]:
    internal, external = model.internal, model.external
    return {
        "threshold": {"value": internal.threshold, "rule": internal.rule},
        "target": internal.settings["target"],
        "internal": {"n_rows": internal.n_rows, "n_patients": internal.n_patients},
        "external": {
            "n_rows": model.n_rows,
            "n_patients": model.n_patients,
            "n_labelled": 0 if external is None else external.n_rows,
        },
    }


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()}


def shift_row(shift: Shift) -> dict[str, Any]:
    """A shift as a row of ``TransferReport.shifts``."""
    nan = math.nan
    row: dict[str, Any] = {
        "verdict": shift.verdict,
        "n_internal": shift.n_internal,
        "n_external": shift.n_external,
    }
    found = shift.label_shift
    for name, value, ends in (
        ("prevalence", found.reference if found else nan, None),
        ("estimated_prevalence", found.prevalence if found else nan, found.ci if found else None),
        ("estimated_change", found.change if found else nan, found.change_ci if found else None),
    ):
        row[name] = value
        if name != "prevalence":
            row[f"{name}_low"], row[f"{name}_high"] = ends or (nan, nan)
    row["p_estimated_change"] = found.p_value if found else nan
    row |= {"p_any": shift.p_any, "p_same_size": shift.p_same_size, "p_rest": shift.p_rest}
    kept = [test.n_first for test in shift.rest.values()]
    row["n_rest"] = kept[0] if kept else 0
    for stage, tests in (("any", shift.any), ("rest", shift.rest)):
        for name in ("scores", "embeddings", "classifier"):
            test = tests.get(name)
            row[f"{name}_{stage}"] = test.statistic if test else nan
            row[f"p_{name}_{stage}"] = test.p_value if test else nan
    return row


def plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row for JSON: None where a number is not known."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, float | np.floating):
            found[str(key)] = float(value) if math.isfinite(value) else None
        else:
            found[str(key)] = value.item() if isinstance(value, np.generic) else value
    return found
