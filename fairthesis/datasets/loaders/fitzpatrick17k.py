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

from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders._values import published
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
    release = Release(
        "fitzpatrick17k",
        root,
        holds="fitzpatrick17k.csv and images/",
        images="files <md5hash>.jpg in images/",
    )
    targets = release.targets(target, CLASSES)
    columns = ("md5hash", "label", "three_partition_label")
    source = release.table(["fitzpatrick17k.csv"], columns)
    scales = [name for name in ("fitzpatrick_scale", "fitzpatrick") if name in source.columns]
    if not scales:
        raise unknown("column in fitzpatrick17k.csv", "fitzpatrick_scale", source.columns)
    source = release.usable(source, "md5hash")
    image = source["md5hash"]
    path = release.paths(image, FOLDERS, [".jpg", ".jpeg", ".png"], stems=True)
    images = Images(release, image_id=image, label=source["label"], patient_id=image, path=path)
    images.diagnoses(source["three_partition_label"], {name: (name,) for name in CLASSES})
    images.skin_type(source[scales[0]], skin_types, "fitzpatrick_scale")
    return images.cohort(targets, ["skin_type"], channels=3, seed=seed, fractions=fractions)
