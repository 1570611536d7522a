"""Vectors in the place of images: numbers of each image, read by row from a memory-mapped array."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

PART = 8192  # rows that are held at a time


@dataclass(frozen=True)
class Vectors:
    """A vector for each row of a cohort, in the order of its frame.

    Args:
        array: float32, shape (rows of the file, width), in memory or memory-mapped.
        index: the place of each row of the cohort in ``array``, shape (n,).
        digest: of the content that ``array`` was made of, for fingerprints.

    ``vectors[rows]`` reads the given rows, shape (len(rows), width).

    >>> vectors = Vectors(np.eye(3, dtype=np.float32), np.array([2, 0]), "0a1b")
    >>> len(vectors), vectors.width, vectors[np.array([1, 0])].tolist()
    (2, 3, [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    """

    array: NDArray[np.float32]
    index: NDArray[np.intp]
    digest: str

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        return np.asarray(self.array[self.index[rows]], np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, width), as of an array."""
        return len(self), self.width

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self.array.shape[1])

    def take(self, rows: NDArray[np.intp]) -> Vectors:
        """The vectors of some rows, still in the file."""
        return Vectors(self.array, self.index[rows], self.digest)

    def moments(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation of every number over some rows, each of shape (width,).

        Read part by part in the order of the file; a number that does not vary has deviation 1.

        >>> vectors = Vectors(np.array([[0, 5], [2, 5]], np.float32), np.arange(2), "")
        >>> [found.tolist() for found in vectors.moments(np.arange(2))]
        [[1.0, 5.0], [1.0, 1.0]]
        """
        places = np.sort(self.index[rows])
        shift = np.asarray(self.array[places[:1]], np.float64).sum(0)
        total, squares = np.zeros((2, self.width))
        for start in range(0, len(places), PART):
            part = np.asarray(self.array[places[start : start + PART]], np.float64) - shift
            total += part.sum(0)
            squares += (part**2).sum(0)
        mean = total / max(len(places), 1)
        deviation = np.sqrt(np.maximum(squares / max(len(places), 1) - mean**2, 0))
        # What rounding leaves of a constant is no deviation.
        still = deviation <= 1e-6 * np.maximum(np.abs(mean + shift), 1e-12)
        deviation[still] = 1.0
        return (mean + shift).astype(np.float32), deviation.astype(np.float32)


@dataclass(frozen=True)
class VectorTable:
    """A table of vectors as it was read: its keys, and the numbers, which stay in their file.

    Attributes:
        frame: a row for each vector: its key, and the file's other columns (patient, split and so
            on), as they stand there.
        key: the column of ``frame`` that holds unique keys, as text.
        array: float32, shape (n, width), memory-mapped.
        digest: of the content, 16 hexadecimal digits.

    >>> frame = pd.DataFrame({"image_id": ["b", "a"]})
    >>> table = VectorTable(frame, "image_id", np.array([[1.0], [2.0]], np.float32), "0a1b")
    >>> table.places(pd.Series(["a", "c", "b"])).tolist()
    [1, -1, 0]
    >>> table.vectors(np.array([1])).width
    1
    """

    frame: pd.DataFrame
    key: str
    array: NDArray[np.float32]
    digest: str

    @cached_property
    def _index(self) -> pd.Index[Any]:
        return pd.Index(self.frame[self.key].astype(object))

    def places(self, keys: pd.Series) -> NDArray[np.intp]:
        """The row of each key, -1 where it has no vector, shape (len(keys),)."""
        return np.asarray(self._index.get_indexer(pd.Index(keys.astype(object))), np.intp)

    def vectors(self, places: NDArray[np.intp]) -> Vectors:
        """The vectors of these rows of the table, as a cohort takes them."""
        return Vectors(self.array, places, self.digest)
