"""How often does a search find a group where there is none, and one that is there?

Simulated data sets of 3 attributes (2, 3 and 4 values), searched to a depth of 3. Run from the top
of the clone, optionally with the number of data sets of each kind; writes search.md beside it.

    python benchmarks/auditing/search.py 1000
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis.auditing import search

GROUPS = ["sex", "age", "site"]
PERMUTATIONS = 299
# What differs between groups, patients, images of each, and the floor of the search.
NULL = {
    "nothing differs, one image a patient": {"n": 500, "images": 1},
    "nothing differs, 200 patients, floor of 10": {"n": 200, "images": 1, "minimum": 10},
    "nothing differs, 1 to 6 images a patient": {"n": 400, "images": 6},
    "site differs within patients": {"n": 400, "images": 4, "within": True},
    "the same, twice as many other data sets": {
        "n": 400, "images": 4, "within": True, "first": 10_000, "times": 2,
    },
    "prevalence differs (15 % to 55 %)": {"n": 600, "images": 1, "prevalence": True},
    "prevalence and images differ": {"n": 400, "images": 4, "prevalence": True, "more": True},
    "prevalence differs, and site within patients": {
        "n": 400, "images": 4, "prevalence": True, "within": True,
    },
    "scores moved up by 1 logit in a group, AUROC alone": {
        "n": 600, "images": 1, "shift": 1.0, "metrics": ["auroc"],
    },
}  # fmt: skip
PLANTED = {
    "TPR of women over 60 lowered by about 0.2, 2,000 patients": {"n": 2000, "drop": 0.9},
    "by about 0.4, 2,000 patients": {"n": 2000, "drop": 1.8},
    "by about 0.4, 1,000 patients": {"n": 1000, "drop": 1.8},
}
TARGET = "sex=F and age=60+"


def simulate(
    seed: int,
    n: int,
    images: int = 1,
    within: bool = False,
    prevalence: bool = False,
    more: bool = False,
    shift: float = 0.0,
    drop: float = 0.0,
) -> pd.DataFrame:
    """Labels and scores that hang together within patients; nothing differs unless it is asked."""
    rng = np.random.default_rng(seed)
    sex, age = rng.choice(["F", "M"], n, p=[0.4, 0.6]), rng.choice(["<40", "40-60", "60+"], n)
    count = rng.integers(1, images + 1, n)
    if more:  # women have twice as many images
        count = count * np.where(sex == "F", 2, 1)
    who = np.repeat(np.arange(n), count)
    site = rng.choice(list("abcd"), len(who) if within else n, p=[0.4, 0.3, 0.2, 0.1])
    site = site if within else site[who]
    table = pd.DataFrame({"patient_id": who, "sex": sex[who], "age": age[who], "site": site})
    level = -0.7 + 0.6 * rng.normal(size=n)[who]
    if prevalence:
        level = level + 1.2 * (table["sex"] == "F") - 0.8 * (table["age"] == "<40")
        level = level + 0.8 * (table["site"] == "a")
    y = (rng.random(len(who)) < 1 / (1 + np.exp(-level))).astype(float)
    logit = 2.2 * (y - 0.4) + 0.8 * rng.normal(size=n)[who] + 0.7 * rng.normal(size=len(who))
    logit = (
        logit
        + shift * (table["sex"] == "F")
        - drop * y * ((table["sex"] == "F") & (table["age"] == "60+"))
    )
    return table.assign(y_true=y, y_score=1 / (1 + np.exp(-logit)))


def searched(seed: int, **kind) -> pd.DataFrame:
    """The groups found in one data set."""
    options = {key: kind.pop(key) for key in ("minimum", "metrics") if key in kind}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = search(
            simulate(seed, **kind),
            groups=GROUPS,
            patient="patient_id",
            n_permutations=PERMUTATIONS,
            seed=seed,
            **options,
        )
    return report.found()


def percent(hits: int, n: int) -> str:
    rate = hits / n
    return f"{100 * rate:.1f} % ± {196 * (rate * (1 - rate) / n) ** 0.5:.1f}"


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    start = time.perf_counter()
    lines = [
        "# Search: false findings, and true ones",
        "",
        f"Made by `benchmarks/auditing/search.py`: {n} simulated data sets of each kind, "
        f"{PERMUTATIONS} permutations, half of the patients held back, ± 1.96 Monte Carlo standard "
        "errors. Three attributes (2, 3 and 4 values) make 59 groups; TPR, FPR and AUROC are "
        "searched at once where nothing else is stated, with a floor of 20 effective patients.",
        "",
        "No group fares worse; how often the search finds any (meant: at most 5 %), by metric, and "
        "how often one is confirmed as well:",
        "",
        "| data | any found | TPR | FPR | AUROC | any confirmed |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, kind in NULL.items():
        kind = dict(kind)
        first, sets = kind.pop("first", 0), n * kind.pop("times", 1)
        hits = dict.fromkeys(("any", "tpr", "fpr", "auroc", "confirmed"), 0)
        for seed in range(first, first + sets):
            found = searched(seed, **kind)
            hits["any"] += len(found) > 0
            hits["confirmed"] += bool((found["confirmed"] == True).any())  # noqa: E712
            for metric in ("tpr", "fpr", "auroc"):
                hits[metric] += bool((found["metric"] == metric).any())
        asked = kind.get("metrics", ["tpr", "fpr", "auroc"])
        cells = [
            percent(hits[m], sets) if m not in ("tpr", "fpr", "auroc") or m in asked else "–"
            for m in hits
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        f"One group is planted ({TARGET}, 13 % of patients); how often it is found for its TPR, "
        "confirmed, and left unexplained by any other; how often all else that was found for TPR "
        "is explained by it; and how often its 95 % interval of the held-back half holds the true "
        "difference (of those found):",
        "",
        "| data | found | confirmed | unexplained | all else explained | interval |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    fewer = max(n // 4, 1)
    for name, kind in PLANTED.items():
        big = simulate(10**6, **(kind | {"n": 400_000}))
        positive = big[big["y_true"] == 1]
        inside = (positive["sex"] == "F") & (positive["age"] == "60+")
        called = positive["y_score"] >= 0.5
        truth = called[inside].mean() - called[~inside].mean()
        hits = dict.fromkeys(("found", "confirmed", "unexplained", "rest", "covered"), 0)
        for seed in range(fewer):
            found = searched(seed, **kind)
            found = found[found["metric"] == "tpr"].set_index("group")
            if TARGET not in found.index:
                continue
            own = found.loc[TARGET]
            hits["found"] += 1
            hits["confirmed"] += own["confirmed"] is True
            hits["unexplained"] += own["explained_by"] is None
            hits["rest"] += bool(found.drop(TARGET)["explained_by"].notna().all())
            hits["covered"] += bool(own["confirm_ci_low"] <= truth <= own["confirm_ci_high"])
        seen = max(hits["found"], 1)
        cells = [percent(hits["found"], fewer), percent(hits["confirmed"], fewer)]
        cells += [percent(hits[m], seen) for m in ("unexplained", "rest", "covered")]
        lines.append(f"| {name} (true difference {truth:.2f}) | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    print(f"{time.perf_counter() - start:.0f} s")
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
