"""Files of vectors -> one float32 array on disk, and a table of keys; in bounded memory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.data._image_cache import cache_root
from fairthesis.data._vector_files import Block, ids_beside, load_npy, parts_of
from fairthesis.data._vectors import PART, VectorTable
from fairthesis.errors import InputError
from fairthesis.inputs import key_column
from fairthesis.storage import DONE, write_atomically, write_table

_SHARD = re.compile(r"shard-([0-9]+)-of-([0-9]+)")
ENDINGS = (".parquet", ".npy", ".npz", ".safetensors", ".csv", ".tsv", ".txt", ".gz")


def read_vectors(
    path: str | Path,
    *,
    key: str = "image_id",
    prefix: str | None = None,
    ids: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> VectorTable:
    """A table of vectors: one file, or a folder of shards of one kind in the order of their names.

    - *Parquet* (or CSV): the column ``key``, other columns as they are, and the numbers in numbered
      columns (``z_000``, ``z_001``, ...) or in one column of lists.
    - *.npy*: an array (n, width), and its keys in a file of their own: ``ids``, or
      ``NAME.ids.txt`` (a key a line), ``NAME.ids.npy`` or ``NAME.csv`` beside ``NAME.npy``.
    - *.npz*, *.safetensors*: one array (n, width), and one (n,) of keys, by any names; or keys as
      for *.npy*.

    Numbers are kept as float32. What is not a plain float32 ``.npy`` is written once as one into
    the folder of caches, and read from there afterwards, by row.

    Args:
        path: the file or folder.
        key: the column of keys.
        prefix: of the numbered columns; needed where there are several.
        ids: a file of keys, for arrays that have none.
        cache_dir: the folder of all caches, as of ``cache_folder``.

    Raises:
        InputError: where there is no such file, it is of another kind or cannot be read, keys are
            missing, empty or repeat, numbers are NaN or infinite, or widths differ.

    >>> import tempfile
    >>> frame = pd.DataFrame({"image_id": ["a", "b"], "z_0": [1.0, 2.0], "z_1": [3.0, 4.0]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame.to_parquet(f"{folder}/vectors.parquet")
    ...     table = read_vectors(f"{folder}/vectors.parquet", cache_dir=folder)
    ...     table.frame["image_id"].tolist(), table.array.tolist()
    (['a', 'b'], [[1.0, 3.0], [2.0, 4.0]])
    """
    path = Path(path)
    files = _files(path)
    digest = _digest([*files, *([Path(ids)] if ids else [])], f"{key}\n{prefix}\n{ids}")
    plain = _plain_array(files)
    if plain is not None:
        frame = ids_beside(files[0], ids, key, len(plain))
        array: Block = plain
        _check_finite(frame, key, array, path)
    else:
        kept = cache_root(cache_dir) / "vectors" / digest
        if not kept.with_suffix(".npy").exists() or not kept.with_suffix(".parquet").exists():
            _convert(path, files, kept, key, prefix, ids)
        array = np.load(kept.with_suffix(".npy"), mmap_mode="r")
        frame = pd.read_parquet(kept.with_suffix(".parquet"))
    frame[key] = key_column(frame, key, str(path))
    _check_keys(frame[key], key, path)
    return VectorTable(frame, key, array, digest)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(
            f"No vectors at {str(path)!r}: expected a file ({', '.join(ENDINGS[:5])}) or a folder "
            "of shards."
        )
    if path.is_file():
        if path.suffix.lower() not in ENDINGS:
            raise InputError(f"{path.name!r} holds no vectors: expected one of {ENDINGS[:5]}.")
        return [path]
    found = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith((".", "_")))
    _check_shards(path)
    shards = [p for p in found if p.suffix.lower() in ENDINGS[:4]]
    kinds = sorted({p.suffix.lower() for p in shards})
    if len(kinds) != 1:
        what = f"of the kinds {', '.join(kinds)}" if kinds else "none"
        raise InputError(
            f"Expected shards of one kind ({', '.join(ENDINGS[:4])}) in {str(path)!r}, but found "
            f"{what}."
        )
    return shards


def _check_shards(path: Path) -> None:
    """Refuse a folder of which a shard is missing or not finished (``fairthesis embed``)."""
    found = [_SHARD.fullmatch(folder.name) for folder in path.iterdir() if folder.is_dir()]
    shards = [(int(match[1]), int(match[2])) for match in found if match]
    if not shards:
        return
    sizes = sorted({n for _, n in shards})
    if len(sizes) > 1:
        raise InputError(
            f"{str(path)!r} has shards of {' and of '.join(map(str, sizes))}: expected one set. "
            "Keep one of them in a folder."
        )
    number = sizes[0]
    lacking = [
        f"{i}/{number}"
        for i in range(1, number + 1)
        if not (path / f"shard-{i}-of-{number}" / DONE).is_file()
    ]
    if lacking:
        raise InputError(
            f"{len(lacking)} of {number} shards in {str(path)!r} are not finished: "
            f"{', '.join(lacking[:5])}. Make them with fairthesis embed --shard {lacking[0]}."
        )


def _digest(files: Sequence[Path], how: str) -> str:
    digest = hashlib.sha256(how.encode())
    for file in files:
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:16]


def _plain_array(files: Sequence[Path]) -> Block | None:
    """A single .npy of float32 in rows, which needs no copy; else None."""
    if len(files) > 1 or files[0].suffix.lower() != ".npy":
        return None
    array = load_npy(files[0])
    plain = array.dtype == np.float32 and array.flags.c_contiguous and array.ndim == 2
    return array if plain else None


def _convert(
    path: Path, files: list[Path], kept: Path, key: str, prefix: str | None, ids: Any
) -> None:
    """Write the array, then the table of keys: a table that is there has its array."""
    frames: list[pd.DataFrame] = []

    def write(to: Path) -> None:
        width = 0
        with to.open("wb") as out:
            rows = 0
            header = np.lib.format.header_data_from_array_1_0(np.empty((0, 1), np.float32))
            for frame, block in parts_of(files, key, prefix, ids):
                if not width:
                    width = block.shape[1]
                    _write_header(out, header, 2**62, width)  # room for any number of rows
                if block.shape[1] != width:
                    raise InputError(
                        f"A vector in {str(path)!r} has {block.shape[1]} numbers and others have "
                        f"{width}: expected one width throughout."
                    )
                _check_finite(frame, key, block, path)
                out.write(np.ascontiguousarray(block).tobytes())
                rows += len(block)
                frames.append(frame)
            if not rows:
                raise InputError(f"No rows in {str(path)!r}: expected a vector for each image.")
            out.seek(0)
            _write_header(out, header, rows, width)

    write_atomically(kept.with_suffix(".npy"), write)
    write_table(pd.concat(frames, ignore_index=True), kept.with_suffix(".parquet"))


def _write_header(out: Any, header: dict[str, Any], rows: int, width: int) -> None:
    """The header of an .npy, of one length whatever the number of rows."""
    text = repr(header | {"shape": (rows, width)})
    text += " " * (117 - len(text)) + "\n"
    out.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode())


def _check_finite(frame: pd.DataFrame, key: str, block: Block, path: Path) -> None:
    for start in range(0, len(block), PART):
        bad = ~np.isfinite(block[start : start + PART]).all(axis=1)
        if bad.any():
            first = frame[key].iloc[start + int(np.argmax(bad))]
            raise InputError(
                f"The vector of {first!r} in {str(path)!r} holds NaN, infinite numbers or text, "
                f"one of {int(bad.sum())} or more: expected finite numbers. Leave these rows out, "
                "or compute them again."
            )


def _check_keys(keys: pd.Series, key: str, path: Path) -> None:
    if keys.isna().any():
        raise InputError(
            f"{int(keys.isna().sum())} vectors in {str(path)!r} have no {key}: expected a key for "
            "each."
        )
    if keys.duplicated().any():
        value = keys[keys.duplicated()].iloc[0]
        raise InputError(
            f"The key {value!r} appears {int((keys == value).sum())} times in {str(path)!r}: "
            "expected one vector for each image. Are shards there twice?"
        )
