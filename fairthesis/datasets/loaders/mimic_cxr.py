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

from collections.abc import Sequence
from pathlib import Path

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._groups import AGE_CUTS
from fairthesis.datasets.loaders._images import Images
from fairthesis.datasets.loaders._release import Release
from fairthesis.datasets.loaders.chexpert import TARGETS
from fairthesis.errors import InputError, unknown
from fairthesis.inputs import as_text

LABELLERS = ("chexpert", "negbio")
TOP_AGE = 90  # MIMIC-IV writes every age over 89 as 91: older groups cannot be told apart
KEYS = ["subject_id", "study_id"]


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
    release = Release(
        "mimic-cxr-jpg",
        root,
        holds="mimic-cxr-2.0.0-metadata.csv and files/",
        images="files/pNN/pNNNNNNNN/sNNNNNNNN/<dicom_id>.jpg",
    )
    targets = release.targets(target, TARGETS)
    if labeller not in LABELLERS:
        raise unknown("labeller of mimic-cxr-jpg", labeller, LABELLERS)
    if any(cut > TOP_AGE for cut in age_cuts):
        raise InputError(
            f"Expected age_cuts of mimic-cxr-jpg up to {TOP_AGE}, but got {tuple(age_cuts)!r}: "
            "MIMIC-IV writes every age over 89 as 91."
        )
    columns = ["dicom_id", *KEYS, "ViewPosition"]
    source = release.table(["mimic-cxr-2.0.0-metadata.csv"], columns)
    labels = release.table([f"mimic-cxr-2.0.0-{labeller}.csv"], [*KEYS, *TARGETS.values()])
    people = release.table(["patients.csv"], ["subject_id", "gender", "anchor_age"])
    source = release.usable(source, "dicom_id", "subject_id")
    source = release.frontal(source, "ViewPosition")[columns]
    source = source.merge(labels.drop_duplicates(KEYS), on=KEYS, how="left")
    if not source["subject_id"].isin(people["subject_id"]).any():
        raise InputError(
            f"patients.csv in {str(release.home)!r} shares no subject_id with the metadata table: "
            "expected MIMIC-IV's patients.csv."
        )
    subject, study = as_text(source["subject_id"]), as_text(source["study_id"])
    path = "files/p" + subject.str[:2] + "/p" + subject + "/s" + study
    path = release.existing(path + "/" + source["dicom_id"] + ".jpg")
    images = Images(release, image_id=source["dicom_id"], patient_id=subject, path=path)
    for name, column in TARGETS.items():
        images.label(name, source[column], "label", uncertain=uncertain)
    about = people.drop_duplicates("subject_id").set_index("subject_id")
    sex, age = subject.map(about["gender"]), subject.map(about["anchor_age"])
    images.sex_and_age(sex, age, age_cuts, column="gender")
    images.group("view", source["ViewPosition"])
    attributes = ["sex", "age_group", "view"]
    if release.has("admissions.csv", "admissions.csv.gz"):
        stays = release.table(["admissions.csv"], ["subject_id", "insurance"])
        race = "race" if "race" in stays.columns else "ethnicity"
        if race not in stays.columns:
            raise unknown("column in admissions.csv", "race", stays.columns)
        images.group_of_patients("race", stays, "subject_id", race, "race")
        images.group_of_patients("insurance", stays, "subject_id", "insurance")
        attributes += ["race", "insurance"]
    return images.cohort(targets, attributes, channels=1, seed=seed, fractions=fractions)
