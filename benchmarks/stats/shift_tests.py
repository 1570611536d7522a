"""Do the tests of a shift keep their promise? Writes shift_tests.md beside it.

    python benchmarks/stats/shift_tests.py              300 pairs of samples a kind; ten minutes
    python benchmarks/stats/shift_tests.py --sets 50

Counted are how often two alike samples are told apart at 5 %, how often a planted shift is found,
and what ``auditing.name_shifts`` calls shifts of prevalence and of appearance.
"""

from __future__ import annotations

import argparse
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np

from fairthesis import stats
from fairthesis.auditing import SHIFTS, Sample, name_shifts, shift_between

ALPHA, N_PERMUTATIONS, N_BOOT = 0.05, 199, 200
# Name -> rows of both samples, columns, tails (degrees of freedom, None for normal), images of a
# patient of which one is drawn.
NULL = {
    "200 and 150 rows, 4 columns": (200, 150, 4, None, 1),
    "40 and 300 rows, 16 columns": (40, 300, 16, None, 1),
    "150 and 150 rows, 64 columns, heavy tails": (150, 150, 64, 2, 1),
    "100 and 100 patients of 1 to 6 images": (100, 100, 8, None, 6),
}
POWER = {
    "mean of one column, 0.3 SD": lambda z: z + 0.3 * (np.arange(z.shape[1]) == 0),
    "mean of one column, 0.5 SD": lambda z: z + 0.5 * (np.arange(z.shape[1]) == 0),
    "spread of all columns, x 1.3": lambda z: 1.3 * z,
}
SHIFTED = {
    "none": (0.3, 0.0),
    "prevalence .3 to .45": (0.45, 0.0),
    "prevalence .3 to .6": (0.6, 0.0),
    "appearance, 0.5 SD of one column of eight": (0.3, 0.5),
    "both": (0.6, 0.5),
}
TESTS = {"mmd": stats.mmd, "classifier": stats.classifier_two_sample}


def drawn(rng, n, width, tails, images):
    who = np.repeat(np.arange(n), rng.integers(1, images + 1, n))
    z = rng.normal(size=(n, width)) if tails is None else rng.standard_t(tails, size=(n, width))
    return z[who] + 0.3 * rng.normal(size=(len(who), width)) * (images > 1), who


def null_share(name, n_sets):
    n, m, width, tails, images = NULL[name]
    hits = Counter()
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        (x, who), (y, other) = (drawn(rng, k, width, tails, images) for k in (n, m))
        x = x[stats.one_row_per_patient(who, seed)]
        y = y[stats.one_row_per_patient(other, seed + 1)]
        for test, run in TESTS.items():
            hits[test] += run(x, y, n_permutations=N_PERMUTATIONS, seed=seed).p_value <= ALPHA
    return [100 * hits[test] / n_sets for test in TESTS]


def power_share(name, n_sets):
    hits = Counter()
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(200, 8)), POWER[name](rng.normal(size=(200, 8)))
        for test, run in TESTS.items():
            hits[test] += run(x, y, n_permutations=N_PERMUTATIONS, seed=seed).p_value <= ALPHA
    return [100 * hits[test] / n_sets for test in TESTS]


def cohort(rng, n, prevalence, look):
    who = np.repeat(np.arange(n), rng.integers(1, 4, n))
    y = (rng.random(n) < prevalence)[who].astype(float)
    z = rng.normal(size=(n, 8))[who] + 0.3 * rng.normal(size=(len(who), 8))
    z[:, 0] += 2 * y
    z[:, 1] += look
    return Sample(1 / (1 + np.exp(2 - 2 * z[:, 0] - look)), who, y, z)


def verdict_shares(name, n, n_sets):
    found, inside = Counter(), 0
    prevalence, look = SHIFTED[name]
    for seed in range(n_sets):
        rng = np.random.default_rng(seed)
        shift = shift_between(
            cohort(rng, n, 0.3, 0.0), cohort(rng, n, prevalence, look),
            n_permutations=N_PERMUTATIONS, n_boot=N_BOOT, seed=seed,
        )  # fmt: skip
        found[name_shifts([shift])[0].verdict] += 1
        low, high = shift.label_shift.ci
        inside += low <= prevalence <= high
    shares = [100 * found[verdict] / n_sets for verdict in SHIFTS[:4]]
    return [*shares, 100 * inside / n_sets]


def lines(head, rows):
    return [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}",
            *(f"| {' | '.join(row)} |" for row in rows)]  # fmt: skip


def report(n_sets):
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()

    def cells(values, bold=lambda value: False):
        return [f"**{v:.1f}**" if bold(v) else f"{v:.1f}" for v in values]

    def outside(value):
        return not 3.5 <= value <= 6.5

    sizes = [[name, *cells(null_share(name, n_sets), outside)] for name in NULL]
    powers = [[name, *cells(power_share(name, n_sets // 3))] for name in POWER]
    named = [
        [name, str(n), *cells(verdict_shares(name, n, n_sets // 3))]
        for name in SHIFTED
        for n in (150, 400)
    ]
    head = [*(verdict.split(";")[0] for verdict in SHIFTS[:4]), "interval holds the prevalence"]
    return "\n".join([
        "# Tests of a shift: size, power, and what a shift is called", "",
        f"Made by `benchmarks/stats/shift_tests.py` at commit {commit}: {n_sets} pairs of samples "
        f"of each kind, {n_sets // 3} where a shift is planted, {N_PERMUTATIONS} permutations. "
        f"1.96 Monte Carlo standard errors are {196 * np.sqrt(0.0475 / n_sets):.1f} points at "
        "5 %.", "",
        "How often (%) two alike samples were told apart at 5 % (bold: outside 3.5 to 6.5). "
        "Both permute whole patients, which is exact; what differs from 5 is chance.", "",
        *lines(["samples", *TESTS], sizes), "",
        "How often (%) a planted shift was found; 200 rows a side, 8 columns.", "",
        *lines(["shift", *TESTS], powers), "",
        "What a shift was called (%), by the patients of each cohort, with 1 to 3 images each; and "
        "how often the 95 % interval of the external prevalence, estimated without its labels, "
        "held it. The estimate is meant for shifts of prevalence alone, and said to tell nothing "
        "beside a shift of appearance: the last rows show why.", "",
        *lines(["planted", "patients", *head], named), "",
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=300)
    text = report(parser.parse_args().sets)
    (Path(__file__).parent / "shift_tests.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
