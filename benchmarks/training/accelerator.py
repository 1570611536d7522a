"""Images a second in training on an accelerator: our loop, a bare one, and the step alone.

    python benchmarks/training/accelerator.py [--device cuda] [--out FILE.md]

ResNet50 at 224 pixels, batches of 128, bfloat16, images that lie decoded in memory, as the cache
gives them. The limit is the step alone: a batch that is on the device already, no augmentation, no
number read back. The bare loop adds what any training needs: rows taken from memory, the copy to
the device, the loss read once an epoch. Ours is `fairthesis.training.train`, by the seconds that
its log gives for each epoch (with the scoring of 128 validation images): ERM without and with light
augmentation, the default past its ramp, the same with critics, and two compiled. Both loops read
colour images. Medians of epochs; the first is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fairthesis.training import TrainConfig, train

SIZE, BATCH = 224, 128
LIMIT, BARE = "the step alone (limit)", "a bare loop"
CONFIGS = {
    "ERM, no augmentation": {"method": "erm", "augmentation": "none"},
    "ERM, light augmentation": {"method": "erm"},
    "hsic, the default": {"method": "hsic"},
    "adversarial, light augmentation": {"method": "adversarial"},
    "ERM, compiled": {"method": "erm", "compile": True},
    "hsic, compiled": {"method": "hsic", "compile": True},
}


class Bare:
    """Plain PyTorch: ResNet50 with one output, fused AdamW, autocast."""

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(0)
        self.device = device
        # Only now: beside a CPU build of torch it needs the package's own import before.
        from torchvision.models import resnet50

        self.net = resnet50(num_classes=1).to(device, memory_format=torch.channels_last)
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


def ours(folder: Path, device: str, batches: int, epochs: int, **options: Any) -> list[float]:
    """Seconds of each epoch by the training log."""
    config = TrainConfig(
        dataset="synthetic-derm",
        dataset_options={"n_train": batches * BATCH, "n_val": BATCH, "n_test": BATCH},
        size=SIZE, batch_size=BATCH, precision="bfloat16", backbone="resnet50", device=device,
        epochs=epochs, **options,
    )  # fmt: skip
    run = train(config, folder / "-".join(map(str, options.values())), progress=False)
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["seconds"] for line in lines]


def bare_seconds(bare: Bare, batches: int, epochs: int) -> dict[str, list[float]]:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (batches * BATCH, SIZE, SIZE, 3), dtype=np.uint8)
    targets = torch.from_numpy((rng.random((len(pixels), 1)) < 0.4).astype(np.float32))
    runs: dict[str, Callable[[], object]] = {
        LIMIT: lambda: bare.steps(batches),
        BARE: lambda: bare.epoch(pixels, targets),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(epochs):
        for name, run in runs.items():
            start = time.perf_counter()
            run()  # ends with a number that is read back
            taken[name].append(time.perf_counter() - start)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--batches", type=int, default=24, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    device = torch.device(args.device)
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        for label, options in CONFIGS.items():
            took = ours(Path(name), args.device, args.batches, args.epochs, **options)
            found[label] = took if options["method"] == "erm" else took[args.epochs // 2 :]
    taken = bare_seconds(Bare(device), args.batches, args.epochs) | found
    n = args.batches * BATCH
    speed = {name: n / statistics.median(values[1:]) for name, values in taken.items()}
    where = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    lines = [
        f"| {name} | {value:.0f} | {value / speed[LIMIT]:.2f} | {value / speed[BARE]:.2f} |"
        for name, value in speed.items()
    ]
    text = "\n".join(
        [
            "# Training on an accelerator",
            "",
            f"{where}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}, Python "
            f"{platform.python_version()}, torch {torch.__version__}. ResNet50, {SIZE} pixels, "
            f"batches of {BATCH}, bfloat16; {args.epochs} epochs of {args.batches} batches.",
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
