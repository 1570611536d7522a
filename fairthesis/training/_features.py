"""Features of a frozen backbone: computed once, kept on disk, and read as vectors afterwards."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fairthesis.data import (
    Cohort,
    OverlaidImages,
    Overlay,
    Vectors,
    cache_folder,
    images_fingerprint,
)
from fairthesis.models import FairEncoder, Frozen, state_digest
from fairthesis.storage import write_atomically
from fairthesis.training._batches import Table, images_tensor
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
    Where a marker is drawn into some images, the features of all images with it and of all without
    it are computed once: cohorts that differ in which images have it, or in the split, share them.
    """
    frozen = model.shared_encoder
    assert isinstance(frozen, Frozen) and not isinstance(table.images, Vectors)
    images, places = table.images, np.arange(len(table.images))
    rows = np.sort(np.concatenate(list(table.rows.values())))
    if isinstance(images, OverlaidImages):
        images, places = images.both(), images.places()
        rows = np.arange(len(images))
    file, digest = _file(model, cohort, size, batch_size, data_fingerprint)
    if not _is_whole(file, len(images)):
        write_atomically(file, lambda to: _write(to, images, model, rows, batch_size, progress))
    found = Vectors(np.load(file, mmap_mode="r"), places, digest)
    frozen.standardise.fit(*map(torch.from_numpy, found.moments(table.rows["train"])))
    return replace(table, images=found)


def kept_features(model: FairEncoder, cohort: Cohort, size: int, batch_size: int) -> Vectors | None:
    """What ``with_features`` kept of a cohort's images; None where it kept nothing, or not of all.

    A cohort whose images are drawn into is found whichever of them are: also some of its rows, and
    their twins.
    """
    if not isinstance(model.shared_encoder, Frozen) or cohort.vectors is not None:
        return None
    overlay = cohort.render if isinstance(cohort.render, Overlay) else None
    fingerprint = "" if overlay else images_fingerprint(cohort, size)
    file, digest = _file(model, cohort, size, batch_size, fingerprint)
    n = len(cohort) if overlay is None else 2 * len(overlay.pictures)
    if not _is_whole(file, n):
        return None
    places = np.arange(n) if overlay is None else overlay.rows + n // 2 * overlay.shown
    return Vectors(np.load(file, mmap_mode="r"), places, digest)


def _file(
    model: FairEncoder, cohort: Cohort, size: int, batch_size: int, data_fingerprint: str
) -> tuple[Path, str]:
    """Where the features of a cohort's images are kept, and the digest in its name."""
    if isinstance(cohort.render, Overlay):
        data_fingerprint = cohort.render.content(size)
    device = next(model.parameters()).device
    digest = _digest(model, f"{data_fingerprint} {size} {batch_size} {device.type}")
    return cache_folder(cohort, size) / f"features-{digest}.npy", digest


@torch.no_grad()
def _write(
    to: Path,
    images: NDArray[np.uint8] | OverlaidImages,
    model: FairEncoder,
    rows: NDArray[np.intp],
    batch_size: int,
    progress: bool,
) -> None:
    device = next(model.parameters()).device
    model.eval()
    assert isinstance(model.shared_encoder, Frozen)
    shape = (len(images), len(model.shared_encoder.standardise.mean))
    out = np.lib.format.open_memmap(to, "w+", np.float32, shape)
    with tqdm(total=len(rows), desc="features", unit="image", disable=not progress) as bar:
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            batch = filled_up(images_tensor(images[part], device), batch_size)
            found = model.backbone_features(batch)[: len(part)]
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
