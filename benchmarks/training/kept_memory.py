"""What it gives on a processor that memory which a batch frees is kept for the next.

    python benchmarks/training/kept_memory.py       # writes kept_memory.md beside it

Every measurement is a process of its own, with one thread; turns alternate. Without: glibc as it
comes, by a variable that changes nothing else (``keep_freed_memory`` leaves alone whatever
somebody has set). The pixels are in the cache already.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

HERE = Path(__file__).parent
COHORT = {"n_train": 64, "n_val": 16, "n_test": 16}
# Its name in the table, and the command: embeddings of images, or one epoch of training.
CASES = {
    "embed, EfficientNet-Lite0, 224 pixels": "embed --encoder lite:efficientnet-lite0 "
    "--weights random --dataset synthetic-cxr",
    "embed, ResNet50, 224 pixels": "embed --encoder torchvision:resnet50 --weights random "
    "--dataset synthetic-cxr",
    "train, ResNet18, 224 pixels": "train --backbone resnet18 --size 224 --epochs 1 "
    "--batch-size 32 --threads 1 --dataset synthetic-cxr",
    "train, small encoder, 64 pixels": "train --backbone small --size 64 --epochs 20 "
    "--batch-size 32 --threads 1 --dataset synthetic-cxr",
}
AS_IT_COMES = {"MALLOC_CHECK_": "0"}

MEASURED = """
import resource, sys
from fairthesis.cli import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    assert not left.code, left.code
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, used.ru_stime, used.ru_maxrss / 1024)
"""


def measured(command: str, cache: str, variables: dict[str, str]) -> list[float]:
    """Processor seconds, those of them in the system, and the most memory, MB."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_"))}
    own |= {"OMP_NUM_THREADS": "1", "FAIRTHESIS_CACHE": cache} | variables
    with tempfile.TemporaryDirectory() as folder:
        given = [*command.split(), "--quiet", "--out", f"{folder}/out"]
        for name, value in COHORT.items():
            given += ["--dataset-option", f"{name}={value}"]
        told = subprocess.run(
            [sys.executable, "-c", MEASURED, *given], env=own, check=True, capture_output=True,
            text=True,
        )  # fmt: skip
    return [float(number) for number in told.stdout.split()[-3:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    before = os.getloadavg()[0]
    lines = [
        "# Memory that is kept for the next batch",
        "",
        f"{platform.machine()}, one thread, {platform.system()}, {' '.join(platform.libc_ver())}, "
        f"Python {platform.python_version()}, torch {torch.__version__}. Medians of {rounds} turns "
        f"on {sum(COHORT.values())} images, each in a process of its own, start included; the "
        f"load was {before:.1f} before. Processor seconds, those of the system in brackets.",
        "",
        "| command | as glibc comes | kept | ratio | most memory, MB | kept, MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    with tempfile.TemporaryDirectory() as cache:
        for name, command in CASES.items():
            measured(command, cache, {})
            found: dict[bool, list[list[float]]] = {False: [], True: []}
            for _ in range(rounds):
                for kept, seen in found.items():
                    seen.append(measured(command, cache, {} if kept else AS_IT_COMES))
            without, with_ = (
                [statistics.median(column) for column in zip(*seen, strict=True)]
                for seen in found.values()
            )
            lines.append(
                f"| {name} | {without[0]:.1f} ({without[1]:.1f}) | {with_[0]:.1f} ({with_[1]:.1f}) "
                f"| {with_[0] / without[0]:.2f} | {without[2]:.0f} | {with_[2]:.0f} |"
            )
    lines += ["", "Made by `python benchmarks/training/kept_memory.py`.", ""]
    (HERE / "kept_memory.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
