"""Features of a frozen backbone: computed once, kept on disk, and read as vectors afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from fairthesis.data import Cohort, Vectors, cache_folder
from fairthesis.models import FairEncoder, Frozen, state_digest
from fairthesis.storage import write_atomically
from fairthesis.training._batches import Table
from fairthesis.training._inference import filled_up


def with_features(
    table: Table,
    model: FairEncoder,
    cohort: Cohort,
    size: int,
    batch_size: int,
    data_fingerprint: str,
    progress: bool,
) -> Table:
    """The table with a frozen backbone's features in the place of its images.

    They lie beside the cohort's images in the cache, under a name that holds all that they depend
    on: the weights, the data, the arithmetic. Another run with the same frozen backbone, of another
    method or seed, reads them. The model's standards are fitted to those of the training part.
    """
    frozen = model.shared_encoder
    assert isinstance(frozen, Frozen) and not isinstance(table.images, Vectors)
    device = next(model.parameters()).device
    digest = _digest(model, f"{data_fingerprint} {size} {batch_size} {device.type}")
    file = cache_folder(cohort, size) / f"features-{digest}.npy"
    rows = np.sort(np.concatenate(list(table.rows.values())))
    if not _is_whole(file, len(table.images)):
        write_atomically(file, lambda to: _write(to, table, model, rows, batch_size, progress))
    array = np.load(file, mmap_mode="r")
    found = Vectors(array, np.arange(len(array)), digest)
    frozen.standardise.fit(*map(torch.from_numpy, found.moments(table.rows["train"])))
    return replace(table, images=found)


@torch.no_grad()
def _write(
    to: Path, table: Table, model: FairEncoder, rows: Any, batch_size: int, progress: bool
) -> None:
    device = next(model.parameters()).device
    model.eval()
    assert isinstance(model.shared_encoder, Frozen)
    shape = (len(table.images), len(model.shared_encoder.standardise.mean))
    out = np.lib.format.open_memmap(to, "w+", np.float32, shape)
    with tqdm(total=len(rows), desc="features", unit="image", disable=not progress) as bar:
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            images = filled_up(table.batch(part, device).images, batch_size)
            found = model.backbone_features(images)[: len(part)]
            if not torch.isfinite(found).all():
                raise FloatingPointError("a feature of the frozen backbone is not finite")
            out[part] = found.float().cpu().numpy()
            bar.update(len(part))
    out.flush()


def _is_whole(file: Path, rows: int) -> bool:
    try:
        return len(np.load(file, mmap_mode="r")) == rows
    except (OSError, ValueError):
        return False


def _digest(model: FairEncoder, more: str) -> str:
    """Of all that decides the features but the images: network, weights, scaling, arithmetic."""
    frozen = model.shared_encoder
    assert isinstance(frozen, Frozen)
    digest = hashlib.sha256(f"{more} {torch.__version__} {torch.get_num_threads()}".encode())
    digest.update(f"{frozen.net} {model.input_norm} {model.precision}".encode())
    digest.update(f"{model.mean.tolist()} {model.std.tolist()}".encode())
    digest.update(state_digest(frozen.net).encode())
    return digest.hexdigest()[:16]
