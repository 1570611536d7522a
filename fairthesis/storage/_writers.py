"""Tables and texts of a report, as what writes them to a path.

A new file replaces the old one only after its last byte is on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis.errors import InputError
from fairthesis.storage._files import write_atomically

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet takes for a formula


def write_table(frame: pd.DataFrame, path: str | Path, *, make_folder: bool = True) -> None:
    """Write ``frame`` to a ``.csv`` or ``.parquet`` file, whole or not at all.

    Args:
        frame: the table; its index is left out.
        path: the file; its ending decides the format.
        make_folder: make the folder where it is missing.

    Raises:
        InputError: for another ending, and where the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     write_table(pd.DataFrame({"n": [1, 2]}), Path(name) / "new" / "counts.csv")
    ...     (Path(name) / "new" / "counts.csv").read_text().split()
    ['n', '1', '2']
    """
    path = Path(path)
    write_atomically(path, table_writer(frame, path.name), make_folder=make_folder)


def table_writer(frame: pd.DataFrame, name: str) -> Callable[[Path], object]:
    """What writes ``frame`` to a path, by the ending of ``name``: ``.csv`` or ``.parquet``.

    It is for ``write_together``, where a table is one file of several. The index is left out, and
    lines of CSV end alike on every system.

    Raises:
        InputError: for another ending, before anything is written.

    >>> table_writer(pd.DataFrame({"n": [1, 2]}), "counts.xlsx")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Cannot write 'counts.xlsx': expected a name ending in .csv or ...
    """
    if name.endswith(".parquet"):
        return lambda to: frame.to_parquet(to, index=False)
    if name.endswith(".csv"):
        return lambda to: frame.to_csv(to, index=False, lineterminator="\n")
    raise InputError(f"Cannot write {name!r}: expected a name ending in .csv or .parquet.")


def text_writer(text: str) -> Callable[[Path], object]:
    """What writes ``text`` to a path, as UTF-8; for ``write_atomically`` and ``write_together``.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     write_atomically(Path(name) / "note.md", text_writer("F1 ≥ 0.8"))
    ...     len((Path(name) / "note.md").read_bytes())  # eight letters, one of them of three bytes
    10
    """
    return lambda to: to.write_text(text, encoding="utf-8")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """A report's table whose text no spreadsheet runs: an apostrophe before what is a formula.

    As OWASP advises against CSV injection: text that begins with ``=``, ``+``, ``-``, ``@``, a tab
    or a line's end and is no number. For tables that people open, not for data that are read again:
    a key must stay as it is.

    Returns:
        A copy; columns of numbers are as they were.

    >>> without_formulas(pd.DataFrame({"group": ["=1+1", "-1", "F"]}))["group"].tolist()
    ["'=1+1", '-1', 'F']
    """
    found = table.copy()
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name].dtype):
            found[name] = table[name].map(_quoted)
    return found


def _quoted(value: object) -> object:
    if not (isinstance(value, str) and value.startswith(FORMULA)):
        return value
    try:
        float(value)  # -1 is a number for a spreadsheet as well
    except ValueError:
        return f"'{value}"
    return value


def write_text(text: str, path: str | Path) -> None:
    """Write ``text`` to a file as UTF-8, whole or not at all.

    Raises:
        InputError: where the file cannot be written; it names the path and the reason.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     write_text("first", Path(name) / "note.txt")
    ...     write_text("second", Path(name) / "note.txt")
    ...     (Path(name) / "note.txt").read_text(encoding="utf-8")
    'second'
    """
    write_atomically(Path(path), text_writer(text))


def fold_floats(frame: pd.DataFrame) -> pd.DataFrame:
    """``float64`` columns as ``float32``: half the bytes, still seven digits."""
    floats = frame.select_dtypes(np.float64).columns
    return frame.astype(dict.fromkeys(floats, np.float32))
