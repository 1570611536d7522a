"""HAM10000: 10,015 dermatoscopic images of 7,470 pigmented skin lesions. Layout verified.

Images: JPEG, 600 x 450, colour, from Vienna (Austria) and Queensland (Australia). Labels: seven
diagnoses, by histology for the malignant and about half of the others, else by follow-up,
consensus or confocal microscopy. Groups: sex, age (in steps of 5 years); skin type is not
recorded, and the patients are nearly all of light skin.

Pitfalls: 1,956 lesions have several images, so the split is by lesion. There are NO patient
numbers: ``patient_id`` holds the lesion, and images of two lesions of one patient may lie on
two sides of the split, which nobody outside the sources can check. How the label was confirmed
(``dx_type``) goes with the label. An age of 0 (39 rows) is kept as given.

Access: Harvard Dataverse doi:10.7910/DVN/DBW86T (or its Kaggle copy), no application needed.
Licence: CC BY-NC 4.0.

Citation: P. Tschandl, C. Rosendahl, H. Kittler. The HAM10000 dataset, a large collection of
multi-source dermatoscopic images of common pigmented skin lesions. Scientific Data 5, 180161
(2018). doi:10.1038/sdata.2018.161
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._groups import AGE_CUTS
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders._values import published

DIAGNOSES = published("ham10000", "dx")
TARGETS = {"malignant": ("akiec", "bcc", "mel"), **{name: (name,) for name in DIAGNOSES}}
TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
FOLDERS = ("HAM10000_images_part_1", "HAM10000_images_part_2", "HAM10000_images", "images", ".")
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "malignant",
    age_cuts: Sequence[int] = AGE_CUTS,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The images at hand, ``target`` first: ``malignant`` (mel, bcc, akiec) or one diagnosis.

    The seven diagnoses are each a target against all others. Lesions are dealt out in
    ``fractions``, stratified by target and sex.
    """
    release = Release(
        "ham10000",
        root,
        holds="HAM10000_metadata.csv and HAM10000_images_part_1 and _2",
        images="JPEG files in HAM10000_images_part_1 and HAM10000_images_part_2",
    )
    targets = release.targets(target, TARGETS)
    source = release.table(TABLES, COLUMNS)
    # not ``usable``, which is about patients' numbers: these keys are words and lose no digits
    source = release.drop(source, source["image_id"].isna(), "row without an image name")
    source = release.drop(source, source["lesion_id"].isna(), "row without a lesion")
    source = release.drop(source, source["image_id"].duplicated(), "image listed twice")
    path = release.paths(source["image_id"], FOLDERS, [".jpg", ".jpeg", ".png"], stems=True)
    source = release.at_hand(source, path)
    images = Images(
        release,
        image_id=source["image_id"],
        patient_id=source["lesion_id"],
        path=source["path"],
        lesion_id=source["lesion_id"],
        dx=source["dx"],
        dx_type=source["dx_type"],
        localization=source["localization"],
    )
    images.count_links()  # before the labels: reasons are listed in the order of counting
    images.diagnoses(source["dx"], TARGETS)
    images.sex_and_age(source["sex"], source["age"], age_cuts)
    return images.cohort(
        targets,
        ["sex", "age_group"],
        channels=3,
        seed=seed,
        fractions=fractions,
        keys=("lesion_id",),
    )
