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
from fairthesis.data._overlay import OverlaidImages, Overlay
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
    """Images of a cohort that could not be decoded and are left out (the mask is False there).

    With ``strict`` the first of them is an ``InputError`` instead.

    >>> import tempfile
    >>> frame = pd.DataFrame({"image_id": ["1"], "patient_id": ["a"], "split": ["train"]})
    >>> with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     lost = Cohort("mine", frame.assign(path="gone.png"), (), (), root=Path(name))
    ...     images, ok = prepared_images(lost, 16, Path(name) / "cache")
    >>> ok.tolist(), str(caught[0].message)
    ([False], "1 of 1 images of mine cannot be read: 'gone.png' (no such file). Left out.")
    """


def prepared_images(
    cohort: Cohort,
    size: int,
    cache_dir: str | Path | None = None,
    *,
    workers: int | None = None,
    progress: bool = False,
    strict: bool = False,
) -> tuple[Pixels | OverlaidImages, NDArray[np.bool_]]:
    """The images of a cohort at ``size`` pixels, decoded or drawn once and then read from disk.

    Files are turned upright by their EXIF tag, resized so that the short side fits and cropped at
    the centre; transparency is dropped, and grey of more than 8 bits, and DICOM, are shown through
    the cohort's ``window``. The cache is keyed by the cohort, the content of its files and the
    size: a file that changed is decoded again, and copies of a data set share what is the same in
    them. Every image has a checksum, compared at the first opening in a process; what is damaged is
    decoded again, with a ``DamagedCacheWarning``. A killed call is resumed where it stopped.

    Args:
        cohort: the cohort.
        size: the edge in pixels, 8 or larger.
        cache_dir: the folder of all caches, as of ``cache_folder``.
        workers: threads that decode; by default one per core, at most 8.
        progress: show a progress bar.
        strict: refuse images that cannot be read instead of leaving them out.

    Returns:
        The images, uint8 of shape (n_images, size, size, channels) in the order of the frame,
        memory-mapped; and a mask of shape (n_images,), False where an image is missing or cannot be
        decoded. Its pixels are 0, and it is named in an ``UnreadableImageWarning`` and by
        ``unreadable_images``. Where something is drawn into some of the images, ``OverlaidImages``
        read them by row from two such arrays.

    Raises:
        InputError: for a path that leaves the data set's folder, a cache that cannot be written or
            is full, a size below 8, with ``strict`` for an image that cannot be read, and for DICOM
            files where the packages that read them are not installed.

    >>> import tempfile
    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-derm", n_train=4, n_val=2, n_test=2)
    >>> with tempfile.TemporaryDirectory() as name:
    ...     images, ok = prepared_images(cohort, 32, name)
    ...     images.shape, images.dtype.name, bool(ok.all())
    ((8, 32, 32, 3), 'uint8', True)
    """
    _require_images(cohort)
    if isinstance(cohort.render, Overlay):
        how = {"workers": workers, "progress": progress, "strict": strict}
        return cohort.render.images(size, cache_dir, **how)
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


def _require_images(cohort: Cohort) -> None:
    if cohort.vectors is not None:
        raise InputError(
            f"The cohort {cohort.name} has vectors in the place of images: expected a data set of "
            "images."
        )


def images_fingerprint(
    cohort: Cohort,
    size: int,
    cache_dir: str | Path | None = None,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> str:
    """SHA-256 over the table *and* the content of every image file, 16 hexadecimal digits.

    That of ``cohort.fingerprint()`` where images are drawn or the cohort has vectors, since it
    holds all that they depend on.
    The images are prepared if they are not, which reads the files anyway; afterwards only files
    that changed are read. The arguments are those of ``prepared_images``.

    >>> import tempfile
    >>> from PIL import Image
    >>> frame = pd.DataFrame({"image_id": ["1"], "patient_id": ["a"], "split": ["test"]})
    >>> with tempfile.TemporaryDirectory() as name:
    ...     cohort = Cohort("mine", frame.assign(path="1.png"), (), (), root=Path(name))
    ...     Image.new("L", (20, 20), 90).save(Path(name) / "1.png")
    ...     before = images_fingerprint(cohort, 16, Path(name) / "cache")
    ...     Image.new("L", (20, 20), 91).save(Path(name) / "1.png")
    ...     after = images_fingerprint(cohort, 16, Path(name) / "cache")
    >>> len(before), before == after  # the table is the same, one pixel's value is not
    (16, False)
    """
    if isinstance(cohort.render, Overlay):
        of = images_fingerprint(
            cohort.render.pictures, size, cache_dir, workers=workers, progress=progress
        )
        return hashlib.sha256(f"{cohort.fingerprint()}\n{of}".encode()).hexdigest()[:16]
    if cohort.render is not None or cohort.vectors is not None:
        return cohort.fingerprint()
    cache = Cache(cohort, size, cache_dir, workers, progress)
    store, _ = cache.opened()
    return hashlib.sha256(f"{cohort.fingerprint()}\n{store.path.stem}".encode()).hexdigest()[:16]


def unreadable_images(
    cohort: Cohort, size: int, cache_dir: str | Path | None = None
) -> pd.DataFrame:
    """Which images ``prepared_images`` could not read, and why.

    Returns:
        A row per image with the columns ``image_id``, ``path`` and ``reason`` (all text); no rows
        where all could be read, or where the images were not prepared at this size yet.

    >>> import tempfile
    >>> frame = pd.DataFrame(
    ...     {"image_id": ["1"], "patient_id": ["a"], "split": ["test"], "path": ["1.png"]}
    ... )
    >>> with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", UnreadableImageWarning)
    ...     cohort = Cohort("mine", frame, (), (), root=Path(name))
    ...     (Path(name) / "1.png").touch()
    ...     images, ok = prepared_images(cohort, 16, Path(name) / "cache")
    ...     table = unreadable_images(cohort, 16, Path(name) / "cache")
    >>> table["image_id"].tolist(), table["reason"].iloc[0].partition(":")[0]
    (['1'], 'cannot identify image file')
    """
    if isinstance(cohort.render, Overlay):
        lost = unreadable_images(cohort.render.pictures, size, cache_dir)
        return lost[lost["image_id"].isin(cohort.frame["image_id"])].reset_index(drop=True)
    cache = Cache(cohort, size, cache_dir)
    return read_reasons(cache.remembered())
