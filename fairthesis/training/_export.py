"""What a trained model gives for a cohort: predictions, embeddings, weights, as files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import save

from fairthesis.data import Cohort
from fairthesis.inputs import SPLITS, attribute_parts
from fairthesis.methods import Method
from fairthesis.training._batches import Table
from fairthesis.training._run_folder import WEIGHTS, RunFolder


def infer_cohort(
    method: Method, table: Table, rows: NDArray[np.intp], batch_size: int, device: torch.device
) -> tuple[Float[np.ndarray, "n t"], Float[np.ndarray, "n d"], Float[np.ndarray, "n s"]]:
    """Probabilities (n, targets), disease and sensitive embeddings of the given rows.

    Raises:
        FloatingPointError: where one of them is not finite: the model has diverged.
    """
    parts = []
    for start in range(0, len(rows), batch_size):
        batch = table.batch(rows[start : start + batch_size], device)
        disease_emb, sensitive_emb = method.embed(batch.images)
        with torch.no_grad():
            scores = torch.sigmoid(method.model.disease_logits(disease_emb))
        parts.append([t.cpu().numpy() for t in (scores, disease_emb, sensitive_emb)])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    for name, values in zip(("score", "embedding", "embedding"), columns, strict=True):
        if not np.isfinite(values).all():
            raise FloatingPointError(f"a model's {name} is not finite")
    return columns[0], columns[1], columns[2]


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
    """Write ``predictions.parquet``, ``embeddings.parquet`` and ``model.safetensors``.

    An intersection has its own column in the predictions; those of its parts follow it.
    """
    rows = np.sort(np.concatenate([table.rows[split] for split in SPLITS]))
    scores, disease, sensitive = infer_cohort(method, table, rows, batch_size, device)
    frame = cohort.frame.iloc[rows].reset_index(drop=True)
    keys = frame[["image_id", "patient_id", "split"]]
    parts = [part for name in attributes for part in attribute_parts(frame, name)]
    groups = {name: cohort.group_of(name).iloc[rows].array for name in [*attributes, *parts]}
    tables = [
        keys.assign(target=target, y_true=frame[target], y_score=scores[:, t], **groups)
        for t, target in enumerate(targets)
    ]
    place.table(pd.concat(tables, ignore_index=True), "predictions.parquet")
    columns = {f"disease_{i:03d}": disease[:, i] for i in range(disease.shape[1])}
    columns |= {f"sensitive_{i:03d}": sensitive[:, i] for i in range(sensitive.shape[1])}
    place.table(keys.join(pd.DataFrame(columns)), "embeddings.parquet")
    weights = {name: value.contiguous() for name, value in method.model.state_dict().items()}
    place.file(lambda to: to.write_bytes(save(weights)), WEIGHTS)
