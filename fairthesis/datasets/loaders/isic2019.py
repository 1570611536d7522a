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

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._groups import AGE_CUTS
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders._values import published

NAMES = {code: name for code, name in published("isic2019", "diagnosis").items() if name}
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
    release = Release(
        "isic2019",
        root,
        holds="ISIC_2019_Training_GroundTruth.csv and ..._Metadata.csv",
        images="JPEG files in ISIC_2019_Training_Input/",
    )
    targets = release.targets(target, ("malignant", *NAMES.values()))
    truth = release.table(["ISIC_2019_Training_GroundTruth.csv"], ["image", *NAMES])
    columns = ("image", "age_approx", "lesion_id", "sex")
    about = release.table(["ISIC_2019_Training_Metadata.csv"], columns)
    truth = release.usable(truth, "image")
    source = truth.merge(about.drop_duplicates("image"), on="image", how="left")
    images = Images(
        release,
        image_id=source["image"],
        lesion_id=source["lesion_id"],
        patient_id=source["lesion_id"].fillna(source["image"]),
        path=release.paths(source["image"], FOLDERS, [".jpg", ".jpeg", ".png"], stems=True),
    )
    for code, name in NAMES.items():
        images.label(name, source[code], "label")
    _one_each(images)
    # one diagnosis for each image: malignant is the sum of three, NaN where one is not stated
    images.frame["malignant"] = images.frame[MALIGNANT].sum(axis=1, skipna=False)
    images.sex_and_age(source["sex"], source["age_approx"], age_cuts)
    return images.cohort(targets, ["sex", "age_group"], channels=3, seed=seed, fractions=fractions)


def _one_each(images: Images) -> None:
    """Labels of images with no diagnosis (``UNK``, the ninth column) or with several are NaN."""
    names = list(NAMES.values())
    marked = images.frame[names].sum(axis=1)
    whole = images.frame[names].notna().all(axis=1)
    for bad, reason in (
        (whole & (marked == 0), "no diagnosis is marked"),
        (marked > 1, "several diagnoses are marked"),
    ):
        if bad.any():
            images.frame.loc[bad, names] = np.nan
            count = int((bad & images.here).sum())
            reason += " (labels set to not stated, image kept)"
            images.release.left_out[reason] += count
