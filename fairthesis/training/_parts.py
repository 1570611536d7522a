"""Tables written part by part, so that memory stays bounded and a killed command goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

PART = 8192  # rows of a part, about: whole batches


def in_parts(
    rows: NDArray[np.intp], batch: int, most: int | None = None
) -> Iterator[NDArray[np.intp]]:
    """Rows in parts of whole batches, of ``most`` (``PART``) rows or a batch."""
    size = max((most or PART) // batch, 1) * batch
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def part_name(number: int, name: str) -> str:
    """The file of a part: its underscore keeps it out of what reads a folder of shards."""
    return f"_part-{number:06d}-{name}"


def clear_parts(out: Path) -> None:
    """Remove all parts of a folder, once they are joined."""
    for pattern in ("part-*.parquet", "_part-*.parquet"):
        for file in out.glob(pattern):
            file.unlink()


def join_parts(files: Sequence[Path], targets: Sequence[str | None], to: Path) -> None:
    """Parts as one table, target by target (or None), without holding more than a part."""
    schema = pa.unify_schemas(
        [pq.read_schema(file).remove_metadata() for file in files], promote_options="permissive"
    )
    with pq.ParquetWriter(to, schema) as writer:
        for target in targets:
            for file in files:
                table = pq.read_table(file)
                if target is not None:
                    table = table.filter(pc.equal(table["target"], target))
                writer.write_table(table.cast(schema))
