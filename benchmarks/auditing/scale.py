"""How do time and memory of an audit grow with rows, groups and targets? Writes scale.md beside it.

    python benchmarks/auditing/scale.py                    all parts
    python benchmarks/auditing/scale.py --before CHECKOUT  side by side with an older checkout

Every audit runs in a process of its own, so that its peak of memory is its own. Time is linear in
the number of resamples and permutations: audits with 20 and with 120 of each give what is fixed
and what each costs, and the time of 2,000 is scaled from them; ``--full`` runs 2,000 as well.

The bare limit is what numpy needs to draw patients 2,000 times and weigh every row, and to draw the
permutations and sum one number of every row by group, with nothing computed of it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 1_000_000
DRAWS = (20, 120)
WANTED = 2000
BARE_DRAWS = 20
SMALL = 100_000  # rows where groups and targets grow


def table(n: int, groups: int = 5, targets: int = 1, seed: int = 0) -> pd.DataFrame:
    """Predictions of n images, two for a patient in the mean, with sexes and age groups."""
    rng = np.random.default_rng(seed)
    patients = n // 2
    sex, age = rng.choice(["F", "M"], patients), rng.integers(0, groups, patients).astype(str)
    parts = []
    for target in range(targets):
        who = rng.integers(0, patients, n)
        y = (rng.random(n) < 0.3).astype(float)
        s = 1 / (1 + np.exp(-(rng.normal(size=n) + (1.5 - 0.3 * (sex[who] == "F")) * y - 1)))
        columns = {"patient_id": who, "y_true": y, "y_score": s, "sex": sex[who], "age": age[who]}
        parts.append(pd.DataFrame(columns).assign(target=f"finding {target}"))
    return pd.concat(parts, ignore_index=True)


def one(n: int, groups: int, targets: int, draws: int) -> dict[str, float]:
    """Seconds on the clock and of the processor, and GiB at the peak, of one audit."""
    import fairthesis
    from fairthesis.auditing import audit_targets

    frame = table(n, groups, targets)
    attributes = ["sex", "age"]
    options: dict[str, Any] = {"patient": "patient_id", "n_boot": draws, "n_permutations": draws}
    start = time.perf_counter(), time.process_time()
    if targets > 1:
        audit_targets(frame, groups=attributes, **options)
    else:
        fairthesis.audit(frame, groups=attributes, **options)
    return measured(start)


def bare(n: int) -> dict[str, float]:
    """The same for the bare limit, with ``BARE_DRAWS`` draws on one core."""
    frame = table(n)
    who = pd.factorize(frame["patient_id"])[0]
    y, s = frame["y_true"].to_numpy() > 0, frame["y_score"].to_numpy()
    patients = int(who.max()) + 1
    # Of rows sorted by score, as every metric of ranks needs them.
    by_score, single = who[np.argsort(s)], np.sort(s).astype(np.float32)
    units, unit = np.unique(who * 2 + y, return_inverse=True)
    labels = [pd.factorize(frame[a])[0] for a in ("sex", "age")]
    start = time.perf_counter(), time.process_time()
    for k in range(BARE_DRAWS):
        rng = np.random.Generator(np.random.SFC64(k))
        drawn = np.bincount(rng.integers(patients, size=patients), minlength=patients)
        _ = drawn.astype(np.uint8)[by_score].astype(np.float32) @ single
        for codes in labels:
            own = np.zeros(patients, np.intp)
            own[who] = codes
            for permuted, rows in ((own, who), (own[units // 2], unit)):
                turned = rng.permutation(permuted)
                np.bincount(turned[rows], s)
    return measured(start)


def measured(start: tuple[float, float]) -> dict[str, float]:
    """Since ``start``."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    return {"wall": wall, "cpu": cpu, "peak": peak}


def apart(what: str, *numbers: int, package: Path | None = None) -> dict[str, float]:
    """``one`` or ``bare`` in a process of its own, with the package of a checkout."""
    root = package or Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, __file__, "--run", what, *map(str, numbers)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(root, what, numbers, found, file=sys.stderr, flush=True)
    return found


def scaled(few: dict[str, float], many: dict[str, float]) -> tuple[float, float, float]:
    """Processor seconds that are fixed, for each draw, and for ``WANTED`` draws."""
    each = (many["cpu"] - few["cpu"]) / (DRAWS[1] - DRAWS[0])
    fixed = few["cpu"] - each * DRAWS[0]
    return fixed, each, fixed + each * WANTED


def machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cores = len(os.sched_getaffinity(0))
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    return f"{cores} cores of {names[0] if names else platform.machine()}; {versions}"


def million(before: Path | None) -> list[str]:
    """The audit of a million rows, side by side with an older checkout, and the bare limit."""
    packages = {"now": None} if before is None else {"before": before, "now": None}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in packages}
    for draws in DRAWS:
        for name, package in packages.items():
            runs[name].append(apart("one", ROWS, 5, 1, draws, package=package))
    limit = apart("bare", ROWS)["cpu"] / BARE_DRAWS
    lines = [
        f"## {ROWS:,} rows",
        "",
        f"Two attributes of 2 and 5 groups, two images a patient in the mean. Scaled from audits "
        f"with {DRAWS[0]} and {DRAWS[1]} resamples and permutations; processor seconds of all "
        "threads.",
        "",
        "Bare limit: numpy alone draws the patients, weighs every row and sums one number; draws "
        "the permutations, of each attribute among all patients and within each label, and sums "
        "one number of every row by group. No rank, bin, threshold, standard error or group's "
        "interval is in it.",
        "",
        "| what | fixed | each resample and permutation | 2,000 of each | ratio to bare | peak |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, (few, many) in runs.items():
        fixed, each, total = scaled(few, many)
        lines.append(
            f"| {name} | {fixed:,.1f} s | {1000 * each:,.0f} ms | {total:,.0f} s | "
            f"{each / limit:.1f} | {many['peak']:.2f} GiB |"
        )
    lines.append(f"| bare limit | | {1000 * limit:,.0f} ms | {limit * WANTED:,.0f} s | 1 | |")
    return lines


def growth() -> list[str]:
    """How processor seconds grow with groups and targets."""
    lines = [
        "",
        f"## Groups and targets, {SMALL:,} rows a target",
        "",
        f"Processor seconds with {DRAWS[1]} resamples and permutations, and the peak of memory.",
        "",
        "| groups of the second attribute | targets | seconds | peak |",
        "|---:|---:|---:|---:|",
    ]
    for groups, targets in ((2, 1), (10, 1), (100, 1), (10, 14)):
        found = apart("one", SMALL, groups, targets, DRAWS[1])
        lines.append(f"| {groups} | {targets} | {found['cpu']:,.1f} | {found['peak']:.2f} GiB |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--before", type=Path, help="an older checkout to run side by side")
    parser.add_argument("--full", action="store_true", help="run 2,000 of each as well")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        what, *numbers = options.run
        some = [int(number) for number in numbers]
        print(json.dumps(bare(*some) if what == "bare" else one(*some)))
        return
    lines = [
        "# Growth of an audit with rows, groups and targets",
        "",
        f"{machine()}. Made by `benchmarks/auditing/scale.py` on {date.today()}; load average "
        f"{os.getloadavg()[0]:.1f} at the start: where others' work fills the cores and their "
        "caches, compare what ran side by side.",
        "",
        *million(options.before),
        *growth(),
    ]
    if options.full:
        found = apart("one", ROWS, 5, 1, WANTED)
        lines += [
            "",
            f"2,000 resamples and permutations of {ROWS:,} rows: {found['wall']:,.0f} seconds on "
            f"the clock, {found['cpu']:,.0f} of the processor, {found['peak']:.2f} GiB.",
        ]
    text = "\n".join(lines) + "\n"
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
