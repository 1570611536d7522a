"""PAD-UFES-20: 2,298 smartphone images of 1,641 skin lesions of 1,373 patients. Layout verified.

Images: PNG, colour, of many sizes, taken by phones in Espirito Santo (Brazil). Labels: six
diagnoses; the cancers (BCC, SCC, MEL) are all confirmed by biopsy, the others mostly by a
clinician. Groups: Fitzpatrick type, sex, age.

Pitfalls: sex and Fitzpatrick type are missing together, and nearly only in patients without
biopsy, that is without cancer: leaving out the incomplete rows changes the class balance. Types
V and VI have 11 images. Patients and lesions have several images: the split is by both.

Access: Mendeley Data doi:10.17632/zr7vgbcyr2.1, no application needed. Licence: CC BY 4.0.

Citation: A. G. C. Pacheco et al. PAD-UFES-20: A skin lesion dataset composed of patient data and
clinical images collected from smartphones. Data in Brief 32, 106221 (2020).
doi:10.1016/j.dib.2020.106221
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._groups import AGE_CUTS
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders._values import published

DIAGNOSES = published("pad-ufes-20", "diagnostic").values()
TARGETS = {"malignant": ("bcc", "scc", "mel"), **{name: (name,) for name in DIAGNOSES}}
PARTS = ("imgs_part_1", "imgs_part_2", "imgs_part_3")
FOLDERS = ("images", *PARTS, *(f"images/{name}" for name in PARTS), ".")
COLUMNS = ("patient_id", "lesion_id", "img_id", "diagnostic", "gender", "age", "fitspatrick")


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "malignant",
    skin_types: str = "grouped",
    age_cuts: Sequence[int] = AGE_CUTS,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The images at hand, ``target`` first: ``malignant`` (BCC, SCC, MEL) or one diagnosis.

    ``skin_types`` is ``grouped`` (I-II, III-IV, V-VI) or ``single`` (I to VI).
    """
    release = Release(
        "pad-ufes-20",
        root,
        holds="metadata.csv and images/",
        images="PNG files in images/ or imgs_part_1 to imgs_part_3",
    )
    targets = release.targets(target, TARGETS)
    source = release.usable(release.table(["metadata.csv"], COLUMNS), "img_id", "patient_id")
    images = Images(
        release,
        image_id=source["img_id"],
        patient_id=source["patient_id"],
        lesion_id=source["lesion_id"],
        path=release.paths(source["img_id"], FOLDERS, [".png"]),
    )
    images.diagnoses(source["diagnostic"], TARGETS)
    images.skin_type(source["fitspatrick"], skin_types)
    images.sex_and_age(source["gender"], source["age"], age_cuts)
    return images.cohort(
        targets,
        ["skin_type", "sex", "age_group"],
        channels=3,
        seed=seed,
        fractions=fractions,
        keys=("patient_id", "lesion_id"),
    )
