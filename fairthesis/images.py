"""Cohort -> decoded images, once: a uint8 array in a memory-mapped cache."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from fairthesis.cohort import Cohort
from fairthesis.errors import InputError
from fairthesis.schema import write_table

try:
    import fcntl
except (
    ImportError
):  # Windows: two processes that prepare the same cohort at once are not kept apart
    fcntl = None  # type: ignore[assignment]

Pixels = NDArray[np.uint8]
BLOCK = 1024  # images between two notes of progress
RUN = 16  # images that a worker takes at a time
MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs
_PENDING, _READY, _UNREADABLE = 0, 1, 2


class UnreadableImageWarning(UserWarning):
    """Images of a cohort that could not be decoded and are left out."""


def prepared(
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
    keyed by the cohort, its files and the size. A killed call is resumed where it stopped.
    """
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 8:
        raise InputError(f"Expected size to be an integer of 8 or larger, but got {size!r}.")
    if workers is not None and workers < 1:
        raise InputError(f"Expected workers to be 1 or larger, but got {workers}.")
    home = cache_folder(cohort, size, cache_dir)
    shape = (len(cohort), int(size), int(size), cohort.channels)
    opened = _open(home, shape)
    if opened is None:
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home):
            opened = _open(home, shape)  # another process may have been first
            if opened is None:
                _build(cohort, home, shape, workers or min(os.cpu_count() or 1, 8), progress)
                opened = _open(home, shape)
    if opened is None:
        raise InputError(
            f"The cache in {str(home)!r} cannot be read back: delete it and try again."
        )
    images, state = opened
    ok = state == _READY
    if not ok.all():
        listed = pd.read_csv(home / "unreadable.csv", dtype=str, keep_default_na=False)
        first = f"{listed['path'].iloc[0]!r} ({listed['reason'].iloc[0]})"
        message = f"{len(listed)} of {len(ok)} images of {cohort.name} cannot be read: {first}"
        if strict:
            raise InputError(f"{message}. Repair or remove them, or leave out strict.")
        more = f" and others, listed in {home / 'unreadable.csv'}" if len(listed) > 1 else ""
        warnings.warn(f"{message}{more}. Left out.", UnreadableImageWarning, stacklevel=2)
    return images, ok


def unreadable(cohort: Cohort, size: int, cache_dir: str | Path | None = None) -> pd.DataFrame:
    """``image_id, path, reason`` of the images that ``prepared`` could not read."""
    path = cache_folder(cohort, size, cache_dir) / "unreadable.csv"
    if not path.exists():
        return pd.DataFrame({"image_id": [], "path": [], "reason": []}, dtype=str)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def cache_folder(cohort: Cohort, size: int, cache_dir: str | Path | None = None) -> Path:
    """Where the images of a cohort at ``size`` are kept.

    The name holds the cohort's fingerprint and a digest of the files' paths and lengths, so that
    another copy of the data set, or a repaired file, gets a cache of its own.
    """
    key = cohort.fingerprint()
    if cohort.render is None:
        digest = hashlib.sha256()
        for path, name in zip(_paths(cohort), cohort.frame["path"], strict=True):
            try:
                length = path.stat().st_size
            except OSError:
                length = -1
            digest.update(f"{name}\0{length}\n".encode())
        key += "-" + digest.hexdigest()[:8]
    return _cache_root(cache_dir) / f"{cohort.name}-{key}-{size}"


def _cache_root(cache_dir: str | Path | None) -> Path:
    if cache_dir is not None:
        return Path(cache_dir)
    if os.environ.get("FAIRTHESIS_CACHE"):
        return Path(os.environ["FAIRTHESIS_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairthesis"


def _paths(cohort: Cohort) -> list[Path]:
    """The image files; a path that leaves the data set's folder is refused."""
    root = cohort.root or Path()
    for name in cohort.frame["path"]:
        parts = PurePosixPath(str(name).replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or "\0" in str(name) or str(name)[1:2] == ":":
            raise InputError(
                f"The path {name!r} of {cohort.name} leaves the data set's folder: expected a path "
                "relative to it."
            )
    return [root / str(name) for name in cohort.frame["path"]]


def _open(home: Path, shape: tuple[int, ...]) -> tuple[Pixels, Pixels] | None:
    """The finished cache, copy-on-write so that nobody can change it, or None."""
    try:
        images = np.load(home / "images.npy", mmap_mode="c")
        state = np.load(home / "state.npy")
    except (OSError, ValueError, EOFError):
        return None
    fits = images.shape == shape and images.dtype == np.uint8 and state.shape == shape[:1]
    return (images, state) if fits and (state != _PENDING).all() else None


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    with (home / "lock").open("w") as handle:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _build(
    cohort: Cohort, home: Path, shape: tuple[int, ...], workers: int, progress: bool
) -> None:
    """Fill the cache block by block.

    ``state.npy`` is the journal: a block is marked there after its pixels are on disk, and the
    pixels get their final name after the last block.
    """
    n, size = shape[0], shape[1]
    needed, free = int(np.prod(shape)), shutil.disk_usage(home).free
    if needed > free:
        raise InputError(
            f"The images of {cohort.name} at size {size} take {needed / 1e9:.1f} GB, and "
            f"{free / 1e9:.1f} GB are free at {str(home)!r}: choose another cache or a smaller "
            "size."
        )
    paths = _paths(cohort) if cohort.render is None else []

    def read(rows: NDArray[np.intp]) -> list[tuple[int, str]]:
        """Decode into place; gives row and reason of what cannot be read."""
        failed: list[tuple[int, str]] = []
        for i in rows.tolist():
            result = decode(paths[i], size, cohort.channels)
            if isinstance(result, str):
                failed.append((i, result))
                pixels[i] = 0
            else:
                pixels[i] = result
        return failed

    pixels, state = _partial(home, "partial.npy", shape), _partial(home, "state.npy", shape[:1])
    problems: list[tuple[str, str, str]] = []
    blocks = [slice(i, min(i + BLOCK, n)) for i in range(0, n, BLOCK)]
    bar = tqdm(total=n, desc=f"{cohort.name} at {size} px", unit="image", disable=not progress)
    with bar, ThreadPoolExecutor(workers) as pool:
        for block in blocks:
            rows = np.arange(block.start, block.stop)
            if not (state[block] == _READY).all():
                if cohort.render is not None:
                    parts = np.array_split(rows, min(4 * workers, len(rows)))
                    drawn = pool.map(cohort.render, parts, itertools.repeat(size))
                    pixels[block] = np.concatenate(list(drawn))
                    fate = np.full(len(rows), _READY, dtype=np.uint8)
                else:
                    # several images to a task: handing over each by itself costs a tenth
                    parts = np.array_split(rows, -(-len(rows) // RUN))
                    fate = np.full(len(rows), _READY, dtype=np.uint8)
                    for i, reason in itertools.chain.from_iterable(pool.map(read, parts)):
                        fate[i - block.start] = _UNREADABLE
                        row = cohort.frame.iloc[i]
                        problems.append((row["image_id"], row["path"], reason))
                pixels.flush()
                state[block] = fate
                state.flush()
            bar.update(len(rows))
    if problems:
        table = pd.DataFrame(problems, columns=["image_id", "path", "reason"])
        write_table(table, home / "unreadable.csv")
    del pixels, state
    (home / "partial.npy").replace(home / "images.npy")


def _partial(
    home: Path, name: str, shape: tuple[int, ...]
) -> np.memmap[tuple[int, ...], np.dtype[np.uint8]]:
    """An array on disk to be filled: what a killed call left, or a fresh one of zeros."""
    path = home / name
    fresh = name == "state.npy" and not (home / "partial.npy").exists()
    if path.exists() and not fresh:
        with contextlib.suppress(OSError, ValueError, EOFError):
            kept = np.lib.format.open_memmap(path, mode="r+")
            if kept.shape == shape and kept.dtype == np.uint8:
                return kept
    if name == "partial.npy":
        (home / "state.npy").unlink(missing_ok=True)
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def decode(path: Path, size: int, channels: int) -> Pixels | str:
    """An image file as uint8 of shape (size, size, channels), or the reason why it is not one."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"{image.width} x {image.height} pixels, more than {MAX_PIXELS}"
            # JPEG can be decoded at a half, quarter or eighth: much faster, and enough for 2x size.
            image.draft(None, (2 * size, 2 * size))
            ImageOps.exif_transpose(image, in_place=True)  # no copy of what is upright
            mode = "L" if channels == 1 else "RGB"
            plain = _eight_bits(image)
            plain = plain if plain.mode == mode else plain.convert(mode)
            fitted = ImageOps.fit(plain, (size, size), Image.Resampling.BICUBIC)
    except FileNotFoundError:
        return "no such file"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return str(error)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        return f"{type(error).__name__}: {error}".replace(str(path.parent), "").strip()
    return np.asarray(fitted, dtype=np.uint8).reshape(size, size, channels)


def _eight_bits(image: Image.Image) -> Image.Image:
    """8 bits per channel, palettes resolved, deeper grey stretched from its minimum to maximum."""
    if image.mode.startswith("I") or image.mode == "F":
        deep = np.asarray(image, dtype=np.float32)
        low, high = float(deep.min()), float(deep.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise ValueError("pixels that are not finite")
        scaled = (deep - low) * (255 / (high - low) if high > low else 0)
        return Image.fromarray(np.round(scaled).astype(np.uint8))
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image
