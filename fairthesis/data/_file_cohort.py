"""Image files without labels as a cohort: a folder, a table of paths, or a list of files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis.data._cohort import Cohort
from fairthesis.data._vectors import VectorTable
from fairthesis.data._windows import OWN
from fairthesis.errors import InputError
from fairthesis.inputs import (
    SPLITS,
    attribute_parts,
    key_column,
    label_column,
    read_table,
    text_column,
)

#: Endings of the files that are taken for images in a folder, in small letters.
IMAGE_ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".jp2", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".ppm", ".pgm"),
    *(".dcm", ".dicom"),
)
PATH_COLUMNS = ("path", "image_path", "file", "filename", "image", "image_id")


def cohort_of_files(
    source: str | Path | Sequence[str | Path],
    *,
    channels: int = 3,
    targets: Sequence[str] = (),
    attributes: Sequence[str] = (),
    window: str = OWN,
) -> Cohort:
    """A cohort of images that need no labels, as for prediction; all of it is ``test``.

    Args:
        source: a folder, of which all image files are taken (``IMAGE_ENDINGS``, also in folders
            below); a table with a column of paths (``path``, ``file``, ``image``, ...) relative to
            it, and with ``image_id``, ``patient_id`` and ``split`` where it has them; or a list of
            files.
        channels: 1 for grey images, 3 for colour.
        targets: columns of labels (0, 1 or empty) of the table, where it has them.
        attributes: columns of groups of the table, or intersections, where it has them.
        window: what is black and white in deep grey and DICOM, as of ``Cohort``.

    Raises:
        InputError: where there is nothing to read, or a table has no column of paths.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as name:
    ...     Image.new("L", (20, 20), 90).save(Path(name) / "b.png")
    ...     Image.new("L", (20, 20), 90).save(Path(name) / "a.png")
    ...     cohort = cohort_of_files(name, channels=1)
    >>> cohort.frame["image_id"].tolist(), bool(cohort.frame["patient_id"].isna().all())
    (['a.png', 'b.png'], True)
    """
    if not isinstance(source, str | Path):
        return _of_list([Path(one) for one in source], channels, window)
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_ENDINGS)
        if not files:
            raise InputError(
                f"No image in {str(path)!r}: expected files ending in {', '.join(IMAGE_ENDINGS)}."
            )
        names = [file.relative_to(path).as_posix() for file in files]
        return _cohort(path, names, channels, window)
    if not path.is_file():
        raise InputError(f"No images at {str(path)!r}: expected a folder, or a table of paths.")
    if path.suffix.lower() in IMAGE_ENDINGS:
        return _cohort(path.parent, [path.name], channels, window)
    return replace(_of_table(path, channels, targets, attributes), window=window)


def _of_list(files: list[Path], channels: int, window: str) -> Cohort:
    if not files:
        raise InputError("No image files are given: expected one or more.")
    lacking = [file for file in files if not file.is_file()]
    if lacking:
        raise InputError(f"No image file at {str(lacking[0])!r}.")
    whole = [file.resolve() for file in files]
    root = Path(os.path.commonpath([file.parent for file in whole]))
    return _cohort(root, [file.relative_to(root).as_posix() for file in whole], channels, window)


def _cohort(root: Path, names: list[str], channels: int, window: str) -> Cohort:
    nobody = pd.Series([None] * len(names), dtype="string")
    frame = pd.DataFrame({"image_id": names, "patient_id": nobody, "split": "test", "path": names})
    return Cohort("images", frame, (), (), channels, root, window=window)


def _of_table(
    path: Path, channels: int, targets: Sequence[str], attributes: Sequence[str]
) -> Cohort:
    table = read_table(path)
    column = next((name for name in PATH_COLUMNS if name in table.columns), None)
    if column is None:
        raise InputError(
            f"No column of image files in {path.name!r}: expected one of "
            f"{', '.join(PATH_COLUMNS)}, but found "
            f"{', '.join(map(str, table.columns[:8]))}."
        )
    files = text_column(table[column])
    if files.isna().any():
        raise InputError(f"{int(files.isna().sum())} rows of {path.name!r} have no {column}.")
    key = "image_id" if "image_id" in table.columns else column
    frame = _described(table, key, path.name)
    frame["path"] = files.to_numpy(object)
    found, known = _labelled(frame, table, targets, attributes)
    return Cohort("images", frame, found, known, channels, path.parent)


def cohort_of_vectors(
    table: VectorTable, *, targets: Sequence[str] = (), attributes: Sequence[str] = ()
) -> Cohort:
    """A cohort of vectors that need no labels, as for prediction.

    Args:
        table: as ``read_vectors`` gives it, with ``patient_id`` and ``split`` where it has them.
        targets: columns of labels (0, 1 or empty) beside the vectors, where there are such.
        attributes: columns of groups beside the vectors, or intersections, where there are such.

    >>> import numpy as np
    >>> frame = pd.DataFrame({"image_id": ["b", "a"], "sex": ["F", "M"]})
    >>> table = VectorTable(frame, "image_id", np.zeros((2, 3), np.float32), "0a1b")
    >>> cohort = cohort_of_vectors(table, targets=["cancer"], attributes=["sex"])
    >>> cohort.vectors.width, cohort.targets, cohort.attributes
    (3, (), ('sex',))
    """
    frame = _described(table.frame, table.key, "the vectors")
    found, known = _labelled(frame, table.frame, targets, attributes)
    vectors = table.vectors(np.arange(len(frame)))
    return Cohort("vectors", frame, found, known, vectors=vectors)


def _described(table: pd.DataFrame, key: str, what: str) -> pd.DataFrame:
    """``image_id``, ``patient_id`` and ``split`` of each row; null and test where not stated."""
    frame = pd.DataFrame({"image_id": key_column(table, key, what).to_numpy(object)})
    frame["patient_id"] = (
        key_column(table, "patient_id", what).array
        if "patient_id" in table.columns
        else pd.array([None] * len(table), dtype="string")
    )
    split = text_column(table["split"]) if "split" in table.columns else None
    stated = split is not None and bool(split.isin(SPLITS).all())
    frame["split"] = split.array if stated and split is not None else "test"
    return frame


def _labelled(
    frame: pd.DataFrame, table: pd.DataFrame, targets: Sequence[str], attributes: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write labels and groups of the table into ``frame``; which of them it has."""
    found = tuple(name for name in targets if name in table.columns)
    for name in found:
        frame[name] = label_column(table, name, "the table").astype(float)
    parts = {name: attribute_parts(table, name) for name in attributes}
    known = tuple(name for name, own in parts.items() if set(own) <= set(table.columns))
    for part in (part for name in known for part in parts[name]):
        frame[part] = text_column(table[part]).to_numpy(object)
    return found, known
