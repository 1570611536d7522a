"""Whose a run directory is: nobody's, this run's (finished or to go on), or another's.

While a run is made its folder is held by one process. Another run that is to be replaced is moved
aside whole, by one rename, before the new one begins; a damaged one is made again in its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fairthesis.errors import InputError
from fairthesis.provenance import write_json
from fairthesis.storage import (
    DONE,
    RUN,
    BusyError,
    check_writable,
    clear_partials,
    config_differences,
    damage_in_words,
    errors_in_words,
    hold_folder,
    is_partial,
    make_folders,
    mark_finished,
    partial_name,
    sync_folder,
    write_atomically,
    write_table,
)

FINGERPRINTS = ("data_fingerprint", "code_fingerprint")
STATE = "state.pt"
WEIGHTS = "model.safetensors"
# What a killed run of an older version left, which was refused ever after. It is in nobody's way,
# and stays: a user's own file could be named like it.
_OLDER = re.compile(r"\.config-[a-z0-9_]{8}\.json")


class RunFolder:
    """The folder of a run that this process is to make, or that holds it, ``finished``."""

    def __init__(self, path: Path, config: Mapping[str, Any], origin: dict[str, Any]) -> None:
        self.path = path
        self.config = config
        self.origin = origin
        self.finished = False
        self.state = "none"
        self.damage = ""
        self._held = contextlib.ExitStack()
        self._folder: os.stat_result | None = None

    def look(self, overwrite: bool) -> None:
        """Find out what is there; hold it, unless the run is finished. Nothing is changed."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{str(self.path)!r} is a file: expected a folder for the run.")
        if self.path.is_dir():
            self.state = self._state(overwrite)
            if self.state != "finished":
                self._hold()
                self.state = self._state(overwrite)
        self.finished = self.state == "finished"
        if self.finished:
            self._clear_finished()
            self._tell_threads()
        else:
            check_writable(self.path)
        if self.state == "damaged":
            warnings.warn(
                f"The finished run in {str(self.path)!r} is damaged: {self.damage}. It is made "
                "again.",
                stacklevel=4,
            )

    def begin(self) -> None:
        """Make the folder ready: empty, or with the state of this very run; and say whose it is."""
        with errors_in_words(self.path):
            if self.state == "replace":
                self._move_aside()
            if self._folder is None:
                make_folders(self.path)
                self._hold()
                if self._state(False) != "none":
                    raise BusyError(f"Another command began a run in {str(self.path)!r} just now.")
            if self.state == "damaged":
                for name in (DONE, *(n for n in (*RUN, WEIGHTS, STATE) if n != "config.json")):
                    (self.path / name).unlink(missing_ok=True)
                    sync_folder(self.path)
            clear_partials(self.path)
            self._clear_aside()
            if not (self.path / STATE).exists():
                self.json(self.config, "config.json")

    def json(self, value: Mapping[str, Any], name: str) -> None:
        """Write a mapping as ``name`` of the run."""
        self.still_there()
        write_json(value, self.path / name, make_folder=False)

    def table(self, frame: pd.DataFrame, name: str) -> None:
        """Write a table as ``name`` of the run."""
        self.still_there()
        write_table(frame, self.path / name, make_folder=False)

    def file(self, write: Callable[[Path], object], name: str) -> None:
        """Have ``write`` write the file ``name`` of the run."""
        self.still_there()
        write_atomically(self.path / name, write, make_folder=False)

    def still_there(self) -> None:
        """Refuse to go on in a folder that was removed or replaced since (``InputError``)."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if self._folder and os.path.samestat(self.path.stat(), self._folder):
                return
        raise InputError(
            f"The folder {str(self.path)!r} was removed or replaced while the run was made: the "
            "run has ended, and nothing more was written. Give the command again to begin anew."
        )

    def finish(self, first: str, names: Collection[str]) -> None:
        """Write ``DONE`` over the files ``names``; then the state is no longer needed."""
        self.still_there()
        mark_finished(self.path, first, names)
        (self.path / STATE).unlink(missing_ok=True)
        clear_partials(self.path)

    def release(self) -> None:
        """Let others in."""
        self._held.close()

    def _hold(self) -> None:
        self._held.enter_context(hold_folder(self.path))
        self._folder = self.path.stat()

    def _state(self, overwrite: bool) -> str:
        """``none``, ``finished``, ``damaged``, ``resume`` or ``replace``; else it is refused."""
        names = [file.name for file in self.path.iterdir()]
        if all(is_partial(name) or _OLDER.fullmatch(name) for name in names):
            return "none"
        if not (self.path / "config.json").exists():
            raise InputError(
                f"The folder {str(self.path)!r} is not empty and holds no run: choose another for "
                "the run."
            )
        try:
            config = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
            other = config_differences(config, self.config)
        except (OSError, ValueError, AttributeError):
            if set(names) <= {"config.json", "log.jsonl"}:
                return "resume"  # nothing is lost: a power cut can empty a file of older versions
            other = ["config.json, which cannot be read"]
        done = (self.path / DONE).exists()
        if done and not other:
            other = self._other_origin()
        if other:
            if overwrite:
                return "replace"
            raise InputError(
                f"The folder {str(self.path)!r} holds another run, with another configuration, "
                f"data or code (other: {', '.join(other[:5])}): choose another folder, or pass "
                "--overwrite to replace it."
            )
        if not done:
            return "resume"
        found = damage_in_words(self.path)
        if found is None:
            return "finished"
        self.damage = found
        return "damaged"

    def _other_origin(self) -> list[str]:
        """What of data and code the run there was made from another than this one."""
        try:
            old = json.loads((self.path / "provenance.json").read_text(encoding="utf-8"))
            return [k for k in FINGERPRINTS if k in self.origin and old.get(k) != self.origin[k]]
        except (OSError, ValueError, AttributeError):
            return []  # then ``damage`` says so

    def _tell_threads(self) -> None:
        old = json.loads((self.path / "provenance.json").read_text(encoding="utf-8"))
        made, now = old.get("threads"), self.origin.get("threads")
        if made and now and made != now:
            warnings.warn(
                f"The finished run in {str(self.path)!r} was computed with {made} threads, not "
                f"{now}: it is left as it is, but other threads give slightly other scores.",
                stacklevel=5,
            )

    def _clear_finished(self) -> None:
        """Remove what a process left that was killed after ``DONE``; unless one is at work."""
        names = {file.name for file in self.path.iterdir()}
        if STATE in names or any(map(is_partial, names)):
            with contextlib.suppress(BusyError, OSError), hold_folder(self.path):
                (self.path / STATE).unlink(missing_ok=True)
                clear_partials(self.path)
        self._clear_aside()

    def _clear_aside(self) -> None:
        place = self.path.resolve()  # as in ``_move_aside``
        clear_partials(place.parent, place)

    def _move_aside(self) -> None:
        """By one rename; where that cannot be (a mount) file by file, the configuration last."""
        old = self.path.resolve()
        aside = partial_name(old)
        try:
            old.rename(aside)
        except OSError:
            (old / DONE).unlink(missing_ok=True)
            sync_folder(old)
            files = [file for file in old.iterdir() if file.name != "config.json"]
            for file in (f for f in files if not is_partial(f.name)):
                shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink()
            (old / "config.json").unlink()
            return
        sync_folder(old.parent)
        self._held.close()
        self._folder = None
        make_folders(old)
        self._hold()
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def claimed(
    config: Mapping[str, Any], out: Path, origin: dict[str, Any], overwrite: bool
) -> Iterator[RunFolder]:
    """The folder ``out`` for a run; ``finished`` where that very run is there already.

    Another run in ``out`` is replaced if ``overwrite`` is true (at ``begin``), else refused. A
    folder that holds no run is never touched. ``origin`` has the fingerprints of data and code,
    where they are not part of ``config``.

    Raises:
        InputError: where ``out`` is another's, is held by another command, or cannot be written.
    """
    place = RunFolder(out, config, origin)
    try:
        place.look(overwrite)
        yield place
    finally:
        place.release()
