"""What a training step costs: ERM, the adversarial encoder, its weight at 0, and ERM in bfloat16.

    python benchmarks/methods/step_cost.py [--repeats 1] [--out benchmarks/methods/step_cost.md]

All on random images, on one core of a CPU, in one process: the four take turns, and medians of
the processor's time (not the clock's) are taken, since other programs share the machine. Both
models start alike, and the adversarial encoder is past its warm-up and ramp, where everything it
does is done in every step. A step is `update`: forward, backward, all optimisers; no decoding and
no augmentation.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from unittest.mock import patch

import torch

from fairthesis.methods import METHODS, Batch, Method, Setting, subgroup_probabilities
from fairthesis.methods import adversarial as ours
from fairthesis.models import FairEncoder

CASES = {  # backbone: pixels, images of a batch, repeats, limit of the adversarial step
    "small": (64, 128, 60, 2.0),
    "resnet50": (224, 32, 9, 1.4),
}
DISEASE_DIM = 4  # as in training with one target
PARTS = {  # of an adversarial step, beside what plain training does
    "critics' steps": (ours.Adversarial, "critic_step"),
    "confusion loss (forward)": (ours.Adversarial, "confusion"),
    "HSIC (forward)": (ours, "conditional_hsic"),
}


def batch(size: int, n: int) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(n, 3, size, size, generator=generator)
    target = (torch.rand(n, 1, generator=generator) < 0.4).float()
    group = (torch.rand(n, 1, generator=generator) < 0.3 + 0.3 * target).long()
    return Batch(images, target, group)


def method(
    name: str, backbone: str, data: Batch, precision: str = "float32", **options: float
) -> Method:
    torch.manual_seed(0)
    model = FairEncoder(
        backbone,
        channels=3,
        disease_dim=DISEASE_DIM,
        groups=[2],
        disease_norm="whitening",
        precision=precision,
    )
    cells = (subgroup_probabilities(data.targets, data.attributes[:, 0], 2),)
    setting = Setting(1e-3, 1e-4, 20, 0, cells, data.targets, data.attributes)
    kind = METHODS[name]
    made = kind(model, kind.Options(**options), setting)
    made.at(15.0, 0.5)  # past warm-up and ramp
    return made


def seconds(made: Method, data: Batch) -> float:
    start = time.process_time()
    made.update(data)
    return time.process_time() - start


def parts(made: Method, data: Batch, repeats: int) -> dict[str, float]:
    """Mean milliseconds of a whole step and of the calls in it that plain training lacks."""
    taken = dict.fromkeys(["the step", *PARTS], 0.0)
    with ExitStack() as patches:
        for label, (owner, name) in PARTS.items():
            patches.enter_context(patch.object(owner, name, timed(owner, name, label, taken)))
        for _ in range(repeats):
            taken["the step"] += seconds(made, data)
    return {label: 1000 * total / repeats for label, total in taken.items()}


def timed(owner: object, name: str, label: str, taken: dict[str, float]) -> Callable[..., object]:
    call = getattr(owner, name)

    def measured(*args: object) -> object:
        start = time.process_time()
        result = call(*args)
        taken[label] += time.process_time() - start
        return result

    return measured


def case(backbone: str, share: float) -> tuple[list[str], str]:
    size, n, repeats, limit = CASES[backbone]
    repeats = max(2, round(share * repeats))
    data = batch(size, n)
    methods = {
        "ERM": method("erm", backbone, data),
        "adversarial": method("adversarial", backbone, data),
        "adversarial, weight 0": method("adversarial", backbone, data, adversary_weight=0.0),
        "ERM, bfloat16": method("erm", backbone, data, "bfloat16"),
    }
    taken: dict[str, list[float]] = {name: [] for name in methods}
    for turn in range(repeats + 1):
        for name, made in methods.items():
            duration = seconds(made, data)
            if turn >= 1:  # the first one plans convolutions and makes optimiser states
                taken[name].append(duration)
    middle = {name: 1000 * statistics.median(values) for name, values in taken.items()}
    limits = dict(zip(methods, ("", f"at most {limit:g}", "about 1", ""), strict=True))
    lines = [
        f"| {backbone}, {size} px, batch {n}, {repeats} steps | {name} | {value:.1f} "
        f"| {value / middle['ERM']:.2f} | {limits[name]} |"
        for name, value in middle.items()
    ]
    shares = parts(methods["adversarial"], data, max(1, repeats // 4))
    told = ", ".join(f"{label} {value:.1f} ms" for label, value in shares.items())
    return lines, f"- {backbone}: {told}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=float, default=1.0, help="share of the usual steps")
    args = parser.parse_args()
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    found = [case(backbone, args.repeats) for backbone in CASES]
    given = "" if args.repeats == 1 else f" --repeats {args.repeats:g}"
    text = "\n".join(
        [
            "# Cost of a step",
            "",
            f"{platform.machine()}, one core of {os.cpu_count()}, {platform.system()}, Python "
            f"{platform.python_version()}, torch {metadata.version('torch')}. The load was "
            f"{load:.1f} before and {os.getloadavg()[0]:.1f} at the end, 1 of it from this "
            "program. Medians of the processor's time; what is compared took turns.",
            "",
            "| encoder | step | ms | over ERM | limit |",
            "|---|---|--:|--:|---|",
            *[line for lines, _ in found for line in lines],
            "",
            "Where the time of an adversarial step goes (means; the rest is what plain training "
            "does as well, and the backward passes of the last two):",
            "",
            *[told for _, told in found],
            "",
            "bfloat16 needs a processor that has it.",
            "",
            f"Made by `python benchmarks/methods/step_cost.py{given}`.",
            "",
        ]
    )
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
