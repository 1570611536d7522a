"""Ages and years that are none are unknown, and counted by what stands there."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.layouts import LAYOUTS
from support.loaded import changed

from fairthesis import datasets
from fairthesis.errors import InputError


def test_ages_that_are_none_are_counted_by_what_stands_there(tmp_path: Path) -> None:
    LAYOUTS["nih-cxr14"](tmp_path)
    for given, said in (
        ("unknown", "age is 'unknown' (set to unknown, image kept)"),
        ("1e2", "age is '1e2' (set to unknown, image kept)"),
        ("58YY", "age is '58yy' (set to unknown, image kept)"),
        ("-1", "age not possible (set to unknown, image kept)"),
        ("999", "age not possible (set to unknown, image kept)"),
    ):
        cohort = changed("nih-cxr14", tmp_path, "Data_Entry_2017.csv", "Patient Age", given)
        assert cohort.frame["age_group"].isna().all()
        assert cohort.left_out[said] == len(cohort)


def test_padchest_years_that_are_none_are_counted(tmp_path: Path) -> None:
    table = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    for column, good, bad in (
        ("PatientBirth", ("1950", "1950.0"), ("50", "19500101", "about 1950")),
        ("StudyDate_DICOM", ("20140305", "20140305.0", "2014-03-05"), ("05/03/2014", "2014")),
    ):
        LAYOUTS["padchest"](tmp_path)
        for value in good:
            assert (changed("padchest", tmp_path, table, column, value).frame["age"] == 64).all()
        for value in (*bad, None):
            cohort = changed("padchest", tmp_path, table, column, value)
            assert cohort.frame["age"].isna().all()
            said = "empty" if value is None else f"'{value}'"
            reason = f"{column} is {said} (age set to unknown, image kept)"
            assert cohort.left_out[reason] == len(cohort)


def test_mimic_ages_over_89_are_one_group(tmp_path: Path) -> None:
    LAYOUTS["mimic-cxr-jpg"](tmp_path)
    assert datasets.load("mimic-cxr-jpg", tmp_path, age_cuts=[60, 90]).groups("age_group")
    with pytest.raises(InputError, match="over 89 as 91"):
        datasets.load("mimic-cxr-jpg", tmp_path, age_cuts=[60, 91])
