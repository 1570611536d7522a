"""How far does a quick experiment move elsewhere? Writes tolerances.md and .csv beside it.

    python benchmarks/study/tolerances.py      six minutes of a core an environment; resumed

`fairthesis verify` runs archived quick experiments again and asks whether the numbers agree. How
near is near enough is measured here, not judged: the same experiment, seeds and images, with
arithmetic that adds up in another order, as it does on other processors and with other numbers of
threads. Training multiplies such differences. A process for each environment:

- the instruction sets that torch and oneDNN may use (AVX-512, AVX2, none of them), which is what
  differs between processors;
- one and two threads;
- without oneDNN, whose convolutions are other code.

Beside the largest difference between two environments stands the one between plain training and the
method, same seed: a tolerance that exceeds it could not tell them apart.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import subprocess
import sys
from pathlib import Path

import pandas as pd

KEPT, HERE = Path("build/tolerances"), Path(__file__).parent
EXPERIMENT = "synthetic-cxr"
# Name -> environment variables, threads, whether oneDNN is used.
ENVIRONMENTS: dict[str, tuple[dict[str, str], int, bool]] = {
    "as archived": ({}, 1, True),
    "AVX2": ({"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}, 1, True),
    "no AVX": ({"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}, 1, True),
    "two threads": ({}, 2, True),
    "without oneDNN": ({}, 1, False),
}
# What a number is known by, in each table.
KEYS = {
    "metrics": ["variant", "seed", "target", "attribute", "group", "metric"],
    "disparities": ["variant", "seed", "target", "attribute", "name"],
    "twins": ["variant", "seed", "target", "change", "attribute", "group", "measure"],
}
COUNTS = ("n", "n_patients", "n_positive", "n_negative")
ROOM, LEAST = 1.5, 0.005  # times the largest difference that was seen; three digits are read


def run(name: str) -> None:
    """In a process of its own: the experiment in this environment."""
    import dataclasses

    import torch

    from fairthesis import study

    _, threads, onednn = ENVIRONMENTS[name]
    torch.backends.mkldnn.enabled = onednn  # type: ignore[assignment]
    plan = study.plan(EXPERIMENT, "quick")
    plan = dataclasses.replace(plan, base={**plan.base, "threads": threads})
    study.run_experiment(plan, KEPT / name.replace(" ", "-"), progress=False, say=print)


def tables(name: str) -> dict[str, pd.DataFrame]:
    from fairthesis.study import load_results

    found = load_results(KEPT / name.replace(" ", "-"))
    return {"metrics": found.metrics, "disparities": found.disparities, "twins": found.twins}


def differences() -> pd.DataFrame:
    """Of every number: the largest between two environments, and that between the methods."""
    made = {name: tables(name) for name in ENVIRONMENTS}
    rows = []
    for table in ("metrics", "disparities", "twins"):
        keys = KEYS[table]
        wide = pd.concat(
            {
                name: found[table].astype(dict.fromkeys(keys, "string")).set_index(keys)["value"]
                for name, found in made.items()
            },
            axis=1,
        )
        number = keys[-1]
        wide = wide[
            ~wide.index.get_level_values(number).isin(
                ["n", "n_patients", "n_positive", "n_negative"]
            )
        ]
        spread = pd.concat(
            [(wide[a] - wide[b]).abs() for a, b in itertools.combinations(wide, 2)], axis=1
        ).max(axis=1)
        of = wide["as archived"].unstack("variant")
        apart = (of["adversarial"] - of["erm"]).abs()
        for name in wide.index.get_level_values(number).unique():
            own = spread.xs(name, level=number)
            methods = apart.xs(name, level=number).max()
            room = max(math.ceil(ROOM * own.max() * 1000) / 1000, LEAST)
            rows.append([table, name, len(own), own.max(), methods, room])
    columns = ["table", "number", "values", "between environments", "between methods", "tolerance"]
    return pd.DataFrame(rows, columns=columns)


def report(found: pd.DataFrame) -> str:
    apart, methods = "between environments", "between methods"
    lines = [
        "# How near is near enough?",
        "",
        f"The quick experiment {EXPERIMENT} (two methods, two seeds) in {len(ENVIRONMENTS)} "
        f"environments: {', '.join(ENVIRONMENTS)}; {platform.machine()}, Python "
        f"{platform.python_version()}. The largest absolute difference of a number between two of "
        "them, over methods, seeds, groups and (twins) changes; and between plain training and the "
        f"method with the same seed. The tolerance: {ROOM} times the first, and at least {LEAST}. "
        "Made by `benchmarks/study/tolerances.py`.",
        "",
        f"| table | number | values | {apart} | {methods} | tolerance |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in found.to_dict("records"):
        numbers = f"{row[apart]:.4f} | {row[methods]:.4f} | {row['tolerance']:.3f}"
        lines.append(f"| {row['table']} | {row['number']} | {row['values']} | {numbers} |")
    blind = found[found["tolerance"] >= found[methods]]["number"]
    lines += ["", f"{len(found) - len(blind)} of {len(found)} numbers tell the two methods apart."]
    lines += [f"Not: {', '.join(blind)}."] if len(blind) else []
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--one", help="run one environment, in this process")
    given = parser.parse_args()
    if given.one:
        run(given.one)
        return
    for name, (variables, _, _) in ENVIRONMENTS.items():
        print(name, flush=True)
        own = os.environ | {"OMP_NUM_THREADS": str(ENVIRONMENTS[name][1])} | variables
        subprocess.run([sys.executable, __file__, "--one", name], env=own, check=True)
    found = differences()
    found.to_csv(HERE / "tolerances.csv", index=False, float_format="%.6f", lineterminator="\n")
    (HERE / "tolerances.md").write_text(report(found), encoding="utf-8")
    print(json.dumps(found.groupby("table")["between environments"].max().to_dict()))


if __name__ == "__main__":
    main()
