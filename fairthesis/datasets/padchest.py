"""PadChest: 160,868 chest X-rays of 67,625 patients. Columns partly verified, release not run.

Images: PNG, 16-bit grey, from San Juan Hospital (Alicante, Spain), 2009 to 2017. Labels: 174
findings, 27 % of the reports labelled by physicians, the others by a model trained on those.
Groups: sex, age (year of the study less year of birth), view.

Pitfalls: a study without labels is not a healthy one (its label list is empty: not stated); a few
PNG files of the release are truncated (they are named and left out by ``prepare``); patients
have several studies, so the split is by patient; bedside images (AP_horizontal) go with disease.

Access: https://bimcv.cipf.es/bimcv-projects/padchest, by a form. Licence: the PadChest dataset
research use agreement; no redistribution.

Citation: A. Bustos, A. Pertusa, J.-M. Salinas, M. de la Iglesia-Vaya. PadChest: A large chest x-ray
image dataset with multi-label annotated reports. Medical Image Analysis 66, 101797 (2020).
doi:10.1016/j.media.2020.101797
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fairthesis.cohort import Cohort
from fairthesis.datasets._finish import chosen, finish
from fairthesis.datasets._reading import (
    AGE_CUTS,
    describe,
    drop,
    folder,
    images_in,
    named,
    table,
    usable,
)
from fairthesis.splits import FRACTIONS

TABLES = (
    "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
    "chest_x_ray_images_labels_sample.csv",
)
FINDINGS = (
    *("normal", "pneumonia", "pleural effusion", "cardiomegaly", "atelectasis", "pneumothorax"),
    *("consolidation", "infiltrates", "nodule", "emphysema", "pulmonary fibrosis", "copd signs"),
)
TARGETS = {name.replace(" ", "_"): name for name in FINDINGS}
FOLDERS = ("images", *(str(i) for i in range(55)), *(f"images/{i}" for i in range(55)), ".")
COLUMNS = ("ImageID", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "Projection")
VIEWS = {"pa": "PA", "ap": "AP", "ap_horizontal": "AP_horizontal"}


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "pneumonia",
    age_cuts: Sequence[int] = AGE_CUTS,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The frontal images at hand, with the findings of ``TARGETS``, ``target`` first."""
    home = folder(root, "padchest", TABLES[0])
    targets = chosen("padchest", target, tuple(TARGETS))
    source = table(home, TABLES, [*COLUMNS, "Labels"], "padchest")
    left_out: Counter[str] = Counter()
    source = usable(source, left_out, "ImageID", "PatientID")
    view = named(source["Projection"], VIEWS)
    source = drop(source.assign(view=view), view.isna(), "not a frontal view", left_out)
    frame = pd.DataFrame({"image_id": source["ImageID"], "patient_id": source["PatientID"]})
    frame["path"] = source["ImageID"].map(images_in(home, FOLDERS, [".png"]))
    # a list as text: "['pneumonia', 'pleural effusion']"
    listed = source["Labels"].str.lower().str.findall(r"'\s*([^']+?)\s*'")
    known = np.array([isinstance(x, list) and len(x) > 0 for x in listed], dtype=bool)
    for name, label in TARGETS.items():
        here = np.array([isinstance(x, list) and label in x for x in listed], dtype=float)
        frame[name] = np.where(known, here, np.nan)
    date = source.get("StudyDate_DICOM", pd.Series(pd.NA, index=source.index))
    year = pd.to_numeric(date.astype("string").str[:4], errors="coerce")
    born = pd.to_numeric(source["PatientBirth"], errors="coerce")
    describe(frame, source["PatientSex_DICOM"], (year - born).astype("string"), left_out, age_cuts)
    frame["view"] = source["view"]
    return finish(
        "padchest",
        home,
        frame,
        targets=targets,
        attributes=("sex", "age_group", "view"),
        channels=1,
        left_out=left_out,
        expected="PNG files in images/ or the release's folders 0 to 54",
        seed=seed,
        fractions=fractions,
    )
