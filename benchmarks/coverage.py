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

from fairthesis import (
    calibration,
    cells,
    disparity,
    inversion,
    metrics,
    operating,
    replicates,
    resampling,
)

PATIENTS, N_BOOT, N_PERMUTATIONS = 800, 1000, 199
CALIBRATION = ("ece_debiased", "ece", "smooth_ece")
BINNED = CALIBRATION[:2]
PERCENTILE = (*BINNED, "ece_gap")
# xauc: positives of group 0 against negatives of group 1
OTHERS = ("auroc", "tpr_difference", *replicates.FIXED, "xauc", "ece_gap")
NAMES = (*OTHERS, *CALIBRATION)
# What the audit gives, and for comparison what it does not: percentile intervals of the errors.
TRIED = (*NAMES, *(f"{name}, percentile" for name in PERCENTILE))


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
    """Exact values of ``NAMES``, and the intervals of ``TRIED``."""
    masks = [np.ones(len(y), bool), group == 0, group == 1]
    exact = [metrics.evaluate(y[m], s[m]) for m in masks]
    found = {name: exact[0][name] for name in NAMES if name in exact[0]}
    found["tpr_difference"] = abs(exact[1]["tpr"] - exact[2]["tpr"])
    found["ece_gap"] = abs(exact[1]["ece_debiased"] - exact[2]["ece_debiased"])
    found["tpr_at_fpr_0.2"] = operating.tpr_at_fpr(y, s, operating.RATE)
    found["fpr_at_tpr_0.8"] = operating.fpr_at_tpr(y, s, 1 - operating.RATE)
    found["smooth_ece"] = calibration.smooth_ece(y, s)
    found["xauc"] = operating.cross_auroc(s[masks[1] & (y > 0)], s[masks[2] & (y <= 0)])
    if not n_boot:
        return found, {}
    parts = [replicates.prepare(y[m], s[m], patient[m], 0.5) for m in masks]
    drawn, bins = replicates.bootstrap_metrics_and_bins(parts, int(patient.max()) + 1, n_boot, seed)
    place = {name: k for k, name in enumerate(replicates.NAMES)}
    boot = {name: drawn[:, 0, place[name]] for name in found if name in place}
    boot["tpr_difference"] = disparity.spread(drawn[:, 1:, place["tpr"]])
    boot["ece_gap"] = disparity.spread(drawn[:, 1:, place["ece_debiased"]])
    crossed = cells.cross_aurocs(y, s, patient, group, 2)
    boot["xauc"] = resampling.bootstrap(crossed, int(patient.max()) + 1, n_boot, seed)[:, 0, 1]
    ends = {name: resampling.percentile_interval(boot[name]) for name in (*OTHERS, *PERCENTILE)}
    percentile = {f"{name}, percentile": ends.pop(name) for name in PERCENTILE}
    residual = np.bincount(calibration.grid_cell(s, cells.GRID), y - s, cells.GRID) / len(y)
    replicated = cells.residuals(y, s, patient, masks[:1], n_boot, seed)[:, 0]
    ends["smooth_ece"] = inversion.smooth_interval(residual, replicated)
    every, *each = (inverted(y[m], s[m], patient[m], bins[:, k]) for k, m in enumerate(masks))
    ends["ece_gap"] = inversion.gap_interval(
        [one["ece_debiased"] for one in exact[1:]], [one["ece_debiased"] for one in each]
    )
    return found, ends | every | percentile


def inverted(y, s, patient, drawn):
    """Intervals of ``BINNED`` from replicated bins, shape (n_boot, 2, bins)."""
    n, scores, labels = calibration.bin_sums(y, s)
    pairs = np.unique(patient * calibration.N_BINS + calibration.bin_index(s))
    patients = np.bincount(pairs % calibration.N_BINS, minlength=calibration.N_BINS)
    return inversion.calibration_intervals(n, labels - scores, drawn[:, 0], drawn[:, 1], patients)


def coverage(job):
    """The truth, and how often intervals of ``TRIED`` hold it."""
    n_sets, simulated, n_patients, by_row = job
    big = simulated(np.random.default_rng(99), 800_000, 0.8)
    truth, _ = values(*big, 0, 0)
    inside = dict.fromkeys(TRIED, 0)
    for k in range(n_sets):
        y, s, patient, group = simulated(np.random.default_rng([1, k]), n_patients, 0.8)
        units = np.arange(len(y)) if by_row else patient
        _, intervals = values(y, s, units, group, N_BOOT, k)
        for name, (low, high) in intervals.items():
            inside[name] += low <= truth[name.partition(",")[0]] <= high
    return truth, {name: inside[name] / n_sets for name in TRIED}


def calibrated(rng, n_patients, gap):
    """As ``simulate``, but labels follow the scores: the true calibration error is 0."""
    _, s, patient, group = simulate(rng, n_patients, gap)
    shared = rng.random(n_patients)[patient]
    u = np.where(rng.random(len(s)) < 0.6, shared, rng.random(len(s)))
    return (u < s).astype(float), s, patient, group


def too_low(rng, n_patients, gap):
    """As ``calibrated``, with scores that are too low by a power."""
    y, s, patient, group = calibrated(rng, n_patients, gap)
    return y, s**1.4, patient, group


# Where else the calibration intervals are tried: other truths, fewer and more patients.
ELSEWHERE = (
    ("as above, 200 patients", simulate, 200),
    ("as above, 3,000 patients", simulate, 3000),
    ("perfectly calibrated", calibrated, PATIENTS),
    ("scores too low", too_low, PATIENTS),
    ("scores too low, 200 patients", too_low, 200),
)


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


def told(rate, n):
    return f"{rate:.1%} ± {error(rate, n):.1%}"


def main(n_intervals=1000, n_tests=1000):
    start = time.perf_counter()
    truth, patients = coverage(n_intervals)
    few = max(1, n_intervals * 3 // 10)
    _, rows = coverage(few, by_row=True)
    lines = [
        "# Coverage of intervals, size of tests",
        "",
        f"{n_intervals} simulated data sets of {PATIENTS} patients with 1 to 4 images each (about "
        f"{PATIENTS * 5 // 2:,} images), two groups, labels and scores that hang together within "
        f"patients; {N_BOOT} resamples each ({few} sets for images resampled and for the second "
        "table). ± is 1.96 Monte Carlo standard errors. Made by "
        "`benchmarks/coverage.py`.",
        "",
        "| 95 % interval of | truth | patients resampled | images resampled | within 93 to 97 % |",
        "|---|---:|---:|---:|---|",
    ]
    for name in TRIED:
        rate, used = patients[name], name in NAMES
        verdict = "yes" if 0.93 <= rate <= 0.97 else "**no**" if used else "no"
        lines.append(
            f"| {name}{'' if used else ' (not used)'} | {truth[name.partition(',')[0]]:.4f} | "
            f"{told(rate, n_intervals)} | {told(rows[name], few)} | {verdict} |"
        )
    lines += [
        "",
        "Intervals of the three calibration errors come from test inversion "
        "(`fairthesis/inversion.py`), those of everything else are percentiles. Elsewhere, "
        "patients resampled; where the truth is 0 an interval cannot lie below it, and 97.5 % is "
        "what is meant. Few patients and good calibration make the intervals too wide, "
        "not too narrow; so mostly are those of the gap, whose chance level and p value (below) "
        "are the better guide:",
        "",
        "| data | true debiased error | its interval | true ECE | its interval "
        "| true smECE | its interval | true gap (debiased) | its interval |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for what, simulated, n_patients in ELSEWHERE:
        there, found = coverage(few, simulated, n_patients)
        cells = [
            f"{there[name]:.4f} | {told(found[name], few)}" for name in (*CALIBRATION, "ece_gap")
        ]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    rejected = size(n_tests)
    lines += [
        "",
        "The plug-in ECE is biased upward, so percentiles of its replicates lie too high and miss "
        "the truth far too often; those of the debiased error are too wide. Resampling images "
        "where patients have several gives intervals that are too narrow.",
        "",
        f"Permutation test at 5 %, no difference between the groups: {n_tests} data sets, "
        f"{N_PERMUTATIONS} permutations of the group over patients each.",
        "",
        "| gap | called larger than chance |",
        "|---|---:|",
    ]
    lines += [f"| {name} | {told(rate, n_tests)} |" for name, rate in rejected.items()]
    text = "\n".join(lines) + "\n"
    Path("benchmarks/coverage.md").write_text(text, encoding="utf-8")
    print(text, f"{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
