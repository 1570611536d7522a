"""CheXpert: 224,316 chest X-rays of 65,240 patients. Columns verified, release not run.

Images: JPEG, grey, from Stanford Hospital, 2002 to 2017. Labels: 14 observations mined from the
reports: 1 present, 0 absent, -1 uncertain, empty not mentioned. Groups: sex, age, view, and, where
the demographics workbook ``CHEXPERT DEMO.xlsx`` or its copy as CSV lies beside the table, race and
ethnicity. Race is the workbook's PRIMARY_RACE alone ("White, Hispanic" is Hispanic), ethnicity its
ETHNICITY; the values are those of ``values/chexpert.csv``, others are unknown and counted.

Pitfalls: uncertain labels are up to 15 % of a finding, so the policy (``uncertain``) changes
results; empty is NOT absent, though many papers count it so (``not_mentioned="zeros"`` does);
patients have several studies, so the split is by patient; support devices go with disease.

Access: https://stanfordaimi.azurewebsites.net, by registration. Licence: Stanford's research use
agreement; no redistribution.

Citation: J. Irvin et al. CheXpert: A large chest radiograph dataset with uncertainty labels and
expert comparison. AAAI 2019, 590-597.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._groups import AGE_CUTS
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders._values import spelled
from fairthesis.errors import unknown

FINDINGS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion"),
    *("Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion"),
    *("Pleural Other", "Fracture", "Support Devices"),
)
TARGETS = {name.lower().replace(" ", "_"): name for name in FINDINGS}
COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *FINDINGS)
PEOPLE = ("CHEXPERT DEMO.xlsx", "CHEXPERT DEMO.csv")  # the first that is there
EMPTY = ("ignore", "zeros")


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "pleural_effusion",
    uncertain: str = "ignore",
    not_mentioned: str = "ignore",
    age_cuts: Sequence[int] = AGE_CUTS,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The frontal images of ``train.csv`` and ``valid.csv`` that are at hand, ``target`` first.

    ``uncertain`` is ``ignore`` (not stated), ``zeros`` or ``ones``; ``not_mentioned`` is
    ``ignore`` or ``zeros``. ``root`` is the folder that holds ``train.csv`` and ``train/``.
    """
    release = Release(
        "chexpert",
        root,
        holds="train.csv and train/",
        images="the folders train/patientNNNNN/... beside train.csv",
    )
    targets = release.targets(target, TARGETS)
    if not_mentioned not in EMPTY:
        raise unknown("policy for labels not mentioned", not_mentioned, EMPTY)
    source = release.table(["train.csv"], COLUMNS)
    if release.has("valid.csv"):
        source = pd.concat([source, release.table(["valid.csv"], COLUMNS)], ignore_index=True)
    source = release.frontal(release.usable(source, "Path"), "Frontal/Lateral")
    source["patient"] = source["Path"].str.extract(r"(?:^|/)(patient\d+)/", expand=False)
    source = release.drop(source, source["patient"].isna(), "row without a patient")
    # CheXpert-v1.0-small/train/patient00001/...: the first folder is the root itself
    path = source["Path"].str.replace(r"^CheXpert-v1\.0[^/]*/", "", regex=True)
    images = Images(
        release, image_id=path, patient_id=source["patient"], path=release.existing(path)
    )
    for name, column in TARGETS.items():
        images.label(name, source[column], "label", uncertain=uncertain)
        if not_mentioned == "zeros":
            empty = spelled(source[column]).isna()
            images.frame[name] = images.frame[name].mask(empty, 0.0)
    images.sex_and_age(source["Sex"], source["Age"], age_cuts)
    images.group("view", source["AP/PA"])
    attributes = ["sex", "age_group", "view"]
    if release.has(*PEOPLE):
        people = release.table(PEOPLE, ["PATIENT", "PRIMARY_RACE"])
        for name, column in (("race", "PRIMARY_RACE"), ("ethnicity", "ETHNICITY")):
            if column in people.columns and spelled(people[column]).notna().any():
                images.group_of_patients(name, people, "PATIENT", column)
                attributes.append(name)
    return images.cohort(targets, attributes, channels=1, seed=seed, fractions=fractions)
