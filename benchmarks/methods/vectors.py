"""How fast do methods train on vectors? Writes vectors.md beside it.

    python benchmarks/methods/vectors.py                 200,000 vectors of 1,376 numbers
    python benchmarks/methods/vectors.py --rows 20000

An epoch over a memory-mapped table of random vectors: of a bare PyTorch loop with a logistic head,
of a bare loop with the network that a run has, and of runs. Each is a process of its own, so that
its memory is its own; they take turns, and medians are shown. What a run's step costs over the bare
loop's is measured once more in one process, in blocks of steps that alternate: minutes apart, two
epochs differ more by what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
WIDTH, BATCH, EPOCHS = 1376, 256, 3
LIMIT_SECONDS, LIMIT_GB = 60, 2
RUNS = ("erm", "reweighted", "adversarial")
WHAT = {
    "logistic": "bare loop, one logistic layer",
    "network": "bare loop, the network of a run (both heads)",
    "erm": "run, erm",
    "reweighted": "run, reweighted",
    "adversarial": "run, adversarial (critics, HSIC, reweighting)",
}


def cohort(folder: Path, rows: int):
    import numpy as np
    import pandas as pd

    from fairthesis.data import Cohort, Vectors

    array = np.load(folder / "vectors.npy", mmap_mode="r")
    rng = np.random.default_rng(1)
    who = rng.integers(0, rows // 2, rows)
    part = rng.random(rows // 2)[who]
    frame = pd.DataFrame({"image_id": np.arange(rows).astype(str)})
    frame["patient_id"] = who.astype(str)
    frame["split"] = np.where(part < 0.98, "train", np.where(part < 0.99, "val", "test"))
    frame["target"] = (rng.random(rows) < 0.3).astype(float)
    frame["sex"] = np.where(who % 2, "F", "M")
    vectors = Vectors(array, np.arange(rows), f"{rows}")
    return Cohort("random", frame, ("target",), ("sex",), vectors=vectors)


def bare(kind: str, folder: Path, rows: int) -> list[float]:
    """Seconds of each epoch of a plain loop over the training part."""
    import numpy as np
    import torch
    from torch.nn import functional as F

    from fairthesis.models import FairEncoder

    data = cohort(folder, rows)
    assert data.vectors is not None
    train = np.flatnonzero(data.frame["split"] == "train")
    y, a = torch.from_numpy(data.labels("target")), torch.from_numpy(data.codes("sex"))
    torch.manual_seed(0)
    if kind == "logistic":
        model: torch.nn.Module = torch.nn.Linear(WIDTH, 1)
    else:
        model = FairEncoder("none", width=WIDTH, disease_dim=4, disease_norm="whitening")
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    seconds = []
    for epoch in range(EPOCHS):
        started = time.perf_counter()
        order = np.random.default_rng(epoch).permutation(train)
        for start in range(0, len(order) - BATCH + 1, BATCH):
            part = order[start : start + BATCH]
            x = torch.from_numpy(data.vectors.array[part])
            if isinstance(model, FairEncoder):
                z, s = model(x)
                groups = F.cross_entropy(model.sensitive_logits(s)[0], a[part])
                logits, more = model.disease_logits(z)[:, 0], groups
            else:
                logits, more = model(x)[:, 0], torch.zeros(())
            loss = F.binary_cross_entropy_with_logits(logits, y[part]) + more
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        seconds.append(time.perf_counter() - started)
    return seconds


def of_run(method: str, folder: Path, rows: int) -> list[float]:
    from fairthesis.training import TrainConfig, train

    options = {"warmup_epochs": 0, "ramp_epochs": 1} if method == "adversarial" else {}
    config = TrainConfig(
        dataset="embeddings", backbone="none", method=method, method_options=options,
        epochs=EPOCHS, batch_size=BATCH,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as out:
        run = train(config, Path(out) / "run", cohort=cohort(folder, rows), progress=False)
        lines = (run / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["seconds"] for line in lines]


def one(kind: str, folder: Path, rows: int) -> dict[str, float]:
    """In a process of its own: the fastest epoch after the first, and the largest memory."""
    import resource

    seconds = (of_run if kind in RUNS else bare)(kind, folder, rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"seconds": min(seconds[1:]), "gb": peak}


def alternated(folder: Path, rows: int, blocks: int = 40, steps: int = 25) -> float:
    """The bare network loop's time for a step over that of a run's, medians of blocks."""
    import numpy as np
    import torch
    from torch.nn import functional as F

    from fairthesis.methods import ERM, Setting, subgroup_probabilities
    from fairthesis.models import FairEncoder
    from fairthesis.training import make_table

    data = cohort(folder, rows)
    assert data.vectors is not None
    readable = np.ones(rows, bool)
    table = make_table(data, data.vectors, readable, ("target",), ("sex",))
    torch.manual_seed(0)
    ours, bare_model = (
        FairEncoder("none", width=WIDTH, disease_dim=4, disease_norm="whitening") for _ in "ab"
    )
    own = torch.from_numpy(table.rows["train"])
    labels, codes = table.targets[own], table.attributes[own]
    subgroups = (subgroup_probabilities(labels, codes[:, 0], 2),)
    setting = Setting(1e-3, 1e-4, EPOCHS, 0, subgroups, labels, codes)
    method = ERM(ours, ERM.Options(), setting)
    optimiser = torch.optim.AdamW(bare_model.parameters(), lr=1e-3)
    y, a = torch.from_numpy(data.labels("target")), torch.from_numpy(data.codes("sex"))

    def bare_step(part: np.ndarray) -> None:
        z, s = bare_model(torch.from_numpy(data.vectors.array[part]))
        groups = F.cross_entropy(bare_model.sensitive_logits(s)[0], a[part])
        logits = bare_model.disease_logits(z)[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, y[part]) + groups
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def run_step(part: np.ndarray) -> None:
        method.update(table.batch(part))

    order = np.random.default_rng(0).permutation(table.rows["train"])
    parts = [order[k * BATCH : (k + 1) * BATCH] for k in range(len(order) // BATCH)]
    seconds: dict[str, list[float]] = {"bare": [], "run": []}
    for block in range(blocks):
        for name, step in (("bare", bare_step), ("run", run_step)):
            started = time.perf_counter()
            for k in range(steps):
                step(parts[(block * steps + k) % len(parts)])
            seconds[name].append(time.perf_counter() - started)
    return statistics.median(seconds["bare"]) / statistics.median(seconds["run"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.folder, given.rows)))
        return
    import numpy as np

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        out = np.lib.format.open_memmap(
            folder / "vectors.npy", mode="w+", dtype=np.float32, shape=(given.rows, WIDTH)
        )
        rng = np.random.default_rng(0)
        for start in range(0, given.rows, 10_000):
            part = out[start : start + 10_000]
            part[:] = rng.standard_normal(part.shape, np.float32)
        out.flush()
        ratio = alternated(folder, given.rows)
        print(f"a step, alternately: {ratio:.2f} of the bare loop's speed", file=sys.stderr)
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in WHAT}
        for _ in range(given.turns):
            for kind in WHAT:
                command = [sys.executable, __file__, "--one", kind, "--folder", name]
                command += ["--rows", str(given.rows)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[kind].append(json.loads(done.stdout.splitlines()[-1]))
                print(kind, found[kind][-1], file=sys.stderr, flush=True)
    seconds = {k: statistics.median(f["seconds"] for f in v) for k, v in found.items()}
    lines = [
        "# Training on vectors", "",
        f"{given.rows:,} vectors of {WIDTH:,} numbers (float32, memory-mapped), batches of "
        f"{BATCH}; {os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}. "
        "Made by `benchmarks/methods/vectors.py`: a process for each, in turns, the median of "
        f"{given.turns} turns; load average {os.getloadavg()[1]:.1f} (where others' work fills the "
        "cores, the ratios are what to read).", "",
        "| what | seconds an epoch | of the bare network loop's speed | of the logistic loop's | "
        "peak memory, GB |",
        "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for kind, what in WHAT.items():
        s, gb = seconds[kind], max(f["gb"] for f in found[kind])
        ratios = [f"{seconds[other] / s:.2f}" for other in ("network", "logistic")]
        lines.append(f"| {what} | {s:.1f} | {ratios[0]} | {ratios[1]} | {gb:.2f} |")
    lines += [
        "",
        f"A step of the run (erm) and of the bare loop with its network, in one process and "
        f"alternately: **{ratio:.2f}** of the bare loop's speed (the goal: 0.9). The run clips "
        "gradients, checks that every number is finite, and has an optimiser for the sensitive "
        "head; its AdamW takes one pass (`fused`), the bare loop's is torch's default.",
        "",
        f"The goal: an epoch of the adversarial method on 200,000 vectors in under {LIMIT_SECONDS} "
        f"seconds and {LIMIT_GB} GB. Memory counts the pages of the mapped file that were read; "
        "the system may take them back.",
        "",
    ]
    text = "\n".join(lines)
    (HERE / "vectors.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
