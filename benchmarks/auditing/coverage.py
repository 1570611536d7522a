"""Do 95 % intervals hold the truth 95 times in 100, and does the permutation test err 5 times?

Simulated data sets with several images per patient, whose labels and scores hang together; the
truth comes from a sample of two million images. Run from the top of the clone, optionally with
the numbers of data sets for intervals, of resamples, and of data sets for tests:

    python benchmarks/auditing/coverage.py 500 400 1000

What is done is kept in build/coverage/, one file for each kind of data, and not done again until
the audit's code changes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from fairthesis import metrics, stats
from fairthesis.auditing import FIXED, RESAMPLED_METRICS, bin_residuals
from fairthesis.metrics import (
    N_BINS,
    RATE,
    bin_index,
    bin_sums,
    cross_auroc,
    fpr_at_tpr,
    grid_cell,
    smooth_ece,
    spread,
    tpr_at_fpr,
)
from fairthesis.provenance import AUDITING, code_fingerprint

PATIENTS = 800
CALIBRATION = ("ece_debiased", "ece", "smooth_ece")
BINNED = CALIBRATION[:2]
PERCENTILE = (*BINNED, "ece_gap")
# xauc: positives of group 0 against negatives of group 1
OTHERS = ("auroc", *FIXED, "xauc", "ece_gap")
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
    found["ece_gap"] = abs(exact[1]["ece_debiased"] - exact[2]["ece_debiased"])
    found["tpr_at_fpr_0.2"] = tpr_at_fpr(y, s, RATE)
    found["fpr_at_tpr_0.8"] = fpr_at_tpr(y, s, 1 - RATE)
    found["smooth_ece"] = smooth_ece(y, s)
    found["xauc"] = cross_auroc(s[masks[1] & (y > 0)], s[masks[2] & (y <= 0)])
    if not n_boot:
        return found, {}
    parts = [stats.prepare(y[m], s[m], patient[m], 0.5) for m in masks]
    wanted = [*RESAMPLED_METRICS.values(), bin_residuals]
    drawn = stats.bootstrap_groups(parts, wanted, int(patient.max()) + 1, n_boot, seed)
    bins = drawn[..., len(RESAMPLED_METRICS) :].reshape(n_boot, len(parts), 2, N_BINS)
    place = {name: k for k, name in enumerate(RESAMPLED_METRICS)}
    boot = {name: drawn[:, 0, place[name]] for name in found if name in place}
    boot["ece_gap"] = spread(drawn[:, 1:, place["ece_debiased"]])
    crossed = stats.cross_auroc_statistic(y, s, patient, group, 2)
    boot["xauc"] = stats.bootstrap(crossed, int(patient.max()) + 1, n_boot, seed)[:, 0, 1]
    ends = {name: stats.percentile_interval(boot[name]) for name in (*OTHERS, *PERCENTILE)}
    percentile = {f"{name}, percentile": ends.pop(name) for name in PERCENTILE}
    residual = np.bincount(grid_cell(s, stats.GRID), y - s, stats.GRID) / len(y)
    replicated = stats.residual_histograms(y, s, patient, masks[:1], n_boot, seed)[:, 0]
    ends["smooth_ece"] = stats.smooth_interval(residual, replicated)
    every, *each = (inverted(y[m], s[m], patient[m], bins[:, k]) for k, m in enumerate(masks))
    ends["ece_gap"] = stats.gap_interval(
        [one["ece_debiased"] for one in exact[1:]], [one["ece_debiased"] for one in each]
    )
    return found, ends | every | percentile


def inverted(y, s, patient, drawn):
    """Intervals of ``BINNED`` from replicated bins, shape (n_boot, 2, bins)."""
    n, scores, labels = bin_sums(y, s)
    pairs = np.unique(patient * N_BINS + bin_index(s))
    patients = np.bincount(pairs % N_BINS, minlength=N_BINS)
    return stats.calibration_intervals(n, labels - scores, drawn[:, 0], drawn[:, 1], patients)


def coverage(simulated, n_patients, by_row, n_sets, n_boot):
    """The truth, and how often intervals of ``TRIED`` hold it."""
    big = simulated(np.random.default_rng(99), 800_000, 0.8)
    truth, _ = values(*big, 0, 0)
    inside = dict.fromkeys(TRIED, 0)
    for k in range(n_sets):
        y, s, patient, group = simulated(np.random.default_rng([1, k]), n_patients, 0.8)
        units = np.arange(len(y)) if by_row else patient
        _, intervals = values(y, s, units, group, n_boot, k)
        for name, (low, high) in intervals.items():
            inside[name] += low <= truth[name.partition(",")[0]] <= high
    return {"truth": truth, "rate": {name: inside[name] / n_sets for name in TRIED}}


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


# What the data are called, how they are made, patients, and whether images are resampled.
DATA = {
    "as described": (simulate, PATIENTS, False),
    "200 patients": (simulate, 200, False),
    "3,000 patients": (simulate, 3000, False),
    "calibrated": (calibrated, PATIENTS, False),
    "scores too low": (too_low, PATIENTS, False),
    "too low, 200 patients": (too_low, 200, False),
    "as described, images resampled": (simulate, PATIENTS, True),
}


PROSE = (
    "The calibration errors (`ece_debiased`, `ece`, `smooth_ece`) have intervals by test "
    "inversion (`fairthesis/stats/_inversion.py`). Few patients and good calibration mostly make "
    "them too wide: an interval that may not lie below 0, and that no lucky sample may shrink to "
    "nothing, pays for it there. Where the truth is 0, 97.5 % is what is meant. The plug-in ECE is "
    "biased upward, so percentiles of its replicates lie too high and miss the truth far too "
    "often; those of the debiased error are too wide.",
    "",
    "The gap of the debiased errors (`ece_gap`) has an interval made of those of its two groups "
    "(MOVER), shorter than the percentile interval with 200 and with 800 patients. It takes over "
    "the width of its groups' intervals where these are too wide, most of all where both errors "
    "are 0: read its chance level and p value (below) first. Inverting a test of the difference, "
    "with the errors' common level filled in by the groups' own estimates, was tried before it and "
    "left: longer than the percentile interval, or, with estimates that may be negative, too "
    "short.",
)


def kept(name, function, *arguments):
    """What the function gives, computed once for the same arguments and code."""
    file = Path("build/coverage") / f"{name}.json"
    asked = [*(part for part in arguments if isinstance(part, int)), code_fingerprint(AUDITING)]
    if file.is_file():
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["asked"] == asked:
            return found["given"]
    given = function(*arguments)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"asked": asked, "given": given}), encoding="utf-8")
    return given


def error(rate, n):
    return 1.96 * np.sqrt(rate * (1 - rate) / n)


def told(rate, used):
    text = f"{rate:.1%}"
    return f"**{text}**" if used and not 0.93 <= rate <= 0.97 else text


def table(head, rows):
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def main(n_sets=500, n_boot=400):
    done = {name: kept(name, coverage, *how, n_sets, n_boot) for name, how in DATA.items()}
    *by_patient, by_row = done
    lines = [
        "# Coverage of intervals, size of tests",
        "",
        f"Made by `benchmarks/auditing/coverage.py`: {n_sets} simulated data sets of each kind, "
        f"{PATIENTS} patients where nothing else is stated, with 1 to 4 images each (about "
        f"{PATIENTS * 5 // 2:,} images), two groups, labels and scores that hang together within "
        f"patients; {n_boot} resamples of the patients each. How often 95 % intervals held the "
        f"truth; 1.96 Monte Carlo standard errors are {error(0.95, n_sets):.1%} at 95 %, "
        f"{error(0.98, n_sets):.1%} at 98 %. Bold: outside 93 to 97 %.",
        "",
        *table(
            ["95 % interval of", *by_patient],
            [
                [
                    name if name in NAMES else f"{name} (not used)",
                    *(told(done[what]["rate"][name], name in NAMES) for what in by_patient),
                ]
                for name in TRIED
            ],
        ),
        "",
        "The truth in each:",
        "",
        *table(
            ["", *by_patient],
            [[name, *(f"{done[d]['truth'][name]:.4f}" for d in by_patient)] for name in NAMES],
        ),
        "",
        *PROSE,
        "",
        "Where patients have several images and images are resampled in place of patients, "
        "intervals are too narrow (data as described):",
        "",
        *table(
            ["95 % interval of", "patients resampled", "images resampled"],
            [
                [name, *(f"{done[d]['rate'][name]:.1%}" for d in (by_patient[0], by_row))]
                for name in NAMES
            ],
        ),
        "",
        "Gaps and tests: gap_coverage.md.",
    ]
    text = "\n".join(lines) + "\n"
    Path("benchmarks/auditing/coverage.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
