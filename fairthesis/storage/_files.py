"""Writing to disk: a file is whole and synced before it has its name, and failures are in words.

A file is written beside its place under a name of its own (``.NAME-1a2b3c4d.partial.SUFFIX``),
synced, and renamed; then its folder is synced. So a process that is killed, or a power cut, leaves
the old file or the new one, and perhaps a partial one, which the next command that writes here
clears away. A living process holds a lock on its partial files, so that they are left alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from fairthesis.errors import InputError
from fairthesis.storage._locks import hold_folder, lock

Write = Callable[[Path], object]

_PARTIAL = re.compile(r"\.(?P<name>.+)-[0-9a-f]{8}\.partial(?:\.[^.]*)?")
_DAY = 86400.0  # seconds after which a temporary file is taken for a dead process's anyway
_ADVICE = {
    "ENOSPC": "Free some space, or choose another place.",
    "EDQUOT": "Free some space, or choose another place.",
    "EFBIG": "Choose a place that takes larger files.",
    "ENAMETOOLONG": "Choose a shorter name.",
    "EMFILE": "Raise the limit of open files (ulimit -n), or take fewer workers.",
    "ENFILE": "Raise the limit of open files (ulimit -n), or take fewer workers.",
    "ENOTDIR": "A part of the path is a file: choose another place.",
}


def write_atomically(path: Path, write: Write, *, make_folder: bool = True) -> None:
    """Call ``write`` with a temporary path beside ``path``, then move it into place, synced.

    A reader never sees a half-written file, and a killed process leaves the old one.

    Args:
        path: the file to write; one that is there is replaced.
        write: called once, with a path of the same ending, to write the content there.
        make_folder: make the folder where it is missing. Without it a folder that is gone is not
            made again.

    Raises:
        InputError: where the file cannot be written; it names the path and the reason.

    >>> import tempfile
    >>> def breaks_off(to):
    ...     to.write_text("half of it")
    ...     raise ValueError
    >>> with tempfile.TemporaryDirectory() as name:
    ...     path = Path(name) / "note.txt"
    ...     write_atomically(path, lambda to: to.write_text("whole"))
    ...     with contextlib.suppress(ValueError):
    ...         write_atomically(path, breaks_off)
    ...     path.read_text(), [file.name for file in Path(name).iterdir()]
    ('whole', ['note.txt'])
    """
    path = Path(path)
    with errors_in_words(path):
        if make_folder:
            make_folders(path.parent)
        with _staged(path, write) as temporary:
            temporary.replace(path)
        sync_folder(path.parent)
    clear_partials(path.parent, path)


def write_together(
    folder: Path, files: Mapping[str, Write], last: str, stale: Iterable[str] = ()
) -> None:
    """Write ``files`` into ``folder``, never mixed with older ones.

    All are written under temporary names first, so that a full disk costs nothing. Then the old
    ones go, ``last`` before the others, and the new ones get their names, ``last`` after them:
    where ``last`` exists all files are of one writing, at every moment.

    Args:
        folder: where to; it is made where it is missing, and held meanwhile (``hold_folder``).
        files: name below ``folder`` (it may hold ``/``) -> what writes the file to a path.
        last: the name among ``files`` that readers take as the sign that all are there.
        stale: patterns (as of ``Path.glob``) of older files that go as well.

    Raises:
        InputError: where a file cannot be written; the older files are then as they were.
        BusyError: where another process holds the folder for more than 10 seconds.

    >>> import tempfile
    >>> from fairthesis.storage import text_writer
    >>> def full_disk(to):
    ...     raise OSError(errno.ENOSPC, "No space left on device", str(to))
    >>> with tempfile.TemporaryDirectory() as name:
    ...     report = {"a.csv": text_writer("old"), "b.json": text_writer("old")}
    ...     write_together(Path(name), report, last="b.json")
    ...     report = {"a.csv": text_writer("new"), "b.json": full_disk}
    ...     with contextlib.suppress(InputError):
    ...         write_together(Path(name), report, last="b.json")
    ...     (Path(name) / "a.csv").read_text()
    'old'
    """
    with errors_in_words(folder), contextlib.ExitStack() as staged:
        make_folders(folder)
        staged.enter_context(hold_folder(folder, wait=10.0))
        names = [name for name in files if name != last]
        temporary = {}
        for name in (*names, last):
            make_folders((folder / name).parent)
            temporary[name] = staged.enter_context(_staged(folder / name, files[name]))
        old = sorted({path for pattern in stale for path in folder.glob(pattern)})
        for path in (folder / last, *(folder / name for name in names), *old):
            path.unlink(missing_ok=True)
        for parent in {(folder / name).parent for name in files}:
            sync_folder(parent)
        for name in (*names, last):
            temporary[name].replace(folder / name)
            sync_folder((folder / name).parent)
    for parent in {(folder / name).parent for name in files}:
        clear_partials(parent)


@contextlib.contextmanager
def _staged(path: Path, write: Write) -> Iterator[Path]:
    """A temporary file beside ``path``, written and synced; removed if it is not moved away."""
    if path.exists() and not path.is_file():
        raise InputError(f"{str(path)!r} is no regular file: choose another name for the output.")
    handle, temporary = _created(path)
    if os.name == "nt":  # an open file can be neither renamed nor removed there
        os.close(handle)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        yield temporary
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if os.name != "nt":
            os.close(handle)


def partial_name(path: Path) -> Path:
    """A new name beside ``path`` that ``clear_partials`` knows as left by a killed process.

    It holds the first 40 letters of the stem, eight random hexadecimal digits and the ending.

    >>> name = partial_name(Path("runs/config.json")).name
    >>> name.startswith(".config-"), name.endswith(".partial.json"), is_partial(name)
    (True, True, True)
    """
    name = f".{path.stem[:40]}-{secrets.token_hex(4)}.partial{path.suffix[:20]}"
    return path.with_name(name)


def _created(path: Path) -> tuple[int, Path]:
    while True:
        temporary = partial_name(path)
        # Not mkstemp: the user's own umask and access lists are to decide who may read it.
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if lock(handle) is not False and os.fstat(handle).st_nlink:
            return handle, temporary
        os.close(handle)  # taken for a dead process's between the two calls
        temporary.unlink(missing_ok=True)


def clear_partials(folder: Path, of: Path | None = None) -> None:
    """Remove what killed processes left in ``folder``: temporary files and folders moved aside.

    Those of a living process stay. What cannot be removed is passed over.

    Args:
        folder: where to look; folders in it are not entered.
        of: clear only what was to become this file or folder; by default all.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     partial_name(Path(name) / "a.csv").touch()
    ...     partial_name(Path(name) / "b.csv").touch()
    ...     clear_partials(Path(name), of=Path(name) / "a.csv")
    ...     [file.name[:3] for file in Path(name).iterdir()]
    ['.b-']
    """
    with contextlib.suppress(OSError):  # what cannot be removed is in nobody's way
        for entry in os.scandir(folder):
            found = _PARTIAL.fullmatch(entry.name)
            if found is None or (of is not None and found["name"] != of.stem[:40]):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                _remove_if_dead(Path(entry.path))


def _remove_if_dead(path: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDWR)
        try:
            free = lock(handle)
            if free or (free is None and time.time() - os.fstat(handle).st_mtime > _DAY):
                path.unlink()
        finally:
            os.close(handle)


def is_partial(name: str) -> bool:
    """Whether a file of this name is a temporary one that ``storage`` writes.

    >>> is_partial(".config-0a1b2c3d.partial.json"), is_partial("config.json")
    (True, False)
    """
    return _PARTIAL.fullmatch(name) is not None


def make_folders(folder: Path) -> None:
    """Make ``folder`` and those above it that are missing; each is synced in the one above.

    An ``OSError`` is the system's own: ``errors_in_words`` around the call puts it in words.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     make_folders(Path(name) / "runs" / "erm-0")
    ...     make_folders(Path(name) / "runs" / "erm-0")  # a folder that is there is left as it is
    ...     (Path(name) / "runs" / "erm-0").is_dir()
    True
    """
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    for part in reversed(missing):
        part.mkdir(exist_ok=True)
        sync_folder(part.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that.

    After a rename the new name outlives a power cut only once its folder is synced. Windows and
    some network disks cannot, and there this does nothing; a folder that is missing is no error
    either.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     (Path(name) / "a.partial").touch()
    ...     new = (Path(name) / "a.partial").rename(Path(name) / "a.txt")
    ...     sync_folder(Path(name))
    ...     new.exists()
    True
    """
    with contextlib.suppress(OSError):  # not on Windows, nor on every network's disk
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_writable(path: str | Path, *, a_file: bool = False) -> None:
    """Refuse an output that cannot be written, before the work; nothing is left behind.

    Args:
        path: a folder to write into, which need not exist.
        a_file: ``path`` is the file to write, not its folder.

    Raises:
        InputError: it names the path and the reason.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     check_writable(Path(name) / "new" / "report")
    ...     print((Path(name) / "new").exists())
    ...     try:
    ...         check_writable(name, a_file=True)
    ...     except InputError as error:
    ...         print(str(error).rpartition(" is a ")[2])
    False
    folder: expected the name of a file to write.
    """
    path = Path(path)
    folder = path.parent if a_file else path
    with errors_in_words(path):
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{str(folder)!r} is a file: expected a directory to write into.")
        if a_file and os.path.lexists(path) and path.exists() and not path.is_file():
            kind = "folder" if path.is_dir() else "device or the like"
            raise InputError(f"{str(path)!r} is a {kind}: expected the name of a file to write.")
        with contextlib.suppress(FileNotFoundError):
            path.stat()  # refuses a name that is too long
        there = next(part for part in (folder, *folder.parents) if part.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            code = errno.EROFS if _read_only(there) else errno.EACCES
            raise OSError(code, os.strerror(code), str(there))
        if there != folder:  # a name of its own: other processes may begin beside this one
            try:
                Path(tempfile.mkdtemp(dir=there, prefix=".fairthesis-")).rmdir()
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(folder)) from error


def _read_only(folder: Path) -> bool:
    """Whether the whole disk may only be read, where the system tells."""
    if not hasattr(os, "statvfs"):
        return False
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


@contextlib.contextmanager
def errors_in_words(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` about ``path``, or a file beside or above it, into an ``InputError``.

    An ``OSError`` about any other file passes as it is: it is of something that was read meanwhile.

    Raises:
        InputError: it names the path, the system's reason and what to do.

    >>> with errors_in_words(Path("report.csv")):
    ...     raise OSError(errno.ENOSPC, "No space left on device", "report.csv")
    Traceback (most recent call last):
        ...
    fairthesis.errors.InputError: Cannot write 'report.csv': No space left on device. Free some ...
    """
    try:
        yield
    except OSError as error:
        place = path.absolute()
        if error.filename is not None:
            named = Path(os.fsdecode(error.filename)).absolute()
            if named not in (place, *place.parents) and not named.is_relative_to(place.parent):
                raise  # of something else that was read or made on the way
        reason = error.strerror or str(error).strip().splitlines()[0]
        advice = _ADVICE.get(
            errno.errorcode.get(error.errno or 0, ""), "Choose a place to write in."
        )
        raise InputError(f"Cannot write {str(path)!r}: {reason}. {advice}") from error
