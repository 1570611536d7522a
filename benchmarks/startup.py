"""How long the package takes to start, side by side with a bare interpreter.

    python benchmarks/startup.py                      # writes benchmarks/startup.md
    python benchmarks/startup.py --other ../before    # beside another checkout of the package

The limit is the interpreter itself: what a command prints without loading pandas or torch cannot
come sooner than ``python -c pass`` ends (click's own import comes on top for the command line).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROUNDS = 15
LIMIT = "bare interpreter"
CASES = {
    LIMIT: ["-c", "pass"],
    "import click": ["-c", "import click"],
    "import fairthesis": ["-c", "import fairthesis"],
    "fairthesis --help": ["-m", "fairthesis", "--help"],
    "fairthesis audit --help": ["-m", "fairthesis", "audit", "--help"],
    "fairthesis.audit, ready to call": ["-c", "import fairthesis; fairthesis.audit"],
    "fairthesis.train, ready to call": ["-c", "import fairthesis; fairthesis.train"],
}


def seconds(words: list[str], checkout: Path) -> float:
    """Wall-clock seconds of one process that finds the package in ``checkout``."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *words], env=environment, cwd=checkout, check=True, capture_output=True
    )
    return time.perf_counter() - start


def medians(checkouts: list[Path], rounds: int) -> dict[str, list[float]]:
    """Median seconds per case and checkout; checkouts take turns within each round."""
    taken: dict[str, list[list[float]]] = {name: [[] for _ in checkouts] for name in CASES}
    for turn in range(rounds + 1):
        for name, words in CASES.items():
            for k, checkout in enumerate(checkouts):
                found = seconds(words, checkout)
                if turn:  # the first fills the caches of bytecode and of the disk
                    taken[name][k].append(found)
    return {name: [statistics.median(own) for own in each] for name, each in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--other", type=Path, help="another checkout, measured in turn")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    given = parser.parse_args()
    checkouts = [ROOT, *([given.other.resolve()] if given.other else [])]
    found = medians(checkouts, given.rounds)
    limit = found[LIMIT][0]
    head = ["", "seconds", "times the bare interpreter"]
    head += ["the other checkout, seconds", "ratio"] if given.other else []
    lines = [
        "# Start of the package",
        "",
        f"Medians of {given.rounds} processes in turn, Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, {platform.system()}. Made by `benchmarks/startup.py`.",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
    ]
    for name, own in found.items():
        row = [name, f"{own[0]:.3f}", f"{own[0] / limit:.1f}"]
        row += [f"{own[1]:.3f}", f"{own[0] / own[1]:.2f}"] if given.other else []
        lines.append("| " + " | ".join(row) + " |")
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
