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

from collections import Counter
from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._finish import finish
from fairthesis.datasets.loaders._reading import folder, images_in, table, usable
from fairthesis.datasets.loaders._values import describe_by, stated


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The images at hand. ``fractions=(0, 0, 1)`` makes all of them the test part."""
    home = folder(root, "ddi", "ddi_metadata.csv and the images")
    source = table(home, ["ddi_metadata.csv"], ["DDI_file", "skin_tone", "malignant"], "ddi")
    left_out: Counter[str] = Counter()
    source = usable(source, left_out, "DDI_file")
    frame = source[["DDI_file"]].rename(columns={"DDI_file": "image_id"})
    frame["patient_id"] = source["DDI_file"]
    frame["path"] = source["DDI_file"].map(images_in(home, ("images", "."), [".png", ".jpg"]))
    frame["malignant"] = stated(
        frame, "malignant", source["malignant"], "ddi", left_out, column="malignant"
    )
    describe_by(frame, "skin_type", source["skin_tone"], "ddi", "skin_tone", left_out)
    return finish(
        "ddi",
        home,
        frame,
        targets=("malignant",),
        attributes=("skin_type",),
        channels=3,
        left_out=left_out,
        expected="PNG files beside the table or in images/",
        seed=seed,
        fractions=fractions,
    )
