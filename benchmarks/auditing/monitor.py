"""How often does a monitor raise a false alarm, and how soon a true one? Writes monitor.md.

    python benchmarks/auditing/monitor.py 300

Simulated years of predictions, looked at every month. Under *at the limit* each group's rate is
exactly the limit, the hardest case of "nothing is wrong"; then one group falls below it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtri

from fairthesis.auditing import monitor

MONTHS, FPR = 24, 0.2
LIMIT = 0.8
# Groups, patients a month in all, images of a patient, fall of one group's TPR, from which month.
DESIGNS = {
    "2 groups, at the limit": (2, 120, 1, 0.0, 0),
    "8 groups, at the limit": (8, 400, 1, 0.0, 0),
    "2 groups, at the limit, 4 images a patient": (2, 60, 4, 0.0, 0),
    "2 groups, 0.10 above the limit": (2, 120, 1, -0.1, 0),
    "2 groups, one falls by 0.10 from month 7": (2, 120, 1, 0.1, 6),
    "2 groups, one falls by 0.20 from month 7": (2, 120, 1, 0.2, 6),
    "8 groups, one falls by 0.20 from month 7": (8, 400, 1, 0.2, 6),
}


def simulate(rng, k, patients, images, fall, start):
    n = patients * MONTHS
    month = np.arange(n) % MONTHS
    who = np.repeat(np.arange(n), images)
    group = rng.integers(0, k, n)[who]
    when = month[who]
    y = 0.8 * rng.normal(size=n)[who] + 0.6 * rng.normal(size=len(who)) < ndtri(0.3)
    noise = 0.7 * rng.normal(size=n)[who] + np.sqrt(0.51) * rng.normal(size=len(who))
    everyone = fall < 0  # above the limit, all of them
    fallen = (when >= start) & ((group == 0) | everyone)
    rate = np.where(y, LIMIT - fall * fallen, FPR)
    return pd.DataFrame({
        "when": pd.PeriodIndex.from_ordinals(648 + when, freq="M").strftime("%Y-%m-15"),
        "patient_id": who, "group": [f"g{g}" for g in group], "y_true": y.astype(int),
        "y_score": 1 / (1 + np.exp(-(ndtri(rate) + noise))),
    })  # fmt: skip


def first_alarm(frame):
    """The month of the first alarm of a TPR, from 0; None without one."""
    found = monitor(
        frame, time="when", groups=["group"], patient="patient_id", limits={"tpr": LIMIT}
    )
    alarms = found.alarms
    periods = sorted(set(pd.to_datetime(frame["when"]).dt.strftime("%Y-%m")))
    return min((periods.index(str(a["alarm"])) for a in alarms), default=None)


def main() -> None:
    sets = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    rows = []
    for name, design in DESIGNS.items():
        months = [
            first_alarm(simulate(np.random.default_rng([5, k]), *design)) for k in range(sets)
        ]
        start = design[4] if design[3] > 0 else 0
        raised = [m for m in months if m is not None]
        late = sorted(m - start + 1 for m in raised if m >= start)
        middle = f"{np.median(late):.0f}" if design[3] > 0 and len(late) > sets / 2 else ""
        early = sum(m < start for m in raised) if design[3] > 0 else len(raised)
        true = f"{100 * len(late) / sets:.1f}" if design[3] > 0 else ""
        rows.append(f"| {name} | {100 * early / sets:.1f} | {true} | {middle} |")
        print(rows[-1], flush=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    text = "\n".join([
        "# Monitoring: false alarms, and how soon true ones come", "",
        f"Made by `benchmarks/auditing/monitor.py` at commit {commit}: {sets} simulated series of "
        f"{MONTHS} months of each kind, a limit of {LIMIT} for the true positive rate of every "
        "group and of all rows, alpha 0.05 over all of them and all months. False: in the whole "
        "series where nothing is wrong, or before the fall. 1.96 Monte Carlo standard errors are "
        f"{196 * np.sqrt(0.0475 / sets):.1f} points at 5 %.", "",
        "| design | false alarms, % | true alarms by the end, % | months until half have one |",
        "|---|---:|---:|---:|", *rows, "",
    ])  # fmt: skip
    (Path(__file__).parent / "monitor.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
