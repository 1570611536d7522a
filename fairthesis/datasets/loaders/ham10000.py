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

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort, split_by_patient
from fairthesis.datasets.loaders._links import count_links_out
from fairthesis.datasets.loaders._reading import (
    AGE_CUTS,
    by_stem,
    describe,
    drop,
    folder,
    images_in,
    keep_present,
    table,
)
from fairthesis.datasets.loaders._values import any_of, diagnosis, published
from fairthesis.errors import InputError, unknown

DIAGNOSES = tuple(published("ham10000", "dx"))
MALIGNANT = ("akiec", "bcc", "mel")
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
    home = folder(root, "ham10000", "HAM10000_metadata.csv and HAM10000_images_part_1 and _2")
    targets = ("malignant", *DIAGNOSES)
    if target not in targets:
        raise unknown("target of ham10000", target, targets)
    names = ["HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab"]
    source = table(home, names, COLUMNS, "ham10000")

    left_out: Counter[str] = Counter()
    source = drop(source, source["image_id"].isna(), "row without an image name", left_out)
    source = drop(source, source["lesion_id"].isna(), "row without a lesion", left_out)
    source = drop(source, source["image_id"].duplicated(), "image listed twice", left_out)
    found = images_in(home, FOLDERS, [".jpg", ".jpeg", ".png"])
    source = keep_present(source, source["image_id"], by_stem(found), left_out)
    frame = source[["image_id", "path", "lesion_id", "dx", "dx_type", "localization"]].copy()
    frame.insert(1, "patient_id", source["lesion_id"])
    if len(frame) == 0:
        raise InputError(
            f"None of the {left_out.total()} images of the table is in {str(home)!r}: expected "
            "JPEG files in HAM10000_images_part_1 and HAM10000_images_part_2."
        )
    count_links_out(home, frame["path"], left_out)
    means = diagnosis(frame, source["dx"], "ham10000", "dx", left_out)
    frame["malignant"] = any_of(means, MALIGNANT)
    for name in DIAGNOSES:
        frame[name] = any_of(means, (name,))
    sex = ("ham10000", "sex")
    describe(frame, source["sex"], source["age"], left_out, age_cuts, published=sex)
    frame["split"] = split_by_patient(
        frame, ("lesion_id",), (target, "sex"), seed=seed, fractions=fractions
    )
    return Cohort(
        name="ham10000",
        frame=frame,
        targets=(target, *(name for name in targets if name != target)),
        attributes=("sex", "age_group"),
        channels=3,
        root=home,
        left_out=dict(left_out),
    )
