"""Faults of places: a full disk, a folder that may only be read, too little memory, few files."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import trying
from made import AUDIT, TRAIN, copied, files, fresh, half, left_over, same_run, unbroken
from trying import Ended, Row, call, mounted

QUIET = (*AUDIT, "--quiet")
RUN = (*TRAIN, "--epochs", "3", "--quiet")
NO_MOUNT = "no right to mount here"
DROPPED = ("--bounding-set=-dac_override,-dac_read_search",)


def full_disk() -> Iterator[Row]:
    """A disk of a few kilobytes; then the same command where there is room."""
    state = (half() / "run" / "state.pt").stat().st_size // 1024  # of one epoch
    for size in ("64k", f"{state * 3 // 2}k"):
        with copied(unbroken()) as at, mounted(at / "small", "-t", "tmpfs", "none") as done:
            row = (
                "a disk that is full",
                "`train`",
                "refused in words; with room it goes on, the same to the bit",
            )
            if not done or not _resized(at / "small", size):
                yield Row(*row, NO_MOUNT, None)
                continue
            ended = call(at, *RUN, "--out", "small/run")
            fitted = (at / "small/run/state.pt").exists()
            _resized(at / "small", "50m")
            again = call(at, *RUN, "--out", "small/run")
            same = same_run(at / "small/run", unbroken() / "run")
            yield Row(
                f"a disk of {size}B that fills {'after a whole epoch' if fitted else 'at once'}",
                *row[1:],
                f"{ended.message}; with room: {again.message}, {'the same' if same else 'other'} "
                "bytes",
                ended.refused("No space left") and again.code == 0 and same,
            )
    with fresh() as at, mounted(at / "audit", "-t", "tmpfs", "none") as done:
        row = (
            "a disk that fills while an older report is replaced",
            "`audit`",
            "refused in words; the older report stays whole, nothing temporary",
        )
        if not done:
            yield Row(*row, NO_MOUNT, None)
        else:
            yield _over_older(at, row, fill=True)
    with fresh() as at, mounted(at / "cache", "-t", "tmpfs", "-o", "size=32k", "none") as done:
        row = (
            "a full disk under the image cache",
            "`train`",
            "refused in words before the work; no run is begun",
        )
        if not done:
            yield Row(*row, NO_MOUNT, None)
        else:
            ended = call(at, *RUN, "--out", "run")
            begun = (at / "run").exists()
            yield Row(*row, ended.message, ended.code == 2 and ended.in_words and not begun)


def _resized(at: Path, size: str) -> bool:
    return trying.succeeds("mount", "-o", f"remount,size={size}", at)


def _over_older(at: Path, row: tuple[str, str, str], fill: bool) -> Row:
    """An audit over an older one that cannot be written."""
    first = call(at, *QUIET, "--out", "audit")
    before = {k: v for k, v in files(at).items() if k != "audit/filler"}
    if fill:
        used = shutil.disk_usage(at / "audit").used
        _resized(at / "audit", f"{used // 1024 + 40}k")
    how = {} if fill else {"limit": trying.limits(FSIZE=20_000)}
    ended = call(at, *QUIET, "--seed", "1", "--out", "audit", **how)
    kept = files(at) == before
    words = "No space left" if fill else "File too large"
    return Row(
        *row,
        f"{ended.message}; the older report is {'whole' if kept else 'lost'}",
        first.code == 0 and ended.refused(words) and kept and not left_over(at),
    )


def short_files() -> Iterator[Row]:
    """A limit on the length of a file (RLIMIT_FSIZE), as of a quota."""
    with fresh() as at:
        row = (
            "no file may be longer than 20 kB",
            "`audit`",
            "refused in words; the older report stays whole, nothing temporary",
        )
        yield _over_older(at, row, fill=False)


def short_files_of_runs() -> Row:
    """The same limit for training."""
    with copied(unbroken()) as at:
        ended = call(at, *RUN, "--out", "short", limit=trying.limits(FSIZE=10_000))
        again = call(at, *RUN, "--out", "short")
        same = same_run(at / "short", unbroken() / "run")
        return Row(
            "no file may be longer than 10 kB",
            "`train`",
            "refused in words; without the limit it goes on, the same to the bit",
            f"{ended.message}; again: {again.message}, {'the same' if same else 'other'} bytes",
            ended.refused("File too large") and again.code == 0 and same,
        )


@contextlib.contextmanager
def _read_only(at: Path) -> Iterator[bool]:
    """``at`` mounted over itself so that it may only be read."""
    with mounted(at, "--bind", str(at)) as done:
        yield done and trying.succeeds("mount", "-o", "remount,ro,bind", at)


def read_only() -> Iterator[Row]:
    """Folders of a disk that may only be read (a read-only bind mount)."""
    for name, words in (("train", RUN), ("audit", QUIET)):
        with copied(unbroken()) as at:
            (at / "locked").mkdir()
            with _read_only(at / "locked") as done:
                row = (
                    "a read-only disk for the output",
                    f"`{name}`",
                    "refused with exit 2 before the work",
                )
                if not done:
                    yield Row(*row, NO_MOUNT, None)
                    continue
                ended = call(at, *words, "--out", "locked/out")
                yield Row(*row, ended.message, ended.refused("Read-only"))
    for what in ("cache", "empty cache"):
        with copied(unbroken()) as at:
            if what == "empty cache":
                shutil.rmtree(at / "cache")
                (at / "cache").mkdir()
            with _read_only(at / "cache") as done:
                finished = what == "cache"
                row = (
                    f"a read-only image cache, {'finished' if finished else 'empty'}",
                    "`train`",
                    "used as it is; the run is the same to the bit"
                    if finished
                    else "refused with exit 2; no run is begun",
                )
                if not done:
                    yield Row(*row, NO_MOUNT, None)
                    continue
                ended = call(at, *RUN, "--out", "new")
                right = (
                    ended.code == 0 and same_run(at / "new", unbroken() / "run")
                    if finished
                    else ended.refused("ead-only") and not (at / "new").exists()
                )
                yield Row(*row, ended.message, right)
    with fresh() as at, _read_only(at) as done:
        row = (
            "the table and the working folder are read-only",
            "`audit` to another place",
            "written there",
        )
        if not done:
            yield Row(*row, NO_MOUNT, None)
        else:
            ended = call(at, *QUIET, "--out", at.parent / "audit")
            yield Row(*row, ended.message, ended.code == 0)


def no_rights() -> Iterator[Row]:
    """Files and folders without the right to write or read them (root's own rights dropped)."""
    dropped = _dropped()
    for name, mode, words in (
        ("a folder that may not be written, for the output", 0o555, "Permission denied"),
        ("a table that may not be read", 0o000, "not readable"),
    ):
        with fresh() as at:
            of_table = "table" in name
            (at / "locked").mkdir()
            (at / "table.csv" if of_table else at / "locked").chmod(mode)
            row = (name, "`audit`", "refused with exit 2; nothing written")
            if dropped is None:
                yield Row(*row, "root may do all, and its rights cannot be dropped here", None)
                continue
            ended = call(at, *QUIET, "--out", "locked/out", before=dropped)
            yield Row(
                *row, ended.message, ended.refused(words) and not any((at / "locked").iterdir())
            )


def _dropped() -> tuple[str, ...] | None:
    """What goes before a command so that rights of files count for it; None where it cannot be."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", *DROPPED) if trying.succeeds("setpriv", *DROPPED, "true") else None


def _in_words(ended: Ended) -> bool:
    return ended.code == 2 and ended.in_words and ended.said.strip() != ""


def little_memory() -> Iterator[Row]:
    """A limit on the memory of a process (RLIMIT_AS), from hardly enough to nearly enough."""
    # With less, libraries cannot be loaded: what they say then is not this package's.
    tried = (("audit", QUIET, (700, 1100)), ("train", RUN, (1000, 1500, 2200)))
    for name, command, sizes in tried:
        for megabytes in sizes:
            with copied(unbroken()) as at:
                limit = trying.limits(AS=megabytes << 20)
                ended = call(at, *command, "--out", "new", limit=limit)
                made = (at / "new").exists()
                yield Row(
                    f"no more than {megabytes} MB of memory may be asked for",
                    f"`{name}`",
                    "a whole result, or exit 2 in words and no half of one",
                    ended.message,
                    ended.code == 0 or (_in_words(ended) and not (name == "audit" and made)),
                )
    with copied(unbroken()) as at:
        words = [*RUN, "--batch-size", "32", "--size", "2048"]
        ended = call(at, *words, "--out", "new", limit=trying.limits(AS=3 << 30))
        yield Row(
            "images too large for 3 GB of memory",
            "`train`",
            "exit 2, in words, with what to do",
            ended.message,
            ended.refused("memory"),
        )


def few_files() -> Iterator[Row]:
    """A limit on open files (RLIMIT_NOFILE)."""
    for number in (6, 12, 24):
        for name, words in (("audit", QUIET), ("train", RUN)):
            with copied(unbroken()) as at:
                ended = call(at, *words, "--out", "new", limit=trying.limits(NOFILE=number))
                yield Row(
                    f"no more than {number} files may be open",
                    f"`{name}`",
                    "a whole result, or exit 2 in words",
                    ended.message,
                    ended.code == 0 or _in_words(ended),
                )
    with fresh() as at:
        prepare = ["datasets", "prepare", "synthetic-cxr", "--size", "16", "--quiet"]
        ended = call(at, *prepare, limit=trying.limits(NOFILE=16))
        yield Row(
            "no more than 16 files may be open",
            "`datasets prepare`, with its workers",
            "a whole result, or exit 2 in words",
            ended.message,
            ended.code == 0 or _in_words(ended),
        )


FAULTS = (
    full_disk,
    short_files,
    short_files_of_runs,
    read_only,
    no_rights,
    little_memory,
    few_files,
)
