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

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fairthesis.data import FRACTIONS, Cohort
from fairthesis.datasets.loaders._finish import chosen, finish, present
from fairthesis.datasets.loaders._reading import AGE_CUTS, describe, drop, folder, table, usable
from fairthesis.datasets.loaders._values import (
    count_unknown,
    describe_by,
    frontal,
    meaning,
    most_frequent,
    spelled,
    stated,
)
from fairthesis.errors import unknown
from fairthesis.inputs import as_text

FINDINGS = (
    *("No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion"),
    *("Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion"),
    *("Pleural Other", "Fracture", "Support Devices"),
)
TARGETS = {name.lower().replace(" ", "_"): name for name in FINDINGS}
COLUMNS = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA")
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
    home = folder(root, "chexpert", "train.csv and train/")
    targets = chosen("chexpert", target, tuple(TARGETS))
    if not_mentioned not in EMPTY:
        raise unknown("policy for labels not mentioned", not_mentioned, EMPTY)
    columns = [*COLUMNS, *FINDINGS]
    source = table(home, ["train.csv"], columns, "chexpert")
    if (home / "valid.csv").is_file():
        source = pd.concat([source, table(home, ["valid.csv"], columns, "chexpert")])
    source = source.reset_index(drop=True)
    left_out: Counter[str] = Counter()
    source = usable(source, left_out, "Path")
    side = "Frontal/Lateral"
    source = source[frontal(source[side], "chexpert", side, left_out)].reset_index(drop=True)
    patient = source["Path"].str.extract(r"(?:^|/)(patient\d+)/", expand=False)
    source = drop(source.assign(patient=patient), patient.isna(), "row without a patient", left_out)
    patient = source["patient"]
    # CheXpert-v1.0-small/train/patient00001/...: the first folder is the root itself
    path = source["Path"].str.replace(r"^CheXpert-v1\.0[^/]*/", "", regex=True)
    frame = pd.DataFrame({"image_id": path, "patient_id": patient, "path": present(home, path)})
    for name, column in TARGETS.items():
        frame[name] = stated(frame, name, source[column], "chexpert", left_out, uncertain=uncertain)
        if not_mentioned == "zeros":
            frame[name] = frame[name].mask(spelled(source[column]).isna(), 0.0)
    sex = ("chexpert", "Sex")
    describe(frame, source["Sex"], source["Age"], left_out, age_cuts, published=sex)
    describe_by(frame, "view", source["AP/PA"], "chexpert", "AP/PA", left_out)
    attributes: tuple[str, ...] = ("sex", "age_group", "view")
    if any((home / name).is_file() for name in PEOPLE):
        people = table(home, PEOPLE, ["PATIENT", "PRIMARY_RACE"], "chexpert")
        for name, column in (("race", "PRIMARY_RACE"), ("ethnicity", "ETHNICITY")):
            if column in people.columns and spelled(people[column]).notna().any():
                _join(frame, name, people, column, left_out)
                attributes = (*attributes, name)
    return finish(
        "chexpert",
        home,
        frame,
        targets=targets,
        attributes=attributes,
        channels=1,
        left_out=left_out,
        expected="the folders train/patientNNNNN/... beside train.csv",
        seed=seed,
        fractions=fractions,
    )


def _join(
    frame: pd.DataFrame, name: str, people: pd.DataFrame, column: str, left_out: Counter[str]
) -> None:
    """Write an attribute of the patients, by the published values of the workbook's ``column``."""
    group = people[["PATIENT"]].assign(group=meaning(people[column], "chexpert", column))
    frame[name] = as_text(frame["patient_id"].map(most_frequent(group, "PATIENT", "group")))
    given = people.drop_duplicates("PATIENT").set_index("PATIENT")[column]
    count_unknown(frame, name, frame["patient_id"].map(given), left_out)
