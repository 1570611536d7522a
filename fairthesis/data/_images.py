"""Cohort -> decoded images, once: a uint8 array in a memory-mapped cache."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data._cohort import Cohort
from fairthesis.data._decoding import Pixels, decode
from fairthesis.data._image_cache import (
    Cache,
    DamagedCacheWarning,
    OutsideFolderWarning,
    cache_folder,
)
from fairthesis.data._image_files import READY
from fairthesis.data._preparing import read_reasons, reasons_beside
from fairthesis.errors import InputError

__all__ = [
    "DamagedCacheWarning",
    "OutsideFolderWarning",
    "UnreadableImageWarning",
    "cache_folder",
    "decode",
    "images_fingerprint",
    "prepared_images",
    "unreadable_images",
]


class UnreadableImageWarning(UserWarning):
    """Images of a cohort that could not be decoded and are left out."""


def prepared_images(
    cohort: Cohort,
    size: int,
    cache_dir: str | Path | None = None,
    *,
    workers: int | None = None,
    progress: bool = False,
    strict: bool = False,
) -> tuple[Pixels, NDArray[np.bool_]]:
    """The images of a cohort at ``size`` pixels, decoded or drawn once and then read from disk.

    Returns the images, uint8 of shape (n_images, size, size, channels) in the order of the
    frame, memory-mapped, and a mask of shape (n_images,): False where an image is missing or
    cannot be decoded (its pixels are 0). Those are named in an ``UnreadableImageWarning`` and in
    ``unreadable``; with ``strict`` the first of them is an ``InputError``.

    Files are turned upright by their EXIF tag, resized so that the short side fits and cropped at
    the centre; transparency is dropped, and 16-bit grey is stretched from its own minimum and
    maximum. The cache (``cache_dir``, else ``$FAIRTHESIS_CACHE``, else ``~/.cache/fairthesis``) is
    keyed by the cohort, the content of its files and the size: a file that changed is decoded
    again, and copies of a data set share what is the same in them. Every image has a checksum,
    compared at the first opening in a process; what is damaged is decoded again, with a
    ``DamagedCacheWarning``. A killed call is resumed where it stopped.
    """
    cache = Cache(cohort, size, cache_dir, workers, progress)
    store, records = cache.opened()
    ok = records["state"] == READY
    if not ok.all():
        listed = read_reasons(store.path)
        first = f"{listed['path'].iloc[0]!r} ({listed['reason'].iloc[0]})"
        message = f"{len(listed)} of {len(ok)} images of {cohort.name} cannot be read: {first}"
        if strict:
            raise InputError(f"{message}. Repair or remove them, or leave out strict.")
        at = reasons_beside(store.path)
        more = f" and others, listed in {at}" if len(listed) > 1 else ""
        warnings.warn(f"{message}{more}. Left out.", UnreadableImageWarning, stacklevel=2)
    return store.images(), ok


def images_fingerprint(
    cohort: Cohort,
    size: int,
    cache_dir: str | Path | None = None,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> str:
    """SHA-256 over the table *and* the content of every image file, 16 hexadecimal digits.

    That of ``cohort.fingerprint()`` where images are drawn, since it holds all that they depend on.
    The images are prepared if they are not, which reads the files anyway; afterwards only files
    that changed are read.
    """
    if cohort.render is not None:
        return cohort.fingerprint()
    cache = Cache(cohort, size, cache_dir, workers, progress)
    store, _ = cache.opened()
    return hashlib.sha256(f"{cohort.fingerprint()}\n{store.path.stem}".encode()).hexdigest()[:16]


def unreadable_images(
    cohort: Cohort, size: int, cache_dir: str | Path | None = None
) -> pd.DataFrame:
    """``image_id, path, reason`` of the images that ``prepared`` could not read."""
    cache = Cache(cohort, size, cache_dir)
    return read_reasons(cache.remembered())
