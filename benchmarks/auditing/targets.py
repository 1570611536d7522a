"""How long do 14 targets in one audit take, and how much memory? Writes targets.md beside it.

    python benchmarks/auditing/targets.py                 2,000 resamples and permutations
    python benchmarks/auditing/targets.py --resamples 200 fewer of both

A wide table of 200,000 images, 1.6 a patient, with 14 findings and three attributes (2, 5 and 8
groups), as chest films have them: audited, and written with every target's own page.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fairthesis.auditing import audit, audit_targets

TARGETS = 14


def table(n: int, seed: int = 0) -> pd.DataFrame:
    """Predictions of n images: findings of 1 % to 27 %, whose scores go together in a patient."""
    rng = np.random.default_rng(seed)
    patients = int(n / 1.6)
    who = rng.integers(0, patients, n)
    columns = {
        "patient_id": who,
        "sex": rng.choice(["F", "M"], patients)[who],
        "race": rng.choice(list("abcde"), patients)[who],
        "age": rng.choice(list("abcdefgh"), patients)[who],
    }
    common = rng.normal(size=patients)[who]
    less = 0.3 * (columns["sex"] == "F")
    for k in range(TARGETS):
        y = (rng.random(n) < 0.01 + 0.02 * k).astype(float)
        x = common / 2 + rng.normal(size=n) + (1.5 - less) * y - 1
        columns[f"finding{k}"], columns[f"p{k}"] = y, 1 / (1 + np.exp(-x))
    return pd.DataFrame(columns)


def peak() -> float:
    """The process's peak of memory so far, in GiB."""
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    frame = table(options.rows)
    common: dict[str, Any] = {
        "groups": ["sex", "race", "age"],
        "patient": "patient_id",
        "n_boot": options.resamples,
        "n_permutations": options.resamples,
    }
    load, before = os.getloadavg()[0], peak()
    clock = [time.perf_counter()]
    processor = [time.process_time()]

    def mark() -> None:
        clock.append(time.perf_counter())
        processor.append(time.process_time())

    audit(frame, label="finding0", score="p0", **common)
    mark()
    one = peak()
    findings = {f"finding{k}": (f"finding{k}", f"p{k}") for k in range(TARGETS)}
    found = audit_targets(frame, findings=findings, progress=True, **common)
    mark()
    with tempfile.TemporaryDirectory() as folder:
        found.write(folder)
        size = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file()) / 2**20
    mark()
    seconds = np.stack([np.diff(clock), np.diff(processor)], axis=1)
    names = [
        "one target (`audit`)",
        f"{TARGETS} targets (`audit_targets`), with means over targets",
        f"writing them: {size:.0f} MiB, with a page for each",
    ]
    fewer = "" if options.resamples >= 2000 else "An audit's own are 2,000. "
    lines = [
        f"# {TARGETS} targets in one audit",
        "",
        f"{options.rows:,} rows, {TARGETS} findings, 3 attributes (2, 5 and 8 groups), "
        f"{options.resamples:,} resamples and {options.resamples:,} permutations. {fewer}"
        f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, numpy "
        f"{np.__version__}; load average {load:.1f} at the start (where others' work fills the "
        "cores, read the processor's seconds). Made by `benchmarks/auditing/targets.py`.",
        "",
        "| what | seconds | processor seconds |",
        "|---|---:|---:|",
        *(f"| {n} | {s:,.1f} | {p:,.1f} |" for n, (s, p) in zip(names, seconds, strict=True)),
        "",
        f"Peak memory of the process: {before:.2f} GiB with the table alone, {one:.2f} after one "
        f"target, {peak():.2f} after all of them and their pages.",
    ]
    text = "\n".join(lines) + "\n"
    options.out.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
