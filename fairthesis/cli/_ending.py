"""How a command ends that cannot go on: one message, an exit code, and what to do next."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from types import FrameType
from typing import TextIO

import click

from fairthesis.errors import InputError

# Commands that find what they had done when they are given again.
RESUMED = (
    *("train", "experiment run", "experiment data", "experiment train", "experiment audit"),
    *("datasets prepare", "datasets fetch", "embed", "predict", "transfer"),
)
EXTRAS = {"torch": "train", "torchvision": "train"}
EXTRAS |= {"pydicom": "dicom", "pylibjpeg": "dicom"}
EXTRAS |= {"papermill": "book", "nbformat": "book", "ipykernel": "book", "IPython": "book"}
EXTRAS |= {"jupyter_client": "book", "nbclient": "book"}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler sends it; ends a command as an interrupt does."""


def listen() -> None:
    """Have SIGTERM end this process as an interrupt does: clearing up, and in words."""
    if threading.current_thread() is not threading.main_thread():
        return
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a worker, which inherited this
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
        raise Terminated

    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, stop)


def print_anything() -> None:
    """Have letters that the screen or file has no code for (Windows') printed as question marks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def say(message: object) -> None:
    """One message on standard error, which may itself be closed or full."""
    try:
        click.echo(f"fairthesis: {message}", err=True)
    except OSError:
        _silence(sys.stderr)


def stopped(command: str) -> str:
    """What an interrupted command says: whether it goes on, or has to be given again.

    >>> stopped("train")
    'stopped. The same command goes on from here.'
    """
    if command in RESUMED:
        return "stopped. The same command goes on from here."
    if command == "chapter":
        return "stopped. The executed notebook was not written: give the same command again."
    return "stopped before the end. Give the same command again for the whole result."


@contextmanager
def in_words(path: list[str]) -> Iterator[None]:
    """Turn what ends a command into a message and an exit code; ``path`` names the command."""
    try:
        yield
        sys.stdout.flush()  # a full disk or a closed pipe shows here, and not after the last line
    except KeyboardInterrupt as error:
        say(stopped(" ".join(path)))
        sys.exit(128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT))
    except InputError as error:
        say(error)
        sys.exit(2)
    except BrokenPipeError:
        _silence(sys.stdout)
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        say(
            f"this command needs {package}, which is not installed: "
            f"pip install 'fairthesis[{EXTRAS[package]}]'"
        )
        sys.exit(2)
    except OSError as error:
        say(_of_the_system(error))
        if not error.filename:  # it may be what is printed that has no place
            _silence(sys.stdout)
        sys.exit(2)
    except (MemoryError, RuntimeError, ImportError) as error:
        if not _is_memory(error):
            raise
        say(
            "there is not enough memory for this. Close what else needs it, or take less at a "
            "time: a smaller --batch-size, --size or table, or fewer workers."
        )
        sys.exit(2)


def _of_the_system(error: OSError) -> str:
    """The file, what the system says, and what to do."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    reason = (error.strerror or str(error) or type(error).__name__).rstrip(".")
    what = f"{' -> '.join(map(repr, names))}: {reason}." if names else f"{reason}."
    if error.errno in _FULL:
        return f"{what} Make room there, or choose another place; then give the command again."
    if error.errno in _FORBIDDEN:
        return f"{what} Choose a place that you may read and write, or have it opened to you."
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{what} Raise the limit of open files (ulimit -n), or take fewer workers."
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG):
        return f"{what} A path is missing or of another kind: look at those of the command."
    return f"{what} The system refused it: look at the disk, the network and the paths given."


def _is_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    # the last two: of the system's loader, when a package is imported
    known = ("can't allocate memory", "cannot allocate memory", "failed to map segment")
    return type(error).__name__ == "OutOfMemoryError" or any(
        words in str(error).replace("Cannot", "cannot") for words in known
    )


def _silence(stream: TextIO) -> None:
    """Nothing more goes to a stream that is closed or full, not even at the interpreter's end."""
    with suppress(OSError, ValueError):  # a stream that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
