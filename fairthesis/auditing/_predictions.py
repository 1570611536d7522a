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

from fairthesis.auditing._intake import PATIENT_NAMES
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
    label: str,
    score: str,
    groups: Sequence[str],
    patient: str | None = None,
) -> pd.DataFrame:
    """The columns of a table (see ``tables.read_table``) that an audit of it needs.

    Label and score are numbers where all of them can be, scores of 32 bits at their shortest
    decimals (``values.shortest``); everything else is as the file has it.
    Raises ``InputError`` where the file cannot be read, or lacks a column that was named.
    """
    names = table_columns(path)
    header = pd.DataFrame(columns=names)  # a name that stands twice does so here
    parts = [part for group in groups for part in attribute_parts(header, group)]
    named = [label, score, *parts, *([patient] if patient else [])]
    require_columns(header, named, PREDICTIONS_TABLE)
    # Without a patient column the audit looks for one by name, to say so.
    spare = [] if patient else [c for c in names if c.lower() in PATIENT_NAMES]
    numeric = "|".join(map(re.escape, (label, score)))
    frame = read_table(path, {*named, *ALWAYS, *spare}, numeric=numeric)
    if pd.api.types.is_float_dtype(frame[score].dtype):
        frame[score] = shortest(frame[score].to_numpy())
    return frame
