"""What a trained model gives for a cohort: predictions, embeddings, weights, as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from fairthesis.data import Cohort
from fairthesis.inputs import SPLITS, attribute_parts
from fairthesis.methods import Method
from fairthesis.training._batches import Table
from fairthesis.training._inference import Outputs, infer, joined
from fairthesis.training._parts import in_parts
from fairthesis.training._run_folder import WEIGHTS, RunFolder

PART = 65_536  # rows of the embeddings table that are held at a time, and of its row groups


def infer_cohort(
    method: Method, table: Table, rows: NDArray[np.intp], batch_size: int, device: torch.device
) -> Outputs:
    """Probabilities (n, targets), disease and sensitive embeddings of the given rows.

    Raises:
        FloatingPointError: where one of them is not finite: the model has diverged.
    """
    found = infer(method.model, lambda part: table.batch(part, device).images, rows, batch_size)
    return joined(found, len(rows))


def predictions_of(
    cohort: Cohort,
    rows: NDArray[np.intp],
    scores: NDArray[np.floating[Any]],
    targets: Sequence[str],
    attributes: Sequence[str],
) -> list[pd.DataFrame]:
    """A predictions table for each target, of the given rows.

    Labels and groups that the cohort does not have are null. An intersection has its own column;
    those of its parts follow it.
    """
    frame = cohort.frame.iloc[rows].reset_index(drop=True)
    keys = frame[["image_id", "patient_id", "split"]]
    known = {part for name in cohort.attributes for part in attribute_parts(frame, name)}
    parts = [part for name in attributes for part in attribute_parts(frame, name)]
    groups = {
        name: cohort.group_of(name).iloc[rows].array
        if known.issuperset(attribute_parts(frame, name))
        else pd.array([None] * len(frame), dtype="string")
        for name in [*attributes, *parts]
    }
    nothing = np.full(len(frame), np.nan)
    return [
        keys.assign(
            target=target, y_true=frame.get(target, nothing), y_score=scores[:, t], **groups
        )
        for t, target in enumerate(targets)
    ]


def embeddings_of(cohort: Cohort, rows: NDArray[np.intp], found: Outputs) -> pd.DataFrame:
    """The embeddings table of the given rows."""
    keys = cohort.frame[["image_id", "patient_id", "split"]].iloc[rows].reset_index(drop=True)
    columns = {f"disease_{i:03d}": column for i, column in enumerate(found.disease.T)}
    columns |= {f"sensitive_{i:03d}": column for i, column in enumerate(found.sensitive.T)}
    return keys.join(pd.DataFrame(columns))


def write_results(
    place: RunFolder,
    method: Method,
    cohort: Cohort,
    table: Table,
    targets: Sequence[str],
    attributes: Sequence[str],
    batch_size: int,
    device: torch.device,
) -> None:
    """Write ``embeddings.parquet``, ``predictions.parquet`` and ``model.safetensors``.

    Embeddings, which may be wide, are written part by part; scores are kept.
    """
    rows = np.sort(np.concatenate([table.rows[split] for split in SPLITS]))
    scores: list[NDArray[np.floating[Any]]] = []

    def write(to: Path) -> None:
        writer: pq.ParquetWriter | None = None
        try:
            for part in in_parts(rows, batch_size, PART):
                found = infer_cohort(method, table, part, batch_size, device)
                scores.append(found.scores)
                made = pa.Table.from_pandas(
                    embeddings_of(cohort, part, found), preserve_index=False
                )
                writer = writer or pq.ParquetWriter(to, made.schema)
                writer.write_table(made)
        finally:
            if writer is not None:
                writer.close()

    place.file(write, "embeddings.parquet")
    tables = predictions_of(cohort, rows, np.concatenate(scores), targets, attributes)
    place.table(pd.concat(tables, ignore_index=True), "predictions.parquet")
    weights = {name: value.contiguous() for name, value in method.model.state_dict().items()}
    place.file(lambda to: to.write_bytes(save(weights)), WEIGHTS)
