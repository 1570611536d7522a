"""ISIC 2020 (SIIM-ISIC): 33,126 dermatoscopic images of 2,056 patients. Layout unverified.

Images: JPEG, colour, from six centres. Label: malignant (melanoma, by histology) or not (by
histology, follow-up or consensus). Groups: sex, age (in steps of 5 years).

Pitfalls: 1.8 % of the images are malignant; 425 images are near-duplicates of others (run
``fairthesis datasets check-leaks``); patients have up to 115 images, so the split is by patient;
rulers, ink and the clinic go with the label. The loader follows the columns of the official
``train.csv`` as used in public code; it was not run on the release itself.

Access: https://challenge2020.isic-archive.com, no application needed. Licence: CC BY-NC 4.0.

Citation: V. Rotemberg et al. A patient-centric dataset of images and metadata for identifying
melanomas using clinical context. Scientific Data 8, 34 (2021). doi:10.1038/s41597-021-00815-z
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._groups import AGE_CUTS
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release

TABLES = (
    "train.csv",
    "ISIC_2020_Training_GroundTruth.csv",
    "ISIC_2020_Training_GroundTruth_v2.csv",
)
FOLDERS = ("train", "jpeg/train", "ISIC_2020_Training_JPEG/train", "images", ".")
COLUMNS = ("image_name", "patient_id", "sex", "age_approx", "target")


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    age_cuts: Sequence[int] = AGE_CUTS,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The images of the training part that are at hand (the official test part has no labels)."""
    release = Release("isic2020", root, holds="train.csv and train/", images="JPEG files in train/")
    source = release.usable(release.table(TABLES, COLUMNS), "image_name", "patient_id")
    image = source["image_name"]
    path = release.paths(image, FOLDERS, [".jpg", ".jpeg", ".png"], stems=True)
    images = Images(release, image_id=image, patient_id=source["patient_id"], path=path)
    images.label("malignant", source["target"])
    images.sex_and_age(source["sex"], source["age_approx"], age_cuts)
    return images.cohort(
        ["malignant"], ["sex", "age_group"], channels=3, seed=seed, fractions=fractions
    )
