"""Do ``compare`` and a threshold rule keep their promise? Writes comparison_coverage.md beside it.

    python benchmarks/auditing/comparison_coverage.py            500 data sets a kind; resumed
    python benchmarks/auditing/comparison_coverage.py --sets 100

Two models score the same patients, with correlated errors. Half of the groups are worse, by a gap
of each model's own. Counted are: how often the interval of a gap's change holds the true change,
how often a p value under 5 % names a change that is not there, how often levelling down is "shown"
where no group lost, and how often the interval of a rule's rates holds what the rule promises.
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
from fairthesis.auditing import compare

N_BOOT, TPR, FPR = 400, 0.8, 0.2
KEPT, HERE = Path("build/comparison_coverage"), Path(__file__).parent
GAPS = ("tpr_difference", "fpr_difference", "equalized_odds_difference",
        "equalized_odds_difference_mean", "auroc_gap", "worst_group_auroc")  # fmt: skip
# Name -> groups, patients of each, images of a patient, correlation of the models' errors, gaps of
# the reference and of the other model (negative: the other half of the groups is worse).
DESIGNS = {
    "2 groups, none and none": (2, 600, 1, 0.8, 0.0, 0.0),
    "2 groups, the same gap": (2, 600, 1, 0.8, 0.1, 0.1),
    "2 groups, a gap closed": (2, 600, 1, 0.8, 0.1, 0.0),
    "2 groups, a gap halved": (2, 600, 1, 0.8, 0.1, 0.05),
    "2 groups, a gap turned round": (2, 600, 1, 0.8, 0.1, -0.1),
    "2 groups, errors apart": (2, 600, 1, 0.0, 0.1, 0.0),
    "2 groups, 6 images a patient": (2, 150, 6, 0.8, 0.1, 0.05),
    "2 groups, 50 positives each": (2, 150, 1, 0.8, 0.1, 0.0),
    "4 groups, none and none": (4, 400, 1, 0.8, 0.0, 0.0),
    "4 groups, a gap closed": (4, 400, 1, 0.8, 0.1, 0.0),
    "8 groups, none and none": (8, 300, 1, 0.8, 0.0, 0.0),
    "8 groups, a gap halved": (8, 300, 1, 0.8, 0.1, 0.05),
}  # fmt: skip
RULE_PATIENTS = (200, 1000)


def rates(group, k, gap):
    """The true and false positive rate of each case's group."""
    worse = group >= k // 2 if gap >= 0 else group < k // 2
    return TPR - abs(gap) * worse, FPR + abs(gap) * worse


def simulate(rng, k, patients, images, r, gaps):
    n = k * patients
    who = np.repeat(np.arange(n), images)
    group = who % k
    latent = 0.8 * rng.normal(size=n)[who] + 0.6 * rng.normal(size=len(who))
    y = latent < ndtri(1 / 3)

    def noise():
        return 0.7 * rng.normal(size=n)[who] + np.sqrt(0.51) * rng.normal(size=len(who))

    common = noise()
    tables = []
    for gap in gaps:
        own = np.sqrt(r) * common + np.sqrt(1 - r) * noise()
        rate = np.where(y, *rates(group, k, gap))
        score = 1 / (1 + np.exp(-(ndtri(rate) + own)))
        tables.append(
            pd.DataFrame(
                {
                    "image_id": np.arange(len(who)).astype(str),
                    "patient_id": who.astype(str),
                    "group": [f"g{g}" for g in group],
                    "y_true": y.astype(int),
                    "y_score": score,
                }
            )
        )
    return tables


def auroc(gap):
    return float(ndtr((ndtri(TPR - gap) - ndtri(FPR + gap)) / np.sqrt(2)))


def truth(first, second):
    first, second = abs(first), abs(second)
    known = dict.fromkeys(GAPS[:4], second - first)
    change = auroc(second) - auroc(first)
    return known | {"auroc_gap": -change, "worst_group_auroc": change}


def of_changes(design, n_sets):
    k, patients, images, r, *gaps = DESIGNS[design]
    true = truth(*gaps)
    held, wrong, shown = dict.fromkeys(GAPS, 0), dict.fromkeys(GAPS, 0), 0
    for number in range(n_sets):
        tables = simulate(np.random.default_rng([3, number]), k, patients, images, r, gaps)
        found = compare(
            dict(zip(("first", "other"), tables, strict=True)),
            group="group", n_boot=N_BOOT, seed=number,
        )  # fmt: skip
        rows = found.changes[found.changes["group"] == "between groups"].set_index("metric")
        for name in GAPS:
            row = rows.loc[name]
            held[name] += row["ci_low"] - 1e-9 <= true[name] <= row["ci_high"] + 1e-9
            wrong[name] += row["p_value"] <= 0.05
        shown += (found.levelling["levelled_down"] == "shown").any()
    # Where the other model is no worse in any group, nothing was levelled down.
    better = gaps[1] >= 0 and gaps[1] <= gaps[0]
    return {
        "held": held,
        "wrong": {n: wrong[n] if abs(true[n]) < 1e-12 else None for n in GAPS},
        "shown": int(shown) if better else None,
    }


def of_rule(patients, n_sets):
    """The rule fpr=0.2 on so many validation patients; what it promises is a FPR of 0.2."""
    counts = {"rule": 0, "threshold": 0}
    for number in range(n_sets):
        rng = np.random.default_rng([4, patients, number])
        held = simulate(rng, 2, patients // 2, 1, 1.0, (0.0,))[0].assign(split="val")
        test = simulate(rng, 2, 2000, 1, 1.0, (0.0,))[0].assign(split="test")
        test["patient_id"] = "t" + test["patient_id"]
        report = fairthesis.audit(
            pd.concat([held, test]), groups=["group"], patient="patient_id",
            threshold="fpr=0.2", n_boot=N_BOOT, n_permutations=0, seed=number,
        )  # fmt: skip
        low, high = report.additional["rule"]["rates"]["", ""]["fpr"]
        counts["rule"] += low <= 0.2 <= high
        low, high = report.overall["fpr"].ci
        counts["threshold"] += low <= 0.2 <= high
    return counts


def kept(name, n_sets, make):
    file = KEPT / ("".join(c if c.isalnum() else "-" for c in f"{name}-{n_sets}") + ".json")
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    found = make(n_sets)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, default=int), encoding="utf-8")
    print(name, "done", file=sys.stderr, flush=True)
    return found


def percent(count, n, most=1.0, least=0.0):
    if count is None:
        return ""
    text = f"{100 * count / n:.1f}"
    return text if least <= count / n <= most else f"**{text}**"


def report(n):
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    words = [name.replace("_", " ").replace(" difference", "") for name in GAPS]
    head = ["design", *words, "levelling down shown"]
    coverage, errors = [], []
    for design in DESIGNS:
        found = kept(design, n, lambda sets, d=design: of_changes(d, sets))
        coverage.append([design, *(percent(found["held"][g], n, least=0.93) for g in GAPS),
                         percent(found["shown"], n, most=0.05)])  # fmt: skip
        if any(value is not None for value in found["wrong"].values()):
            errors.append([design, *(percent(found["wrong"][g], n, 0.065) for g in GAPS)])
    rules = [
        [str(p), *(percent(found[name], n, least=low) for name, low in
                   (("rule", 0.93), ("threshold", 0.0)))]
        for p in RULE_PATIENTS
        for found in [kept(f"rule, {p} patients", n, lambda sets, p=p: of_rule(p, sets))]
    ]  # fmt: skip

    def table(columns, rows):
        return [f"| {' | '.join(columns)} |", f"|---|{'---:|' * (len(columns) - 1)}",
                *(f"| {' | '.join(row)} |" for row in rows)]  # fmt: skip

    return "\n".join([
        "# Comparisons: coverage of changes, false claims, threshold rules", "",
        f"Made by `benchmarks/auditing/comparison_coverage.py` at commit {commit}: {n} simulated "
        f"data sets of each kind, {N_BOOT} resamples. Two models score the same patients; a gap "
        "stands in the true and in the false positive rate. 1.96 Monte Carlo standard errors are "
        f"{196 * np.sqrt(0.0475 / n):.1f} points at 95 %.", "",
        "How often (%) the 95 % interval of a gap's change held the true change (bold: below 93), "
        "and how often levelling down was *shown* in any of AUROC, TPR and TNR where no group had "
        "lost (bold: above 5).", "", *table(head, coverage), "",
        "How often (%) p was 5 % or less where the gap had not changed (bold: above 6.5).", "",
        *table(head[:-1], errors), "",
        "How often (%) an interval held the false positive rate of 20 % that the rule `fpr=0.2` "
        "promises, by the number of patients that the threshold was chosen on: the interval of the "
        "rule, and that of the rate at the threshold as it was chosen, which promises another "
        "thing.", "", *table(["validation patients", "of the rule", "at the threshold"], rules), "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=500)
    text = report(parser.parse_args().sets)
    (HERE / "comparison_coverage.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
