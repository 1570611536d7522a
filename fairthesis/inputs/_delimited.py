"""Delimited text of any dialect, as a table of text.

Separators are commas, semicolons, tabs or bars; the encoding UTF-8, UTF-16 or (with a warning)
Windows' Latin-1; gzip or not. Rows that end in a separator and the row names that R writes without
a head are recognised: taken as they come they would shift every column.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
import warnings
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pandas as pd

from fairthesis.errors import InputError
from fairthesis.inputs._columns import OLD_PANDAS, exact
from fairthesis.inputs._encodings import HEAD, LATIN_1, decoded, open_text

SEPARATORS = (",", ";", "\t", "|")
# What an unquoted field holds where there is no value: pandas' own list.
NULLS = frozenset(
    [
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"),
        *("1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
LOOK = 1_000  # rows from which the dialect is found
ROWS = 500_000  # of a piece: memory grows with rows and needed columns, not with the file
CELLS = 20_000_000  # of a piece


class Latin1Warning(UserWarning):
    """Text that is not UTF-8 was read as Windows' Latin-1.

    Meet it by saving the table as UTF-8; silence it where the accents are right.

    >>> import tempfile
    >>> from fairthesis.inputs import read_table
    >>> with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
    ...     file = Path(folder) / "t.csv"
    ...     _ = file.write_bytes("name,age\\nRenée,40\\n".encode("cp1252"))
    ...     warnings.simplefilter("ignore", Latin1Warning)
    ...     read_table(file)["name"].tolist()
    ['Renée']
    """


@dataclass(frozen=True)
class Dialect:
    """How a file is written: separator, names of the columns, and what stands beside them."""

    separator: str
    names: list[str]
    skip: int  # records before the head: ``sep=;``, or nothing
    row_names: bool  # each row begins with a value that has no head
    may_be_either: bool  # row names and an empty last column, or a separator at the end


def read_delimited(
    path: Path, columns: Collection[str] | None = None, numeric: str | None = None
) -> pd.DataFrame:
    """The table in a text file, every value as stripped text and null where it is empty.

    ``columns`` are those to keep (all by default; names that the file lacks are passed over);
    columns whose whole name matches ``numeric`` become numbers where all their values are.
    Raises ``InputError`` for what is no table: other bytes, rows longer than the head.
    """
    found, encoding = decoded(
        path, lambda encoding, errors: _read(path, encoding, errors, columns, numeric)
    )
    if encoding != LATIN_1:
        return found
    warnings.warn(
        f"{path.name} is not UTF-8 text: read as Latin-1 (Windows-1252). Look at names with "
        "accents, or save it as UTF-8.",
        Latin1Warning,
        stacklevel=3,
    )
    return found


def column_names(path: Path) -> list[str]:
    """The names in the head of a text file."""
    return decoded(path, lambda encoding, errors: look(path, encoding, errors).names)[0]


def look(path: Path, encoding: str, errors: str) -> Dialect:
    """The dialect of a file, from its first rows."""
    with open_text(path, encoding, errors) as file:
        head = file.read(HEAD)
        whole = not file.read(1)
    lines = head.lstrip().splitlines(keepends=True)
    skip = 0
    marked = lines[0].strip().strip('"').lower() if lines else ""
    if len(marked) == 5 and marked.startswith("sep="):  # Excel's own hint
        skip, head = 1, "".join(lines[1:])
    separators = (marked[4],) if skip else SEPARATORS
    best: tuple[float, list[list[str]]] = (-1.0, [])
    for separator in separators:
        rows = _records(head, separator, whole)
        width = len(rows[0]) if rows else 0
        if width < 2:
            continue
        fits = [len(row) in (width, width + 1) for row in rows[1:]] or [True]
        share = sum(fits) / len(fits) + width / 1e6  # the wider where both fit
        if share > best[0]:
            best, chosen = (share, rows), separator
    if not best[1]:
        best, chosen = (0.0, _records(head, ",", whole)), ","
    rows = best[1]
    if not rows:
        raise InputError(f"{str(path)!r} is empty: expected a table with a header and rows.")
    names = [name.strip().strip("\ufeff").strip() for name in rows[0]]
    width, body = len(names), rows[1:]
    longer = bool(body) and all(len(row) == width + 1 for row in body)
    ends_empty = longer and all(row[-1].strip() == "" for row in body)
    counted = [row[0] for row in body] == [str(k + 1) for k in range(len(body))]
    second = head.lstrip().splitlines()[1:2]
    quoted = bool(second) and second[0].lstrip().startswith('"')
    return Dialect(
        chosen, names, skip, longer and not ends_empty, ends_empty and counted and quoted
    )


def _records(head: str, separator: str, whole: bool) -> list[list[str]]:
    reader = csv.reader(io.StringIO(head, newline=""), delimiter=separator)
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # a value of more than 131,072 letters, a report say
        rows += (row for row in itertools.islice(reader, LOOK) if row)
    return rows if whole or len(rows) == LOOK else rows[:-1] or rows  # the last may be cut


def _read(
    path: Path,
    encoding: str,
    errors: str,
    columns: Collection[str] | None = None,
    numeric: str | None = None,
) -> pd.DataFrame:
    dialect = look(path, encoding, errors)
    names, n = dialect.names, len(dialect.names)
    if dialect.may_be_either:
        raise InputError(
            f"The rows of {str(path)!r} have one value more than the head: the first may be row "
            "names, or the last an empty column. Write the table without row names."
        )
    shift = int(dialect.row_names)
    kept = [k for k, name in enumerate(names) if columns is None or name in columns]
    # One place more than the head has, and one more to notice rows that are longer still; a first
    # row of so many empty values tells the parser of them.
    wanted = sorted({*(k + shift for k in kept), n, n + 1})
    first = dialect.separator * (n + 1) + "\n"
    # pandas 2 refuses usecols where a later piece has none of the last columns: it reads all.
    read = range(n + 2) if OLD_PANDAS else wanted
    pattern = re.compile(numeric) if numeric else None
    digits = {k + shift for k in kept if pattern and pattern.fullmatch(names[k])}
    with open_text(path, encoding, errors) as file, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        reader = csv.reader(file, delimiter=dialect.separator)
        for _ in range(dialect.skip + 1):
            while not next(reader):  # blank lines
                pass
        try:
            pieces = [
                _cleaned(piece[wanted], path, n, shift, digits)
                for piece in pd.read_csv(
                    _Prefixed(first, file),
                    sep=dialect.separator,
                    header=None,
                    names=list(range(n + 2)),
                    usecols=None if OLD_PANDAS else wanted,
                    dtype=str,
                    na_filter=False,
                    index_col=False,
                    chunksize=max(1000, min(ROWS, CELLS // len(read))),
                    low_memory=True,
                )
            ]
        except UnicodeDecodeError:
            raise
        except pd.errors.EmptyDataError:
            pieces = [pd.DataFrame({k: pd.Series(dtype=str) for k in wanted}, index=[0])]
        except (ValueError, OSError, EOFError, pd.errors.ParserWarning) as error:
            if isinstance(error, InputError):
                raise
            reason = str(error).strip().splitlines()[0]
            if longer := re.search(r"Expected \d+ fields in line (\d+), saw (\d+)", reason):
                raise InputError(
                    f"Row {int(longer[1]) - 1} of {str(path)!r} has more values than the head has "
                    f"names ({n}): {longer[2]}. Quote values that hold the separator."
                ) from error
            raise InputError(f"Cannot read {str(path)!r} as a table: {reason}") from error
    frame = pd.concat(pieces, ignore_index=True).iloc[1:].reset_index(drop=True)
    frame = frame[[k + shift for k in kept]]
    frame.columns = pd.Index([names[k] or f"Unnamed: {k}" for k in kept])
    return frame


class _Prefixed(io.TextIOBase):
    """A text file with a line before it."""

    def __init__(self, line: str, file: IO[str]) -> None:
        self.line, self.file = line, file

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> str:
        line, self.line = self.line, ""
        return line or self.file.read(-1 if size is None else size)


def _cleaned(
    piece: pd.DataFrame, path: Path, n: int, shift: int, digits: Collection[int]
) -> pd.DataFrame:
    """Stripped text with nulls; refuses rows that are longer than the head."""
    for place in range(n + shift, n + 2):
        longer = piece[place].str.strip() != ""
        if longer.any():
            row = int(piece.index[longer.to_numpy(bool)][0])
            raise InputError(
                f"Row {row} of {str(path)!r} has more values than the head has names ({n}): the "
                f"first too many is {piece[place][longer].iloc[0]!r:.60}. Quote values that hold "
                "the separator."
            )
    found = {}
    for name in piece.columns:
        values = piece[name].str.strip()
        found[name] = values.mask(values.isin(NULLS))
        if int(name) in digits:
            with contextlib.suppress(ValueError):
                found[name] = exact(found[name], pd.to_numeric(found[name]))
    return pd.DataFrame(found, index=piece.index)
