"""Decoded images in one file: an array, and behind it a record with checksums of each image."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from fairthesis.data._decoding import Pixels
from fairthesis.data._image_files import RECORD, Records, intact, opener, sealed
from fairthesis.errors import InputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

Shape = tuple[int, int, int, int]


class PixelFile:
    """Images of ``shape`` (n, size, size, channels), uint8, as ``.npy``, then a record of each.

    Read through a memory map, written as a file: where a disk is full, a write says so, and a
    store into a memory map ends the process.
    """

    def __init__(self, path: Path, shape: Shape) -> None:
        self.path, self.shape = path, shape
        head = io.BytesIO()
        told = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(head, told)
        self.head = head.getvalue()
        self.each = int(np.prod(shape[1:]))
        self.behind = len(self.head) + shape[0] * self.each  # where the records begin
        self.length = self.behind + shape[0] * RECORD.itemsize
        self._one = threading.Lock()
        self._handle: BinaryIO | None = None

    def is_whole(self) -> bool:
        """Whether the file is there, with this very shape and all its length."""
        try:
            with self.path.open("rb") as handle:
                return handle.read(len(self.head)) == self.head and self._long() >= self.length
        except OSError:
            return False

    def _long(self) -> int:
        return self.path.stat().st_size

    def images(self) -> Pixels:
        """The images, memory-mapped copy-on-write, so that nobody can change the file."""
        return np.memmap(self.path, np.uint8, "c", len(self.head), self.shape)

    def records(self) -> Records:
        """The records, those that are damaged or were never written set to zero."""
        with self.path.open("rb") as handle:
            handle.seek(self.behind)
            raw = handle.read(self.shape[0] * RECORD.itemsize)
        records = np.zeros(self.shape[0], RECORD)
        found = np.frombuffer(raw[: len(raw) // RECORD.itemsize * RECORD.itemsize], RECORD)
        right = np.flatnonzero(intact(found))
        records[right] = found[right]
        return records

    def right(self, records: Records, rows: NDArray[np.intp], workers: int) -> NDArray[np.bool_]:
        """Which of ``rows`` hold the pixels that their records tell of, shape (len(rows),)."""
        if not len(rows):
            return np.zeros(0, dtype=np.bool_)
        long = self._long()  # a page behind the end of a file is none
        images = np.memmap(
            self.path, np.uint8, "r", len(self.head), (self._held(long), *self.shape[1:])
        )

        def check(part: NDArray[np.intp]) -> list[bool]:
            # `crc32` lets other threads run while it reads.
            return [
                i < len(images) and zlib.crc32(images[i]) == records["pixels"][i]
                for i in part.tolist()
            ]

        with ThreadPoolExecutor(workers) as pool:
            parts = np.array_split(rows, min(len(rows), 8 * workers))
            return np.array(
                [one for part in pool.map(check, parts) for one in part], dtype=np.bool_
            )

    def _held(self, long: int) -> int:
        return max(1, min(self.shape[0], (long - len(self.head)) // self.each))

    @contextlib.contextmanager
    def open_to_write(self) -> Iterator[None]:
        """Open the file for ``write``: as it was left, or empty where it is of another shape."""
        with contextlib.suppress(OSError), self.path.open("rb") as old:
            if old.read(len(self.head)) != self.head or self._long() < len(self.head) + self.each:
                self.path.unlink()
        with open(self.path, "r+b", opener=opener) as handle:
            self._handle = handle
            handle.write(self.head)
            try:
                yield
                handle.flush()
                os.fsync(handle.fileno())
            finally:
                self._handle = None

    def write(self, first: int, pixels: Pixels, records: Records) -> None:
        """Write images from row ``first`` on and then their records; from any thread."""
        records["pixels"] = [zlib.crc32(image) for image in pixels]
        told = sealed(records, first).tobytes()
        with self._one:
            assert self._handle is not None
            self._handle.seek(len(self.head) + first * self.each)
            self._handle.write(np.ascontiguousarray(pixels).data)
            self._handle.seek(self.behind + first * RECORD.itemsize)
            self._handle.write(told)

    def check_room(self, what: str) -> None:
        """Raise ``InputError`` where what is not yet on the disk has no room there."""
        held = 0
        with contextlib.suppress(OSError):
            found = self.path.stat()
            held = getattr(found, "st_blocks", found.st_size // 512) * 512
        needed, free = self.length - held, shutil.disk_usage(self.path.parent).free
        if needed > free:
            unit, name = (1e9, "GB") if needed > 1e8 else (1e3, "kB")
            raise InputError(
                f"{what} take {needed / unit:.1f} {name}, and {free / unit:.1f} {name} are free at "
                f"{str(self.path.parent)!r}: choose another cache or a smaller size."
            )

    def named(self, path: Path) -> None:
        """Give the written file its name."""
        self.path.replace(path)
        self.path = path
        if sys.platform != "win32":  # the name, too, is to outlive a power cut
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                with contextlib.suppress(OSError):
                    os.fsync(folder)
            finally:
                os.close(folder)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which goes with the process; wait for another that holds it."""
    with open(folder / "lock", "a+b", opener=opener) as handle:
        # Some network file systems have no locks: two processes then write the same bytes twice.
        with contextlib.suppress(OSError):
            _lock(handle)
        yield


def _lock(handle: BinaryIO) -> None:
    if sys.platform == "win32":
        while True:
            handle.seek(0)
            try:  # waits for ten seconds, then gives up
                return msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
            except OSError as error:
                if error.errno not in (errno.EDEADLK, errno.EACCES):
                    raise
    fcntl.flock(handle, fcntl.LOCK_EX)


@contextlib.contextmanager
def said(folder: Path) -> Iterator[None]:
    """Turn what the file system refuses to write into an ``InputError``."""
    try:
        yield
    except OSError as error:
        where = f"the cache of images in {str(folder)!r}"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"The disk is full: {where} cannot be filled. Make room, and the same command "
                "goes on from there; or choose another cache."
            ) from error
        raise InputError(
            f"Cannot write {where}: {error.strerror or error}. Choose another folder with "
            "cache_dir (--cache-dir) or $FAIRTHESIS_CACHE."
        ) from error
