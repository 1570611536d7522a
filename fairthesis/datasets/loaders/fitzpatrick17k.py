"""Fitzpatrick17k: 16,577 clinical images of 114 skin conditions with skin types. Table verified.

Images: JPEG, colour, from two online atlases (DermaAmin, Atlas Dermatologico). Labels: the
atlas's condition, in three classes (benign, malignant, non-neoplastic); not confirmed by
histology. Group: Fitzpatrick type, estimated from the image by annotators (-1: unknown).

Pitfalls: there are no patient numbers: ``patient_id`` holds the image, and pictures of one patient
may lie on two sides of the split; there are many near-duplicates (run ``fairthesis datasets
check-leaks``) and wrong labels; the web addresses of many images are dead. The table's
columns are verified, the folder of the images is not: name them ``<md5hash>.jpg``.

Access: the table from https://github.com/mattgroh/fitzpatrick17k, the images by the addresses in
it. Licence: CC BY-NC-SA 3.0 for the annotations; the images belong to the atlases.

Citation: M. Groh et al. Evaluating deep neural networks trained on clinical images in dermatology
with the Fitzpatrick 17k dataset. CVPR Workshops 2021, 1820-1828.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._finish import chosen, finish, skin_type
from fairthesis.datasets.loaders._reading import by_stem, folder, images_in, table, usable
from fairthesis.datasets.loaders._values import any_of, count_unknown, diagnosis, meaning, published
from fairthesis.errors import unknown

CLASSES = tuple(published("fitzpatrick17k", "three_partition_label").values())
FOLDERS = ("images", "data/finalfitz17k", "finalfitz17k", ".")


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "malignant",
    skin_types: str = "grouped",
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The images at hand, ``target`` first: one of the three classes against the others.

    ``skin_types`` is ``grouped`` (I-II, III-IV, V-VI) or ``single`` (I to VI).
    """
    home = folder(root, "fitzpatrick17k", "fitzpatrick17k.csv and images/")
    targets = chosen("fitzpatrick17k", target, CLASSES)
    columns = ("md5hash", "label", "three_partition_label")
    source = table(home, ["fitzpatrick17k.csv"], columns, "fitzpatrick17k")
    scales = [name for name in ("fitzpatrick_scale", "fitzpatrick") if name in source.columns]
    if not scales:
        raise unknown("column in fitzpatrick17k.csv", "fitzpatrick_scale", source.columns)
    left_out: Counter[str] = Counter()
    source = usable(source, left_out, "md5hash")
    found = images_in(home, FOLDERS, [".jpg", ".jpeg", ".png"])
    frame = source[["md5hash", "label"]].rename(columns={"md5hash": "image_id"})
    frame["patient_id"] = source["md5hash"]
    frame["path"] = source["md5hash"].map(by_stem(found))
    column = "three_partition_label"
    means = diagnosis(frame, source[column], "fitzpatrick17k", column, left_out)
    for name in CLASSES:
        frame[name] = any_of(means, (name,))
    types = meaning(source[scales[0]], "fitzpatrick17k", "fitzpatrick_scale")
    frame["skin_type"] = skin_type(types, skin_types)
    count_unknown(frame, "skin_type", source[scales[0]], left_out)
    return finish(
        "fitzpatrick17k",
        home,
        frame,
        targets=targets,
        attributes=("skin_type",),
        channels=3,
        left_out=left_out,
        expected="files <md5hash>.jpg in images/",
        seed=seed,
        fractions=fractions,
    )
