"""Files of vectors, read part by part: a table of keys and other columns, and float32 numbers."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairthesis.data._vectors import PART
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import read_table

_NUMBERED = re.compile(r"(.*?)([0-9]+)")
Block = NDArray[np.float32]
Part = tuple[pd.DataFrame, Block]


@contextlib.contextmanager
def _in_words(file: Path, what: str) -> Iterator[None]:
    """Whatever NumPy raises over a damaged file (of zip, zlib, Python's tokens), in words."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{file.name!r} cannot be read as {what}: {error}") from error


def load_npy(file: Path) -> NDArray[Any]:
    with _in_words(file, "an array of numbers"):
        return np.asanyarray(np.load(file, mmap_mode="r"))


def _from_parquet(file: Path, key: str, prefix: str | None, ids: Any) -> Iterator[Part]:
    try:
        source = pq.ParquetFile(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{file.name!r} cannot be read as Parquet: {error}") from error
    names = source.schema_arrow.names
    lists = [f.name for f in source.schema_arrow if _is_list(f.type)]
    numbers = _numbered(file, names, prefix) if not lists or prefix is not None else []
    if not numbers and len(lists) != 1:
        found = f"lists in {', '.join(lists)}" if lists else f"the columns {', '.join(names[:8])}"
        raise InputError(
            f"Expected numbered columns (z_000, z_001, ...) or one column of lists in "
            f"{file.name!r}, but found {found}."
        )
    _require_key(file, names, key)
    for batch in source.iter_batches(batch_size=PART):
        table = pa.Table.from_batches([batch])
        rest = [name for name in names if name not in {*numbers, *lists}]
        block = _of_lists(file, table[lists[0]]) if not numbers else _of_columns(table, numbers)
        yield table.select(rest).to_pandas(), block


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _of_columns(table: pa.Table, names: list[str]) -> Block:
    block = np.empty((len(table), len(names)), np.float32)
    for place, name in enumerate(names):
        try:
            column = table[name].cast(pa.float32(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"The column {name!r} holds no numbers: {error}") from error
        block[:, place] = column.to_numpy()
    return block


def _of_lists(file: Path, column: pa.ChunkedArray) -> Block:
    array = column.combine_chunks()
    if array.null_count:
        raise InputError(f"{array.null_count} rows of {file.name!r} have no vector (null).")
    if pa.types.is_fixed_size_list(array.type):
        widths = np.full(len(array), array.type.list_size)
    else:
        widths = np.asarray(array.value_lengths())
    if len(widths) and widths.min() != widths.max():
        raise InputError(
            f"Vectors of {file.name!r} have {widths.min()} to {widths.max()} numbers: expected one "
            "width."
        )
    values = array.flatten().cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(values, np.float32).reshape(len(array), -1)


def _numbered(file: Path, names: Sequence[str], prefix: str | None) -> list[str]:
    """The numbered columns of one prefix, in the order of their numbers."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match:
            found.setdefault(match[1], []).append((int(match[2]), name))
    if prefix is None:
        many = {p: columns for p, columns in found.items() if len(columns) > 1} or found
        if len(many) > 1:
            raise InputError(
                f"{file.name!r} has numbered columns of several kinds ({', '.join(sorted(many))}): "
                "say which by the option prefix."
            )
        found = many
    elif prefix not in found:
        raise unknown(f"prefix of columns in {file.name}", prefix, sorted(found))
    else:
        found = {prefix: found[prefix]}
    return [name for columns in found.values() for _, name in sorted(columns)]


def _from_text(file: Path, key: str, prefix: str | None, ids: Any) -> Iterator[Part]:
    pattern = ".*[0-9]+" if prefix is None else re.escape(prefix) + "[0-9]+"
    frame = read_table(file, numeric=pattern)
    names = _numbered(file, list(map(str, frame.columns)), prefix)
    if not names:
        raise InputError(f"No numbered columns (z_000, z_001, ...) in {file.name!r}.")
    _require_key(file, list(frame.columns), key)
    block = frame[names].apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
    yield frame.drop(columns=names), block


def _require_key(file: Path, names: Sequence[str], key: str) -> None:
    if key not in names:
        raise unknown(f"column of keys in {file.name}", key, list(names)[:20])


def _from_npy(file: Path, key: str, prefix: str | None, ids: Any) -> Iterator[Part]:
    yield from _of_array(file, load_npy(file), None, key, ids)


def _from_npz(file: Path, key: str, prefix: str | None, ids: Any) -> Iterator[Part]:
    with _in_words(file, "arrays"), file.open("rb") as opened, np.load(opened) as found:
        arrays = {name: found[name] for name in found.files}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise InputError(f"{name!r} of {file.name!r} is no array of NumPy's.")
            if array.dtype.kind == "U":
                codes = np.frombuffer(array.tobytes(), f"{array.dtype.str[0]}u4")
                if ((codes > sys.maxunicode) | (codes >> 11 == 0x1B)).any():  # or half of a letter
                    raise InputError(
                        f"{name!r} of {file.name!r} holds numbers that are no letters."
                    )
    yield from _of_arrays(file, arrays, key, ids)


def _from_safetensors(file: Path, key: str, prefix: str | None, ids: Any) -> Iterator[Part]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{file.name!r} cannot be read as safetensors: {error}") from error
    yield from _of_arrays(file, arrays, key, ids)


def _of_arrays(file: Path, arrays: dict[str, Any], key: str, ids: Any) -> Iterator[Part]:
    wide = {name: a for name, a in arrays.items() if a.ndim == 2}
    long = {name: a for name, a in arrays.items() if a.ndim == 1}
    if len(wide) != 1:
        raise InputError(
            f"Expected one array (n, width) in {file.name!r}, but found "
            f"{', '.join(f'{n} {a.shape}' for n, a in arrays.items()) or 'none'}."
        )
    array = next(iter(wide.values()))
    named = long.get(key, long.get("ids", next(iter(long.values())) if len(long) == 1 else None))
    yield from _of_array(file, array, named, key, ids)


def _of_array(file: Path, array: Any, keys: Any, key: str, ids: Any) -> Iterator[Part]:
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.number):
        raise InputError(
            f"Expected an array of numbers of shape (n, width) in {file.name!r}, but got "
            f"{array.dtype} of shape {array.shape}."
        )
    frame = (
        ids_beside(file, ids, key, len(array))
        if keys is None
        else pd.DataFrame({key: pd.Series(keys).astype(str)})
    )
    if len(frame) != len(array):
        raise InputError(f"{file.name!r} has {len(array)} vectors and {len(frame)} keys.")
    for start in range(0, len(array), PART):
        rows = slice(start, start + PART)
        yield frame.iloc[rows], np.asarray(array[rows], np.float32)


def ids_beside(file: Path, ids: Any, key: str, n: int) -> pd.DataFrame:
    """The keys of an array that has none, from the file ``ids`` or from one beside it."""
    stem = file.with_suffix("")
    beside = [Path(f"{stem}{end}") for end in (".ids.txt", ".ids.npy", ".csv", ".ids.csv")]
    source = Path(ids) if ids else next((p for p in beside if p.is_file()), None)
    if source is None:
        raise InputError(
            f"{file.name!r} has no keys: expected {', '.join(p.name for p in beside)} beside it, "
            "or the option ids with the file of them, in the order of the vectors."
        )
    if not source.is_file():
        raise InputError(f"No file of keys at {str(source)!r}.")
    if source.suffix == ".npy":
        frame = pd.DataFrame({key: pd.Series(load_npy(source).ravel()).astype(str)})
    elif source.suffix == ".txt":
        lines = source.read_text(encoding="utf-8").splitlines()
        frame = pd.DataFrame({key: lines})
    else:
        frame = read_table(source)
        _require_key(source, list(frame.columns), key)
    if len(frame) != n:
        raise InputError(
            f"{file.name!r} has {n} vectors and {source.name!r} has {len(frame)} keys: expected "
            "one for each, in the same order."
        )
    return frame


_READERS: dict[str, Callable[[Path, str, str | None, Any], Iterator[Part]]] = {
    ".parquet": _from_parquet,
    ".npy": _from_npy,
    ".npz": _from_npz,
    ".safetensors": _from_safetensors,
}


def parts_of(files: Sequence[Path], key: str, prefix: str | None, ids: Any) -> Iterator[Part]:
    """Every part of the files: rows without the numbers, and the numbers, (rows, width)."""
    for file in files:
        yield from _READERS.get(file.suffix.lower(), _from_text)(file, key, prefix, ids)
