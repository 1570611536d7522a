"""The one reader of tables: CSV and its dialects, Parquet, spreadsheets, and folders of files.

Text files give text, every value as it stands; Parquet gives its own types. What a column means
is decided where it is used (``key_column``, ``label_column`` and their like), so a table gives the
same numbers from any of them.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Collection
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairthesis.errors import InputError
from fairthesis.inputs._columns import text_column
from fairthesis.inputs._delimited import column_names, read_delimited

EXPECTED = "a table in CSV (also .tsv, .txt, .gz), Parquet or .xlsx, or a folder of its parts"
UNPACKED, MOST_SHRUNK = 10**8, 100  # bytes of a workbook, and times; a full sheet shrinks by 20
DIGITS = 10**15  # beyond which a spreadsheet rounds numbers
DONE = "DONE"  # that a shard of embeddings is finished
BATCH = 65_536  # rows of a Parquet file that are held beside those that are kept
Rows = NDArray[np.bool_]
# What other files begin with.
_OTHERS = {
    b"\xd0\xcf\x11\xe0": "a workbook of the old kind (.xls): save it as .xlsx or CSV",
    b"ARROW1": "an Arrow or Feather file: write Parquet",
    b"\x89HDF": "an HDF5 file: write Parquet or CSV",
    b"\x80\x04": "a pickle, which can run code: write Parquet or CSV",
    b"\x80\x05": "a pickle, which can run code: write Parquet or CSV",
    b"\x93NUMPY": "a NumPy array without names of columns: write Parquet or CSV",
    b"$FL2": "an SPSS file: write CSV",
    b"<stata_dta": "a Stata file: write CSV",
    b"RDX": "an R data file: write CSV or Parquet",
    b"BZh": "packed with bzip2: unpack it, or use gzip",
    b"\xfd7zXZ": "packed with xz: unpack it, or use gzip",
    b"\x28\xb5\x2f\xfd": "packed with zstd: unpack it, or use gzip",
    b"%PDF": "a PDF",
    b"<!DOCTYPE": "a web page, perhaps a sign-in page saved in the file's place",
    b"<!doctype": "a web page, perhaps a sign-in page saved in the file's place",
    b"<html": "a web page, perhaps a sign-in page saved in the file's place",
    b"{": "JSON: write CSV or Parquet",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: fetch it first",
}
_HIVE = re.compile(r"([^=/]+)=([^/]*)")
_INTEGERS = {
    getattr(pa, name.lower())(): getattr(pd, f"{name}Dtype")()
    for name in ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
}


class SpreadsheetWarning(UserWarning):
    """A spreadsheet holds numbers of more than 15 digits, which it rounds.

    Meet it by keeping keys as text in the sheet; silence it where such a column is not used.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "t.xlsx"
    ...     pd.DataFrame({"patient": [10**16], "age": [40]}).to_excel(file, index=False)
    ...     with warnings.catch_warnings(record=True) as caught:
    ...         warnings.simplefilter("always")
    ...         table = read_table(file)
    >>> [warning.category.__name__ for warning in caught]
    ['SpreadsheetWarning']
    """


def read_table(
    path: str | Path,
    columns: Collection[str] | None = None,
    *,
    numeric: str | None = None,
    rows: Rows | None = None,
) -> pd.DataFrame:
    """The table in a file, or in a folder of files of one kind (as Spark writes it).

    What a file is is decided by its content, not by its name: CSV with commas, semicolons, tabs or
    bars in UTF-8, UTF-16 or Latin-1, gzipped or not; Parquet; the first sheet of an .xlsx workbook.
    Values of text files and workbooks are stripped text, null where empty; integers of Parquet stay
    integers where some are null.

    Args:
        path: The file or folder. In a folder, ``name=value`` folders between give a column.
        columns: Those to keep, where they are there; all by default.
        numeric: An expression; columns whose whole name matches it are read as numbers where they
            can be: text of a wide embedding would fill the memory.
        rows: Which rows to keep, shape (rows of the table,); all by default. Of Parquet the others
            are never held.

    Raises:
        InputError: The file is missing, empty or cannot be read as a table, or has another number
            of rows.

    Warns:
        Latin1Warning: Text is not UTF-8.
        SpreadsheetWarning: Numbers have more digits than a spreadsheet keeps.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "t.csv"
    ...     _ = file.write_text("patient;score\\n007;0,5\\n")
    ...     read_table(file).to_dict("records")
    [{'patient': '007', 'score': '0,5'}]
    """
    path = Path(path)
    return (_folder if path.is_dir() else _file)(path, columns, numeric, rows)


def table_columns(path: str | Path) -> list[str]:
    """The names of a table's columns, without reading its rows (of a workbook, with them).

    Args:
        path: A file or folder, as for ``read_table``.

    Raises:
        InputError: The file is missing, empty or cannot be read as a table.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "sex=F" / "t.csv"
    ...     file.parent.mkdir()
    ...     _ = file.write_text("patient,score\\n007,0.5\\n")
    ...     table_columns(folder)
    ['patient', 'score', 'sex']
    """
    path = Path(path)
    if path.is_dir():
        parts = _parts(path)
        return [*table_columns(parts[0]), *_partition(path, parts[0])]
    kind = _kind(path)
    if kind == "parquet":
        names = _parquet_file(path).schema_arrow.names
        return [name for name in names if not name.startswith("__index_level_")]
    if kind == "workbook":
        return [str(name) for name in _workbook(path, None).columns]
    return column_names(path)


def parquet_files(path: str | Path) -> list[Path]:
    """The files of a table that is Parquet throughout, in its order; none where it is not.

    For those who read a table of any length part by part: their rows, one file after another, are
    those of ``read_table``. A folder whose ``name=value`` folders give a column is none.

    Args:
        path: A file or folder, as for ``read_table``.

    Raises:
        InputError: The file is missing or empty.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("b.parquet", "a.parquet"):
    ...         pd.DataFrame({"n": [1]}).to_parquet(Path(folder) / name)
    ...     [file.name for file in parquet_files(folder)]
    ['a.parquet', 'b.parquet']
    """
    path = Path(path)
    parts = _parts(path) if path.is_dir() else [path]
    if any(
        _kind(part) != "parquet" or (path.is_dir() and _partition(path, part)) for part in parts
    ):
        return []
    return parts


def _file(
    path: Path, columns: Collection[str] | None, numeric: str | None, rows: Rows | None = None
) -> pd.DataFrame:
    kind = _kind(path)
    if kind == "parquet":
        return _parquet(path, columns, rows)
    if kind == "workbook":
        frame = _workbook(path, columns)
    else:
        frame = read_delimited(path, columns, numeric)
    if rows is None:
        return frame
    _check_rows(path, rows, len(frame))
    return frame[rows].reset_index(drop=True)


def _check_rows(path: Path, rows: Rows, there: int) -> None:
    if len(rows) != there:
        raise InputError(
            f"{str(path)!r} has {there:,} rows and {len(rows):,} were spoken of: was it written "
            "anew meanwhile? Give the command again."
        )


def _kind(path: Path) -> str:
    """``parquet``, ``workbook`` or ``text``; refuses what is none of them."""
    if not path.exists():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        guess = difflib.get_close_matches(path.name, near, n=1)
        hint = f" Did you mean {guess[0]!r}?" if guess else ""
        raise InputError(f"No file {str(path)!r}: expected {EXPECTED}.{hint}")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"Cannot read {str(path)!r}: {error.strerror or error}.") from error
    if not head:
        raise InputError(f"{str(path)!r} is empty: expected a table with a header and rows.")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"PK\x03\x04"):
        return _zipped(path)
    for mark, found in _OTHERS.items():
        if head.lstrip().startswith(mark):
            raise InputError(f"{str(path)!r} is {found}. Expected {EXPECTED}.")
    if path.suffix.lower() == ".parquet":
        raise InputError(f"Cannot read {str(path)!r} as a table: it is not a Parquet file.")
    return "text"


def _zipped(path: Path) -> str:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
            size = sum(member.file_size for member in archive.infolist())
    except (BadZipFile, NotImplementedError, ValueError) as error:
        raise InputError(f"{str(path)!r} is a broken zip file or workbook: {error}.") from error
    if any(name.startswith("xl/") for name in names):
        packed = path.stat().st_size
        if size > max(UNPACKED, MOST_SHRUNK * packed):
            raise InputError(
                f"{str(path)!r} is a workbook of {packed:,} bytes that unpacks to {size:,}: that "
                "is how files that fill a memory look. Save it as CSV."
            )
        return "workbook"
    raise InputError(f"{str(path)!r} is a zip archive: unpack it. Expected {EXPECTED}.")


def _parquet_file(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"Cannot read {str(path)!r} as a table: {reason}") from error


def _parquet(path: Path, columns: Collection[str] | None, rows: Rows | None = None) -> pd.DataFrame:
    """Parquet of pandas, R, Spark, polars: integers with nulls stay integers, bytes are text."""
    file = _parquet_file(path)
    names = [
        name
        for name in dict.fromkeys(file.schema_arrow.names)
        if not name.startswith("__index_level_") and (columns is None or name in columns)
    ]
    try:
        table = file.read(columns=names) if rows is None else _some(path, file, names, rows)
    except (OSError, ValueError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"Cannot read {str(path)!r} as a table: {reason}") from error
    for place, field in enumerate(table.schema):
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            try:  # text of writers that do not say that it is text
                table = table.set_column(
                    place, field.name, table.column(place).cast(pa.large_string())
                )
            except pa.ArrowInvalid:
                continue  # pictures, say: refused where they are used
    try:  # what pandas noted of the table may be damaged where its columns are not
        table = table.replace_schema_metadata()
        return table.to_pandas(
            types_mapper=_INTEGERS.get, ignore_metadata=True, date_as_object=True
        )
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"Cannot read {str(path)!r} as a table: {reason}") from error


def _some(path: Path, file: pq.ParquetFile, names: list[str], rows: Rows) -> pa.Table:
    """The given rows, batch by batch."""
    _check_rows(path, rows, file.metadata.num_rows)
    kept, at = [], 0
    for batch in file.iter_batches(batch_size=BATCH, columns=names):
        own = rows[at : at + len(batch)]
        at += len(batch)
        if own.any():
            kept.append(batch.filter(pa.array(own)))
    schema = pa.schema([file.schema_arrow.field(name) for name in names])
    return pa.Table.from_batches(kept, schema=kept[0].schema if kept else schema)


def _workbook(path: Path, columns: Collection[str] | None) -> pd.DataFrame:
    """The first sheet of a workbook, every value as text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # styles that openpyxl does not know
            frame = pd.read_excel(path, dtype=object, engine="openpyxl")
    except MemoryError:
        raise
    except Exception as error:  # of a damaged one openpyxl, XML and zlib raise errors of any kind
        raise InputError(f"{str(path)!r} is not a readable workbook: {error}") from error
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    if columns is not None:
        frame = frame[[name for name in frame.columns if name in columns]]
    for name in frame.columns:
        long = frame[name].map(lambda v: isinstance(v, int | float) and abs(v) >= DIGITS)
        if long.any():
            warnings.warn(
                f"{name} in {path.name} holds numbers of more than 15 digits, which a spreadsheet "
                "rounds: different keys may have become the same. Keep them as text.",
                SpreadsheetWarning,
                stacklevel=4,
            )
    return frame.apply(text_column) if len(frame.columns) else frame


def _folder(
    path: Path, columns: Collection[str] | None, numeric: str | None, rows: Rows | None = None
) -> pd.DataFrame:
    parts = _parts(path)
    frames: list[pd.DataFrame] = []
    at = 0
    for part in parts:
        if rows is None:
            frame = _file(part, columns, numeric)
        elif _kind(part) == "parquet":
            n = _parquet_file(part).metadata.num_rows
            frame = _parquet(part, columns, rows[at : at + n])
            at += n
        else:
            frame = _file(part, columns, numeric)
            n = len(frame)
            _check_rows(part, rows[at : at + n], n)
            frame = frame[rows[at : at + n]].reset_index(drop=True)
            at += n
        for name, value in _partition(path, part).items():
            if columns is None or name in columns:
                frame[name] = pd.Series([value] * len(frame), index=frame.index, dtype=object)
        if frames and set(frame.columns) != set(frames[0].columns):
            odd = sorted(set(frame.columns) ^ set(frames[0].columns))
            raise InputError(
                f"The parts of {str(path)!r} differ: {odd[0]!r} is a column of only one of "
                f"{parts[0].name} and {part.name}. Expected parts of one table."
            )
        frames.append(frame)
    if rows is not None:
        _check_rows(path, rows, at)
    return pd.concat(frames, ignore_index=True)


def _parts(path: Path) -> list[Path]:
    """The files of a folder, in the order of their names; marks such as ``_SUCCESS`` apart."""
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file()
        and not any(name.startswith(("_", ".")) for name in file.relative_to(path).parts)
    ]
    kept = [file for file in found if file.stat().st_size > 0]
    if any(file.suffix == ".parquet" for file in kept):  # beside its shards, what describes them
        kept = [file for file in kept if file.name != DONE and file.suffix != ".json"]
    if not kept:
        raise InputError(f"The folder {str(path)!r} holds no table: expected {EXPECTED}.")
    kinds = {_kind(file): file for file in kept}
    if len(kinds) > 1:
        names = " and ".join(file.name for file in kinds.values())
        raise InputError(
            f"The folder {str(path)!r} holds files of several kinds, {names} for two: expected "
            "the parts of one table. Name the file."
        )
    return kept


def _partition(root: Path, part: Path) -> dict[str, str | None]:
    """``name=value`` in the folders between: a column of its own."""
    found = _HIVE.findall("/".join(part.relative_to(root).parts[:-1]))
    return {k: None if v == "__HIVE_DEFAULT_PARTITION__" else v for k, v in found}
