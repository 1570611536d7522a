from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.layouts import picture, write_rows

from fairthesis import data, datasets
from fairthesis.errors import InputError

OPTIONS: dict[str, Any] = {
    "table": "mine.csv",
    "image": "file",
    "patient": "pid",
    "targets": "cancer,other",
    "attributes": ["sex"],
}


def folder(root: Path, labels: tuple[str, ...] = ("1", "0", "yes", "", "False")) -> Path:
    rows: list[list[object]] = []
    for i in range(20):
        name = f"pictures/{i}.png"
        split = "train" if i < 12 else "validation" if i < 16 else "test"
        rows.append([name, f"p{i // 2}", f"l{i}", labels[i % len(labels)], 0, "FM"[i % 2], split])
        if i != 19:
            picture(root / name, seed=i)
    write_rows(root / "mine.csv", "file,pid,lesion,cancer,other,sex,part", rows)
    return root


def test_a_table_of_ones_own_becomes_a_cohort(tmp_path: Path) -> None:
    cohort = datasets.load("csv", folder(tmp_path), **OPTIONS)
    assert cohort.targets == ("cancer", "other")
    assert cohort.attributes == ("sex",)
    assert cohort.left_out == {"image file not found": 1}
    assert cohort.frame["cancer"].isna().sum() == 4
    assert cohort.frame.groupby("patient_id")["split"].nunique().max() == 1
    assert data.prepared_images(cohort, 16, tmp_path / "cache")[1].all()


def test_its_own_split_is_kept(tmp_path: Path) -> None:
    cohort = datasets.load("csv", folder(tmp_path), **OPTIONS, split="part", lesion="lesion")
    assert cohort.frame["split"].tolist() == ["train"] * 12 + ["val"] * 4 + ["test"] * 3


def test_the_options_can_stand_in_a_file(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "mine.yml").write_text(
        "table: mine.csv\nimage: file\npatient: pid\ntargets: [cancer, other]\nattributes: sex\n"
    )
    cohort = datasets.load("csv", tmp_path, config="mine.yml")
    assert cohort.fingerprint() == datasets.load("csv", tmp_path, **OPTIONS).fingerprint()
    (tmp_path / "mine.yml").write_text("patiend: pid\n")
    with pytest.raises(InputError, match="Did you mean 'patient'"):
        datasets.load("csv", tmp_path, config="mine.yml")
    (tmp_path / "mine.yml").write_text("a: [1\n")
    with pytest.raises(InputError, match="not readable as YAML"):
        datasets.load("csv", tmp_path, config="mine.yml")
    with pytest.raises(InputError, match="No such file"):
        datasets.load("csv", tmp_path, config="none.yml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"targets": ()}, "targets"),
        ({"patient": None}, "patient"),
        ({"table": None}, "table"),
        ({"table": "other.csv"}, r"No other\.csv"),
        ({"image": "path"}, "'path'"),
        ({"attributes": "sexx"}, "Did you mean 'sex'"),
        ({"channels": 2}, "channels"),
        ({"targets": "sex"}, "Label"),
        ({"split": "sex"}, "split"),
        ({"patient": "file", "split": "pid"}, "split"),
    ],
)
def test_what_cannot_be_used_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        datasets.load("csv", folder(tmp_path), **(OPTIONS | change))


def test_paths_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine")
    picture(tmp_path / "secret.png")
    rows: list[list[object]] = [
        ["../secret.png", "p", 1, 0, "F"],
        ["pictures/0.png", "q", 0, 0, "M"],
    ]
    write_rows(root / "mine.csv", "file,pid,cancer,other,sex", rows)
    cohort = datasets.load("csv", root, **OPTIONS)
    with pytest.raises(InputError, match="leaves the data set's folder"):
        data.prepared_images(cohort, 16, tmp_path / "cache")


def test_every_image_may_be_another_patient(tmp_path: Path) -> None:
    cohort = datasets.load("csv", folder(tmp_path), **(OPTIONS | {"patient": "file"}))
    assert cohort.frame["patient_id"].nunique() == len(cohort) == 19
    assert np.isin(cohort.frame["split"], ["train", "val", "test"]).all()


def test_an_intersection_of_ones_own_columns(tmp_path: Path) -> None:
    options = OPTIONS | {"attributes": "sex*part"}
    cohort = datasets.load("csv", folder(tmp_path), **options)
    assert cohort.attributes == ("sex*part",)
    assert cohort.groups("sex*part")[:2] == ["F * test", "F * train"]
    assert cohort.groups("sex") == ["F", "M"]
    with pytest.raises(InputError, match=r"column in .*mine\.csv 'race'"):
        datasets.load("csv", tmp_path, **(OPTIONS | {"attributes": "sex*race"}))
