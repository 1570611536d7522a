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
    """Write ``frame`` to a ``.csv`` or ``.parquet`` file, whole or not at all."""
    path = Path(path)
    write_atomically(path, table_writer(frame, path.name), make_folder=make_folder)


def table_writer(frame: pd.DataFrame, name: str) -> Callable[[Path], object]:
    """What writes ``frame`` to a path, by the ending of ``name``: ``.csv`` or ``.parquet``."""
    if name.endswith(".parquet"):
        return lambda to: frame.to_parquet(to, index=False)
    if name.endswith(".csv"):
        return lambda to: frame.to_csv(to, index=False, lineterminator="\n")
    raise InputError(f"Cannot write {name!r}: expected a name ending in .csv or .parquet.")


def text_writer(text: str) -> Callable[[Path], object]:
    """What writes ``text`` to a path, as UTF-8."""
    return lambda to: to.write_text(text, encoding="utf-8")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """A report's table whose text no spreadsheet runs: an apostrophe before what is a formula.

    As OWASP advises against CSV injection. For tables that people open, not for data that are read
    again: a key must stay as it is.

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
    """Write ``text`` to a file as UTF-8, whole or not at all."""
    write_atomically(Path(path), text_writer(text))


def fold_floats(frame: pd.DataFrame) -> pd.DataFrame:
    """``float64`` columns as ``float32``: half the bytes, still seven digits."""
    floats = frame.select_dtypes(np.float64).columns
    return frame.astype(dict.fromkeys(floats, np.float32))
