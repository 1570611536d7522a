"""Zip and tar files with members of any kind, made for the tests."""

from __future__ import annotations

import io
import stat
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

Entry = tuple[str, Any]  # name and bytes, or a tar type or mode and where it points


def tar(path: Path, entries: list[Entry], packed: bool = True) -> Path:
    with tarfile.open(path, "w:gz" if packed else "w") as made:
        for name, what in entries:
            info = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size = len(what)
                made.addfile(info, io.BytesIO(what))
            else:
                info.type, info.linkname = what
                made.addfile(info)
    return path


def zipped(path: Path, entries: list[Entry]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, what in entries:
            info = zipfile.ZipInfo(name)
            data = what
            if not isinstance(what, bytes):
                mode, data = what
                info.external_attr = mode << 16
                info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            with warnings.catch_warnings():  # a name that is there twice, on purpose
                warnings.simplefilter("ignore", UserWarning)
                made.writestr(info, data)
    return path


def links(kind: str, name: str, target: str) -> Entry:
    if kind == "zip":
        return name, (stat.S_IFLNK | 0o777, target.encode())
    return name, (tarfile.SYMTYPE if kind == "tar" else tarfile.LNKTYPE, target)


def make(kind: str, path: Path, entries: list[Entry]) -> Path:
    return zipped(path / "a.zip", entries) if kind == "zip" else tar(path / "a.tar.gz", entries)
