"""Overlap between the parts of a split: patients, lesions, images, near-duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from fairthesis import inputs
from fairthesis.data._decoding import decode
from fairthesis.errors import InputError
from fairthesis.inputs import require_columns

DISTANCE = 14  # of 256 bits: copies saved again or resized differ by less, other pictures by more
EDGE = 16
#: Columns of the tables of overlap: the key, its value, the parts joined by ``+``, how many rows.
OVERLAP_COLUMNS = ("kind", "value", "splits", "rows")


def shared_values(frame: pd.DataFrame, keys: Sequence[str], split: str = "split") -> pd.DataFrame:
    """The values of a key (patient, lesion, image) that lie in more than one part of a split.

    Args:
        frame: one row per image.
        keys: columns whose values no two parts may share. Null values are nobody's and shared by
            nobody.
        split: the column of the parts.

    Returns:
        One row per such value, with ``OVERLAP_COLUMNS``: ``kind`` (the key), ``value``, ``splits``
        (as ``test+train``) and ``rows``. No rows where the parts are disjoint.

    Raises:
        InputError: for no key, a column that is missing or empty, and a table of one part.

    >>> table = pd.DataFrame({"patient_id": ["a", "a", "b"], "split": ["train", "test", "test"]})
    >>> shared_values(table, ["patient_id"]).values.tolist()
    [['patient_id', 'a', 'test+train', 2]]
    """
    what = "the table to check"
    require_columns(frame, [*keys, split], what)
    if not keys:
        raise InputError(f"No key is given: expected a column of {what} that parts may not share.")
    parts = split_parts(frame, split)
    found: list[tuple[str, str, str, int]] = []
    for key in keys:
        known = pd.DataFrame({"value": inputs.key_column(frame, key, what), "part": parts}).dropna()
        if known.empty:
            raise InputError(f"{key} is empty in {what}: nothing can be compared by it.")
        counts = known.groupby("value")["part"].agg(["nunique", "size", "unique"])
        for value, row in counts[counts["nunique"] > 1].iterrows():
            found.append((key, str(value), "+".join(sorted(row["unique"])), int(row["size"])))
    return pd.DataFrame(found, columns=list(OVERLAP_COLUMNS))


def split_parts(frame: pd.DataFrame, split: str) -> pd.Series:
    """The part of each row as text, null where it is not stated.

    Raises:
        InputError: for a table of one part, in which nothing can be shared.

    >>> split_parts(pd.DataFrame({"fold": [1, 2, 2]}), "fold").tolist()
    ['1', '2', '2']
    >>> split_parts(pd.DataFrame({"fold": [1, 1]}), "fold")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: The column 'fold' has only '1': expected the parts of a split, ...
    """
    parts = inputs.text_column(frame[split]).rename(split)
    names = sorted(parts.dropna().unique())
    if len(names) < 2:
        only = f"only {names[0]!r}" if names else "no value"
        raise InputError(
            f"The column {split!r} has {only}: expected the parts of a split, train and test for "
            "instance. With one part there is nothing to compare."
        )
    return parts


def difference_hash(path: Path) -> NDArray[np.bool_] | None:
    """256 bits: whether each field of a 16 x 16 grid is brighter than its left neighbour.

    None for a file that cannot be read and for a flat picture, which resembles every other.
    """
    pixels = decode(path, 4 * (EDGE + 1), 1)
    if isinstance(pixels, str) or pixels.std() < 2:
        return None
    small = Image.fromarray(pixels[:, :, 0]).resize((EDGE + 1, EDGE), Image.Resampling.BOX)
    cells = np.asarray(small, dtype=np.int16)
    return (np.diff(cells, axis=1) > 0).ravel()


def near_duplicates(
    paths: Sequence[Path], splits: Sequence[str], distance: int = DISTANCE
) -> tuple[pd.DataFrame, int]:
    """Pairs of pictures in different parts whose hashes differ in ``distance`` bits or fewer.

    The hash is the difference hash (Krawetz, *Kind of like that*, hackerfactor.com, 2013) on a grid
    of 16 x 16 fields, 256 bits: whether each field is brighter than its left neighbour. All pairs
    are compared, in blocks, which takes time and memory with the square of their number.

    Args:
        paths: the image files.
        splits: the part of each.
        distance: how many bits may differ, from 0 to 127. Copies that were saved again or resized
            differ by less than the default, other pictures by more.

    Returns:
        A row per pair with ``OVERLAP_COLUMNS`` (``kind`` holds the bits, ``value`` both file names,
        ``rows`` is 2), the nearest first; and the number of files that could not be compared
        (missing, unreadable or flat).

    Raises:
        InputError: for a distance out of its range, and where no file can be compared.

    >>> import tempfile
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as name:
    ...     picture = Image.fromarray(rng.integers(0, 256, (17, 17), dtype=np.uint8))
    ...     files = [Path(name) / file for file in ("a.png", "b.jpg", "c.png")]
    ...     picture.resize((170, 170)).save(files[0])
    ...     picture.resize((170, 170)).save(files[1])  # the same picture as JPEG
    ...     picture.rotate(90).resize((170, 170)).save(files[2])
    ...     table, skipped = near_duplicates(files, ["train", "test", "test"])
    >>> table["value"].tolist(), table["splits"].tolist(), skipped
    (['a.png ~ b.jpg'], ['test+train'], 0)
    """
    if not 0 <= distance < EDGE * EDGE // 2:
        raise InputError(
            f"Expected distance to be from 0 to {EDGE * EDGE // 2 - 1}: got {distance}."
        )
    hashes = [difference_hash(path) for path in paths]
    usable = [i for i, bits in enumerate(hashes) if bits is not None]
    if not usable:
        raise InputError(
            f"None of the {len(paths)} images could be compared: each is missing, unreadable or "
            "flat. Is the folder of the images the right one?"
        )
    signs = np.array([hashes[i] for i in usable], dtype=np.float32) * 2 - 1
    part = np.array([splits[i] for i in usable])
    found = []
    for i, j, bits in _near_pairs(signs, distance):
        if part[i] != part[j]:
            a, b = usable[i], usable[j]
            both = "+".join(sorted((str(splits[a]), str(splits[b]))))
            found.append((bits, f"{paths[a].name} ~ {paths[b].name}", both))
    rows = [
        (f"near-duplicate ({bits} bits)", value, both, 2) for bits, value, both in sorted(found)
    ]
    return pd.DataFrame(rows, columns=list(OVERLAP_COLUMNS)), len(paths) - len(usable)


def _near_pairs(
    signs: NDArray[np.float32], distance: int, block: int = 2048
) -> Iterator[tuple[int, int, int]]:
    """Positions i < j with their distance: for +-1 vectors, (256 - product) / 2."""
    for start in range(0, len(signs), block):
        product = signs[start : start + block] @ signs[start:].T
        i, j = np.nonzero(product >= signs.shape[1] - 2 * distance)
        for a, b in zip(i[j > i].tolist(), j[j > i].tolist(), strict=True):
            bits = round((signs.shape[1] - float(product[a, b])) / 2)
            yield start + a, start + b, bits
