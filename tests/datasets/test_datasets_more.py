"""The loaders tried on synthetic files of the same layout, and PAD-UFES-20 on real ones."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from support.layouts import LAYOUTS, chexpert, mimic_cxr_jpg
from support.loaded import crossed, disjoint, real

from fairthesis import data, datasets
from fairthesis.errors import InputError


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_loader_gives_a_cohort_that_can_be_prepared(name: str, tmp_path: Path) -> None:
    cohort = datasets.load(name, LAYOUTS[name](tmp_path / "release"))
    assert cohort.name == name
    assert disjoint(cohort)
    assert len(cohort.targets) == len(set(cohort.targets))
    for target in cohort.targets:
        assert cohort.frame[target].dropna().isin([0.0, 1.0]).all()
    for attribute in cohort.attributes:
        assert "nan" not in cohort.groups(attribute)
        assert cohort.codes(attribute).min() >= -1
    pixels, ok = data.prepared_images(cohort, 16, tmp_path / "cache")
    assert ok.all()
    assert pixels.shape[1:] == (16, 16, cohort.channels)
    again = datasets.load(name, tmp_path / "release", seed=0)
    assert again.fingerprint() == cohort.fingerprint()


def test_layouts_are_there_for_every_data_set_that_is_read() -> None:
    read = {name for name in datasets.DATASETS if datasets.needs_root(name)} - {"csv", "embeddings"}
    assert read == set(LAYOUTS)


def test_pad_joins_patients_by_lesion_and_keeps_unknown_unknown(tmp_path: Path) -> None:
    frame = datasets.load("pad-ufes-20", LAYOUTS["pad-ufes-20"](tmp_path)).frame
    assert frame["sex"].isna().sum() == frame["skin_type"].isna().sum() == 4
    assert frame.groupby("lesion_id")["split"].nunique().max() == 1
    assert frame["malignant"].sum() == 6


def test_isic2019_counts_a_missing_lesion_as_its_own(tmp_path: Path) -> None:
    frame = datasets.load("isic2019", LAYOUTS["isic2019"](tmp_path)).frame
    assert frame["patient_id"].notna().all()
    assert frame["malignant"].sum() == frame[["mel", "bcc", "scc"]].to_numpy().sum() == 6
    assert frame["lesion_id"].isna().sum() == 12


def test_fitzpatrick_minus_one_is_unknown(tmp_path: Path) -> None:
    cohort = datasets.load("fitzpatrick17k", LAYOUTS["fitzpatrick17k"](tmp_path))
    assert cohort.groups("skin_type") == ["I-II", "III-IV", "V-VI"]
    assert cohort.frame["skin_type"].isna().sum() == 2


def test_why_an_attribute_is_unknown_is_counted_by_value(tmp_path: Path) -> None:
    """A type of -1, an empty cell and a word are told apart; images that are not at hand are not
    counted."""
    root = LAYOUTS["fitzpatrick17k"](tmp_path)
    table = pd.read_csv(root / "fitzpatrick17k.csv", dtype=str)
    scale = "fitzpatrick_scale"
    table.loc[table.index[table[scale] == "2"][0], scale] = None
    table.loc[table.index[table[scale] == "3"][0], scale] = "Not sure"
    table.to_csv(root / "fitzpatrick17k.csv", index=False)
    names = table.loc[table[scale] == "-1", "md5hash"].tolist()
    next(root.rglob(f"{names[0]}.*")).unlink()
    assert datasets.load("fitzpatrick17k", root).left_out == {
        "image file not found": 1,
        "skin_type is '-1' (set to unknown, image kept)": len(names) - 1,
        "skin_type is empty (set to unknown, image kept)": 1,
        "skin_type is 'not sure' (set to unknown, image kept)": 1,
    }


@pytest.mark.parametrize("name", ["fitzpatrick17k", "pad-ufes-20"])
def test_skin_types_stand_alone_or_in_three_groups(name: str, tmp_path: Path) -> None:
    root = LAYOUTS[name](tmp_path)
    single = datasets.load(name, root, skin_types="single")
    assert set(single.groups("skin_type")) <= {"I", "II", "III", "IV", "V", "VI"}
    grouped = datasets.load(name, root).frame.set_index("image_id")["skin_type"]
    together = {"I": "I-II", "II": "I-II", "III": "III-IV", "IV": "III-IV", "V": "V-VI"}
    again = single.frame.set_index("image_id")["skin_type"].map(together | {"VI": "V-VI"})
    assert again.dropna().to_dict() == grouped.dropna().to_dict()
    with pytest.raises(InputError, match="skin_types"):
        datasets.load(name, root, skin_types="each")


@pytest.mark.parametrize(
    ("policy", "counts"),
    [("ignore", (3, 3, 4)), ("zeros", (3, 5, 2)), ("ones", (5, 3, 2))],
)
@pytest.mark.parametrize("name", ["chexpert", "mimic-cxr-jpg"])
def test_uncertain_labels_follow_the_policy(
    name: str, policy: str, counts: tuple[int, int, int], tmp_path: Path
) -> None:
    cohort = datasets.load(name, LAYOUTS[name](tmp_path), uncertain=policy)
    label = cohort.frame["pleural_effusion"]
    found = (int((label == 1).sum()), int((label == 0).sum()), int(label.isna().sum()))
    if name == "chexpert":
        assert found == counts
    else:
        assert found == {"ignore": (2, 2, 4), "zeros": (2, 4, 2), "ones": (4, 2, 2)}[policy]
    with pytest.raises(InputError, match="uncertain"):
        datasets.load(name, tmp_path, uncertain="drop")


def test_chexpert_leaves_out_lateral_views_and_reads_race(tmp_path: Path) -> None:
    cohort = datasets.load("chexpert", chexpert(tmp_path))
    assert cohort.left_out == {
        "not a frontal view": 1,
        "sex is 'unknown' (set to unknown, image kept)": 3,
        "race is 'unknown' (set to unknown, image kept)": 2,
        "race is empty (set to unknown, image kept)": 1,
    }
    race = cohort.frame.drop_duplicates("patient_id").set_index("patient_id")["race"]
    assert race["patient00000"] == "White"
    assert race["patient00001"] == "Black"
    assert race[["patient00003", "patient00004"]].isna().all()
    zeros = datasets.load("chexpert", tmp_path, not_mentioned="zeros")
    assert zeros.frame["pneumonia"].eq(0).all()
    assert cohort.frame["pneumonia"].isna().all()


def test_mimic_joins_demographics(tmp_path: Path) -> None:
    cohort = datasets.load("mimic-cxr-jpg", mimic_cxr_jpg(tmp_path))
    people = cohort.frame.drop_duplicates("patient_id").set_index("patient_id")
    assert people["race"].to_dict() | {"10000003": None} == {
        **{"10000000": "White", "10000001": "Black", "10000002": "Hispanic", "10000003": None}
    }
    assert people.loc["10000000", "insurance"] == "Medicare"
    assert cohort.left_out == {
        "not a frontal view": 1,
        "race is empty (set to unknown, image kept)": 2,
        "insurance is empty (set to unknown, image kept)": 2,
    }
    (tmp_path / "patients.csv").write_text("subject_id,gender,anchor_age\n7,F,50\n")
    with pytest.raises(InputError, match="shares no subject_id"):
        datasets.load("mimic-cxr-jpg", tmp_path)


def test_padchest_an_empty_label_list_is_not_stated(tmp_path: Path) -> None:
    frame = datasets.load("padchest", LAYOUTS["padchest"](tmp_path)).frame.set_index("image_id")
    assert frame.loc["0.png", ["normal", "pneumonia"]].tolist() == [1, 0]
    assert frame.loc["1.png", ["pneumonia", "pleural_effusion"]].tolist() == [1, 1]
    assert frame.loc[["3.png", "6.png"], "pneumonia"].isna().all()
    assert "2.png" not in frame.index
    assert frame["age"].eq(64).all()


@pytest.mark.data
def test_pad_subset_has_the_counts_of_its_readme() -> None:
    cohort = datasets.load("pad-ufes-20", real("pad-ufes-20-subset-224"))
    assert len(cohort) == 775
    assert cohort.frame["patient_id"].nunique() == 604
    assert crossed(cohort, "skin_type", "malignant") == {
        **{("I-II", 0.0): 111, ("I-II", 1.0): 196, ("III-IV", 0.0): 68, ("III-IV", 1.0): 91},
        **{("V-VI", 0.0): 3, ("V-VI", 1.0): 1, ("?", 0.0): 305},
    }
    assert crossed(cohort, "sex", "malignant")["?", 0.0] == 305
    for key in ("patient_id", "lesion_id"):
        assert disjoint(cohort, key)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_table_of_which_no_column_states_anything_ends_in_words(
    name: str, tmp_path: Path
) -> None:
    """Whatever column is emptied, a loader gives a cohort or an error in words."""
    root = LAYOUTS[name](tmp_path / "release")
    tables = sorted(root.glob("*.csv"))
    assert tables
    for path in tables:
        text = path.read_text(encoding="utf-8-sig")
        frame = pd.read_csv(path, dtype="string", keep_default_na=False, index_col=False)
        for column in frame.columns:
            frame.assign(**{column: ""}).to_csv(path, index=False)
            try:
                cohort = datasets.load(name, root)
            except InputError as error:
                assert len(str(error)) > 20
            else:
                assert len(cohort) > 0
        path.write_text(text, encoding="utf-8")
