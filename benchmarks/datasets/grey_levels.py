"""How far do grey levels alone tell a target? Writes grey_levels.md and the book's table.

    python benchmarks/datasets/grey_levels.py [--data FOLDER]

A cohort whose classes come from different sources can be told apart by how bright its pictures
are, and a network that does so has learned nothing of the disease. For every real cohort at hand
and each attribute that its loader has: what a logistic regression and gradient-boosted trees make
of 18 numbers of each picture (mean, standard deviation and the shares of 16 equal grey levels), and
a logistic regression of a thumbnail of 8 x 8 pixels, of the pictures as they are and equalised (the
grey levels of each spread evenly, by rank). Every picture is predicted by a model of other patients
(five folds); intervals are over patients.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairthesis import data, datasets, metrics, stats

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "book" / "datasets.md"
START, END = "<!-- grey levels: start -->", "<!-- grey levels: end -->"
SIZE, EDGE, LEVELS = 64, 8, 16
COHORTS = {
    "nih-cxr14": ("nih-cxr14-pneumonia-1000", "pneumonia", ("sex", "view")),
    "ham10000": ("ham10000-one-per-lesion-224", "malignant", ("sex",)),
    "pad-ufes-20": ("pad-ufes-20-subset-224", "malignant", ("sex",)),
}


def grey(images: np.ndarray) -> np.ndarray:
    """Pictures as grey levels from 0 to 1, shape (n, SIZE, SIZE)."""
    return images.astype(np.float32).mean(3) / 255


def equalised(pictures: np.ndarray) -> np.ndarray:
    """Each picture's grey levels spread evenly from 0 to 1, by rank."""
    flat = pictures.reshape(len(pictures), -1)
    ranks = flat.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
    return (ranks / (flat.shape[1] - 1)).reshape(pictures.shape).astype(np.float32)


def numbers(pictures: np.ndarray) -> np.ndarray:
    """18 numbers of each picture: mean, standard deviation, shares of 16 equal grey levels."""
    flat = pictures.reshape(len(pictures), -1)
    level = np.clip((flat * LEVELS).astype(int), 0, LEVELS - 1)
    shares = np.stack([(level == k).mean(1) for k in range(LEVELS)], axis=1)
    return np.column_stack([flat.mean(1), flat.std(1), shares])


def thumbnail(pictures: np.ndarray) -> np.ndarray:
    """Means of EDGE x EDGE blocks."""
    side = SIZE // EDGE
    blocks = pictures.reshape(len(pictures), EDGE, side, EDGE, side)
    return blocks.mean((2, 4)).reshape(len(pictures), -1)


def linear() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=3000))


def trees() -> object:
    return HistGradientBoostingClassifier(max_iter=100, learning_rate=0.05, random_state=0)


READERS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], Callable[[], object]]] = {
    "18 numbers, logistic": (numbers, linear),
    "18 numbers, trees": (numbers, trees),
    "thumbnail 8 x 8, logistic": (thumbnail, linear),
}


def told(x: np.ndarray, y: np.ndarray, patient: np.ndarray, model: object) -> str:
    """AUROC of predictions for other patients, with its interval."""
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    score = cross_val_predict(
        model, x, y, groups=patient, cv=folds, method="predict_proba", n_jobs=1
    )[:, 1]
    who = stats.patient_index(patient)

    def area(counts: np.ndarray) -> np.ndarray:
        return metrics.auroc(y, score, counts[:, who])

    low, high = stats.percentile_interval(stats.bootstrap(area, who.max() + 1, 1000, 0))
    return f"{metrics.auroc(y, score):.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = os.environ.get("FAIRTHESIS_DATA", str(ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(folder))
    given = parser.parse_args()
    lines = [
        "# What grey levels alone tell",
        "",
        "AUROC for patients that the model has not seen (five folds by patient, pictures of "
        f"{SIZE} pixels, 95 % intervals over patients). *Equalised*: the grey levels of each "
        "picture spread evenly, by rank; its 18 numbers are then the same for all, and are left "
        "out. Made by `benchmarks/datasets/grey_levels.py`.",
        "",
        "| cohort | told apart | pictures | reader | as they are | equalised |",
        "|---|---|---:|---|---|---|",
    ]
    for name, (where, target, attributes) in COHORTS.items():
        cohort = datasets.load(name, given.data / where)
        images, readable = data.prepared_images(cohort, SIZE, progress=False)
        rows = np.flatnonzero(readable)
        plain = grey(np.asarray(images[rows]))
        flat = equalised(plain)
        patient = cohort.frame["patient_id"].to_numpy(object)[rows]
        labels = {target: cohort.labels(target)[rows]}
        for attribute in attributes:
            codes = cohort.codes(attribute)[rows]
            labels[f"{attribute} ({' / '.join(cohort.groups(attribute))})"] = np.where(
                codes < 0, np.nan, codes
            )
        for what, y in labels.items():
            known = ~np.isnan(y)
            for reader, (of, model) in READERS.items():
                ends = [told(of(plain[known]), y[known].astype(int), patient[known], model())]
                same = of is numbers
                ends.append(
                    "-"
                    if same
                    else told(of(flat[known]), y[known].astype(int), patient[known], model())
                )
                lines.append(
                    f"| {name} | {what} | {known.sum():,} | {reader} | {ends[0]} | {ends[1]} |"
                )
                print(lines[-1], flush=True)
    (HERE / "grey_levels.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(START)
    after = rest.split(END)[1]
    table = "\n".join([START, "", *lines[2:], "", END])
    PAGE.write_text(before + table + after, encoding="utf-8")


if __name__ == "__main__":
    main()
