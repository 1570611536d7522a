"""Opening a file of an image: a regular file, and in words why not."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_file(path: str | Path) -> BinaryIO:
    """The file, opened to be read; a pipe or a device, which may never end, is an ``OSError``."""
    handle = open(path, "rb", opener=_not_waiting)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise OSError("not a regular file")
    return handle


def _not_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # for the other end of a pipe


def words(error: OSError) -> str:
    """What is wrong with a file, without the folder that it lies in."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return f"{type(error).__name__}: {error.strerror or error}"
