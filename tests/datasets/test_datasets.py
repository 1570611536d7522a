from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.layouts import ham10000, nih, write_rows
from support.loaded import crossed, disjoint, real

from fairthesis import datasets
from fairthesis.errors import InputError


def test_unknown_names_and_options_are_refused_with_what_is_accepted() -> None:
    with pytest.raises(InputError, match="Did you mean 'ham10000'"):
        datasets.load("ham1000")
    with pytest.raises(InputError, match=r"option of ham10000 'tarket'.*accepted|age_cuts"):
        datasets.load("ham10000", "x", tarket="mel")
    with pytest.raises(InputError, match="setting"):
        datasets.load("synthetic-cxr", setting="referenc")


@pytest.mark.parametrize("name", [n for n in datasets.DATASETS if datasets.needs_root(n)])
def test_a_root_that_is_missing_or_empty_says_what_was_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--data-root"):
        datasets.load(name)
    with pytest.raises(InputError, match="No such folder"):
        datasets.load(name, tmp_path / "none")
    with pytest.raises(InputError, match=r"\.csv"):
        datasets.load(name, tmp_path)


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_every_data_set_says_what_it_is(name: str) -> None:
    about = datasets.about(name)
    assert len(about.splitlines()[0]) < 100
    assert "icence" in about
    if datasets.needs_root(name):
        for word in ("Images:", "Label", "roup", "Pitfalls:", "Access:", "Licence:", "Citation:"):
            assert word in about, word
    if datasets.needs_root(name) and name not in ("csv", "embeddings"):
        first = about.splitlines()[0]
        assert re.search(r"\d images of|\d[^:]* (images|X-rays) ?", first), "how many images"
        assert re.search(r"patients|patient numbers", about), "patients, or that there are none"
        assert re.search(r"([Ll]ayout|[Cc]olumns|[Tt]able) (partly )?(un)?verified", first)
        citation = about.split("Citation:")[1]
        assert re.search(r"\b(19|20)\d\d\b", citation), "the year of the citation"


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("bom", [False, True])
def test_nih_2017_reads_ages_header_and_folders(tmp_path: Path, parts: bool, bom: bool) -> None:
    cohort = datasets.load("nih-cxr14", nih(tmp_path, parts=parts, bom=bom))
    assert len(cohort) == 22
    assert cohort.left_out["image file not found"] == 2
    ages = cohort.frame.drop_duplicates("patient_id").set_index("patient_id")
    assert ages.loc["1", "age"] == 58
    assert ages.loc["2", "age"] == 0.5
    assert np.isnan(ages.loc["3", "age"])
    assert pd.isna(ages.loc["3", "age_group"])
    assert [ages.loc[p, "age_group"] for p in "12456"] == ["40-59", "0-19", "80+", "0-19", "20-39"]
    assert cohort.left_out["age not possible (set to unknown, image kept)"] == 2
    assert all((tmp_path / path).is_file() for path in cohort.frame["path"])
    assert disjoint(cohort)


def test_nih_labels_are_one_hot_over_findings(tmp_path: Path) -> None:
    frame = datasets.load("nih-cxr14", nih(tmp_path)).frame.set_index("image_id")
    row = frame.loc["00000001_001.png"]  # Effusion|Pneumonia
    assert (row["effusion"], row["pneumonia"], row["no_finding"], row["mass"]) == (1, 1, 0, 0)
    assert frame.loc["00000004_000.png", "no_finding"] == 1


def test_nih_editions_agree_on_ids(tmp_path: Path) -> None:
    old = datasets.load("nih-cxr14", nih(tmp_path))
    new = datasets.load("nih-cxr14", nih(tmp_path, edition="2020"))
    assert (old.frame["patient_id"] == new.frame["patient_id"]).all()
    again = datasets.load("nih-cxr14", tmp_path, edition=2017)
    assert again.fingerprint() == old.fingerprint() != new.fingerprint()
    with pytest.raises(InputError, match="edition"):
        datasets.load("nih-cxr14", tmp_path, edition="2018")


def test_nih_official_test_list_is_kept(tmp_path: Path) -> None:
    nih(tmp_path)
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    with pytest.raises(InputError, match=r"test_list\.txt"):
        datasets.load("nih-cxr14", tmp_path, official_split=True)
    (tmp_path / "test_list.txt").write_text("\n".join(names[-6:]))
    (tmp_path / "train_val_list.txt").write_text("\n".join(names[:-6]))
    cohort = datasets.load("nih-cxr14", tmp_path)
    assert set(cohort.frame.loc[cohort.frame["split"] == "test", "image_id"]) == set(names[-6:])
    assert disjoint(cohort)


def test_ham_unknown_sex_is_null_and_lesions_stay_together(tmp_path: Path) -> None:
    cohort = datasets.load("ham10000", ham10000(tmp_path))
    assert len(cohort) == 29
    assert cohort.left_out == {
        "image file not found": 1,
        "sex is 'unknown' (set to unknown, image kept)": 2,
    }
    assert cohort.frame["sex"].isna().sum() == 2
    assert cohort.frame["age_group"].isna().sum() == 2
    assert cohort.targets[0] == "malignant"
    expected = cohort.frame["dx"].isin(["mel", "bcc", "akiec"]).astype(float)
    assert (cohort.frame["malignant"] == expected).all()
    assert disjoint(cohort, "lesion_id")


def test_ham_in_one_folder_and_other_target(tmp_path: Path) -> None:
    cohort = datasets.load("ham10000", ham10000(tmp_path, one_folder=True), target="mel")
    assert cohort.targets[:2] == ("mel", "malignant")
    with pytest.raises(InputError, match="target of ham10000"):
        datasets.load("ham10000", tmp_path, target="melanoma")


def test_a_table_without_a_column_or_images_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "HAM10000_metadata.csv", "lesion_id,image_id", [["a", "b"]])
    with pytest.raises(InputError, match="'dx'"):
        datasets.load("ham10000", tmp_path)
    header = "lesion_id,image_id,dx,dx_type,age,sex,localization"
    row: list[object] = ["a", "b", "mel", "histo", "5", "male", "back"]
    write_rows(tmp_path / "HAM10000_metadata.csv", header, [row])
    with pytest.raises(InputError, match="expected JPEG"):
        datasets.load("ham10000", tmp_path)
    (tmp_path / "HAM10000_metadata.csv").write_bytes(b"\xff\xfe\x00ba")
    with pytest.raises(InputError, match="Cannot read"):
        datasets.load("ham10000", tmp_path)


def test_age_cuts_are_checked_and_used(tmp_path: Path) -> None:
    ham10000(tmp_path)
    cohort = datasets.load("ham10000", tmp_path, age_cuts=[50])
    assert set(cohort.groups("age_group")) == {"0-49", "50+"}
    with pytest.raises(InputError, match="age_cuts"):
        datasets.load("ham10000", tmp_path, age_cuts=[50, 40])


def test_a_seed_gives_the_same_split_and_another_seed_another(tmp_path: Path) -> None:
    ham10000(tmp_path)
    first, same, other = (datasets.load("ham10000", tmp_path, seed=s) for s in (1, 1, 2))
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()


@pytest.mark.data
def test_nih_subset_has_the_counts_of_its_readme() -> None:
    root = real("nih-cxr14-pneumonia-1000")
    cohort = datasets.load("nih-cxr14", root)
    assert len(cohort) == 1000
    assert cohort.frame["patient_id"].nunique() == 682
    assert crossed(cohort, "age_group", "pneumonia") == {
        **{("0-19", 0.0): 79, ("0-19", 1.0): 27, ("20-39", 0.0): 127, ("20-39", 1.0): 150},
        **{("40-59", 0.0): 224, ("40-59", 1.0): 217, ("60-79", 0.0): 66, ("60-79", 1.0): 101},
        **{("80+", 0.0): 4, ("80+", 1.0): 5},
    }
    by_view = cohort.frame.groupby(["sex", "view", "pneumonia"]).size().to_dict()
    assert by_view == {
        **{("F", "AP", 0.0): 154, ("F", "AP", 1.0): 102, ("F", "PA", 0.0): 103},
        **{("F", "PA", 1.0): 118, ("M", "AP", 0.0): 188, ("M", "AP", 1.0): 123},
        **{("M", "PA", 0.0): 55, ("M", "PA", 1.0): 157},
    }
    assert cohort.frame["infiltration"].sum() == 187
    old = datasets.load("nih-cxr14", root, edition="2017")
    assert set(old.frame["image_id"]) == set(cohort.frame["image_id"])


@pytest.mark.data
def test_ham_subset_has_the_counts_of_its_readme() -> None:
    cohort = datasets.load("ham10000", real("ham10000-one-per-lesion-224"))
    assert len(cohort) == 5984
    assert cohort.left_out == {
        "image file not found": 10015 - 5984,
        "sex is 'unknown' (set to unknown, image kept)": 36,
    }
    assert cohort.frame["dx"].value_counts().to_dict() == {
        **{"nv": 4323, "bkl": 583, "mel": 491, "bcc": 264, "akiec": 183, "vasc": 80, "df": 60}
    }
    assert crossed(cohort, "sex", "malignant") == {
        **{("F", 0.0): 2376, ("F", 1.0): 361, ("M", 0.0): 2634, ("M", 1.0): 577, ("?", 0.0): 36}
    }
    ages = crossed(cohort, "age_group", "malignant")
    assert ages["60-79", 1.0] == 175 + 309
    assert ages["?", 0.0] + ages["?", 1.0] == 36
