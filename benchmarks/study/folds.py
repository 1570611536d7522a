"""Do ``contrasts_out_of_fold`` and its intervals keep their promise? Writes folds.md beside it.

    python benchmarks/study/folds.py            200 data sets a kind; resumed
    python benchmarks/study/folds.py --sets 50

Two methods score the same patients in two repeats of five folds. The models of every fold have a
scale of their own; images of one patient, the two methods and the two repeats have errors in
common. Groups differ in size and in prevalence. Counted are: how often an interval holds the true
change, how often a p value of 5 % or less names a change that is not there, and how often a change
that is there is told.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from fairthesis.study import contrasts_out_of_fold

N_BOOT, K, REPEATS = 400, 5, 2
KEPT, HERE = Path("build/folds_coverage"), Path(__file__).parent
NUMBERS = ("AUROC", "AUROC gap", "worst-group AUROC", "equalized odds difference")
BEST, CUT = 0.85, 1.0  # the better groups' AUROC; the threshold, in standard deviations of controls
# Name -> share of patients and prevalence of each group, patients, images of a patient, gaps of
# the reference and of the other method (negative: the last group is the better one).
TWO, FIVE = (
    ((0.6, 0.15), (0.4, 0.4)),
    ((0.3, 0.1), (0.25, 0.2), (0.2, 0.3), (0.15, 0.4), (0.1, 0.5)),
)
DESIGNS = {
    "2 groups, none and none": (TWO, 1200, 1, 0.0, 0.0),
    "2 groups, none and none, 4 images a patient": (TWO, 300, 4, 0.0, 0.0),
    "2 groups, the same gap": (TWO, 1200, 1, 0.1, 0.1),
    "2 groups, the same gap, 4 images a patient": (TWO, 300, 4, 0.1, 0.1),
    "2 groups, the same small gap": (TWO, 1200, 1, 0.03, 0.03),
    "2 groups, a gap turned round": (TWO, 1200, 1, 0.06, -0.06),
    "2 groups, a gap closed": (TWO, 1200, 1, 0.08, 0.0),
    "2 groups, a gap halved, 4 images a patient": (TWO, 300, 4, 0.1, 0.05),
    "2 groups, a gap halved, 25 cases in the first": (((0.6, 0.1), (0.4, 0.3)), 420, 1, 0.1, 0.05),
    "5 groups, none and none": (FIVE, 1500, 1, 0.0, 0.0),
    "5 groups, the same gap": (FIVE, 1500, 1, 0.1, 0.1),
    "5 groups, the same gap, 4 images a patient": (FIVE, 400, 4, 0.1, 0.1),
    "5 groups, a gap closed": (FIVE, 1500, 1, 0.12, 0.0),
    "2 groups, a large gap made smaller": (TWO, 1200, 1, 0.2, 0.125),
}  # fmt: skip


def aurocs(n, gap):
    """The true AUROC of each group: the last one is apart from the others."""
    found = np.full(n, BEST)
    found[-1] -= gap
    return found if gap >= 0 else found - abs(gap)


def shifts(n, gap):
    """How far cases lie above controls, in standard deviations."""
    return np.sqrt(2) * ndtri(aurocs(n, gap))


def simulate(rng, groups, patients, images, *gaps):
    """The table of two methods, ``first`` and ``other``, as of ``out_of_fold``."""
    share, prevalence = np.array(groups).T
    of = rng.choice(len(groups), patients, p=share)
    who = np.repeat(np.arange(patients), images)
    group, n = of[who], patients * images

    def error():
        return np.sqrt(0.5) * rng.normal(size=patients)[who] + np.sqrt(0.5) * rng.normal(size=n)

    # A patient's images are alike in label too.
    latent = np.sqrt(0.5) * rng.normal(size=patients)[who] + np.sqrt(0.5) * rng.normal(size=n)
    y = latent < ndtri(prevalence)[group]
    common, parts = error(), []
    for name, gap in zip(("first", "other"), gaps, strict=True):
        own = error()
        for repeat in range(REPEATS):
            fold = (rng.permutation(patients) % K)[who]
            # Trained anew: the same images get other scores, and every model has its own scale.
            noise = np.sqrt(0.7) * common + np.sqrt(0.2) * own + np.sqrt(0.1) * error()
            score = noise + np.where(y, shifts(len(groups), gap)[group], 0.0)
            place, scale = rng.normal(size=K), np.exp(0.5 * rng.normal(size=K))
            parts.append(
                pd.DataFrame(
                    {
                        "variant": name,
                        "repeat": repeat,
                        "fold": fold,
                        "image_id": np.arange(n),
                        "patient_id": who,
                        "target": "ill",
                        "y_true": y.astype(float),
                        "y_score": 1 / (1 + np.exp(-(place[fold] + scale[fold] * score))),
                        "decision": (score >= CUT).astype(float),
                        "group": np.array([f"g{g}" for g in range(len(groups))])[group],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def truth(groups, gaps):
    """The true change of each number but the AUROC of all images, which has no closed form here."""
    first, second = (aurocs(len(groups), gap) for gap in gaps)
    rates = [np.ptp(ndtr(shifts(len(groups), gap) - CUT)) for gap in gaps]
    return {
        "AUROC gap": np.ptp(second) - np.ptp(first),
        "worst-group AUROC": second.min() - first.min(),
        "equalized odds difference": rates[1] - rates[0],
    } | ({"AUROC": 0.0} if gaps[0] == gaps[1] else {})


def measured(design, n_sets):
    groups, patients, images, *gaps = DESIGNS[design]
    true = truth(groups, gaps)
    names = {"group": [f"g{g}" for g in range(len(groups))]}
    rows = []
    for number in range(n_sets):
        table = simulate(np.random.default_rng([5, number]), groups, patients, images, *gaps)
        found = contrasts_out_of_fold(table, names, margin=0.02, n_boot=N_BOOT, seed=number)
        for row in found.itertuples():
            if row.number in true:
                rows.append(
                    {
                        "number": row.number,
                        "held": row.lo - 1e-9 <= true[row.number] <= row.hi + 1e-9,
                        "told": row.p_value <= 0.05,
                        "smallest": row.smallest_change,
                    }
                )
    table = pd.DataFrame(rows).groupby("number").mean()
    return {name: {**table.loc[name].to_dict(), "true": float(true[name])} for name in table.index}


def shown(value, bold):
    return f"**{value:.1f}**" if bold else f"{value:.1f}"


def page(found, n_sets):
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    off = 100 * 1.96 * np.sqrt(0.95 * 0.05 / n_sets)
    lines = [
        "# Differences from out-of-fold predictions: coverage and false claims",
        "",
        f"Made by `benchmarks/study/folds.py` at commit {commit}: {n_sets} simulated data sets of "
        f"each kind, {N_BOOT} resamples, two repeats of five folds whose models each have a scale "
        "of their own. Groups differ in size and prevalence. 1.96 Monte Carlo standard errors are "
        f"{off:.1f} points at 95 %.",
        "",
        "How often (%) the 95 % interval of a difference held the true one (bold: below "
        f"{95 - off:.0f}).",
        "",
    ]
    head = ["design", *NUMBERS]
    rule = "|---|" + "---:|" * len(NUMBERS)

    def table(cell):
        rows = [f"| {' | '.join(head)} |", rule]
        for design in DESIGNS:
            cells = [cell(found[design].get(number)) for number in NUMBERS]
            if any(cells):
                rows.append(f"| {design} | {' | '.join(cells)} |")
        return rows

    def held(one):
        return "" if one is None else shown(100 * one["held"], 100 * one["held"] < 95 - off)

    def wrong(one):
        if one is None or abs(one["true"]) > 1e-9:
            return ""
        return shown(100 * one["told"], 100 * one["told"] > 5 + off)

    def told(one):
        if one is None or abs(one["true"]) < 1e-9:
            return ""
        return f"{100 * one['told']:.0f} ({abs(one['true']):.3f}; {one['smallest']:.3f})"

    lines += table(held)
    lines += ["", "How often (%) p was 5 % or less where nothing had changed (bold: above "
              f"{5 + off:.0f}).", "", *table(wrong)]  # fmt: skip
    lines += ["", "How often (%) p was 5 % or less where there was a change; in brackets the true "
              "change, and the smallest one that the design is said to tell in four of five cases "
              "(mean).", "", *table(told)]  # fmt: skip
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=200)
    n_sets = parser.parse_args().sets
    KEPT.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, design in enumerate(DESIGNS):
        file = KEPT / f"{number}-{n_sets}.json"
        if not file.is_file():
            file.write_text(json.dumps(measured(design, n_sets)))
        found[design] = json.loads(file.read_text())
        print(design, {k: round(v["held"], 3) for k, v in found[design].items()}, flush=True)
    (HERE / "folds.md").write_text(page(found, n_sets), encoding="utf-8")


if __name__ == "__main__":
    main()
