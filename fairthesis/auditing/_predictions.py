"""A table of predictions from a file of any size: only the columns that an audit needs.

Parquet is read by column. Text is read in pieces, and of each piece only the needed columns are
kept: memory grows with rows and needed columns (some 100 bytes per row and column of text), not
with the size of the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairthesis.auditing._rows import PATIENT_NAMES
from fairthesis.inputs import (
    PREDICTIONS_TABLE,
    attribute_parts,
    read_table,
    require_columns,
    shortest,
    table_columns,
)

ALWAYS = ("split", "target", "image_id")  # used where they are there


def read_predictions(
    path: str | Path,
    *,
    label: str | Sequence[str],
    score: str | Sequence[str],
    groups: Sequence[str],
    patient: str | None = None,
    class_names: bool = False,
    more: Sequence[str] = (),
) -> pd.DataFrame:
    r"""The columns of a table (see ``inputs.read_table``) that an audit of it needs.

    Args:
        path: CSV of any dialect, Parquet, a workbook's first sheet, or a folder of parts.
        label: the column of 0/1 labels, or several.
        score: the column of probabilities, or several.
        groups: attribute columns; ``"sex*age_group"`` needs both.
        patient: the column of patient keys.
        class_names: the labels are names of classes, which stay as they are.
        more: other columns, of weights or to adjust for; ``"view*site"`` needs both.

    Returns:
        The columns that were named, and ``split``, ``target`` and ``image_id`` where they are
        there. Label and score are numbers where all of them can be, scores of 32 bits at their
        shortest decimals (``inputs.shortest``); everything else is as the file has it.

    Raises:
        InputError: where the file cannot be read, or lacks a column that was named.

    >>> import tempfile
    >>> text = "y_true,y_score,sex,report\n1,0.7,F,long\n0,0.2,M,long\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "predictions.csv")
    ...     _ = file.write_text(text, encoding="utf-8")
    ...     table = read_predictions(file, label="y_true", score="y_score", groups=["sex"])
    >>> sorted(table), table["y_score"].tolist()
    (['sex', 'y_score', 'y_true'], [0.7, 0.2])
    """
    labels, scores = ([c] if isinstance(c, str) else list(c) for c in (label, score))
    names = table_columns(path)
    header = pd.DataFrame(columns=names)  # a name that stands twice does so here
    parts = [part for group in (*groups, *more) for part in attribute_parts(header, group)]
    named = [*labels, *scores, *parts, *([patient] if patient else [])]
    require_columns(header, named, PREDICTIONS_TABLE)
    # Without a patient column the audit looks for one by name, to say so.
    spare = [] if patient else [c for c in names if c.lower() in PATIENT_NAMES]
    numeric = "|".join(map(re.escape, scores if class_names else [*labels, *scores]))
    frame = read_table(path, {*named, *ALWAYS, *spare}, numeric=numeric)
    for column in scores:
        if pd.api.types.is_float_dtype(frame[column].dtype):
            frame[column] = shortest(frame[column].to_numpy())
    return frame
