"""How long the book takes from nothing and when nothing changed, and what its chapters need.

``python benchmarks/study/book.py`` clones the checkout into an empty folder, builds the book there
twice with the present environment, and writes ``benchmarks/study/book.md``. The limits are those
that the project promises: 12 minutes, 20 seconds, 2 GB on 2 cores.
"""

from __future__ import annotations

import csv
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def build(folder: Path) -> float:
    """Seconds that a build of the book in ``folder`` takes."""
    cache = {"FAIRTHESIS_CACHE": str(folder / "cache"), "PYTHONPATH": str(folder)}
    started = time.monotonic()
    command = [sys.executable, "workflow/build.py", "--cores", "2"]
    subprocess.run(command, cwd=folder, check=True, env=os.environ | cache)
    return time.monotonic() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        first, second = build(clone), build(clone)
        chapters = {}
        for file in sorted((clone / "build" / "benchmarks").glob("*.tsv")):
            with file.open(newline="") as table:
                row = next(csv.DictReader(table, delimiter="\t"))
            chapters[file.stem] = (float(row["s"]), float(row["max_rss"]))
    load = os.getloadavg()[2]
    lines = [
        "# The book: time and memory",
        "",
        "Made by `python benchmarks/study/book.py`: a fresh clone, built twice with 2 cores, "
        f"packages installed. {platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}; load average over 15 minutes {load:.1f}.",
        "",
        "| what | limit | measured | ratio |",
        "|---|---:|---:|---:|",
        f"| the book from nothing | 720 s | {first:.0f} s | {first / 720:.2f} |",
        f"| the book when nothing changed | 20 s | {second:.1f} s | {second / 20:.2f} |",
    ]
    for name, (seconds, memory) in chapters.items():
        lines.append(
            f"| chapter {name}, peak memory | 2,048 MB | {memory:.0f} MB | {memory / 2048:.2f} |"
        )
        lines.append(f"| chapter {name}, time once its runs are there | | {seconds:.0f} s | |")
    (ROOT / "benchmarks" / "study" / "book.md").write_text(
        "\n".join(lines) + "\n", encoding="utf-8"
    )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
