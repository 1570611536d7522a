"""DDI (Diverse Dermatology Images): 656 clinical images of 570 patients. Layout unverified.

Images: PNG, colour, from Stanford clinics, 2010 to 2020. Label: malignant or not, by histology.
Group: skin tone in three groups (Fitzpatrick I-II, III-IV, V-VI), matched between them.

Pitfalls: the table has no patient numbers: ``patient_id`` holds the image, and up to 86 images
share a patient with another one. With 171 malignant images, it is a test set: intervals are wide.
Names other than ``DDI_file`` and ``malignant`` are from memory and were not seen in the release.

Access: https://ddi-dataset.github.io, by Stanford's form. Licence: Stanford's research use
agreement; no redistribution.

Citation: R. Daneshjou et al. Disparities in dermatology AI performance on a diverse, curated
clinical image set. Science Advances 8, eabq6147 (2022). doi:10.1126/sciadv.abq6147
"""

from __future__ import annotations

from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The images at hand. ``fractions=(0, 0, 1)`` makes all of them the test part."""
    release = Release(
        "ddi",
        root,
        holds="ddi_metadata.csv and the images",
        images="PNG files beside the table or in images/",
    )
    source = release.table(["ddi_metadata.csv"], ["DDI_file", "skin_tone", "malignant"])
    source = release.usable(source, "DDI_file")
    image = source["DDI_file"]
    path = release.paths(image, ("images", "."), [".png", ".jpg"])
    images = Images(release, image_id=image, patient_id=image, path=path)
    images.label("malignant", source["malignant"])
    images.group("skin_type", source["skin_tone"])
    return images.cohort(["malignant"], ["skin_type"], channels=3, seed=seed, fractions=fractions)
