"""What do millions of vectors cost on one machine? Writes millions.md beside it.

    python benchmarks/training/millions.py                        5,000,000 vectors of 384 numbers
    python benchmarks/training/millions.py --rows 200000 --work /tmp/few

Synthetic vectors lie in shards, as `fairthesis embed --shard i/n` leaves them: three fifths of the
patients train, a tenth validates, the rest tests. A marker's direction is reversed between two
groups of a third and two thirds. Then the commands of a user follow, each a process of its own that
may take `--limit` GB of memory of its own (RLIMIT_DATA: what is not a page of a file; the system
takes those back): the method's heads are trained on them, the result is probed and audited, an
eraser is fitted and applied. What is there from an earlier call is not made again.

The limit to compare with: reading the vectors once from disk, and one pass of a bare PyTorch loop
with the same network over the training part (benchmarks/methods/vectors.py has its ratio).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
WIDTH, SHARD, SEED = 384, 100_000, 0
PART = 5  # the bare loop sees one row of so many, and its time is taken so many times
MARKED = {(1, 0): 0.85, (0, 0): 0.15, (1, 1): 0.15, (0, 1): 0.60}  # P(marker | target, group)
NAMES = np.array(["large", "small"])


def labels_of(rows: int) -> pd.DataFrame:
    """Two images of each patient; target and group of the patient."""
    rng = np.random.default_rng(SEED)
    who = np.arange(rows) // 2
    patients = int(who[-1]) + 1
    group = rng.random(patients) < 1 / 3
    share = rng.random(patients)
    frame = pd.DataFrame({"image_id": [f"i{i:08d}" for i in range(rows)]})
    frame["patient_id"] = [f"p{p:08d}" for p in who]
    frame["split"] = np.select([share < 0.6, share < 0.7], ["train", "val"], "test")[who]
    frame["disease"] = (rng.random(patients) < 0.3)[who].astype(int)
    frame["sex"] = NAMES[group[who].astype(int)]
    return frame


def write_shards(folder: Path, rows: int) -> None:
    labels = labels_of(rows)
    rng = np.random.default_rng(SEED + 1)
    finding, sex, marker = (
        direction / np.linalg.norm(direction) for direction in rng.normal(size=(3, WIDTH))
    )
    number = -(-rows // SHARD)
    for i in range(number):
        at = folder / "embeddings" / f"shard-{i + 1}-of-{number}"
        if (at / "DONE").is_file():
            continue
        at.mkdir(parents=True, exist_ok=True)
        part = labels.iloc[i * SHARD : (i + 1) * SHARD]
        own = np.random.default_rng([SEED, i])
        y, a = part["disease"].to_numpy(), (part["sex"] == NAMES[1]).to_numpy(int)
        p = np.select([(y == t) & (a == g) for t, g in MARKED], list(MARKED.values()))
        shown = own.random(len(part)) < p
        x = own.standard_normal((len(part), WIDTH), dtype=np.float32)
        for amount, direction in ((1.2 * y, finding), (2.0 * a, sex), (2.5 * shown, marker)):
            x += (amount[:, None] * direction).astype(np.float32)
        columns = {f"z_{j:04d}": x[:, j] for j in range(WIDTH)}
        keys = part[["image_id", "patient_id", "split"]].reset_index(drop=True)
        keys.join(pd.DataFrame(columns)).to_parquet(at / "embeddings.parquet", index=False)
        (at / "DONE").write_text("made by a benchmark\n")
    labels.to_csv(folder / "labels.csv", index=False)
    options = {"vectors": "embeddings", "table": "labels.csv", "targets": ["disease"]}
    text = json.dumps(options | {"attributes": ["sex"]})
    (folder / "embeddings.json").write_text(text)


def commands(folder: Path, epochs: int) -> dict[str, list[str]]:
    run = folder / "run"
    own = ["--labels", f"{run}/predictions.parquet"]
    train = ["train", "--dataset", "embeddings", "--data-root", str(folder), "--backbone", "none"]
    train += ["--method", "hsic", "--epochs", str(epochs), "--batch-size", "512"]
    train += ["--method-option", "warmup_epochs=0", "--method-option", "ramp_epochs=1"]
    test = ["--group", "sex", "--patient", "patient_id", "--threshold", "youden"]
    test += ["--n-boot", "500", "--n-permutations", "500"]
    wide = f"{folder}/embeddings"
    return {
        "train (hsic)": [*train, "--out", str(run)],
        "probe": [
            "probe",
            f"{run}/embeddings.parquet",
            *own,
            "--attribute",
            "sex",
            "--n-shuffles",
            "2",
            "--out",
            f"{folder}/leaks",
        ],
        "audit": ["audit", f"{run}/predictions.parquet", *test, "--out", f"{folder}/audit"],
        "erase fit": [
            "erase",
            "fit",
            wide,
            "--labels",
            f"{folder}/labels.csv",
            "--group",
            "sex",
            "--prefix",
            "z_",
            "--out",
            f"{folder}/eraser",
        ],
        "erase apply": [
            "erase",
            "apply",
            f"{folder}/eraser",
            wide,
            "--out",
            f"{folder}/erased.parquet",
        ],
    }


def measured(command: list[str], limit_gb: float, log: Path) -> dict[str, float]:
    """Seconds on the clock, processor seconds, and the largest memory of one process, in GB."""

    def limited() -> None:
        most = int(limit_gb * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started, own = time.perf_counter(), 0
    with log.open("w") as to:
        quiet = [] if "apply" in command else ["--quiet"]
        process = subprocess.Popen(
            [sys.executable, "-m", "fairthesis", *command, *quiet],
            stdout=to,
            stderr=subprocess.STDOUT,
            preexec_fn=limited,
        )
        while process.poll() is None:
            own = max(own, anonymous(process.pid))
            time.sleep(0.1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[:2])} ended with {process.returncode}: {log}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"clock": time.perf_counter() - started, "cpu": spent, "gb": own / 1e9}


def anonymous(pid: int) -> int:
    """Bytes of memory that are no pages of files."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
    except OSError:  # it has just ended
        pass
    return 0


def bare(folder: Path) -> dict[str, float]:
    """Seconds to read every vector once, and one epoch of a plain loop over the training part."""
    import torch
    from torch.nn import functional as F

    from fairthesis import datasets
    from fairthesis.models import FairEncoder

    cohort = datasets.load("embeddings", folder)
    assert cohort.vectors is not None
    started = time.perf_counter()
    for start in range(0, len(cohort.vectors), 8192):
        cohort.vectors.array[start : start + 8192].sum()
    read = time.perf_counter() - started
    train = np.flatnonzero(cohort.frame["split"] == "train")
    train = np.random.default_rng(1).permutation(train)[: len(train) // PART]
    y, a = torch.from_numpy(cohort.labels("disease")), torch.from_numpy(cohort.codes("sex"))
    torch.manual_seed(0)
    model = FairEncoder("none", width=WIDTH, disease_dim=4, disease_norm="whitening")
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    started = time.process_time()
    order = np.random.default_rng(0).permutation(train)
    for start in range(0, len(order) - 512 + 1, 512):
        part = order[start : start + 512]
        z, s = model(torch.from_numpy(cohort.vectors[part]))
        loss = F.cross_entropy(model.sensitive_logits(s)[0], a[part])
        loss = loss + F.binary_cross_entropy_with_logits(model.disease_logits(z)[:, 0], y[part])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return {"read": read, "epoch": PART * (time.process_time() - started)}


def report(rows: int, epochs: int, limit: float, found: dict[str, dict[str, float]]) -> str:
    million = rows / 1e6
    lines = [
        "# Millions of vectors on one machine", "",
        f"{rows:,} vectors of {WIDTH} numbers in {-(-rows // SHARD)} shards, of {rows // 2:,} "
        f"patients; three fifths train, {epochs} epoch{'s' if epochs > 1 else ''} in batches of "
        "512. Probes with 2 shuffled refits and not 20, the audit with 500 resamples and "
        "permutations and not 2,000 (`benchmarks/auditing/scale.md` has the growth). One thread, "
        f"{platform.machine()}, Python {platform.python_version()}; no process could take more "
        f"than {limit:g} GB of memory of its own. Made by `benchmarks/training/millions.py`; load "
        f"average {os.getloadavg()[2]:.1f} at its end (others' work makes the clock slower, and "
        "the processor's seconds a little).", "",
        "| what | processor seconds | a million rows | on the clock | largest memory, GB |",
        "|---|---:|---:|---:|---:|",
    ]  # fmt: skip
    for name, one in found.items():
        if "cpu" in one:
            each = f"{one['cpu'] / million:.0f}"
            lines.append(
                f"| {name} | {one['cpu']:.0f} | {each} | {one['clock']:.0f} | {one['gb']:.1f} |"
            )
    if own := found.get("bare"):
        lines += [
            "",
            f"To compare with: reading every vector once takes {own['read']:.0f} s, and an epoch "
            "of a bare PyTorch loop with the same network, without the method's kernel, its "
            f"validation and its files, {own['epoch']:.0f} processor seconds.",
        ]
    lines += [
        "",
        "Memory is the process's own (anonymous); pages of the mapped file of vectors come beside "
        "it, and the system takes them back where they are needed.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--limit", type=float, default=8.0, help="GB")
    parser.add_argument("--work", type=Path, help="a folder that is kept, and gone on from")
    parser.add_argument("--only", help="one step of them; nothing is written")
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.work or Path(scratch)).resolve()
        os.environ["FAIRTHESIS_CACHE"] = str(folder / "cache")
        kept = folder / "measured.json"
        write_shards(folder, given.rows)
        found = json.loads(kept.read_text()) if kept.is_file() else {}
        for name, command in commands(folder, given.epochs).items():
            if name in found or given.only not in (None, name):
                continue
            print(name, flush=True)
            if "--out" in command and name.startswith("train"):
                shutil.rmtree(folder / "run", ignore_errors=True)
            found[name] = measured(command, given.limit, folder / "log.txt")
            print(json.dumps(found[name]), flush=True)
            kept.write_text(json.dumps(found))
        if given.only:
            return
        if "bare" not in found:
            code = f"import json, sys; sys.path.insert(0, {str(HERE)!r}); import millions; "
            code += f"print(json.dumps(millions.bare(millions.Path({str(folder)!r}))))"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
            found["bare"] = json.loads(done.stdout.splitlines()[-1])
            kept.write_text(json.dumps(found))
        text = report(given.rows, given.epochs, given.limit, found)
    print(text)
    (HERE / "millions.md").write_text(text)


if __name__ == "__main__":
    main()
