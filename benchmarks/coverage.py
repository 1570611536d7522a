"""Do 95 % intervals hold the truth 95 times in 100, and does the permutation test err 5 times?

Simulated data sets with several images per patient, whose labels and scores hang together; the
truth comes from a sample of two million images. Run from the top of the clone, optionally with
the numbers of data sets for intervals and for tests:

    python benchmarks/coverage.py 1000 1000
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from fairthesis import disparity, metrics, replicates, resampling

PATIENTS, N_BOOT, N_PERMUTATIONS = 800, 1000, 199
NAMES = ("auroc", "tpr_difference", "ece_debiased", "ece")


def simulate(rng, n_patients, gap):
    """Labels, scores, patients and groups; ``gap`` lowers the signal in group 1."""
    images = rng.integers(1, 5, n_patients)
    patient = np.repeat(np.arange(n_patients), images)
    group = rng.integers(0, 2, n_patients)
    frailty = rng.normal(size=n_patients)
    y = (rng.random(len(patient)) < 1 / (1 + np.exp(0.6 - 1.2 * frailty[patient]))).astype(float)
    signal = 1.6 - gap * group[patient]
    effect = rng.normal(scale=0.7, size=n_patients)[patient]
    logit = signal * (y - 0.5) + effect + rng.normal(scale=0.8, size=len(y)) - 0.3
    return y, 1 / (1 + np.exp(-1.4 * logit)), patient, group[patient].astype(np.uint8)


def values(y, s, patient, group, n_boot, seed):
    """Exact values and replicates of ``NAMES``."""
    masks = [np.ones(len(y), bool), group == 0, group == 1]
    exact = [metrics.evaluate(y[m], s[m]) for m in masks]
    found = {name: exact[0][name] for name in NAMES if name in exact[0]}
    found["tpr_difference"] = abs(exact[1]["tpr"] - exact[2]["tpr"])
    if not n_boot:
        return found, {}
    parts = [replicates.prepare(y[m], s[m], patient[m], 0.5) for m in masks]
    drawn = replicates.bootstrap_metrics(parts, int(patient.max()) + 1, n_boot, seed)
    place = {name: k for k, name in enumerate(metrics.METRICS)}
    boot = {name: drawn[:, 0, place[name]] for name in found if name in place}
    boot["tpr_difference"] = disparity.spread(drawn[:, 1:, place["tpr"]])
    return found, boot


def coverage(n_sets):
    big = simulate(np.random.default_rng(99), 800_000, 0.8)
    truth, _ = values(*big, 0, 0)
    inside = dict.fromkeys(NAMES, 0)
    by_row = dict.fromkeys(NAMES, 0)
    for k in range(n_sets):
        y, s, patient, group = simulate(np.random.default_rng([1, k]), PATIENTS, 0.8)
        for units, hits in ((patient, inside), (np.arange(len(y)), by_row)):
            _, boot = values(y, s, units, group, N_BOOT, k)
            for name in NAMES:
                low, high = resampling.percentile_interval(boot[name])
                hits[name] += low <= truth[name] <= high
    return truth, *({name: hits[name] / n_sets for name in NAMES} for hits in (inside, by_row))


def size(n_sets):
    names = ("auroc_gap", "tpr_difference", "ece_gap")
    rejected = dict.fromkeys(names, 0)
    for k in range(n_sets):
        y, s, patient, group = simulate(np.random.default_rng([2, k]), PATIENTS, 0.0)
        null = replicates.permutation_null(y, s, patient, group, 0.5, N_PERMUTATIONS, k, "sex")
        each = [metrics.evaluate(y[group == g], s[group == g]) for g in (0, 1)]
        observed = disparity.disparities(
            {m: np.array([one[m] for one in each]) for m in disparity.NEEDED}
        )
        chance = disparity.disparities(null)
        for name in names:
            p = resampling.permutation_p_value(float(observed[name]), chance[name])
            rejected[name] += p <= 0.05
    return {name: count / n_sets for name, count in rejected.items()}


def error(rate, n):
    return 1.96 * np.sqrt(max(rate * (1 - rate), 1e-9) / n)


def main(n_intervals=1000, n_tests=1000):
    start = time.perf_counter()
    truth, patients, rows = coverage(n_intervals)
    lines = [
        "# Coverage of intervals, size of tests",
        "",
        f"{n_intervals} simulated data sets of {PATIENTS} patients with 1 to 4 images each (about "
        f"{PATIENTS * 5 // 2:,} images), two groups, labels and scores that hang together within "
        f"patients; {N_BOOT} resamples each. ± is 1.96 Monte Carlo standard errors. Made by "
        "`benchmarks/coverage.py`.",
        "",
        "| 95 % interval of | truth | patients resampled | images resampled | within 93 to 97 % |",
        "|---|---:|---:|---:|---|",
    ]
    for name in NAMES:
        rate = patients[name]
        told = "yes" if 0.93 <= rate <= 0.97 else "**no**, too often missed"
        told = "**no**, too wide" if rate > 0.97 else told
        lines.append(
            f"| {name} | {truth[name]:.4f} | {rate:.1%} ± {error(rate, n_intervals):.1%} | "
            f"{rows[name]:.1%} ± {error(rows[name], n_intervals):.1%} | {told} |"
        )
    rejected = size(n_tests)
    lines += [
        "",
        "The plug-in ECE is biased upward, so its interval lies too high and misses the truth far "
        "too often: groups are compared by the debiased error, whose interval errs, if at all, on "
        "the side of being too wide. Resampling images where patients have several gives intervals "
        "that are too narrow.",
        "",
        f"Permutation test at 5 %, no difference between the groups: {n_tests} data sets, "
        f"{N_PERMUTATIONS} permutations of the group over patients each.",
        "",
        "| gap | called larger than chance |",
        "|---|---:|",
    ]
    lines += [
        f"| {name} | {rate:.1%} ± {error(rate, n_tests):.1%} |" for name, rate in rejected.items()
    ]
    text = "\n".join(lines) + "\n"
    Path("benchmarks/coverage.md").write_text(text, encoding="utf-8")
    print(text, f"{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
