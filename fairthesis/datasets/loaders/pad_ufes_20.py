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

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._finish import chosen, finish, skin_type
from fairthesis.datasets.loaders._reading import (
    AGE_CUTS,
    describe,
    folder,
    images_in,
    table,
    usable,
)
from fairthesis.datasets.loaders._values import any_of, count_unknown, diagnosis, meaning, published

DIAGNOSES = tuple(published("pad-ufes-20", "diagnostic").values())
MALIGNANT = ("bcc", "scc", "mel")
TARGETS = ("malignant", *DIAGNOSES)
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
    home = folder(root, "pad-ufes-20", "metadata.csv and images/")
    targets = chosen("pad-ufes-20", target, TARGETS)
    source = table(home, ["metadata.csv"], COLUMNS, "pad-ufes-20")
    left_out: Counter[str] = Counter()
    source = usable(source, left_out, "img_id", "patient_id")
    frame = source[["patient_id", "lesion_id"]].copy()
    frame.insert(0, "image_id", source["img_id"])
    frame["path"] = source["img_id"].map(images_in(home, FOLDERS, [".png"]))
    means = diagnosis(frame, source["diagnostic"], "pad-ufes-20", "diagnostic", left_out)
    frame["malignant"] = any_of(means, MALIGNANT)
    for name in DIAGNOSES:
        frame[name] = any_of(means, (name,))
    types = meaning(source["fitspatrick"], "pad-ufes-20", "fitspatrick")
    frame["skin_type"] = skin_type(types, skin_types)
    count_unknown(frame, "skin_type", source["fitspatrick"], left_out)
    sex = ("pad-ufes-20", "gender")
    describe(frame, source["gender"], source["age"], left_out, age_cuts, published=sex)
    return finish(
        "pad-ufes-20",
        home,
        frame,
        targets=targets,
        attributes=("skin_type", "sex", "age_group"),
        channels=3,
        left_out=left_out,
        expected="PNG files in images/ or imgs_part_1 to imgs_part_3",
        seed=seed,
        fractions=fractions,
        keys=("patient_id", "lesion_id"),
    )
