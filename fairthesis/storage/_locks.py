"""One command at a time in a folder: a second is refused in words; no lock outlives its process.

The folder itself is locked where the system can do that (``flock``); elsewhere (Windows, NFS) an
open file in it is. The system frees both when a process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from fairthesis.errors import InputError

try:
    fcntl: Any = importlib.import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

# Named as a temporary file, so that what a killed process leaves of it is cleared like one.
_FILE = ".lock-00000000.partial"
_HELD = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


class BusyError(InputError):
    """Another process is at work in the folder; waiting for it to end is what helps.

    An ``InputError``, so that the command line prints it as a sentence and ends.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name, hold_folder(Path(name)):
    ...     try:
    ...         with hold_folder(Path(name)):
    ...             print("never reached")
    ...     except BusyError as error:
    ...         print(str(error).partition(" in ")[0], "/", str(error).partition(": ")[2])
    Another command is at work / wait for it to end, or choose another folder.
    """


def lock(handle: int) -> bool | None:
    """Whether an open file could be locked for this process alone; None where nothing can be.

    On Windows nothing is: a lock there would be in the way of the process's own writing.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in _HELD else None
    return True


def _locked(handle: int) -> bool | None:
    if fcntl is not None:
        return lock(handle)
    try:
        windows: Any = importlib.import_module("msvcrt")
        windows.locking(handle, windows.LK_NBLCK, 1)
    except ImportError:
        return None
    except OSError as error:
        return False if error.errno in _HELD else None
    return True


@contextlib.contextmanager
def hold_folder(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold a folder for this process, for the length of a ``with`` block.

    The system frees the folder when the process ends, however it ends. Where a disk has no locks of
    any kind nothing is held.

    Args:
        folder: a folder that exists.
        wait: seconds to wait for another process that holds it.

    Raises:
        BusyError: where another process still holds it after that time.
        FileNotFoundError: where there is no such folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     with hold_folder(Path(name)):
    ...         print("held")
    ...     with hold_folder(Path(name)):
    ...         print("free again, and held anew")
    held
    free again, and held anew
    """
    until = time.monotonic() + wait
    while isinstance(held := _take(folder), bool):
        if time.monotonic() >= until:
            raise BusyError(
                f"Another command is at work in {str(folder)!r}: wait for it to end, or choose "
                "another folder."
            )
        time.sleep(0.05)
    try:
        yield
    finally:
        if held is not None:
            handle, file = held
            if file is not None and fcntl is not None:
                file.unlink(missing_ok=True)
            os.close(handle)
            if file is not None and fcntl is None:  # an open file cannot be removed there
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)


def _take(folder: Path) -> tuple[int, Path | None] | Literal[False] | None:
    """An open and locked folder, or file in it; False where another has it, None without locks."""
    places: list[tuple[Path, int, Path | None]] = []
    if fcntl is not None:
        places.append((folder, os.O_RDONLY, None))
    places.append((folder / _FILE, os.O_RDWR | os.O_CREAT, folder / _FILE))
    for place, how, file in places:
        try:
            handle = os.open(place, how, 0o666)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            continue  # a disk that cannot be written: nothing will be
        found = _locked(handle)
        if found and _still(handle, place):
            return handle, file
        os.close(handle)
        if found is not None:
            return False  # held, or removed by its holder just now
        if file is not None:
            file.unlink(missing_ok=True)
    return None


def _still(handle: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), place.stat())
    except FileNotFoundError:
        return False
