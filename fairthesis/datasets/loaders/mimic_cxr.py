"""MIMIC-CXR-JPG: 377,110 chest X-rays of 65,379 patients. Columns partly verified, release not run.

Images: JPEG, grey, from Beth Israel Deaconess Medical Center, 2011 to 2016, in
``files/pNN/pNNNNNNNN/sNNNNNNNN/<dicom_id>.jpg``. Labels: 14 observations mined from the reports
by the CheXpert labeller: 1, 0, -1 (uncertain), empty (not mentioned). Groups: sex, age, race and
insurance, from MIMIC-IV's ``patients.csv`` and ``admissions.csv`` laid beside the tables.

Pitfalls: most patients have many studies, so the split is by patient; the official split has 500
validation patients only; the age is that of MIMIC-IV's anchor year, not of the image, and 91
means over 89; race is as the hospital recorded it and differs between admissions (the most
frequent known one is taken); labels of a study go to each of its images.

Access: https://physionet.org/content/mimic-cxr-jpg, with PhysioNet credentialing and training.
Licence: PhysioNet Credentialed Health Data License; no redistribution.

Citation: A. E. W. Johnson et al. MIMIC-CXR-JPG, a large publicly available database of labeled
chest radiographs. arXiv:1901.07042 (2019).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._finish import chosen, finish, present
from fairthesis.datasets.loaders._reading import AGE_CUTS, describe, folder, table, usable
from fairthesis.datasets.loaders._values import (
    count_unknown,
    describe_by,
    frontal,
    meaning,
    most_frequent,
    stated,
)
from fairthesis.datasets.loaders.chexpert import TARGETS
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import as_text

LABELLERS = ("chexpert", "negbio")
TOP_AGE = 90  # MIMIC-IV writes every age over 89 as 91: older groups cannot be told apart


def load(
    root: str | Path | None = None,
    *,
    seed: int = 0,
    target: str = "pleural_effusion",
    uncertain: str = "ignore",
    labeller: str = "chexpert",
    age_cuts: Sequence[int] = AGE_CUTS,
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Cohort:
    """The frontal (AP, PA) images at hand, ``target`` first."""
    home = folder(root, "mimic-cxr-jpg", "mimic-cxr-2.0.0-metadata.csv and files/")
    targets = chosen("mimic-cxr-jpg", target, tuple(TARGETS))
    if labeller not in LABELLERS:
        raise unknown("labeller of mimic-cxr-jpg", labeller, LABELLERS)
    if any(cut > TOP_AGE for cut in age_cuts):
        raise InputError(
            f"Expected age_cuts of mimic-cxr-jpg up to {TOP_AGE}, but got {tuple(age_cuts)!r}: "
            "MIMIC-IV writes every age over 89 as 91."
        )
    keys = ["subject_id", "study_id"]
    source = table(
        home,
        ["mimic-cxr-2.0.0-metadata.csv"],
        ["dicom_id", *keys, "ViewPosition"],
        "mimic-cxr-jpg",
    )
    labels = table(
        home, [f"mimic-cxr-2.0.0-{labeller}.csv"], [*keys, *TARGETS.values()], "mimic-cxr-jpg"
    )
    people = table(home, ["patients.csv"], ["subject_id", "gender", "anchor_age"], "mimic-cxr-jpg")
    left_out: Counter[str] = Counter()
    source = usable(source, left_out, "dicom_id", "subject_id")
    view = "ViewPosition"
    source = source[frontal(source[view], "mimic-cxr-jpg", view, left_out)]
    source = source[["dicom_id", *keys, "ViewPosition"]].merge(
        labels.drop_duplicates(keys), on=keys, how="left"
    )
    if not source["subject_id"].isin(people["subject_id"]).any():
        raise InputError(
            f"patients.csv in {str(home)!r} shares no subject_id with the metadata table: expected "
            "MIMIC-IV's patients.csv."
        )
    subject, study = as_text(source["subject_id"]), as_text(source["study_id"])
    path = "files/p" + subject.str[:2] + "/p" + subject + "/s" + study
    path = path + "/" + source["dicom_id"] + ".jpg"
    frame = pd.DataFrame(
        {"image_id": source["dicom_id"], "patient_id": subject, "path": present(home, path)}
    )
    for name, column in TARGETS.items():
        frame[name] = stated(
            frame, name, source[column], "mimic-cxr-jpg", left_out, uncertain=uncertain
        )
    about = people.drop_duplicates("subject_id").set_index("subject_id")
    describe(
        frame,
        subject.map(about["gender"]),
        subject.map(about["anchor_age"]),
        left_out,
        age_cuts,
        published=("mimic-cxr-jpg", "gender"),
    )
    describe_by(frame, "view", source[view], "mimic-cxr-jpg", view, left_out)
    attributes: tuple[str, ...] = ("sex", "age_group", "view")
    if any((home / name).is_file() for name in ("admissions.csv", "admissions.csv.gz")):
        stays = table(home, ["admissions.csv"], ["subject_id", "insurance"], "mimic-cxr-jpg")
        column = "race" if "race" in stays.columns else "ethnicity"
        if column not in stays.columns:
            raise unknown("column in admissions.csv", "race", stays.columns)
        for name, source_column in (("race", column), ("insurance", "insurance")):
            _join(frame, name, stays, source_column, left_out)
        attributes = (*attributes, "race", "insurance")
    return finish(
        "mimic-cxr-jpg",
        home,
        frame,
        targets=targets,
        attributes=attributes,
        channels=1,
        left_out=left_out,
        expected="files/pNN/pNNNNNNNN/sNNNNNNNN/<dicom_id>.jpg",
        seed=seed,
        fractions=fractions,
    )


def _join(
    frame: pd.DataFrame, name: str, stays: pd.DataFrame, column: str, left_out: Counter[str]
) -> None:
    """Write an attribute by the most frequent known value among a patient's admissions.

    Images whose patient has none are counted by the value of the first admission.
    """
    group = stays[["subject_id"]].assign(group=meaning(stays[column], "mimic-cxr-jpg", name))
    frame[name] = as_text(frame["patient_id"].map(most_frequent(group, "subject_id", "group")))
    first = stays.drop_duplicates("subject_id").set_index("subject_id")[column]
    count_unknown(frame, name, frame["patient_id"].map(first), left_out)
