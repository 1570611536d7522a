"""Every published value of every data set, and what a loader does with others."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.layouts import FINDINGS, LAYOUTS, picture, write_rows
from support.loaded import DATA, changed

from fairthesis import datasets
from fairthesis.datasets.loaders._values import TABLES, meaning, published, rows, spelling

LISTS = sorted(path.stem for path in TABLES.glob("*.csv") if path.stem != "padchest-tree")
KEPT = "(set to unknown, image kept)"

# (data set, table of its made layout, column there, column of the list, attribute)
ATTRIBUTES = [
    ("nih-cxr14", "Data_Entry_2017.csv", "Patient Gender", "Patient Gender", "sex"),
    ("nih-cxr14", "Data_Entry_2017.csv", "View Position", "View Position", "view"),
    ("ham10000", "HAM10000_metadata.csv", "sex", "sex", "sex"),
    ("pad-ufes-20", "metadata.csv", "gender", "gender", "sex"),
    ("isic2019", "ISIC_2019_Training_Metadata.csv", "sex", "sex", "sex"),
    ("isic2020", "train.csv", "sex", "sex", "sex"),
    ("ddi", "ddi_metadata.csv", "skin_tone", "skin_tone", "skin_type"),
    ("chexpert", "train.csv", "Sex", "Sex", "sex"),
    ("chexpert", "train.csv", "AP/PA", "AP/PA", "view"),
    ("chexpert", "CHEXPERT DEMO.csv", "PRIMARY_RACE", "PRIMARY_RACE", "race"),
    ("chexpert", "CHEXPERT DEMO.csv", "ETHNICITY", "ETHNICITY", "ethnicity"),
    ("mimic-cxr-jpg", "patients.csv", "gender", "gender", "sex"),
    ("mimic-cxr-jpg", "admissions.csv", "race", "race", "race"),
    ("mimic-cxr-jpg", "admissions.csv", "insurance", "insurance", "insurance"),
    (
        "padchest",
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        "PatientSex_DICOM",
        "PatientSex_DICOM",
        "sex",
    ),
]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_names_its_data_set_and_its_source_for_every_value(name: str) -> None:
    assert name in datasets.DATASETS
    seen = set()
    for row in rows(name):
        assert row["source"], row
        key = (row["column"], spelling(row["value"]))
        assert key not in seen, "a value means one thing"
        seen.add(key)
    assert set(LISTS) == set(LAYOUTS)


@pytest.mark.parametrize(("name", "table", "column", "listed", "attribute"), ATTRIBUTES)
def test_each_published_value_means_what_the_list_says(
    name: str, table: str, column: str, listed: str, attribute: str, tmp_path: Path
) -> None:
    LAYOUTS[name](tmp_path)
    given = published(name, listed)
    read = meaning(pd.Series([f" {value.upper()} " for value in given], dtype="str"), name, listed)
    assert read.astype("object").where(read.notna(), "").tolist() == list(given.values())
    for i, (value, means) in enumerate([*given.items()][:: max(1, len(given) // 6)]):
        spelled = (value, f" {value.upper()} ", value.lower())[i % 3]
        cohort = changed(name, tmp_path, table, column, spelled)
        found = cohort.frame[attribute].dropna()
        if means:
            assert set(found) == {means}, spelled
        else:
            assert len(found) == 0, spelled
            assert cohort.left_out[f"{attribute} is '{spelling(value)}' {KEPT}"] > 0


@pytest.mark.parametrize(("name", "table", "column", "listed", "attribute"), ATTRIBUTES)
def test_a_value_that_holds_a_published_one_is_unknown_and_counted(
    name: str, table: str, column: str, listed: str, attribute: str, tmp_path: Path
) -> None:
    """The fault of old: ``White or Caucasian`` held ``asian``."""
    LAYOUTS[name](tmp_path)
    for value in [v for v, means in published(name, listed).items() if means][-2:]:
        for strange in (f"{value}x", f"perhaps {value}", f"{value} or other"):
            cohort = changed(name, tmp_path, table, column, strange)
            assert cohort.frame[attribute].isna().all(), strange
            assert cohort.left_out[f"{attribute} is '{spelling(strange)}' {KEPT}"] > 0


def test_race_of_chexpert_and_mimic_is_read_by_the_list() -> None:
    race = published("chexpert", "PRIMARY_RACE")
    assert race["White or Caucasian"] == race["White, non-Hispanic"] == "White"
    assert race["Asian - Historical Conv"] == "Asian"
    assert race["Race and Ethnicity Unknown"] == race["Patient Refused"] == ""
    assert len(race) == 23
    group = published("mimic-cxr-jpg", "race")
    assert {v for v, means in group.items() if means == "White"} == {
        *("WHITE", "WHITE - BRAZILIAN", "WHITE - EASTERN EUROPEAN", "WHITE - OTHER EUROPEAN"),
        "WHITE - RUSSIAN",
    }
    assert group["MULTIPLE RACE/ETHNICITY"] == group["PORTUGUESE"] == "Other"
    assert group["UNABLE TO OBTAIN"] == ""


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("ham10000", "HAM10000_metadata.csv", "dx"),
        ("pad-ufes-20", "metadata.csv", "diagnostic"),
        ("fitzpatrick17k", "fitzpatrick17k.csv", "three_partition_label"),
    ],
)
def test_one_diagnosis_is_read_by_the_list(
    name: str, table: str, column: str, tmp_path: Path
) -> None:
    LAYOUTS[name](tmp_path)
    for value, means in published(name, column).items():
        cohort = changed(name, tmp_path, table, column, f"{value.upper()} ")
        assert (cohort.frame[means] == 1).all()
        others = [t for t in cohort.targets if t not in (means, "malignant")]
        assert (cohort.frame[others] == 0).all(axis=None)
    for strange, said in (("melanosis", "'melanosis'"), ("no mel", "'no mel'"), (None, "empty")):
        cohort = changed(name, tmp_path, table, column, strange)
        assert cohort.frame[list(cohort.targets)].isna().all(axis=None)
        reason = f"{column} is {said} (labels set to not stated, image kept)"
        assert cohort.left_out[reason] == len(cohort)


@pytest.mark.parametrize(
    ("name", "table", "column", "target", "listed"),
    [
        ("chexpert", "train.csv", "Pneumonia", "pneumonia", "label"),
        ("mimic-cxr-jpg", "mimic-cxr-2.0.0-chexpert.csv", "Pneumonia", "pneumonia", "label"),
        ("isic2020", "train.csv", "target", "malignant", "target"),
        ("ddi", "ddi_metadata.csv", "malignant", "malignant", "malignant"),
    ],
)
def test_a_label_is_a_published_number_or_counted(
    name: str, table: str, column: str, target: str, listed: str, tmp_path: Path
) -> None:
    LAYOUTS[name](tmp_path)
    for value, means in published(name, listed).items():
        found = changed(name, tmp_path, table, column, value).frame[target]
        assert found.isna().all() if means == "uncertain" else (found == float(means)).all()
    for strange in ("2", "yes", "0.5", "1 0", "-2"):
        cohort = changed(name, tmp_path, table, column, strange)
        assert cohort.frame[target].isna().all()
        assert cohort.left_out[f"{target} is '{strange}' (set to not stated, image kept)"] > 0
    assert not any(
        target in said for said in changed(name, tmp_path, table, column, None).left_out
    ), "empty is not stated, and nothing strange"


def test_isic2019_an_image_without_one_diagnosis_states_none(tmp_path: Path) -> None:
    LAYOUTS["isic2019"](tmp_path)
    path = tmp_path / "ISIC_2019_Training_GroundTruth.csv"
    frame = pd.read_csv(path, dtype=str)
    frame.loc[0, ["MEL", "UNK"]] = ["0.0", "1.0"]
    frame.loc[1, "MEL"] = "1.0"  # beside NV
    frame.loc[2, "BCC"] = "-1"
    frame.to_csv(path, index=False)
    cohort = datasets.load("isic2019", tmp_path)
    found = cohort.frame.set_index("image_id")
    assert found.loc[["ISIC_0000000", "ISIC_0000001"], "malignant"].isna().all()
    assert found.loc["ISIC_0000002", ["bcc", "malignant"]].isna().all()
    assert cohort.left_out["no diagnosis is marked (labels set to not stated, image kept)"] == 1
    said = "several diagnoses are marked (labels set to not stated, image kept)"
    assert cohort.left_out[said] == 1
    assert cohort.left_out["bcc is '-1' (set to not stated, image kept)"] == 1


def test_nih_findings_are_read_by_the_list(tmp_path: Path) -> None:
    LAYOUTS["nih-cxr14"](tmp_path)
    path = tmp_path / "Data_Entry_2017.csv"
    frame = pd.read_csv(path, dtype=str, index_col=False)
    frame["Finding Labels"] = "No Finding"
    given = ["Pneumonia | effusion", "Pneumonias", " ", "Mass|Tumour", "No Finding|Edema", None]
    frame.loc[:5, "Finding Labels"] = given
    frame.to_csv(path, index=False)
    cohort = datasets.load("nih-cxr14", tmp_path)
    found = cohort.frame[["pneumonia", "effusion", "mass", "edema", "no_finding"]].iloc[:6]
    nothing = [np.nan] * 5
    np.testing.assert_array_equal(
        found.to_numpy(),
        [[1, 1, 0, 0, 0], nothing, nothing, [0, 0, 1, 0, 0], [0, 0, 0, 1, np.nan], nothing],
    )
    for word in ("pneumonias", "tumour"):
        assert cohort.left_out[f"finding '{word}' is not in the published list (ignored)"] == 1
    assert sum("'No Finding' stands beside" in reason for reason in cohort.left_out) == 1
    every = "|".join(published("nih-cxr14", "Finding Labels"))
    whole = changed("nih-cxr14", tmp_path, path.name, "Finding Labels", every)
    assert (whole.frame[[t for t in whole.targets if t != "no_finding"]] == 1).all(axis=None)


@pytest.mark.data
def test_the_lists_hold_every_value_of_the_real_tables() -> None:
    tables = {
        "nih-cxr14": "nih-chestxray14/Data_Entry_2017.csv",
        "ham10000": "ham10000/HAM10000_metadata.csv",
        "pad-ufes-20": "pad-ufes-20/metadata.csv",
        "fitzpatrick17k": "fitzpatrick17k/fitzpatrick17k.csv",
    }
    for name, file in tables.items():
        path = DATA / "metadata-samples" / file
        if not path.is_file():
            pytest.skip(f"{file} is not in ../shared/data")
        frame = pd.read_csv(path, dtype=str, index_col=False)
        for column in {row["column"] for row in rows(name)}:
            given = frame[column].dropna().str.split("|").explode().map(spelling).unique()
            assert set(given) == {spelling(value) for value in published(name, column)}, column


@pytest.mark.parametrize(
    ("name", "table", "column"),
    [
        ("chexpert", "train.csv", "Frontal/Lateral"),
        ("mimic-cxr-jpg", "mimic-cxr-2.0.0-metadata.csv", "ViewPosition"),
        ("padchest", "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "Projection"),
    ],
)
def test_only_a_published_frontal_view_is_kept(
    name: str, table: str, column: str, tmp_path: Path
) -> None:
    LAYOUTS[name](tmp_path)
    frame = pd.read_csv(tmp_path / table, dtype=str)
    front = next(v for v, means in published(name, column).items() if means != "not frontal")
    for value, means in (*published(name, column).items(), ("Frontalx", None), (None, None)):
        frame[column] = front
        frame.loc[0, column] = value
        frame.to_csv(tmp_path / table, index=False)
        left_out = datasets.load(name, tmp_path).left_out
        said = "empty" if value is None else f"'{spelling(value)}'"
        unknown = left_out.get(f"view is {said} (not known to be frontal, image left out)", 0)
        assert (left_out.get("not a frontal view", 0), unknown) == (
            int(means == "not frontal"),
            int(means is None),
        ), value


def test_chexpert_rows_without_a_patient_are_counted(tmp_path: Path) -> None:
    LAYOUTS["chexpert"](tmp_path)
    picture(tmp_path / "train" / "someone" / "a.jpg")
    with (tmp_path / "train.csv").open("a", newline="") as handle:
        blank = [""] * len(FINDINGS.split(","))
        csv.writer(handle).writerow(["train/someone/a.jpg", "Male", 60, "Frontal", "AP", *blank])
    assert datasets.load("chexpert", tmp_path).left_out["row without a patient"] == 1


def test_many_strange_values_are_not_all_listed(tmp_path: Path) -> None:
    names: list[list[object]] = []
    for i in range(40):
        picture(tmp_path / f"{i}.png", mode="RGB")
        names.append([i, f"{i}.png", f"tone {i:02d}", "True", "x"])
    write_rows(tmp_path / "ddi_metadata.csv", "DDI_ID,DDI_file,skin_tone,malignant,disease", names)
    left_out = Counter(datasets.load("ddi", tmp_path).left_out)
    assert len(left_out) == 21
    assert left_out["skin_type is one of 20 other values (set to unknown, image kept)"] == 20
