"""The validation part that a threshold rule is applied to, where it is not the table's own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from fairthesis.errors import InputError
from fairthesis.inputs import as_frame, read_table, require_columns, rows_of_part, rows_of_target
from fairthesis.storage import check_finished

Source = str | Path | pd.DataFrame


def validation_of(
    source: Source, target: str | None, label: str, score: str
) -> tuple[pd.DataFrame, str]:
    """The validation rows of a run or a table, and what it is called.

    Args:
        source: a run directory, or a predictions table; of a table without ``split`` all rows are
            taken.
        target: the target that is audited, which the source must have; with None its only one.
        label, score: the audited table's columns. A run has ``y_true`` and ``y_score``; a table may
            have either.

    Raises:
        InputError: where there is no finished run, the target is not in it, or it has no validation
            rows.
    """
    if isinstance(source, pd.DataFrame):
        frame, name = as_frame(source, "the table of validation rows"), "another table"
    else:
        path = Path(source)
        name = path.resolve().name
        if path.is_dir() and (path / "config.json").exists():
            check_finished(path, ("predictions.parquet",))
            path = path / "predictions.parquet"
        frame = read_table(path)
    names = {"y_true": label, "y_score": score}
    own = {theirs: ours for theirs, ours in names.items() if ours not in frame.columns}
    require_columns(frame, list(own) or [label, score], name)
    frame = frame.rename(columns=own)
    frame, _ = rows_of_target(frame, target, (label, score))
    held = rows_of_part(frame, "val") if "split" in frame.columns else frame
    if held.empty:
        raise InputError(
            f"{name} has no rows with split == 'val' to choose a threshold on: expected a run, or "
            "a table of validation rows."
        )
    return held, name
