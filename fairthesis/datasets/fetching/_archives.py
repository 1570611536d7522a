"""Unpacking a downloaded archive that nobody vouches for: each member is checked, then written.

Python's own filter for tar had holes (CVE-2024-12718, CVE-2025-4138, CVE-2025-4330, CVE-2025-4517:
fixed in later patch releases only), and zip has none against size. So names and links are checked
here, before anything is written; no link is ever made (one to a file of the same archive becomes a
copy of it); and the bytes, the members and the room on the disk are bounded.
"""

from __future__ import annotations

import re
import shutil
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from fairthesis.errors import InputError

MAX_BYTES = 500 * 10**9  # of one archive, unpacked; the largest release here has 45 GB in 12
MAX_MEMBERS = 1_000_000
MAX_RATIO, FREE_RATIO_BYTES = 100, 100 * 10**6  # images hardly shrink: a text table does by 20
MAX_NAME, MAX_PATH, MAX_DEPTH = 255, 1000, 3  # bytes of a name, letters of a path, zips in zips
CHUNK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One entry: its name as written, what it is, its size, and where a link points."""

    name: str
    kind: str  # "file", "folder", "symbolic link", "hard link", or what else it is
    size: int
    target: str = ""


class Opened(Protocol):
    """An archive that is read: its members in order, and the bytes of a file."""

    def members(self) -> Iterator[Member]: ...

    def contents(self, name: str) -> IO[bytes]: ...


@dataclass
class Budget:
    """What an archive, with those in it, may still unpack to."""

    archive: str
    packed: int
    size: int = 0
    members: int = 0

    def take(self, member: Member) -> None:
        """Count a member in, or refuse the archive."""
        self.size += max(member.size, 0)
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise refused(self.archive, f"more than {MAX_MEMBERS:,} members")
        if self.size > MAX_BYTES:
            raise refused(self.archive, f"more than {MAX_BYTES / 1e9:,.0f} GB unpacked")
        if self.size > max(MAX_RATIO * self.packed, FREE_RATIO_BYTES):
            raise refused(
                self.archive,
                f"{self.packed:,} bytes that unpack to more than {self.size - 1:,}: that is how "
                "archives that fill a disk look",
            )


@dataclass
class Plan:
    """The files to write, by their path: the member that holds the bytes of each."""

    files: dict[PurePosixPath, str] = field(default_factory=dict)
    folders: set[PurePosixPath] = field(default_factory=set)
    size: int = 0


def refused(archive: str, what: str) -> InputError:
    """An archive that is not unpacked, and why."""
    return InputError(
        f"{archive} holds {what}. Nothing of it is unpacked. If you know the file to be right, "
        "unpack it by hand; else delete it."
    )


def planned(
    archive: str, opened: Opened, budget: Budget, kept: frozenset[str] = frozenset()
) -> Plan:
    """What an archive would write, or an ``InputError`` for the first member that is refused.

    ``kept`` are names of files beside it, in lower case, that no member may replace.
    """
    plan = Plan()
    links: list[tuple[Member, PurePosixPath]] = []
    sizes: dict[PurePosixPath, int] = {}
    for member in opened.members():
        budget.take(member)
        path = safe_path(archive, member.name)
        if member.kind == "folder":
            plan.folders.add(path)
        elif path == PurePosixPath("."):
            raise refused(archive, f"{member.name!r}, which is no name of a file")
        elif member.kind in ("symbolic link", "hard link"):
            links.append((member, path))
        elif member.kind == "file":
            _new(archive, plan, path)
            plan.files[path] = member.name
            sizes[path] = member.size
        else:
            raise refused(archive, f"{member.name!r}, which is a {member.kind}")
    written = dict(plan.files)
    for member, path in links:
        target = _target(archive, member, path)
        if target not in written:
            raise refused(
                archive,
                f"{member.name!r}, a {member.kind} to {member.target!r}, which is no file of it",
            )
        _new(archive, plan, path)
        plan.files[path] = written[target]
        sizes[path] = sizes[target]
        budget.take(Member(member.name, "file", sizes[target]))
    for path in plan.files:
        if _alike(path) in kept:
            raise refused(archive, f"{str(path)!r}, which would replace a downloaded file")
    _alone(archive, plan)
    plan.size = sum(sizes.values())
    return plan


def safe_path(archive: str, name: str) -> PurePosixPath:
    """A member's name as a path below the folder, or an ``InputError``."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise InputError(f"{archive} holds {name!r}, which leaves the folder: it is not unpacked.")
    if any(ord(letter) < 32 or letter == "\x7f" for letter in name):
        raise refused(archive, f"{name!r}, a name with control characters")
    try:
        long = any(len(part.encode()) > MAX_NAME for part in path.parts)
    except UnicodeEncodeError as error:
        raise refused(archive, f"{name!r}, a name that is no text") from error
    if long or len(name) > MAX_PATH:
        raise refused(archive, f"the over-long name {name[:40]!r}... of {len(name):,} letters")
    return path


def _target(archive: str, member: Member, path: PurePosixPath) -> PurePosixPath:
    """Where a link points, step by step by its name alone; refused where that leaves the folder."""
    at = list(path.parent.parts) if member.kind == "symbolic link" else []
    target = PurePosixPath(member.target.replace("\\", "/"))
    out = target.is_absolute() or re.match(r"[A-Za-z]:", member.target)
    for part in target.parts:
        if part == ".." and not at:
            out = True
        elif part == "..":
            at.pop()
        else:
            at.append(part)
    if out:
        raise InputError(
            f"{archive} holds {member.name!r}, a {member.kind} to {member.target!r}, which leaves "
            "the folder: it is not unpacked."
        )
    return PurePosixPath(*at)


def _new(archive: str, plan: Plan, path: PurePosixPath) -> None:
    if path in plan.files:
        raise refused(archive, f"{str(path)!r} twice")


def _alone(archive: str, plan: Plan) -> None:
    """Refuse two names that are one file where case or accents do not count, or file and folder."""
    same: dict[str, PurePosixPath] = {}
    for path in plan.files:
        other = same.setdefault(_alike(path), path)
        if other != path:
            raise refused(archive, f"{str(other)!r} and {str(path)!r}, one file on many disks")
    folders = plan.folders | {above for path in plan.files for above in path.parents}
    for folder in folders - {PurePosixPath(".")}:
        if _alike(folder) in same:
            raise refused(archive, f"{str(folder)!r} as a file and as a folder")


def _alike(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()


def write_out(archive: str, opened: Opened, plan: Plan, folder: Path) -> None:
    """Write the files of a plan: each appears whole, under its name, after its last byte.

    A file that is there is replaced; a call that was killed is made good by the next one.
    """
    free = shutil.disk_usage(folder).free
    if plan.size > free:
        raise InputError(
            f"{archive} unpacks to {plan.size / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free at "
            f"{str(folder)!r}: make room or choose another folder, and give the command again."
        )
    for path in sorted(plan.folders):
        (folder / path).mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}
    for path, name in plan.files.items():
        to = folder / path
        to.parent.mkdir(parents=True, exist_ok=True)
        part = to.parent / ".unpacking.part"  # one name: what a killed call leaves is used again
        part.unlink(missing_ok=True)
        try:
            # a link is a copy of what is written: going back in a gzipped tar unpacks it again
            source = written[name].open("rb") if name in written else opened.contents(name)
            with source, part.open("xb") as handle:
                shutil.copyfileobj(source, handle, CHUNK)
            part.replace(to)
            written.setdefault(name, to)
        finally:
            part.unlink(missing_ok=True)
