"""What ``fairthesis embed`` costs beside the bare encoder, in images a second.

    python benchmarks/embedding.py                    # writes benchmarks/embedding.md

The bare loop has all pixels in memory as floats, ready for the network, and keeps nothing: what it
does in a second is what an encoder can give. ``embed`` reads 8-bit pixels from the cache, prepares
them, checks the vectors and writes the table. Both take turns, with one thread. What a call costs
however many images there are is told apart, by a call with one batch: it is paid once.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from fairthesis import datasets
from fairthesis.models import load_encoder
from fairthesis.training import embed

HERE = Path(__file__).parent
BATCH = 32
# Encoder, edge of the images, and how many of them.
CASES = (
    ("torchvision:resnet50", 224, 96),
    ("torchvision:mobilenet_v3_small", 224, 256),
    ("torchvision:resnet18", 64, 512),
)


def measured(name: str, size: int, n: int, rounds: int) -> tuple[float, float, float]:
    """Images a second of the bare encoder and of ``embed``, and the seconds that a call costs."""
    encoder = load_encoder(name, weights="random", size=size, seed=0)
    few, many = (
        datasets.load("synthetic-cxr", n_train=k - 16, n_val=8, n_test=8) for k in (BATCH, n)
    )
    pixels = torch.from_numpy(many.render(np.arange(n), size)).permute(0, 3, 1, 2) / 255
    ready = encoder.preprocessing(pixels).contiguous(memory_format=torch.channels_last)
    net = encoder.net.to(memory_format=torch.channels_last).eval()
    bare, each, fixed = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for cohort in (few, many):
            embed(encoder, cohort, Path(folder) / str(id(cohort)), progress=False)
        for turn in range(rounds):
            start = time.process_time()
            with torch.no_grad():
                for first in range(0, n, BATCH):
                    net(ready[first : first + BATCH])
            bare.append((time.process_time() - start) / n)
            taken = []
            for k, cohort in enumerate((few, many)):
                start = time.process_time()
                out = Path(folder) / f"{turn}-{k}"
                embed(encoder, cohort, out, batch_size=BATCH, progress=False)
                taken.append(time.process_time() - start)
            each.append((taken[1] - taken[0]) / (n - BATCH))
            fixed.append(taken[0] - BATCH * bare[-1])
    return 1 / statistics.median(bare), 1 / statistics.median(each), statistics.median(fixed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["FAIRTHESIS_CACHE"] = cache
        found = [(*case, *measured(*case, rounds)) for case in CASES]
    lines = [
        "# Embedding beside the bare encoder",
        "",
        f"{platform.machine()}, one thread, {platform.system()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}. Medians of {rounds} turns, in "
        f"batches of {BATCH}, of the processor's time; the load was {before:.1f} before. Random "
        "weights: they cost as much as any. The images are in the cache already.",
        "",
        "| encoder | pixels | images | bare, images a second | `embed`, images a second | ratio "
        "| a call, seconds |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, size, n, bare, whole, once in found:
        numbers = f"{bare:.1f} | {whole:.1f} | {whole / bare:.2f} | {once:.1f}"
        lines.append(f"| {name} | {size} | {n} | {numbers} |")
    lines += [
        "",
        "The bar is a ratio of 0.95. The smallest encoder misses it where an image costs it but a "
        "few milliseconds: reading, scaling and checking a picture of 224 pixels take about one. A "
        "call's own costs, whatever the number of images, are the checksums of code and weights, "
        "the files and `DONE`.",
        "",
        "Made by `python benchmarks/embedding.py`.",
        "",
    ]
    (HERE / "embedding.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
