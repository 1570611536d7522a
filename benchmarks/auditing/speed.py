"""How fast is an audit, against fairlearn's MetricFrame with bootstrap? Writes speed.md beside it.

    python benchmarks/auditing/speed.py            25,000 rows: side by side, and a full audit
    python benchmarks/auditing/speed.py --million  1,000,000 rows as well

fairlearn resamples rows; it is given fewer resamples, as its time is linear in their number, and
its time is scaled to 2,000. Both compute the metrics of eight groups and their intervals; fairlearn
the six that it is given here, fairthesis all 18 of an audit.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fairlearn
import fairlearn.metrics as fl
import numpy as np
import pandas as pd
from sklearn import metrics as sk

import fairthesis
from fairthesis import stats
from fairthesis.auditing import RESAMPLED_METRICS

N_BOOT = 2000
FAIRLEARN_BOOT = 10


def table(n: int, seed: int = 0) -> pd.DataFrame:
    """Predictions of n images, 1.6 a patient, with two sexes and eight age groups."""
    rng = np.random.default_rng(seed)
    patients = int(n / 1.6)
    sex, age = rng.choice(["F", "M"], patients), rng.choice(list("abcdefgh"), patients)
    who = rng.integers(0, patients, n)
    y = (rng.random(n) < 0.3).astype(float)
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + (1.5 - 0.3 * (sex[who] == "F")) * y - 1)))
    columns = {"patient_id": who, "y_true": y, "y_score": s, "sex": sex[who], "age": age[who]}
    return pd.DataFrame(columns)


def timed(function: Callable[[], Any]) -> np.ndarray:
    """Seconds on the clock, and of the processor (all threads)."""
    start = np.array([time.perf_counter(), time.process_time()])
    function()
    return np.array([time.perf_counter(), time.process_time()]) - start


def with_fairlearn(frame: pd.DataFrame) -> np.ndarray:
    """Seconds for N_BOOT resamples, from FAIRLEARN_BOOT."""
    called = (frame["y_score"] >= 0.5).astype(int)
    scores = {"auroc": sk.roc_auc_score, "average_precision": sk.average_precision_score}
    rates = {
        "tpr": fl.true_positive_rate,
        "fpr": fl.false_positive_rate,
        "selection_rate": fl.selection_rate,
        "accuracy": sk.accuracy_score,
    }

    def resample() -> None:
        for functions, predicted in ((scores, frame["y_score"]), (rates, called)):
            fl.MetricFrame(
                metrics=functions,
                y_true=frame["y_true"],
                y_pred=predicted,
                sensitive_features=frame["age"],
                n_boot=FAIRLEARN_BOOT,
                ci_quantiles=[0.025, 0.975],
                random_state=0,
            )

    return timed(resample) * N_BOOT / FAIRLEARN_BOOT


def with_fairthesis(frame: pd.DataFrame) -> np.ndarray:
    """Seconds for N_BOOT resamples of patients: overall and eight groups, all metrics."""
    y, s = frame["y_true"].to_numpy(), frame["y_score"].to_numpy()
    who = pd.factorize(frame["patient_id"])[0]
    codes = pd.Categorical(frame["age"]).codes

    def resample() -> None:
        parts = [stats.prepare(y, s, who, 0.5)]
        for k in range(8):
            m = codes == k
            parts.append(stats.prepare(y[m], s[m], who[m], 0.5))
        wanted = list(RESAMPLED_METRICS.values())
        stats.bootstrap_groups(parts, wanted, int(who.max()) + 1, N_BOOT, 0)

    return timed(resample)


def full_audit(frame: pd.DataFrame) -> np.ndarray:
    """Seconds for a default audit of two attributes: 2,000 resamples and 2,000 permutations."""
    return timed(lambda: fairthesis.audit(frame, groups=["sex", "age"], patient="patient_id"))


def machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    cores = len(os.sched_getaffinity(0))
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    return f"{cores} cores of {names[0] if names else platform.machine()}; {versions}"


def row(what: str, seconds: np.ndarray) -> str:
    return f"| {what} | {seconds[0]:,.1f} | {seconds[1]:,.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--million", action="store_true", help="audit 1,000,000 rows as well")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    frame = table(25_000)
    before = os.getloadavg()[0]
    ours, audit = with_fairthesis(frame), full_audit(frame)
    million = full_audit(table(1_000_000)) if options.million else None
    # The process's peak, so before fairlearn's part.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    after = os.getloadavg()[0]
    theirs = with_fairlearn(frame)
    lines = [
        "# Speed of an audit",
        "",
        f"{machine()}; fairlearn {fairlearn.__version__}. Made by `benchmarks/auditing/speed.py`.",
        f"Load average {before:.1f} at the start, {after:.1f} after the audits (which use all "
        "cores themselves): where others' work fills the cores, the processor's seconds are the "
        "ones to read.",
        "",
        "| what | seconds | processor seconds |",
        "|---|---:|---:|",
        row(
            "fairlearn `MetricFrame(n_boot=...)`, 25,000 rows, 8 groups, 6 metrics, 2,000 "
            f"resamples (scaled from {FAIRLEARN_BOOT})",
            theirs,
        ),
        row("fairthesis, the same rows and groups, 18 metrics, 2,000 resamples of patients", ours),
        f"| **ratio** | **{theirs[0] / ours[0]:,.0f}** | **{theirs[1] / ours[1]:,.0f}** |",
        row(
            "full audit, 25,000 rows, 2 attributes (2 and 8 groups), 2,000 resamples and 2,000 "
            "permutations",
            audit,
        ),
    ]
    if million is not None:
        lines.append(row("full audit, 1,000,000 rows, the same", million))
        lines += ["", f"Peak memory of the process, 1,000,000 rows included: {peak:.1f} GiB."]
    text = "\n".join(lines) + "\n"
    options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
