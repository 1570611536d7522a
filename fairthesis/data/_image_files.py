"""What lies in the image files of a cohort: a digest of each file's bytes, read when it changed."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fairthesis.data._decoding import Pixels, decode_open
from fairthesis.data._image_opening import open_file, words
from fairthesis.data._windows import OWN
from fairthesis.errors import InputError
from fairthesis.storage import write_atomically

# What is known of one image. It carries a checksum of itself and of its place in the array, so
# that a record which is half written, damaged or in another's place counts as none.
RECORD = np.dtype(
    [
        ("state", "u1"),
        ("pixels", "<u4"),  # CRC-32 of the decoded pixels
        ("size", "<i8"),  # of the file, and its times, as the file system tells them
        ("mtime", "<i8"),
        ("ctime", "<i8"),
        ("inode", "<i8"),
        ("content", "V16"),  # of SHA-256 of the file's bytes; 0 where it could not be read
        ("check", "<u4"),
    ]
)
Records = NDArray[np.void]
Told = tuple[int, int, int, int, bytes]  # the fields STAT and the content
PENDING, READY, UNREADABLE = 0, 1, 2
STAT = ("size", "mtime", "ctime", "inode")
MISSING = -1  # as a file's size
AT_ONCE = 1 << 24  # bytes; a longer file is not held in memory
# Times of a file tick in steps (milliseconds, on some file systems 2 s): a file that changed a
# moment ago may change again and keep them. Such a file is read once more at the next opening.
YOUNG = 3_000_000_000


def sealed(records: Records, first: int) -> Records:
    """The records with their checksums set; ``first`` is the place of the first one."""
    records["check"] = _checks(records, first)
    return records


def intact(records: Records) -> NDArray[np.bool_]:
    """Which records are whole and in their place, shape (n,)."""
    return records["check"] == _checks(records, 0)


def _checks(records: Records, first: int) -> NDArray[np.uint32]:
    """CRC-32 of each record without its last field, from the number of its place on."""
    raw, width = records.tobytes(), RECORD.itemsize
    checks = [
        zlib.crc32(raw[i * width : (i + 1) * width - 4], first + i + 1) for i in range(len(records))
    ]
    return np.array(checks, dtype=np.uint32)


def as_they_lie(paths: Sequence[str]) -> Records:
    """A record of each file as the file system tells of it, content not read, shape (n,)."""
    records = np.zeros(len(paths), RECORD)
    told = np.array([_stat(path) for path in paths], dtype=np.int64).reshape(len(paths), len(STAT))
    for name, column in zip(STAT, told.T, strict=True):
        records[name] = column
    return records


def _stat(path: str) -> tuple[int, int, int, int]:
    try:
        return _told(os.stat(path))  # noqa: PTH116  a Path for each costs a fifth
    except OSError:
        return MISSING, 0, 0, 0


def _told(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino % 2**63


def same_file(a: Records, b: Records) -> NDArray[np.bool_]:
    """Whether two records tell of the same file, unchanged as far as the file system tells."""
    return np.logical_and.reduce([a[name] == b[name] for name in STAT])


def read(path: str, size: int, channels: int, window: str = OWN) -> tuple[Told, Pixels | str]:
    """What is recorded of a file, and its pixels or why there are none, from one reading."""
    try:
        with open_file(path) as handle:
            told, source = _digested(handle)
            return told, decode_open(source, size, channels, window, path)
    except OSError as error:
        return _not_read(path), words(error)


def content_of(path: str) -> Told:
    """What is recorded of a file, with the digest of its content."""
    try:
        with open_file(path) as handle:
            return _digested(handle)[0]
    except OSError:
        return _not_read(path)


def _digested(handle: BinaryIO) -> tuple[Told, BinaryIO]:
    """What is recorded of an open file, and its bytes once more from the start."""
    before = os.fstat(handle.fileno())
    source = handle
    if before.st_size <= AT_ONCE:
        data = handle.read()
        digest = hashlib.sha256(data)
        source = io.BytesIO(data)
    else:
        digest = hashlib.sha256()
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
        handle.seek(0)
    size, mtime, ctime, inode = _told(before)
    young = time.time_ns() - ctime < YOUNG
    if young or _told(os.fstat(handle.fileno())) != (size, mtime, ctime, inode):
        mtime -= 1  # no file's time: read again at the next opening
    return (size, mtime, ctime, inode, digest.digest()[:16]), source


def _not_read(path: str) -> Told:
    size, mtime, ctime, inode = _stat(path)
    # What is there and cannot be read may be readable another time.
    return size, mtime - (size != MISSING), ctime, inode, bytes(16)


def records_of(told: Sequence[Told]) -> Records:
    """The records of files, their images pending."""
    return np.array([(PENDING, 0, *one, 0) for one in told], dtype=RECORD)


class Files:
    """The image files of a cohort in their folder, and what is known of their content.

    ``index`` keeps that from one opening to the next. A file is believed to hold what it held
    while its length, its times (that of a change of its content *or* of its entry, which no
    program can set back) and its number stay as they were; else its bytes are read again.
    """

    def __init__(self, paths: Sequence[str], index: Path) -> None:
        self.paths, self.index = paths, index
        self.records = np.zeros(len(paths), RECORD)
        self.known = np.zeros(len(paths), dtype=np.bool_)

    def look(self) -> None:
        """Ask the file system about every file; the index is believed about unchanged ones."""
        self.records = as_they_lie(self.paths)
        kept = load(self.index, len(self.paths))
        self.known = intact(kept) & same_file(kept, self.records)
        self.records["content"][self.known] = kept["content"][self.known]
        self.known |= self.records["size"] == MISSING

    def believe(self, told: Records) -> NDArray[np.bool_]:
        """Take over what records of unchanged files tell; gives which tell what is known here."""
        new = same_file(told, self.records) & (told["state"] != PENDING) & ~self.known
        self.records["content"][new] = told["content"][new]
        self.known |= new
        same = told["content"] == self.records["content"]
        return self.known & same & same_file(told, self.records)

    def read_unknown(self, workers: int, progress: bool) -> None:
        """Read the files that are not known, without decoding them, and keep what was found."""
        rows = np.flatnonzero(~self.known)
        quiet = not progress or len(rows) < 1000
        told: list[Told] = []
        with (
            ThreadPoolExecutor(workers) as pool,
            tqdm(desc="files compared", total=len(rows), unit="file", disable=quiet) as bar,
        ):
            for one in pool.map(content_of, [self.paths[i] for i in rows.tolist()]):
                told.append(one)
                bar.update()
        self.records[rows] = records_of(told)
        self.known[:] = True
        with contextlib.suppress(OSError, InputError):  # of a cache that may only be read
            self.save()

    def save(self) -> None:
        """Keep the records in the index."""
        data = sealed(self.records.copy(), 0).tobytes()
        write_atomically(self.index, lambda to: to.write_bytes(data))
        own_mode(self.index)

    def key(self) -> str | None:
        """A digest of the content of all files in their order; None while some are not known."""
        return key(self.records) if self.known.all() else None


def key(records: Records) -> str:
    """The digest of the content of all files in their order, 16 hexadecimal digits."""
    return hashlib.sha256(records["content"].tobytes()).hexdigest()[:16]


def load(index: Path, n: int) -> Records:
    """The ``n`` records of an index; those of none where it is missing or of another length."""
    with contextlib.suppress(OSError):
        raw = index.read_bytes()
        if len(raw) == n * RECORD.itemsize:
            return np.frombuffer(raw, RECORD)
    return np.zeros(n, RECORD)


def own_mode(path: Path) -> None:
    """Give a file of the cache the permissions of its folder: what is private stays private."""
    with contextlib.suppress(OSError):
        path.chmod(stat.S_IMODE(path.parent.stat().st_mode) & 0o666)


def opener(path: str, flags: int) -> int:
    """For ``open``: made where it is not there, with the permissions of its folder at once."""
    mode = stat.S_IMODE(Path(path).parent.stat().st_mode) & 0o666
    handle = os.open(path, flags | os.O_CREAT, mode & 0o600)
    own_mode(Path(path))
    return handle
