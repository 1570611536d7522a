"""Do gaps' intervals and tests keep their promise? Writes gap_coverage.md and .csv beside it.

    python benchmarks/auditing/gap_coverage.py            500 data sets of each kind; hours, resumed
    python benchmarks/auditing/gap_coverage.py --sets 50

Every data set goes through ``fairthesis.audit`` as a user's does. Groups differ in prevalence, size
and images per patient, and by a planted gap in the true and false positive rate; scores are normal
within each label, so that the rates are known.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

import fairthesis
from fairthesis.metrics import DISPARITIES

N_BOOT, N_PERMUTATIONS, ALPHA = 400, 199, 0.05
TPR, FPR = 0.8, 0.2
GAPS = (0.0, 0.02, 0.05, 0.10)
KEPT = Path("build/gap_coverage")
HERE = Path(__file__).parent
CHANCE = ("auroc_gap", "equalized_odds_difference", "tpr_difference", "fpr_difference")


def one(rng, n):
    return np.ones(n, int)


def six(rng, n):
    return np.full(n, 6)


def skewed(rng, n):
    """1 to 120 images: most patients have few, a few patients have most of the images."""
    return np.minimum(np.ceil(np.exp(rng.exponential(1.2, n))), 120).astype(int)


# Name -> patients, prevalence and images per patient of each group; gaps that are planted.
DESIGNS = {
    "2 groups": ([600] * 2, [1 / 3] * 2, [one] * 2, GAPS),
    "4 groups": ([600] * 4, [1 / 3] * 4, [one] * 4, GAPS),
    "8 groups": ([600] * 8, [1 / 3] * 8, [one] * 8, GAPS),
    "prevalence 5 and 45 %": ([1000] * 2, [0.05, 0.45], [one] * 2, GAPS),
    "prevalence 5 to 45 %, 4 groups": ([1000] * 4, [0.05, 0.15, 0.3, 0.45], [one] * 4, (0.0, 0.05)),
    "prevalence 30 and 10 %, 1,500 and 500 patients": (
        [1500, 500], [0.3, 0.1], [one] * 2, (0.0, 0.05),
    ),
    "6 images a patient against 1": ([100, 600], [0.3] * 2, [six, one], (0.0, 0.05)),
    "1 image a patient against 6, prevalence 10 and 50 %": (
        [600, 100], [0.1, 0.5], [one, six], (0.0, 0.05),
    ),
    "1 to 120 images a patient": ([200] * 2, [0.3] * 2, [skewed] * 2, (0.0, 0.05)),
    "1 to 120 images, 4 groups": (
        [200, 400, 600, 300], [0.3, 0.1, 0.2, 0.4], [one, six, one, skewed], (0.0, 0.05),
    ),
    "everything differs, 8 groups": (
        [150, 200, 300, 300, 200, 500, 200, 150],
        [0.3, 0.1, 0.2, 0.4, 0.3, 0.2, 0.3, 0.3],
        [one, six, one, skewed, one, one, six, one],
        (0.0, 0.05),
    ),
    "50 positives each": ([250] * 2, [0.2] * 2, [one] * 2, (0.0, 0.05)),
    "groups share their patients": ([500], [0.3], [six], (0.0, 0.05)),
}  # fmt: skip


def simulate(rng, design, gap, scale=1):
    """A table of predictions; half of the groups have the gap in both rates."""
    sizes, prevalences, images, _ = DESIGNS[design]
    shared = len(sizes) == 1  # two views of the same patients
    parts, first = [], 0
    for k, (n, prevalence, of) in enumerate(zip(sizes, prevalences, images, strict=True)):
        n *= scale
        m = of(rng, n)
        who = np.repeat(np.arange(n), m)
        rows = len(who)
        group = rng.integers(0, 2, rows) if shared else np.full(rows, k)
        worse = group >= (1 if shared else len(sizes) // 2)
        latent = 0.8 * rng.normal(size=n)[who] + 0.6 * rng.normal(size=rows)
        y = latent < ndtri(prevalence)
        noise = 0.7 * rng.normal(size=n)[who] + np.sqrt(0.51) * rng.normal(size=rows)
        rate = np.where(y, TPR - gap * worse, FPR + gap * worse)
        parts.append(
            pd.DataFrame(
                {
                    "patient_id": who + first,
                    "group": [f"g{g}" for g in group],
                    "y_true": y.astype(int),
                    "y_score": 1 / (1 + np.exp(-(ndtri(rate) + noise))),
                }
            )
        )
        first += n
    return pd.concat(parts, ignore_index=True)


def audited(frame, **options):
    return fairthesis.audit(frame, groups=["group"], patient="patient_id", **options)


def truth_of(design, gap):
    """Every gap, from the rates where they are known and from 400,000 rows and more elsewhere."""
    scale = max(1, 400_000 // sum(DESIGNS[design][0]))
    big = simulate(np.random.default_rng(99), design, gap, scale)
    found = audited(big, n_boot=0, n_permutations=0).disparities["group"]
    known = {name: estimate.value for name, estimate in found.items()}
    auroc = [float(ndtr((ndtri(TPR - g) - ndtri(FPR + g)) / np.sqrt(2))) for g in (0.0, gap)]
    rates = dict.fromkeys(("tpr_difference", "fpr_difference"), gap)
    odds = dict.fromkeys(("equalized_odds_difference", "equalized_odds_difference_mean"), gap)
    return known | rates | odds | {"auroc_gap": auroc[0] - auroc[1], "worst_group_auroc": auroc[1]}


def run(design, gap, n_sets):
    """Coverage and length by gap; rejections of true nulls, one by one and of any."""
    truth = truth_of(design, gap)
    # A gap that is not planted may be there by prevalence: then its test is right to reject.
    null = [n for n in CHANCE if gap == 0] + ["worst_group_auroc"] * (gap == 0)
    counts = {n: {"held": 0, "known": 0, "length": 0.0, "rejected": 0} for n in DISPARITIES}
    any_false = 0
    for k in range(n_sets):
        frame = simulate(np.random.default_rng([1, k]), design, gap)
        found = audited(frame, n_boot=N_BOOT, n_permutations=N_PERMUTATIONS, seed=k).disparities[
            "group"
        ]
        for name, estimate in found.items():
            if estimate.ci is not None:
                low, high = estimate.ci
                counts[name]["held"] += low - 1e-9 <= truth[name] <= high + 1e-9
                counts[name]["known"] += 1
                counts[name]["length"] += high - low
            counts[name]["rejected"] += estimate.p_value <= ALPHA
        any_false += any(found[n].p_value_corrected <= ALPHA for n in null)
    return {"truth": truth, "counts": counts, "null": null, "any_false": any_false}


def kept(design, gap, n_sets):
    """``run``, computed once: a finished part is read back."""
    name = "".join(c if c.isalnum() else "-" for c in f"{design}-{gap}-{n_sets}")
    file = KEPT / f"{name}.json"
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    found = run(design, gap, n_sets)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found), encoding="utf-8")
    return found


def rows_of(n_sets, only_kept=False):
    rows = []
    for design, (*_, gaps) in sorted(DESIGNS.items(), key=lambda item: len(item[1][0])):
        for gap in gaps:
            sets = n_sets
            if only_kept:  # what is finished, with as many data sets as there are
                begins = "".join(c if c.isalnum() else "-" for c in f"{design}-{gap}-")
                done = [int(f.stem[len(begins) :]) for f in KEPT.glob(f"{begins}*.json")]
                if not done:
                    continue
                sets = max(done)
            found = kept(design, gap, sets)
            print(design, gap, "done", file=sys.stderr, flush=True)
            for disparity, c in found["counts"].items():
                rows.append(
                    {
                        "design": design,
                        "gap": gap,
                        "disparity": disparity,
                        "truth": found["truth"][disparity],
                        "coverage": c["held"] / c["known"] if c["known"] else np.nan,
                        "length": c["length"] / c["known"] if c["known"] else np.nan,
                        "rejected": c["rejected"] / sets,
                        "null": disparity in found["null"],
                        "family_wise": found["any_false"] / sets if found["null"] else np.nan,
                        "sets": sets,
                    }
                )
    return pd.DataFrame(rows)


SHOWN = (
    "tpr_difference", "fpr_difference", "equalized_odds_difference",
    "equalized_odds_difference_mean", "auroc_gap", "worst_group_auroc",
    "demographic_parity_difference", "accuracy_gap", "brier_gap", "ece_gap",
)  # fmt: skip


def table(head, lines):
    out = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    return [*out, *(f"| {' | '.join(line)} |" for line in lines)]


def told(rate, low, high):
    text = f"{100 * rate:.1f}"
    return text if low <= rate <= high else f"**{text}**"


def report(rows, n_sets):
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    words = [name.replace("_", " ").replace(" difference", "") for name in SHOWN]
    wide = rows.pivot_table(
        index=["design", "gap"], columns="disparity", values="coverage", sort=False
    )
    wide = wide.loc[list(dict.fromkeys(zip(rows["design"], rows["gap"], strict=True)))]
    number = rows.groupby(["design", "gap"])["sets"].first()
    error = 1.96 * np.sqrt(0.95 * 0.05 / number.max())
    few = 1.96 * np.sqrt(0.95 * 0.05 / number.min())
    lines = [
        "# Gaps: coverage of intervals, size of tests",
        "",
        f"Made by `benchmarks/auditing/gap_coverage.py`, put together at commit {commit} from "
        "parts that ran at it or shortly before: simulated data sets of "
        "each kind (their number stands beside it), each audited with "
        f"{N_BOOT} resamples and {N_PERMUTATIONS} permutations. Half of the groups have a true "
        "positive rate that is lower, and a false positive rate that is higher, by the gap; labels "
        "and scores hang together within patients. 1.96 Monte Carlo standard errors are "
        f"{100 * error:.1f} points at 95 % with {number.max()} data sets, {100 * few:.1f} with "
        f"{number.min()}.",
        "",
        "How often (%) the 95 % interval of a gap held the truth; bold: below 93. Where the truth "
        "is 0 or nearly so, an interval cannot reach below it and holds it more often.",
        "",
        *table(
            ["design", "gap", "data sets", *words],
            [
                [
                    design,
                    f"{gap:.2f}",
                    str(number[design, gap]),
                    *(told(line[n], 0.93, 1) for n in SHOWN),
                ]
                for (design, gap), line in wide.iterrows()
            ],
        ),
        "",
        "How often (%) a test at 5 % called a difference that is not there (p of one gap alone), "
        "and how often any of these five did after correction; bold: above 6.5 (7.5 with 50 "
        "positives). A gap that prevalence alone makes (demographic parity, accuracy, Brier "
        "score) is no error there and not listed.",
        "",
    ]
    null = rows[rows["null"]]
    names = [n for n in SHOWN if n in set(null["disparity"])]
    size = null.pivot_table(index="design", columns="disparity", values="rejected", sort=False)
    family = null.groupby("design", sort=False)["family_wise"].first()
    most = {design: 0.075 if "50 positives" in design else 0.065 for design in size.index}
    lines += table(
        ["design", *(n.replace("_", " ") for n in names), "any, corrected"],
        [
            [
                design,
                *(told(line[n], 0, most[design]) for n in names),
                told(family[design], 0, most[design]),
            ]
            for design, line in size.iterrows()
        ],
    )
    done = set(zip(rows["design"], rows["gap"], strict=True))
    missing = [
        f"{design} (gap {gap:.2f})"
        for design, (*_, gaps) in DESIGNS.items()
        for gap in gaps
        if (design, gap) not in done
    ]
    if missing:
        lines += ["", f"Not run yet, so nothing is known of: {'; '.join(missing)}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=500)
    parser.add_argument("--report", action="store_true", help="write what is finished so far")
    options = parser.parse_args()
    rows = rows_of(options.sets, options.report)
    rows.round(4).to_csv(HERE / "gap_coverage.csv", index=False)
    text = report(rows, options.sets)
    (HERE / "gap_coverage.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
