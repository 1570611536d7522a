"""What twins see and gaps do not, and how often their intervals hold. Writes twins.md beside it.

    python benchmarks/auditing/twins.py

Runs are kept in build/twins and made once. Minutes on one core: the small encoder, small images.
"""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis import audit
from fairthesis.auditing import TWIN_MEASURES, twin_effects
from fairthesis.training import TrainConfig, load_run, train, twins_of_run

KEPT, HERE = Path("build/twins"), Path(__file__).parent
SIZES = {"n_train": 6000, "n_val": 1500, "n_test": 3000}
# What is planted -> the cohort's options.
PLANTED = {
    "nothing": {},
    "the device, reversed in women": {"shortcut": 0.73, "shortcut_minority": -0.9},
    "the device, in men only": {"shortcut": 0.73, "shortcut_minority": 0.0},
    "the device, the same in both": {"shortcut": 0.73, "shortcut_minority": 0.73},
}
METHODS = ("erm", "adversarial")
SHOWN = ("device_removed", "device_added", "disease_removed", "disease_added", "sex")
REPEATS, N_BOOT = 1000, 400


def judged(planted, method, number):
    """Audit and twins of one run on its test part."""
    options = {"setting": "clean", "lesion_contrast": 0.2, **SIZES, **planted}
    config = TrainConfig(
        dataset="synthetic-cxr", dataset_options=options, attributes=("sex",), method=method,
        backbone="small", size=32, epochs=15, batch_size=64, threads=1,
    )  # fmt: skip
    out = KEPT / f"{number}-{method}"
    if not (out / "DONE").exists():
        train(config, out, progress=False)
    table = pd.read_parquet(out / "predictions.parquet")
    seen = audit(
        table, groups=["sex"], patient="patient_id", threshold="youden", n_permutations=500
    )
    return seen, twins_of_run(load_run(out, device="cpu"), progress=False)[0]


def drawn(n, rng, size):
    """Patients of whom a few have most images; logits, and a change of them, within patients."""
    many = 1 + np.minimum(rng.pareto(1.2, n) * 1.5, 40).astype(int)
    who = np.repeat(np.arange(n), many)
    y = rng.integers(0, 2, len(who))
    logit = 2.4 * (y - 0.5) + 0.8 * rng.normal(size=n)[who] + 0.6 * rng.normal(size=len(who))
    moved = size * (rng.normal(size=n)[who] + rng.exponential(size=len(who))) - 0.5
    table = pd.DataFrame({"patient_id": who, "y_true": y, "y_score": 1 / (1 + np.exp(-logit))})
    return table.assign(twin_device_removed=1 / (1 + np.exp(-logit - moved)))


def coverage():
    """How often intervals of each measure hold the value of 200,000 patients."""
    lines = []
    for patients, threshold, size in (
        (20, 0.5, 0.5),
        (40, 0.5, 0.5),
        (60, 0.9, 0.2),
        (300, 0.95, 0.2),
    ):
        rng = np.random.default_rng(patients)
        truth = twin_effects(drawn(200_000, rng, size), threshold=threshold, n_boot=0)
        truth = truth.effects["value"]
        held = []
        for _ in range(REPEATS):
            found = twin_effects(drawn(patients, rng, size), threshold=threshold, n_boot=N_BOOT)
            found = found.effects
            held.append((found["ci_low"] <= truth) & (truth <= found["ci_high"]))
        shares = np.mean(held, axis=0)
        lines.append(
            f"| {patients} | {threshold:g} | {truth.iloc[-1]:.3f} | "
            + " | ".join(f"{share:.3f}" for share in shares) + " |"
        )  # fmt: skip
    return lines


def value(report, change, measure):
    rows = report.effects.query(
        "change == @change and measure == @measure and attribute == 'all'"
    ).iloc[0]
    # + 0.0: no minus before a zero
    at, low, high = (round(rows[name], 2) + 0.0 for name in ("value", "ci_low", "ci_high"))
    return f"{at:.2f} ({low:.2f} to {high:.2f})"


def main():
    seen, moved, flips = [], [], []
    for number, (name, planted) in enumerate(PLANTED.items()):
        for method in METHODS:
            report, twins = judged(planted, method, number)
            gaps = report.disparities["sex"]
            gap, odds = gaps["auroc_gap"], gaps["equalized_odds_difference"]
            seen.append(
                f"| {name} | {method} | {report.overall['auroc'].value:.3f} | {gap.value:.3f} "
                f"(p {gap.p_value:.3f}) | {odds.value:.3f} (p {odds.p_value:.3f}) |"
            )
            for lines, measure in ((moved, "logit"), (flips, "flips")):
                cells = " | ".join(value(twins, change, measure) for change in SHOWN)
                lines.append(f"| {name} | {method} | {cells} |")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    head = "| planted | method | " + " | ".join(c.replace("_", " ") for c in SHOWN) + " |"
    rule = "|---|---|" + "---|" * len(SHOWN)
    made = (
        f"Made by `benchmarks/auditing/twins.py` at commit {commit}. Synthetic chest X-rays of 32 "
        f"pixels, {SIZES['n_train']:,} training and {SIZES['n_test']:,} test images, the small "
        "encoder, 15 epochs, one seed: nothing here says how another seed would do, and the "
        "adversarial encoder has its defaults, which were chosen for larger runs."
    )
    moving = (
        "What twins see, on all test images that a change applies to. The mean change of the "
        "logit, in spreads (95 % intervals over patients):"
    )
    held = (
        f"{REPEATS:,} samples each, {N_BOOT} resamples; a few patients have most of the images "
        "(Pareto, up to 41), and the images of a patient change alike. 0.95 is meant."
    )
    text = f"""# What twins see

{made}

What an audit sees (p values by permutation of the groups):

| planted | method | AUROC | AUROC gap | equalized odds difference |
|---|---|---|---|---|
{chr(10).join(seen)}

{moving}

{head}
{rule}
{chr(10).join(moved)}

The share of decisions that flip, at the run's own threshold (Youden's, on its validation part):

{head}
{rule}
{chr(10).join(flips)}

## How often the intervals hold

{held}

| patients | threshold | decisions that flip | {" | ".join(TWIN_MEASURES)} |
|---|---|---|{"---|" * len(TWIN_MEASURES)}
{chr(10).join(coverage())}
"""
    (HERE / "twins.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
