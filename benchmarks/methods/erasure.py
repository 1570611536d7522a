"""What erasers leave on patients that they have not seen, and whether what is offered helps.

    python benchmarks/methods/erasure.py > benchmarks/methods/erasure.md

An embedding of Gaussian rows with a spectrum that falls as 1 / sqrt(k); group and target each shift
it along a direction of its own, by a Mahalanobis distance of 2.5 and 2. Three seeds; the eraser is
fitted on n rows, fresh probes on 1.5 n new rows and judged on 20,000 others. Three minutes.
"""

from __future__ import annotations

import warnings

import numpy as np

from fairthesis.embeddings import (
    KernelEraser,
    Leace,
    MeanDifferences,
    WholeSpaceWarning,
    expected_auroc,
    fit_probe,
    macro_auroc,
    probabilities,
)

SIZES = ((4000, 64), (600, 512), (400, 1376))
SEEDS = range(3)
WAYS = {
    "nothing": lambda d: None,
    "LEACE": lambda d: Leace(),
    "LEACE, shrinkage auto": lambda d: Leace(shrinkage="auto"),
    "LEACE, shrinkage 0.5": lambda d: Leace(shrinkage=0.5),
    "mean differences": lambda d: MeanDifferences(),
    **{f"LEACE, {k} directions": (lambda d, k=k: Leace(directions=k)) for k in (16, 64, 256)},
}


def drawn(n, d, rng, ways):
    a, y = rng.integers(0, 2, n), rng.integers(0, 2, n)
    x = rng.normal(size=(n, d)) + 2.5 * np.outer(a, ways[0]) + 2 * np.outer(y, ways[1])
    return x * np.arange(1, d + 1) ** -0.5, a, y


def linear() -> None:
    print("| rows | width | erasure | attribute, AUROC | target, AUROC | best possible |")
    print("|---|---|---|---|---|---|")
    for n, d in SIZES:
        for name, made in WAYS.items():
            areas = []
            for seed in SEEDS:
                rng = np.random.default_rng(seed)
                ways = rng.normal(size=(2, d))
                ways /= np.linalg.norm(ways, axis=1, keepdims=True)
                fit, tell, judge = (drawn(m, d, rng, ways) for m in (n, 3 * n // 2, 20_000))
                eraser = made(d)
                if getattr(eraser, "directions", None) and eraser.directions >= d:
                    break
                if eraser is not None:
                    eraser.fit(fit[0], fit[1])
                z = [p[0] if eraser is None else eraser.transform(p[0]) for p in (tell, judge)]
                areas.append([])
                for k in (1, 2):
                    probe = fit_probe("logistic", z[0], tell[k])
                    areas[-1].append(float(macro_auroc(judge[k], probabilities(probe, z[1], 2))))
            if areas:
                a, y = np.mean(areas, axis=0)
                width = getattr(eraser, "directions", None) or d
                best = f"{expected_auroc([n / 2, n / 2], width):.2f}" if eraser is not None else ""
                print(f"| {n:,} | {d:,} | {name} | {a:.2f} | {y:.2f} | {best} |", flush=True)


def curved() -> None:
    print("\n| dependence | width | probe | nothing | LEACE | kernel | directions taken |")
    print("|---|---|---|---|---|---|---|")
    rules = {
        "exclusive or": lambda u: u[:, 0] * u[:, 1] > 0,
        "ring": lambda u: u[:, 0] ** 2 + u[:, 1] ** 2 > 1.4,
        "line and bend": lambda u: u[:, 0] + u[:, 1] ** 2 > 1,
    }
    for rule, of in rules.items():
        for d in (8, 32, 64):
            found: dict[str, list[list[float]]] = {"logistic": [], "mlp": [], "boosting": []}
            taken = []
            for seed in SEEDS:
                rng = np.random.default_rng(seed)
                u = rng.normal(size=(8000, d))
                flipped = rng.random(8000) < 0.05
                a = (of(u) ^ flipped).astype(int)
                x = u @ rng.normal(size=(d, d))
                erasers = [made().fit(x[:4000], a[:4000]) for made in (Leace, KernelEraser)]
                taken.append(erasers[1].rank_)
                for probe, areas in found.items():
                    areas.append([])
                    for z in (x, *(eraser.transform(x) for eraser in erasers)):
                        fitted = fit_probe(probe, z[4000:6000], a[4000:6000])
                        scores = probabilities(fitted, z[6000:], 2)
                        areas[-1].append(float(macro_auroc(a[6000:], scores)))
            for probe, areas in found.items():
                plain, leace, kernel = np.mean(areas, axis=0)
                many = ", ".join(map(str, taken))
                print(
                    f"| {rule} | {d} | {probe} | {plain:.2f} | {leace:.2f} | {kernel:.2f} | "
                    f"{many} |",
                    flush=True,
                )


if __name__ == "__main__":
    warnings.simplefilter("ignore", WholeSpaceWarning)
    print("# What erasers leave on new patients\n")
    print((__doc__ or "").split("\n\n")[2].replace("\n", " ") + "\n")
    linear()
    print(
        "\nThe best possible is `expected_auroc`: what a linear probe of unlimited new rows reaches"
        ".\nShrinkage changes nothing of it: whatever the covariance is taken to be, the error of "
        "the means\nstays. Fewer directions do, and take of the target what lies outside them.\n"
        "\nCurved dependence on two directions of an embedding, eraser fitted on 4,000 rows, probes"
        " on\n2,000 new ones and judged on 2,000 others:"
    )
    curved()
