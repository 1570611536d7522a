"""Do intervals and tests of numbers per case keep their promise? Writes outcomes.md beside it.

    python benchmarks/auditing/outcomes.py              200 data sets of each kind; half an hour
    python benchmarks/auditing/outcomes.py --sets 50

Every data set goes through ``fairthesis.auditing.audit_outcomes`` as a user's does. Without a
planted gap the groups have the same value of every metric, and differ in size, rows per patient,
spread, shape of the errors and hazard.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtr

from fairthesis import stats
from fairthesis.auditing import audit_outcomes

N_BOOT, N_PERMUTATIONS, ALPHA = 400, 199, 0.05
METRICS = (
    *("mean:x:lower", "median:x:lower", "mae:zero,a", "rmse:zero,b", "bias:zero,x"),
    *("r2:truth,guess", "kappa:grade,rated", "concordance:time,event,risk"),
)
NAMES = [name.removesuffix(":lower") for name in METRICS]
ALIKE = 0.49  # correlation of a patient's rows


def skewed(rng, n):
    """1 to 60 rows: most patients have few, a few patients have most of the rows."""
    return np.minimum(np.ceil(np.exp(rng.exponential(1.1, n))), 60).astype(int)


# Name -> patients, rows per patient (a number, or None for skewed) and spread of each group.
DESIGNS = {
    "300 and 300 patients, alike": ([300] * 2, [1] * 2, [1] * 2),
    "500 and 80 patients, spread 1 and 3": ([500, 80], [1] * 2, [1, 3]),
    "80 patients with 6 rows against 400": ([80, 400], [6, 1], [2, 1]),
    "4 groups of 60 to 400 patients": ([400, 60, 200, 100], [1, 6, 1, 2], [1, 3, 2, 1]),
    "1 to 60 rows a patient, 150 and 150": ([150] * 2, [None] * 2, [1, 2]),
}


def rows_of(rng, n, m, spread, first, gap):
    """A group's rows; ``first`` is the group of another shape, which has the gap."""
    who = np.repeat(np.arange(n), skewed(rng, n) if m is None else m)

    def normal():
        own = np.sqrt(ALIKE) * rng.normal(size=n)[who]
        return own + np.sqrt(1 - ALIKE) * rng.normal(size=len(who))

    larger = 1 + gap * first
    z = normal()
    p = ndtr(z)
    heavy = np.sign(z) * -np.log1p(-np.abs(2 * p - 1))  # Laplace: mean |e| 1, mean square 2
    by_mae, by_rmse = (
        (heavy, heavy / np.sqrt(2)) if first else (z / np.sqrt(2 / np.pi), z)
    )  # both with MAE 1 and with RMSE 1
    truth = normal()
    grade = np.clip(np.round(2 + normal()), 0, 4)
    rated = np.clip(np.round(grade + 0.8 * larger * normal()), 0, 4)
    # Proportional hazards: the scale of time says nothing, nor does that of censoring with it.
    risk = normal()
    hazard = spread * np.exp(risk * (1 - gap * first))
    event, censored = rng.exponential(1 / hazard), rng.exponential(1.5 / spread, len(who))
    return pd.DataFrame(
        {
            "patient": who,
            "x": spread * normal() + gap * 2 * first,
            "zero": 0.0,
            "a": by_mae * larger,
            "b": by_rmse * larger,
            "truth": spread * truth,
            "guess": spread * (truth + 0.5 * larger * normal()),
            "grade": grade,
            "rated": rated,
            "time": np.minimum(event, censored),
            "event": (event <= censored).astype(int),
            "risk": risk,
        }
    )


def table_of(rng, design, gap):
    parts = [
        rows_of(rng, n, m, spread, k == 1, gap).assign(group=f"g{k}")
        for k, (n, m, spread) in enumerate(zip(*DESIGNS[design], strict=True))
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(patient=frame["group"] + frame["patient"].astype(str))


def audited(frame, seed, **options):
    return audit_outcomes(
        frame, groups=["group"], metrics=METRICS, patient="patient", seed=seed, **options
    )


@cache
def truths(gap):
    """Each metric's value with and without the gap, from 400,000 patients with one row each."""
    found = []
    for first in (False, True):
        rng = np.random.default_rng(10**6)
        frame = rows_of(rng, 400_000, 1, 1, first, gap).assign(group="a")
        frame.loc[:1, "group"] = "b"
        frame["patient"] = np.arange(len(frame))
        found.append(
            {m: e.value for m, e in audited(frame, 0, n_boot=0, n_permutations=0).overall.items()}
        )
    exact = {"mean:x": 0.0, "median:x": 0.0, "bias:zero,x": 0.0}
    found[0] |= exact
    found[1] |= {m: v + gap * 2 for m, v in exact.items()}
    return found


def simulate(design, gap, sets):
    """Per metric: coverage of the groups' intervals and of the gap's, and how often p <= 0.05."""
    plain, moved = truths(gap)
    counts = {m: np.zeros(4) for m in NAMES}
    for k in range(sets):
        frame = table_of(np.random.default_rng([k, round(100 * gap)]), design, gap)
        report = audited(frame, k, n_boot=N_BOOT, n_permutations=N_PERMUTATIONS)
        for m in NAMES:
            for name, group in report.groups["group"].items():
                low, high = group.metrics[m].ci
                counts[m][:2] += [low <= (moved if name == "g1" else plain)[m] <= high, 1]
            found = report.disparities["group"][f"{m}_gap"]
            counts[m][2] += (
                found.ci[0] - 1e-9 <= abs(moved[m] - plain[m]) * (gap > 0) <= found.ci[1]
            )
            counts[m][3] += found.p_value <= ALPHA
    rows = []
    for m, (held, intervals, covered, rejected) in counts.items():
        rows.append([design, gap, m, held / intervals, covered / sets, rejected / sets])
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=200)
    sets = parser.parse_args().sets
    columns = ["design", "planted", "metric", "group interval", "gap interval", "p <= 0.05"]
    rows = []
    for design in DESIGNS:
        for gap in (0.0, 0.15):
            rows += simulate(design, gap, sets)
            print(design, gap, flush=True)
            write(pd.DataFrame(rows, columns=columns), sets)


def write(found, sets):
    error = 100 * np.sqrt(0.05 * 0.95 / sets)
    lines = [
        "# Numbers per case: what intervals and tests promise",
        "",
        f"{sets} data sets of each kind, {N_BOOT} resamples, {N_PERMUTATIONS} permutations "
        f"(`benchmarks/auditing/outcomes.py`). Intervals should hold the truth in 95 of 100, "
        "and without a planted gap p should be at most 0.05 in 5 of 100; the error of these "
        f"numbers is {error:.1f} (of the groups' intervals, less). Groups differ in size, rows per "
        "patient, spread, shape of the errors (normal, Laplace) and hazard, and without a "
        "planted gap in no metric. With it, errors of the second group are 15 % larger, its "
        "numbers 0.3 higher.",
    ]
    for design, part in found.groupby("design", sort=False):
        lines += ["", f"## {design}", ""]
        lines += [
            "| metric | groups' intervals | gap's, none | gap's, planted | p ≤ 0.05, none "
            "| p ≤ 0.05, planted |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for metric, own in part.groupby("metric", sort=False):
            by = own.set_index("planted")
            cells = [own["group interval"].mean(), *by["gap interval"], *by["p <= 0.05"]]
            lines.append(f"| `{metric}` | " + " | ".join(f"{100 * v:.1f}" for v in cells) + " |")
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    assert stats.LEVEL == 1 - ALPHA
    main()
