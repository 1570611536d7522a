"""An eraser fitted on tables, and applied to a table of any length."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fairthesis.data import Vectors, VectorTable
from fairthesis.errors import InputError
from fairthesis.inputs import (
    as_frame,
    embedding_columns,
    embedding_values,
    filled,
    group_values,
    key_column,
    label_column,
    numbered_columns,
    parquet_files,
    read_table,
    require_columns,
    rows_of_target,
    table_columns,
    text_column,
)
from fairthesis.postprocessing._groups import Array
from fairthesis.storage import write_atomically, write_table

WHAT, LABELS = "the embeddings table", "the table of labels"
CELLS = 4_000_000  # numbers of an embedding that are held at a time
MANY = 100_000  # rows from which on the numbers of a file stay on disk


@dataclass(frozen=True)
class ErasureRows:
    """The rows that an eraser is fitted on and measured on.

    Args:
        x: the embedding, shape (n, d); of a large file its numbers stay on disk.
        group: of each row as text, shape (n,).
        patient: a key of each row, shape (n,); of its own where the table has no patients.
        target: 0, 1 or NaN, shape (n,), or None.
        about: what the rows are, for ``save_fitted``: counts, columns, fingerprint.

    >>> rows = ErasureRows(np.zeros((2, 3)), np.array(["f", "m"]), np.array(["p", "q"]), None, {})
    >>> rows.x.shape
    (2, 3)
    """

    x: Array | Vectors
    group: NDArray[np.str_]
    patient: NDArray[Any]
    target: Array | None
    about: dict[str, Any]


def erasure_rows(
    embeddings: pd.DataFrame | str | Path,
    labels: pd.DataFrame | None = None,
    *,
    group: str,
    target: str | None = None,
    prefix: str = "disease_",
) -> ErasureRows:
    """The rows outside ``test`` whose group is known, joined with group and target.

    Args:
        embeddings: ``image_id``, numbered columns that begin with ``prefix``, and where there are
            such ``patient_id`` and ``split``; without splits all rows are taken. Or the file of
            such a table, or a folder of its shards: of Parquet of more than 100,000 rows the
            numbers stay on disk, and are read by row (``fairthesis.data.read_vectors``).
        labels: ``image_id``, the attribute, and ``y_true`` (and ``target``) for a target; without
            them they are columns of the embeddings' own table.
        group: the attribute's column.
        target: which target; None where the table has one, or several and none is needed.
        prefix: of the embedding's columns.

    Raises:
        InputError: for a missing column, an image that stands there twice or has two groups, a
            patient in two splits, numbers that are not finite, no row, or one group.

    >>> table = pd.DataFrame({"image_id": list("abcd"), "split": ["val", "val", "val", "test"]})
    >>> groups = pd.DataFrame({"image_id": list("abcd"), "sex": ["f", "f", "m", "m"]})
    >>> rows = erasure_rows(table.assign(disease_0=[0.0, 1, 4, 5]), groups, group="sex")
    >>> rows.group.tolist(), rows.about["n_rows"], rows.about["groups"]
    (['f', 'f', 'm'], 3, {'f': 2, 'm': 1})
    """
    embeddings, columns, kept = _read(embeddings, prefix)
    labels = embeddings if labels is None else as_frame(labels, LABELS)
    require_columns(embeddings, ["image_id"], WHAT)
    names = groups_of(embeddings, labels, group)
    images = key_column(embeddings, "image_id", WHAT)
    if images.dropna().duplicated().any():
        twice = images[images.duplicated()].iloc[0]
        raise InputError(f"Image {twice!r} stands twice in {WHAT}: expected one row per image.")
    known = names.notna().to_numpy(bool)
    splits: list[str] | None = None
    if "split" in embeddings:
        split = text_column(embeddings["split"])
        _apart(embeddings, split)
        known = known & (split != "test").fillna(True).to_numpy(bool)
        splits = sorted(split[known].dropna().unique())
    if not known.any():
        raise InputError(
            f"No row of {WHAT} outside the test part has a known {group}: expected val or train "
            "rows to fit on. Do the tables belong together?"
        )
    found = names[known].to_numpy(str)
    sizes = dict(
        zip(*(part.tolist() for part in np.unique(found, return_counts=True)), strict=True)
    )
    if len(sizes) < 2:
        raise InputError(
            f"{group} is {str(found[0])!r} in all {len(found)} rows to fit on: expected two groups "
            "or more."
        )
    rows = np.flatnonzero(known)
    x = kept.vectors(rows) if kept else embedding_values(embeddings, columns, WHAT)[known]
    patient: NDArray[Any] = np.arange(len(x))
    if "patient_id" in embeddings:
        patient = filled(key_column(embeddings, "patient_id", WHAT)).to_numpy(object)[known]
    y, target = _target(embeddings, labels, target)
    digest = hashlib.sha256(
        np.ascontiguousarray(x).tobytes()
        if isinstance(x, np.ndarray)
        else x.digest.encode() + rows.tobytes()
    )
    digest.update("\n".join(found).encode())
    about = {
        "group": group,
        "groups": sizes,
        "target": target,
        "splits": splits,
        "n_rows": len(x),
        "n_patients": len(set(patient)) if "patient_id" in embeddings else None,
        "n_left_out": int(len(embeddings) - len(x)),
        "prefix": prefix,
        "columns": columns,
        "fingerprint": digest.hexdigest()[:16],
    }
    return ErasureRows(x, found, patient, None if y is None else y[known], about)


def _read(
    embeddings: pd.DataFrame | str | Path, prefix: str
) -> tuple[pd.DataFrame, list[str], VectorTable | None]:
    """The table, the names of its numbers, and where these stay on disk."""
    if isinstance(embeddings, str | Path):
        files = parquet_files(embeddings)
        if sum(pq.read_metadata(file).num_rows for file in files) > MANY:
            from fairthesis.data import read_vectors  # and with it the cache, its locks and Pillow

            head = pd.DataFrame(columns=table_columns(embeddings))
            require_columns(head, ["image_id"], WHAT)
            columns = embedding_columns(head, prefix, WHAT)
            kept = read_vectors(embeddings, prefix=prefix)
            return (
                kept.frame,
                sorted(columns, key=lambda name: int(name.removeprefix(prefix))),
                kept,
            )
        embeddings = read_table(embeddings, numeric=f"{re.escape(prefix)}[0-9]+")
    frame = as_frame(embeddings, WHAT)
    require_columns(frame, ["image_id"], WHAT)
    return frame, embedding_columns(frame, prefix, WHAT), None


def groups_of(embeddings: pd.DataFrame, labels: pd.DataFrame, group: str) -> pd.Series:
    """The group of each row of ``embeddings`` by its image, null where it is unknown.

    Raises:
        InputError: where an image has two.
    """
    require_columns(labels, ["image_id"], LABELS)
    own = pd.DataFrame(
        {
            "image_id": key_column(labels, "image_id", LABELS),
            group: group_values(labels, group, LABELS),
        }
    )
    own = own.dropna(subset=["image_id"]).drop_duplicates()
    if own["image_id"].duplicated().any():
        twice = own.loc[own["image_id"].duplicated(), "image_id"].iloc[0]
        raise InputError(f"Image {twice!r} has two values of {group}: expected one.")
    return key_column(embeddings, "image_id", WHAT).map(own.set_index("image_id")[group])


def _apart(embeddings: pd.DataFrame, split: pd.Series) -> None:
    """Refuses a patient in two splits."""
    if "patient_id" not in embeddings:
        return
    shared = split.groupby(key_column(embeddings, "patient_id", WHAT)).nunique()
    if (shared > 1).any():
        raise InputError(
            f"{int((shared > 1).sum())} patients of {WHAT} are in more than one split, the first "
            f"is {shared.index[shared > 1][0]!r}: what is fitted on a patient says nothing of the "
            "test part if the patient is in it. Split by patient."
        )


def _target(
    embeddings: pd.DataFrame, labels: pd.DataFrame, target: str | None
) -> tuple[Array | None, str | None]:
    """Labels of the rows of ``embeddings`` by image, and the target's name."""
    several = "target" in labels and text_column(labels["target"]).nunique() > 1
    if target is None and several:
        return None, None
    if "y_true" not in labels:
        if target is not None:
            require_columns(labels, ["y_true"], LABELS)
        return None, None
    rows, target = rows_of_target(labels, target)
    own = pd.Series(
        label_column(rows, "y_true", LABELS), index=key_column(rows, "image_id", LABELS)
    )
    own = own[own.index.notna()]
    if own.index.duplicated().any():
        twice = own.index[own.index.duplicated()][0]
        raise InputError(f"Image {twice!r} has two labels in {LABELS}: expected one per target.")
    values = key_column(embeddings, "image_id", WHAT).map(own)
    return np.asarray(values, np.float64), target


def erase_file(eraser: Any, about: Mapping[str, Any], file: str | Path, out: str | Path) -> int:
    """Apply a fitted eraser to an embeddings table in a file, and write the table.

    Parquet is read, changed and written some rows at a time, so that a table of any length is
    erased in bounded memory; other files are read whole. Columns that are no part of the embedding
    stay as they are, in their order; those that are keep their type where it is one of floats.

    Args:
        eraser: fitted, as of ``load_fitted``.
        about: ``fitted_on`` of its ``fitted_card``, with ``prefix`` and ``columns``.
        file: the table, or a folder of its parts, which become one.
        out: a name ending in .csv or .parquet.

    Returns:
        Rows written.

    Raises:
        InputError: where the table's numbered columns are not those that the eraser was fitted on,
            a number is not finite, or ``out`` cannot be written. Nothing is written then.

    >>> import tempfile
    >>> from fairthesis.embeddings import Leace
    >>> table = pd.DataFrame({"image_id": list("abcd"), "z_0": [0.0, 1, 4, 5]})
    >>> table["z_1"] = [1.0, 0, 0, 1]
    >>> eraser = Leace().fit(table[["z_0", "z_1"]], ["f", "f", "m", "m"])
    >>> with tempfile.TemporaryDirectory() as name:
    ...     table.to_parquet(f"{name}/z.parquet")
    ...     about = {"prefix": "z_", "columns": ["z_0", "z_1"]}
    ...     n = erase_file(eraser, about, f"{name}/z.parquet", f"{name}/erased.parquet")
    ...     n, pd.read_parquet(f"{name}/erased.parquet")["z_0"].round(6).tolist()
    (4, [2.5, 2.5, 2.5, 2.5])
    """
    file, out = Path(file), Path(out)
    prefix, columns = about["prefix"], list(about["columns"])
    if out.suffix not in (".csv", ".parquet"):
        raise InputError(f"Cannot write {out.name!r}: expected a name ending in .csv or .parquet.")
    files = parquet_files(file) if out.suffix == ".parquet" else []
    if not files:
        frame = read_table(file, numeric=f"{prefix}[0-9]+")
        _same_columns(numbered_columns(frame, prefix), columns)
        write_table(erased_frame(eraser, frame, columns), out)
        return len(frame)
    old = pq.read_schema(files[0])
    for part in files:
        own = pq.read_schema(part)
        _same_columns(numbered_columns(pd.DataFrame(columns=own.names), prefix), columns)
        if not own.equals(old):
            raise InputError(
                f"The parts of {str(file)!r} differ: the columns of {str(part)!r} are other than "
                f"those of {str(files[0])!r}, or of another kind. Expected parts of one table."
            )
    new, n = _with_floats(old, columns), 0

    def write(to: Path) -> None:
        nonlocal n
        size = max(1, CELLS // len(columns))
        with pq.ParquetWriter(to, new) as writer:
            for part in files:
                with pq.ParquetFile(part) as source:
                    for batch in source.iter_batches(batch_size=size):
                        writer.write_batch(_erased_batch(eraser, batch, columns, new))
                        n += len(batch)

    write_atomically(out, write)
    return n


def erased_frame(eraser: Any, frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """``frame`` with its ``columns`` erased; a column of floats keeps its type."""
    made = _transformed(eraser, frame, columns)
    kinds = {c: frame[c].dtype for c in columns}
    kept = {c: kind for c, kind in kinds.items() if pd.api.types.is_float_dtype(kind)}
    changed = {
        c: pd.Series(made[:, k], frame.index).astype(kept.get(c, np.float64))
        for k, c in enumerate(columns)
    }
    return frame.assign(**changed)


def _transformed(eraser: Any, frame: pd.DataFrame, columns: list[str]) -> Array:
    x: Any = embedding_values(frame, columns, WHAT)
    if hasattr(eraser, "feature_names_in_"):  # it was fitted on a table, and asks for one
        x = pd.DataFrame(x, columns=columns)
    return eraser.transform(x)


def _same_columns(found: list[str], columns: list[str]) -> None:
    if sorted(found) != sorted(columns):
        lacking = [c for c in columns if c not in found] or [c for c in found if c not in columns]
        raise InputError(
            f"{WHAT.capitalize()} has {len(found)} numbered columns, and the eraser was fitted on "
            f"{len(columns)}; the first that differs is {lacking[0]!r}. Embeddings of another "
            "encoder or another run need an eraser of their own."
        )


def _with_floats(schema: pa.Schema, columns: list[str]) -> pa.Schema:
    """The schema with float64 for those of the embedding's columns that are no floats."""
    other = [c for c in columns if not pa.types.is_floating(schema.field(c).type)]
    for column in other:
        at = schema.get_field_index(column)
        schema = schema.set(at, schema.field(at).with_type(pa.float64()))
    return schema.remove_metadata() if other else schema


def _erased_batch(
    eraser: Any, batch: pa.RecordBatch, columns: list[str], schema: pa.Schema
) -> pa.RecordBatch:
    frame = batch.select(columns).to_pandas()
    made = _transformed(eraser, frame, columns)
    arrays = {name: batch.column(name) for name in batch.schema.names}
    for k, column in enumerate(columns):
        kind = schema.field(column).type
        arrays[column] = pa.array(made[:, k]).cast(kind, safe=False)
    return pa.RecordBatch.from_arrays([arrays[name] for name in schema.names], schema=schema)
