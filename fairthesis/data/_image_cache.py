"""Where the decoded images of a cohort lie, and what is to be made of them anew."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fairthesis.data._cohort import Cohort
from fairthesis.data._image_files import READY, UNREADABLE, Files, Records, key, load
from fairthesis.data._overlay import Overlay
from fairthesis.data._pixel_file import PixelFile, Shape, alone, said
from fairthesis.data._preparing import (
    Source,
    done_before,
    drawn,
    fill,
    forget,
    from_files,
    read_reasons,
    write_reasons,
)
from fairthesis.errors import InputError
from fairthesis.machine import usable_cpus

LAYOUT = "3"  # of the cache; another where decoding gives other pixels, or a file another layout
_verified: dict[Path, tuple[int, ...]] = {}  # whose checksums were compared in this process


class OutsideFolderWarning(UserWarning):
    """Images of a data set that links lead out of its folder; they are read where they lie.

    Where the links are meant, ``warnings.simplefilter("ignore", OutsideFolderWarning)`` silences
    it.

    >>> import tempfile
    >>> import pandas as pd
    >>> from PIL import Image
    >>> from fairthesis.data import prepared_images
    >>> row = {"image_id": ["1"], "patient_id": ["a"], "split": ["test"], "path": ["1.png"]}
    >>> with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     home = Path(name) / "home"
    ...     home.mkdir()
    ...     Image.new("L", (20, 20)).save(Path(name) / "elsewhere.png")
    ...     (home / "1.png").symlink_to(Path(name) / "elsewhere.png")
    ...     cohort = Cohort("mine", pd.DataFrame(row), (), (), root=home)
    ...     images, ok = prepared_images(cohort, 16, Path(name) / "cache")
    >>> [one.category.__name__ for one in caught], ok.tolist()
    (['OutsideFolderWarning'], [True])
    """


class DamagedCacheWarning(UserWarning):
    """Decoded images whose checksum was wrong; they were decoded again and are right now.

    >>> import tempfile
    >>> from fairthesis import datasets
    >>> from fairthesis.data import prepared_images
    >>> cohort = datasets.load("synthetic-cxr", n_train=4, n_val=2, n_test=2)
    >>> with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     before = prepared_images(cohort, 16, name)[0].copy()
    ...     file = next(Path(name).rglob("images.npy"))
    ...     content = bytearray(file.read_bytes())
    ...     content[200] ^= 1  # a bit of the first image
    ...     _ = file.write_bytes(content)
    ...     after = prepared_images(cohort, 16, name)[0].copy()
    >>> [one.category.__name__ for one in caught], bool((before == after).all())
    (['DamagedCacheWarning'], True)
    """


def cache_folder(cohort: Cohort, size: int, cache_dir: str | Path | None = None) -> Path:
    """Where the images of a cohort at ``size`` are kept; nothing is read or made.

    The name holds the cohort's fingerprint and, for images in files, a digest of their names. In
    it lie an array for each content that the files had, and for each folder of data what was found
    in its files; for images that are drawn one array. Of images that something is drawn into it is
    the folder of the images as they are.

    Args:
        cohort: the cohort.
        size: the images' edge in pixels.
        cache_dir: the folder of all caches; by default ``$FAIRTHESIS_CACHE``, else
            ``$XDG_CACHE_HOME/fairthesis``, else ``~/.cache/fairthesis``.

    Raises:
        InputError: where none is given and the user has no home folder.

    >>> from fairthesis import datasets
    >>> cohort = datasets.load("synthetic-cxr", n_train=4, n_val=2, n_test=2)
    >>> folder = cache_folder(cohort, 64, "cache")
    >>> folder.name == f"synthetic-cxr-{cohort.fingerprint()}-64-v3", folder.exists()
    (True, False)
    """
    if isinstance(cohort.render, Overlay):
        return cache_folder(cohort.render.pictures, size, cache_dir)
    what = cohort.fingerprint()
    if cohort.render is None:
        names = "\n".join(map(str, cohort.frame["path"]))
        what += "-" + hashlib.sha256(names.encode(errors="surrogateescape")).hexdigest()[:8]
    return cache_root(cache_dir) / f"{cohort.name}-{what}-{size}-v{LAYOUT}"


def cache_root(cache_dir: str | Path | None) -> Path:
    if cache_dir is not None:
        return Path(cache_dir)
    if os.environ.get("FAIRTHESIS_CACHE"):
        return Path(os.environ["FAIRTHESIS_CACHE"])
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "fairthesis"
    try:
        return Path.home() / ".cache" / "fairthesis"
    except RuntimeError as error:  # of a user without one, as in some containers
        raise InputError(
            "There is no home folder to keep decoded images in: give cache_dir (--cache-dir) or "
            "set $FAIRTHESIS_CACHE."
        ) from error


def _paths(cohort: Cohort) -> list[str]:
    """The image files; a path that leaves the data set's folder is refused."""
    root = cohort.root or Path()
    for name in cohort.frame["path"]:
        parts = PurePosixPath(str(name).replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or "\0" in str(name) or str(name)[1:2] == ":":
            raise InputError(
                f"The path {name!r} of {cohort.name} leaves the data set's folder: expected a path "
                "relative to it."
            )
    return [str(root / str(name)) for name in cohort.frame["path"]]


def led_outside(root: Path, paths: Sequence[str]) -> list[str]:
    """Those of the files that links lead to a place outside of the data set's folder."""
    home = os.path.realpath(root).rstrip(os.sep) + os.sep
    folders: dict[str, str] = {}  # of a path -> where it really is
    outside = []
    for path in paths:
        folder, name = os.path.split(path)
        real = os.path.join(folders.setdefault(folder, os.path.realpath(folder)), name)  # noqa: PTH118
        if os.path.islink(real):  # noqa: PTH114
            real = os.path.realpath(real)
        if not real.startswith(home):
            outside.append(path)
    return outside


class Cache:
    """The images of a cohort at one size, on disk."""

    def __init__(
        self,
        cohort: Cohort,
        size: int,
        cache_dir: str | Path | None,
        workers: int | None = None,
        progress: bool = False,
    ) -> None:
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 8:
            raise InputError(f"Expected size to be an integer of 8 or larger, but got {size!r}.")
        if workers is not None and workers < 1:
            raise InputError(f"Expected workers to be 1 or larger, but got {workers}.")
        self.cohort, self.progress = cohort, progress
        self.workers = workers or min(usable_cpus(), 8)
        self.shape: Shape = (len(cohort), int(size), int(size), cohort.channels)
        self.home = cache_folder(cohort, size, cache_dir)
        self.files: Files | None = None
        if cohort.render is None:
            paths = _paths(cohort)
            place = os.path.realpath(cohort.root or ".").encode(errors="surrogateescape")
            index = f"files-{hashlib.sha256(place).hexdigest()[:16]}.bin"
            self.files = Files(paths, self.home / index)

    def opened(self) -> tuple[PixelFile, Records]:
        """The finished file of pixels and its records, all of them right."""
        with said(self.home):
            found = self._finished()
            if found is None:
                # Who may read pictures of patients is decided where they lie: not by a cache.
                self.home.parent.mkdir(parents=True, exist_ok=True)
                patients = self.files is not None or self.cohort.root is not None
                self.home.mkdir(mode=0o700 if patients else 0o777, exist_ok=True)
                with alone(self.home):
                    # another process may have been first
                    found = self._finished() or self._repaired() or self._built()
        return found

    def path(self) -> Path | None:
        """Where the pixels belong; None while the content of a file is not known."""
        content = "" if self.files is None else self.files.key()
        return None if content is None else self._path(content)

    def remembered(self) -> Path:
        """Where the pixels belong by what was last found in the files."""
        if self.files is None:
            return self._path("")
        return self._path(key(load(self.files.index, len(self.cohort))))

    def _path(self, content: str) -> Path:
        return self.home / (f"images-{content}.npy" if content else "images.npy")

    def _finished(self) -> tuple[PixelFile, Records] | None:
        """The file of pixels for the files as they are now; None if anything is to be made."""
        if self.files is not None:
            self.files.look()
            if not self.files.known.all() and self._others():
                self.files.read_unknown(self.workers, self.progress)
        path = self.path()
        if path is None or not (store := PixelFile(path, self.shape)).is_whole():
            return None
        records = store.records()
        return None if self._wrong(store, records).any() else (store, records)

    def _others(self) -> list[PixelFile]:
        """What was decoded of the same names, in this folder or another."""
        found = [PixelFile(path, self.shape) for path in self.home.glob("images-*.npy")]
        return [store for store in found if store.is_whole()]

    def _wrong(self, store: PixelFile, records: Records) -> NDArray[np.bool_]:
        """Which images are damaged, or cannot be read and nothing says why; shape (n,)."""
        wrong = ~np.isin(records["state"], (READY, UNREADABLE))
        if self.files is not None:
            wrong |= records["content"] != self.files.records["content"]
        now = store.path.stat()
        stamp = (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        if _verified.get(store.path) != stamp:
            rows = np.flatnonzero(~wrong)
            wrong[rows] = ~store.right(records, rows, self.workers)
            if not wrong.any():
                _verified[store.path] = stamp
        lost = records["state"] == UNREADABLE
        if lost.sum() != len(read_reasons(store.path)):
            wrong |= lost
        return wrong

    def _source(self, store: PixelFile) -> Source:
        if self.files is not None:
            others = [other for other in self._others() if other.path != store.path]
            return from_files(self.files, store, others, self.cohort.window)
        assert self.cohort.render is not None
        return drawn(self.cohort.render, self.shape[1])

    def _repaired(self) -> tuple[PixelFile, Records] | None:
        """Decode damaged images again in their place; None where there is no whole file."""
        path = self.path()
        if path is None or not (store := PixelFile(path, self.shape)).is_whole():
            return None
        records = store.records()
        lost = records["state"] == UNREADABLE
        wrong = self._wrong(store, records)
        with store.open_to_write(), self._bar(0) as bar:
            rows = np.flatnonzero(wrong | lost)
            problems = fill(store, rows, self._source(store), self.workers, bar)
        if self.path() != path:
            raise InputError(
                f"Files of {self.cohort.name} changed while they were read: wait until they are "
                "at rest and try again."
            )
        write_reasons(path, self.cohort.frame, problems)
        if (wrong & ~lost).any():
            self._warn(f"{(wrong & ~lost).sum()} of {len(wrong)} decoded images", path)
        return store, store.records()

    def _built(self) -> tuple[PixelFile, Records]:
        """Fill a new file of pixels, from where a killed call left it, and give it its name."""
        store = PixelFile(self.home / "partial.npy", self.shape)
        root = self.cohort.root or Path()
        if self.files is not None and (outside := led_outside(root, self.files.paths)):
            warnings.warn(
                f"Links lead {len(outside)} images of {self.cohort.name} out of {str(root)!r}: "
                f"{outside[0]!r} is in {os.path.realpath(outside[0])!r}. They are read there.",
                OutsideFolderWarning,
                stacklevel=4,
            )
        store.check_room(f"The images of {self.cohort.name} at size {self.shape[1]}")
        with store.open_to_write():
            done = done_before(store, self.files, self.workers)
            with self._bar(int(done.sum())) as bar:
                rows = np.flatnonzero(~done)
                problems = fill(store, rows, self._source(store), self.workers, bar)
        path = self.path()
        assert path is not None  # every file has been read
        write_reasons(path, self.cohort.frame, problems)
        broken = path.exists() and not PixelFile(path, self.shape).is_whole()
        store.named(path)
        if self.files is not None:
            self.files.save()
            forget(self.home, len(self.cohort))
        if broken:
            self._warn("The file of decoded images", path)
        return store, store.records()

    def _bar(self, done: int) -> tqdm[NoReturn]:
        told = f"{self.cohort.name} at {self.shape[1]} px"
        quiet = not self.progress
        return tqdm(total=len(self.cohort), initial=done, desc=told, unit="image", disable=quiet)

    def _warn(self, what: str, path: Path) -> None:
        warnings.warn(
            f"{what} of {self.cohort.name} in {str(path)!r} did not hold what was written there: "
            "made again. Is the disk sound?",
            DamagedCacheWarning,
            stacklevel=4,
        )
