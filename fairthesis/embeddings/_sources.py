"""A table of embeddings, in memory or in a file of which only the rows in use are read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis import stats
from fairthesis.embeddings._probes import Array
from fairthesis.inputs import (
    EMBEDDING_KEYS,
    as_frame,
    embedding_columns,
    embedding_values,
    read_table,
    require_columns,
    table_columns,
)

Table = pd.DataFrame | str | Path


class Source:
    """Keys of all rows, and the numbers of some.

    Args:
        table: with ``image_id, patient_id, split`` and numbered columns; or the file of one.
        prefix: what the names of its numbers begin with.
        what: what the table is called in a message.
    """

    def __init__(self, table: Table, prefix: str, what: str) -> None:
        self.what = what
        self.file = Path(table) if isinstance(table, str | Path) else None
        self.frame = (
            pd.DataFrame(columns=table_columns(self.file)) if self.file else as_frame(table, what)
        )
        self.n = len(self.frame)
        require_columns(self.frame, EMBEDDING_KEYS, what)
        self.columns = embedding_columns(self.frame, prefix, what)

    def keys(self) -> pd.DataFrame:
        """``image_id, patient_id, split`` of every row, by position."""
        if self.file:
            found = read_table(self.file, EMBEDDING_KEYS)
            self.n = len(found)
            return found
        return self.frame[list(EMBEDDING_KEYS)].reset_index(drop=True).copy()

    def values(self, places: NDArray[np.intp]) -> Array:
        """The numbers of the rows at these positions, in their order, shape (n, d)."""
        if not self.file:
            return embedding_values(self.frame.iloc[places], self.columns, self.what)
        used = np.isin(np.arange(self.n), places)
        numbers = "|".join(map(re.escape, self.columns))
        found = read_table(self.file, self.columns, numeric=numbers, rows=used)
        order = np.searchsorted(np.flatnonzero(used), places)
        return embedding_values(found, self.columns, self.what)[order]


def drawn(keys: pd.DataFrame, most: int | None, seed: int) -> NDArray[np.bool_]:
    """Which rows of the parts ``val`` and ``test`` are probed: at most about ``most`` of each.

    Whole patients are drawn until a part has so many rows; the draw depends on the patients' names
    and the seed, not on the order of rows.
    """
    used = np.zeros(len(keys), bool)
    for split in ("val", "test"):
        rows = np.flatnonzero((keys["split"] == split).fillna(False).to_numpy(bool))
        if most is not None and len(rows) > most:
            who = np.unique(keys["patient_id"].iloc[rows].to_numpy(str), return_inverse=True)[1]
            sizes = np.bincount(who)
            turn = stats.generator(seed, f"{split} patients to probe", 0).permutation(len(sizes))
            enough = int(np.searchsorted(np.cumsum(sizes[turn]), most)) + 1
            rows = rows[np.isin(who, turn[:enough])]
        used[rows] = True
    return used
