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
from fairthesis.datasets.loaders._groups import AGE_CUTS
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._padchest_tree import read_labels
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders._values import count_values, spelled

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
COLUMNS = (
    *("ImageID", "StudyID", "PatientID", "PatientBirth"),
    *("PatientSex_DICOM", "Projection", "Labels"),
)


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "pneumonia",
    age_cuts: Sequence[int] = AGE_CUTS,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The frontal images at hand, with the findings of ``TARGETS``, ``target`` first."""
    release = Release(
        "padchest",
        root,
        holds=TABLES[0],
        images="PNG files in images/ or the release's folders 0 to 54",
    )
    targets = release.targets(target, TARGETS)
    source = release.usable(release.table(TABLES, COLUMNS), "ImageID", "PatientID")
    source = release.frontal(source, "Projection")
    images = Images(
        release,
        image_id=source["ImageID"],
        patient_id=source["PatientID"],
        path=release.paths(source["ImageID"], FOLDERS, [".png"]),
    )
    labels = read_labels(source["Labels"], TARGETS, images.here, release.left_out)
    for name, values in labels.items():
        images.frame[name] = values
    age = _age(source, images.here, release.left_out)
    images.sex_and_age(source["PatientSex_DICOM"], age, age_cuts)
    images.group("view", source["Projection"])
    attributes = ["sex", "age_group", "view"]
    return images.cohort(targets, attributes, channels=1, seed=seed, fractions=fractions)


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
