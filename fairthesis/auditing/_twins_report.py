"""The report on twins, and the files that hold it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis.auditing._transfer_report import plain
from fairthesis.storage import (
    check_writable,
    table_writer,
    text_writer,
    without_formulas,
    write_together,
)

SCHEMA = "fairthesis.twins/1"


@dataclass(frozen=True)
class TwinReport:
    """What becomes of scores when one thing alone is changed; ``write`` puts it in a directory.

    Attributes:
        effects: a row per target, change, group (``all`` of attribute ``all`` is every image) and
            measure of ``TWIN_MEASURES``: ``target, change, attribute, group, n, n_patients,
            measure, value, ci_low, ci_high``. ``n`` counts the images that the change applies to; a
            value over none of them is NaN.
        targets: by target, the ``threshold`` (``value`` and ``rule``), the ``spread`` of the logit
            within its classes, their ``separation`` in spreads, and the number of images ``n`` and
            of patients ``n_patients``.
        changes: name of each change -> what it is in words.
        warnings: what to beware of.
        settings: resamples, seed, attributes, and what the caller adds.

    >>> from fairthesis.auditing import twin_effects
    >>> table = pd.DataFrame({"y_true": [0, 1, 0, 1], "y_score": [0.2, 0.6, 0.4, 0.8]})
    >>> report = twin_effects(table.assign(twin_device_removed=0.1), n_boot=0)
    >>> report.value("device_removed", "flips"), report.changes
    (0.5, {'device_removed': 'device removed'})
    """

    effects: pd.DataFrame
    targets: Mapping[str, Mapping[str, Any]]
    changes: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def value(self, change: str, measure: str, group: str = "all", target: str = "") -> float:
        """One value of ``effects``; of the first target where none is named."""
        table = self.effects
        here = (table["change"] == change) & (table["measure"] == measure)
        here &= (table["group"] == group) & (
            table["target"] == (target or next(iter(self.targets)))
        )
        return float(table.loc[here, "value"].iloc[0])

    def to_dict(self) -> dict[str, Any]:
        """The report as ``twins.json`` holds it; numbers that are not known are None."""
        return {
            "schema": SCHEMA,
            "targets": {name: plain(about) for name, about in self.targets.items()},
            "changes": dict(self.changes),
            "effects": [plain(row) for row in self.effects.to_dict("records")],
            "settings": dict(self.settings),
            "warnings": list(self.warnings),
        }

    def write(self, directory: str | Path, pairs: pd.DataFrame | None = None) -> list[Path]:
        """Write ``twins.csv`` and ``twins.json``, and the ``pairs`` they were made of, if given.

        Where ``twins.json`` is there, all of them are, and of this report. ``pairs.parquet`` holds
        the keys, groups and scores of single images.
        """
        directory = Path(directory)
        check_writable(directory)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        files: dict[str, Callable[[Path], object]] = {
            "twins.json": text_writer(text),
            "twins.csv": table_writer(without_formulas(self.effects), "twins.csv"),
        }
        if pairs is not None:
            files["pairs.parquet"] = table_writer(pairs, "pairs.parquet")
        write_together(directory, files, last="twins.json", stale=("pairs.parquet",))
        return [directory / name for name in files]
