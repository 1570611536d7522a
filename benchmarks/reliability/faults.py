"""Which faults were tried, and what happened? Writes faults.md beside it.

    python benchmarks/reliability/faults.py               # all: 20 minutes of a core
    python benchmarks/reliability/faults.py names tables  # those kinds only, printed, not written

With ``--parts FOLDER`` the rows of each fault are kept there, and not tried again: it can be
interrupted, and kinds can be tried in several processes at once.

Each fault is tried on a command in a process of its own, on small made inputs in a temporary
folder. Mounts (a full disk, a read-only folder) and dropped rights need root and Linux; where they
cannot be had the row says so. Exit code 1 where a fault did not end as expected.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path

import archives
import kills
import mutations
import names
import places
import runs
import tables
from trying import ROOT, Row

KINDS = {
    "kills": ("Kills and signals", kills),
    "runs": ("Runs: begun twice, changed, damaged", runs),
    "places": ("Disks, rights, memory, open files", places),
    "tables": ("Damaged tables, images and models", tables),
    "mutations": ("Files damaged at random", mutations),
    "archives": ("Archives and other packed files", archives),
    "names": ("Hostile names", names),
}
HEAD = ("fault", "command", "expected", "happened", "as expected")


def rows_of(fault: Callable[[], Row | Iterable[Row]]) -> Iterator[Row]:
    """The rows of a fault; where trying it breaks off, a row that says so."""
    try:
        found = fault()
        yield from [found] if isinstance(found, Row) else found
    except Exception as error:
        traceback.print_exc()
        yield Row(fault.__name__, "", "", f"trying it broke off: {type(error).__name__}", False)


def kept(fault: Callable[[], Row | Iterable[Row]], part: Path | None) -> Iterator[Row]:
    """The rows of a fault, from the file ``part`` where it has been tried before."""
    if part is not None and part.exists():
        yield from (Row(**row) for row in json.loads(part.read_text(encoding="utf-8")))
        return
    rows = []
    for row in rows_of(fault):
        rows.append(row)
        yield row
    if part is not None:
        part.write_text(json.dumps([vars(row) for row in rows], indent=1), encoding="utf-8")


def machine() -> str:
    """When, of which code, and where."""
    words = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    versions = ", ".join(f"{n} {metadata.version(n)}" for n in ("torch", "pandas", "pyarrow"))
    return (
        f"{datetime.date.today():%d %B %Y}, commit {commit or 'unknown'}, {platform.system()} on "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{versions}"
    )


def _pieces(given: argparse.Namespace) -> str:
    return ", put together from parts that ran at it or shortly before" if given.parts else ""


def main() -> int:
    """Try them all, or some kinds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], help="all by default")
    parser.add_argument("--short", action="store_true", help="leave the kills at every change out")
    parser.add_argument("--parts", type=Path, help="folder that keeps the rows of each fault")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    parts, counts = [], {True: 0, False: 0, None: 0}
    for kind in given.kinds or KINDS:
        title, module = KINDS[kind]
        lines = []
        for fault in (*module.FAULTS, *(() if given.short else getattr(module, "LONG", ()))):
            part = given.parts and given.parts / f"{kind}-{fault.__name__}.json"
            for row in kept(fault, part):
                counts[row.as_expected] += 1
                lines.append(row.line())
                print(lines[-1], flush=True)
        parts += [f"## {title}", "", f"| {' | '.join(HEAD)} |", "|---|---|---|---|---|", *lines, ""]
    text = [
        "# Faults, and what happened",
        "",
        f"Made by `benchmarks/reliability/faults.py`: {machine()}{_pieces(given)}. "
        f"{sum(counts.values())} rows: {counts[True]} as expected, {counts[False]} not, "
        f"{counts[None]} not tried.",
        "",
        *parts,
    ]
    if not given.kinds and not given.short:
        given.out.write_text("\n".join(text).rstrip() + "\n", encoding="utf-8")
    print(text[2])
    return int(counts[False] > 0)


if __name__ == "__main__":
    sys.exit(main())
