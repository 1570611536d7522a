"""PadChest: 160,868 chest X-rays of 67,625 patients. Columns partly verified, release not run.

Images: PNG, 16-bit grey, from San Juan Hospital (Alicante, Spain), 2009 to 2017. Labels: 174
findings and 19 diagnoses in a tree, where a child counts for its parents; 27 % of the reports
labelled by physicians, the others by a model trained on those. Groups: sex, age (year of the study
less year of birth), view.

Pitfalls: a study without labels is not a healthy one (its label list is empty: not stated), and
``exclude``, ``suboptimal study`` and ``unchanged`` deny nothing; a few PNG files of the release are
truncated (they are named and left out by ``prepare``); patients have several studies, so the split
is by patient; bedside images (AP_horizontal) go with disease.

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

import pandas as pd

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._finish import chosen, finish
from fairthesis.datasets.loaders._padchest_tree import read_labels
from fairthesis.datasets.loaders._reading import (
    AGE_CUTS,
    describe,
    folder,
    images_in,
    table,
    usable,
)
from fairthesis.datasets.loaders._values import count_values, frontal, meaning, spelled

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
    seen = frontal(source["Projection"], "padchest", "Projection", left_out)
    source = source[seen].reset_index(drop=True)
    frame = pd.DataFrame({"image_id": source["ImageID"], "patient_id": source["PatientID"]})
    frame["path"] = source["ImageID"].map(images_in(home, FOLDERS, [".png"]))
    here = frame["path"].notna()
    for name, values in read_labels(source["Labels"], TARGETS, here, left_out).items():
        frame[name] = values
    describe(
        frame,
        source["PatientSex_DICOM"],
        _age(source, here, left_out),
        left_out,
        age_cuts,
        published=("padchest", "PatientSex_DICOM"),
    )
    frame["view"] = meaning(source["Projection"], "padchest", "Projection")
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


def _age(source: pd.DataFrame, here: pd.Series, left_out: Counter[str]) -> pd.Series:
    """Year of the study less year of birth, as text; what is no date or year is counted by value.

    The date is written as DICOM does (``20140305``) or with dashes, the birth as a year.
    """
    years = []
    for column, form in (("StudyDate_DICOM", r"(\d{4})-?\d\d-?\d\d"), ("PatientBirth", r"(\d{4})")):
        given = source.get(column, pd.Series(pd.NA, index=source.index, dtype="object"))
        text = spelled(given).astype("string")
        year = text.str.extract(f"^{form}$", expand=False)
        count_values(
            given[year.isna() & here], column, "(age set to unknown, image kept)", left_out
        )
        years.append(pd.to_numeric(year, errors="coerce").astype(float))
    return (years[0] - years[1]).astype("string")
