"""Zip and tar files as ``_archives`` reads them, unpacked once, with the zip files in them."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from fairthesis.datasets.fetching._archives import (
    MAX_DEPTH,
    Budget,
    Member,
    planned,
    refused,
    write_out,
)
from fairthesis.errors import InputError
from fairthesis.storage import write_text

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")
MAX_HEADER = 16 << 20  # bytes that tarfile reads at once for a name or a header
TAIL = 100  # megabytes of blanks that are read after the last member
BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError),
    *(NotImplementedError, RuntimeError, UnicodeError, OverflowError, ValueError),
)


class Zip:
    """A zip file. Symbolic links are known by the mode that Unix tools write."""

    def __init__(self, path: Path) -> None:
        self.zip = zipfile.ZipFile(path)

    def members(self) -> Iterator[Member]:
        for info in self.zip.infolist():
            mode = info.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if info.flag_bits & 0x1:
                yield Member(info.filename, "file that is encrypted", info.file_size)
            elif kind == stat.S_IFLNK:
                if info.file_size > 4096:
                    yield Member(info.filename, "link without a target", info.file_size)
                target = self.zip.read(info).decode("utf-8", "surrogateescape")
                yield Member(info.filename, "symbolic link", info.file_size, target)
            elif kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                yield Member(info.filename, "device or another special file", 0)
            elif info.is_dir() or kind == stat.S_IFDIR:
                yield Member(info.filename, "folder", 0)
            else:
                yield Member(info.filename, "file", info.file_size)

    def contents(self, name: str) -> IO[bytes]:
        return self.zip.open(name)

    def close(self) -> None:
        self.zip.close()


class Tar:
    """A tar file, plain or gzipped, read from its start."""

    def __init__(self, path: Path) -> None:
        self.raw = path.open("rb")
        packed = self.raw.read(2) == b"\x1f\x8b"
        self.raw.seek(0)
        self.file = _Bounded(gzip.GzipFile(fileobj=self.raw) if packed else self.raw)
        try:
            self.tar = tarfile.TarFile(fileobj=cast(IO[bytes], self.file))
        except BaseException:
            self.raw.close()
            raise
        self.by_name: dict[str, tarfile.TarInfo] = {}

    def members(self) -> Iterator[Member]:
        for info in self.tar:
            if info.isdir():
                yield Member(info.name, "folder", 0)
            elif info.issym() or info.islnk():
                kind = "symbolic link" if info.issym() else "hard link"
                yield Member(info.name, kind, 0, info.linkname)
            elif info.isreg():
                self.by_name[info.name] = info
                yield Member(info.name, "file", info.size)
            else:
                yield Member(info.name, "device or another special file", 0)
        for _ in range(TAIL):  # up to the checksum at the end of a gzip file
            if not self.file.read(1 << 20):
                break

    def contents(self, name: str) -> IO[bytes]:
        found = self.tar.extractfile(self.by_name[name])
        return found if found is not None else io.BytesIO()

    def close(self) -> None:
        self.tar.close()
        self.raw.close()


class _Bounded:
    """A file of which nobody can ask so much at once that the memory is gone."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self.file = file

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0 or size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.file.read(size)

    def seek(self, to: int, whence: int = 0) -> int:
        return self.file.seek(to, whence)

    def tell(self) -> int:
        return self.file.tell()


def unpack(path: Path, folder: Path, kept: frozenset[str] = frozenset()) -> None:
    """Unpack an archive once into ``folder``, and the zip files in it, each beside itself.

    ``<name>.unpacked`` is written last and says of how many bytes the archive was; without it, or
    where the archive is another one by now, everything is written again. Raises ``InputError`` for
    an archive that is broken, or that holds what it should not, and writes nothing of it. ``kept``
    are files of ``folder`` that no member may replace.
    """
    _unpack(path, folder, Budget(path.name, path.stat().st_size), 1, kept)


def _unpack(
    path: Path, folder: Path, budget: Budget, depth: int, kept: frozenset[str] = frozenset()
) -> None:
    done = path.parent / f"{path.name}.unpacked"
    size = str(path.stat().st_size)
    if done.is_file() and done.read_text(encoding="utf-8").strip() in ("", size):
        return
    done.unlink(missing_ok=True)
    if depth > MAX_DEPTH:
        raise refused(budget.archive, f"archives in archives, more than {MAX_DEPTH} deep")
    try:
        opened = Zip(path) if path.name.lower().endswith(".zip") else Tar(path)
        try:
            plan = planned(path.name, opened, budget, kept)
            write_out(path.name, opened, plan, folder)
        finally:
            opened.close()
    except InputError:
        raise
    except BROKEN as error:
        kind = BrokenArchiveError if depth == 1 else InputError
        raise kind(f"{path.name} cannot be unpacked: {type(error).__name__}: {error}") from error
    except OSError as error:
        raise InputError(f"{path.name} cannot be unpacked to {str(folder)!r}: {error}") from error
    for name in plan.files:
        # ._x.zip is what macOS knows of x.zip
        if name.name.lower().endswith(".zip") and not name.name.startswith("._"):
            inner = folder / name
            _unpack(inner, inner.parent, budget, depth + 1)
    if hasattr(os, "sync"):
        os.sync()  # all of the files before the mark: after a power cut it would vouch for blanks
    write_text(f"{size}\n", done)


class BrokenArchiveError(InputError):
    """An archive that is damaged or cut short: it is worth fetching again."""
