"""ISIC 2019: 25,331 dermatoscopic images of eight diagnoses. Layout unverified.

Images: JPEG, colour, from HAM10000, BCN_20000 and MSK. Labels: MEL, NV, BCC, AK, BKL, DF, VASC,
SCC, one each. Groups: sex, age (in steps of 5 years). ``malignant`` is MEL, BCC and SCC; actinic
keratosis (AK), a precursor, is counted as not malignant here, but as malignant in HAM10000.

Pitfalls: it CONTAINS HAM10000, so never test on one after training on the other; there are no
patient numbers and the lesion is missing for about 2,000 images, which then count as a lesion and
a patient of their own; the three sources differ in look and in diagnoses. The loader follows
columns seen in public code; it was not run on the release itself.

Access: https://challenge2019.isic-archive.com, no application needed. Licence: CC BY-NC 4.0.

Citation: N. C. F. Codella et al. Skin lesion analysis toward melanoma detection. ISBI 2018,
168-172; M. Combalia et al. BCN20000: Dermoscopic lesions in the wild. arXiv:1908.02288; and the
citation of HAM10000.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._finish import chosen, finish
from fairthesis.datasets.loaders._reading import (
    AGE_CUTS,
    by_stem,
    describe,
    folder,
    images_in,
    table,
    usable,
)
from fairthesis.datasets.loaders._values import published, stated

NAMES = {code: name for code, name in published("isic2019", "diagnosis").items() if name}
DIAGNOSES = tuple(NAMES)
MALIGNANT = ["mel", "bcc", "scc"]
INPUT = "ISIC_2019_Training_Input"
FOLDERS = (INPUT, f"{INPUT}/{INPUT}", "images", ".")


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "malignant",
    age_cuts: Sequence[int] = AGE_CUTS,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The images of the training part that are at hand, ``target`` first."""
    home = folder(root, "isic2019", "ISIC_2019_Training_GroundTruth.csv and ..._Metadata.csv")
    targets = chosen("isic2019", target, ("malignant", *NAMES.values()))
    truth = table(home, ["ISIC_2019_Training_GroundTruth.csv"], ["image", *DIAGNOSES], "isic2019")
    about = table(
        home,
        ["ISIC_2019_Training_Metadata.csv"],
        ["image", "age_approx", "lesion_id", "sex"],
        "isic2019",
    )
    left_out: Counter[str] = Counter()
    truth = usable(truth, left_out, "image")
    source = truth.merge(about.drop_duplicates("image"), on="image", how="left")
    found = images_in(home, FOLDERS, [".jpg", ".jpeg", ".png"])
    frame = source[["image"]].rename(columns={"image": "image_id"})
    frame["lesion_id"] = source["lesion_id"]
    frame["patient_id"] = source["lesion_id"].fillna(source["image"])
    frame["path"] = source["image"].map(by_stem(found))
    for code, name in NAMES.items():
        frame[name] = stated(frame, name, source[code], "isic2019", left_out)
    _one_each(frame, left_out)
    # one diagnosis for each image: malignant is the sum of three, NaN where one is not stated
    frame["malignant"] = frame[MALIGNANT].sum(axis=1, skipna=False)
    sex = ("isic2019", "sex")
    describe(frame, source["sex"], source["age_approx"], left_out, age_cuts, published=sex)
    return finish(
        "isic2019",
        home,
        frame,
        targets=targets,
        attributes=("sex", "age_group"),
        channels=3,
        left_out=left_out,
        expected="JPEG files in ISIC_2019_Training_Input/",
        seed=seed,
        fractions=fractions,
    )


def _one_each(frame: pd.DataFrame, left_out: Counter[str]) -> None:
    """Labels of images with no diagnosis (``UNK``, the ninth column) or with several are NaN."""
    names = list(NAMES.values())
    marked = frame[names].sum(axis=1)
    whole = frame[names].notna().all(axis=1)
    for bad, reason in (
        (whole & (marked == 0), "no diagnosis is marked"),
        (marked > 1, "several diagnoses are marked"),
    ):
        if bad.any():
            frame.loc[bad, names] = np.nan
            count = int((bad & frame["path"].notna()).sum())
            left_out[f"{reason} (labels set to not stated, image kept)"] += count
