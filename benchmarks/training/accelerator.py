"""Images a second in training on an accelerator: our loop, a bare one, and the step alone.

    python benchmarks/training/accelerator.py [--device cuda] [--out FILE.md]

ResNet50 at 224 pixels, batches of 128, bfloat16, random images that lie decoded in memory, as the
cache gives them. The limit is the step alone: a batch that is on the device already, no
augmentation, no number read back. The bare loop adds what any training needs: rows taken from
memory, the copy to the device, the loss read once an epoch. Ours is the package's own epoch: both
with light augmentation and without, ERM and the adversarial encoder. They take turns in one
process; medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fairthesis.models import make_averager
from fairthesis.models._torchvision import torchvision
from fairthesis.training import TrainConfig
from fairthesis.training._batches import Table
from fairthesis.training._setup import new_method, new_model
from fairthesis.training._train import _epoch

SIZE, BATCH = 224, 128
CONFIGS = {
    "ERM, no augmentation": {"method": "erm", "augmentation": "none"},
    "ERM, light augmentation": {"method": "erm"},
    "adversarial, light augmentation": {"method": "adversarial"},
}


class Bare:
    """Plain PyTorch: ResNet50 with one output, fused AdamW, autocast."""

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device = device
        self.net = torchvision.models.resnet50(num_classes=1).to(
            device, memory_format=torch.channels_last
        )
        self.optimiser = torch.optim.AdamW(self.net.parameters(), 1e-3, fused=True)
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        self.mean = torch.tensor(mean, device=device).view(1, 3, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, 3, 1, 1)

    def step(self, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, torch.bfloat16):
            x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
            loss = nn.functional.binary_cross_entropy_with_logits(self.net(x).float(), target)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def epoch(self, pixels: NDArray[np.uint8], targets: torch.Tensor) -> float:
        losses = []
        for rows in np.random.default_rng(0).permutation(len(pixels)).reshape(-1, BATCH):
            images = torch.from_numpy(pixels[rows]).to(self.device)
            images = images.permute(0, 3, 1, 2).float().div_(255)
            losses.append(self.step(images, targets[torch.from_numpy(rows)].to(self.device)))
        return float(torch.stack(losses).mean())

    def steps(self, n: int) -> float:
        images = torch.rand(BATCH, 3, SIZE, SIZE, device=self.device)
        target = torch.randint(0, 2, (BATCH, 1), device=self.device).float()
        losses = [self.step(images, target) for _ in range(n)]
        return float(torch.stack(losses).mean())


def table_of(n: int) -> Table:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, SIZE, SIZE, 3), dtype=np.uint8)
    y = torch.from_numpy((rng.random((n, 1)) < 0.4).astype(np.float32))
    a = torch.from_numpy((rng.random((n, 1)) < 0.3).astype(np.int64))
    rows = {"train": np.arange(n), "val": np.arange(BATCH), "test": np.arange(BATCH)}
    return Table(pixels, y, a, (("F", "M"),), rows, torch.arange(n))


def ours(table: Table, device: torch.device, **options: str) -> Callable[[], object]:
    config = TrainConfig(
        dataset="synthetic-cxr", targets=("opacity",), attributes=("sex",), size=SIZE,
        batch_size=BATCH, precision="bfloat16", backbone="resnet50", **options,
    )  # fmt: skip
    model = new_model(config, table, 3, 1).to(device)
    method = new_method(config, table, model).to(device)
    average = make_averager(config.averaging, config.ema_decay)
    # past the warm-up and the ramp of the adversary, where a step does all that it ever does
    return lambda: _epoch(config, method, table, config.epochs - 2, device, average)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, default=24, help="of an epoch")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    device = torch.device(args.device)
    n = BATCH * args.batches
    table, bare = table_of(n), Bare(device)
    runs: dict[str, Callable[[], object]] = {
        "the step alone (limit)": lambda: bare.steps(args.batches),
        "a bare loop": lambda: bare.epoch(table.images, table.targets),
    }
    runs |= {name: ours(table, device, **options) for name, options in CONFIGS.items()}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(args.repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if device.type == "cuda":
                torch.cuda.synchronize()
            if turn:  # the first one plans convolutions
                taken[name].append(time.perf_counter() - start)
    speed = {name: n / statistics.median(values) for name, values in taken.items()}
    where = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    lines = [
        f"| {name} | {value:.0f} | {value / speed['the step alone (limit)']:.2f} "
        f"| {value / speed['a bare loop']:.2f} |"
        for name, value in speed.items()
    ]
    text = "\n".join(
        [
            "# Training on an accelerator",
            "",
            f"{where}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, Python "
            f"{platform.python_version()}, torch {torch.__version__}. ResNet50, {SIZE} pixels, "
            f"batches of {BATCH}, bfloat16; epochs of {args.batches} batches, medians of "
            f"{args.repeats} turns.",
            "",
            "| loop | images a second | of the limit | of the bare loop |",
            "|---|--:|--:|--:|",
            *lines,
            "",
            f"Made by `python benchmarks/training/accelerator.py --device {args.device}`.",
            "",
        ]
    )
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
