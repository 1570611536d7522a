"""Sheets of synthetic cohorts show what they say, and counts agree with the table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from support.layouts import pad_ufes_20

from fairthesis import datasets
from fairthesis.data import Cohort
from fairthesis.datasets import SETTINGS
from fairthesis.errors import InputError
from fairthesis.plots._gallery import (
    PIXELS,
    bands,
    count_table,
    examples_of,
    group_counts,
    image_sheet,
)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


def synthetic(name: str, **options: object) -> Cohort:
    return datasets.load(name, n_train=400, n_val=1, n_test=1, **options)


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_has_a_sheet_of_both_cohorts(setting: str, tmp_path: Path) -> None:
    figure = image_sheet("synthetic-cxr,synthetic-derm", setting, out_dir=tmp_path)
    assert sum(len(axes.images) for axes in figure.axes) == 2 * 4 * (3 + 2)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    for word in ("Chest X-rays", "F, opacity", "light, benign", "other tone", "no device"):
        assert word in words, word
    assert (tmp_path / f"{setting}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_sheet_that_was_written_is_shown_as_it_was() -> None:
    figure = bands([synthetic("synthetic-cxr")])
    places = [axes.get_position().bounds for axes in figure.axes]
    with matplotlib.rc_context({"figure.constrained_layout.use": True}):  # as a notebook's style
        for _ in range(2):  # cropping puts the layout engine of the settings back
            figure.savefig(io.BytesIO(), bbox_inches="tight")
    assert [axes.get_position().bounds for axes in figure.axes] == places


def test_shares_above_the_pictures_are_those_of_the_training_part() -> None:
    cohort = synthetic("synthetic-cxr", setting="shortcut")
    train = cohort.frame[cohort.frame["split"] == "train"]
    part = train[(train["sex"] == "M") & (train["opacity"] == 1)]
    texts = [text.get_text() for axes in bands([cohort]).axes for text in axes.texts]
    share = f"{len(part) / len(train):.0%} of all, {part['device'].mean():.0%} device"
    assert texts[texts.index("M, opacity") + 1] == share


def test_examples_of_each_group_and_label_without_and_with_the_device() -> None:
    cohort = synthetic("synthetic-derm", setting="label-noise")
    examples = examples_of(cohort)
    assert [(group, label) for group, label, _ in examples] == [
        *[("light", 0.0), ("light", 1.0), ("dark", 0.0), ("dark", 1.0)]
    ]
    for group, label, rows in examples:
        frame = cohort.frame.iloc[rows]
        assert (frame["skin_tone"] == group).all() and (frame["malignant"] == label).all()
        assert frame["device"].tolist() == [0, 1]
        wrong = (frame["malignant"] != frame["clean_malignant"]).tolist()
        assert wrong == [False, group == "dark"]


def test_twins_stand_below_their_picture() -> None:
    cohort = synthetic("synthetic-cxr", setting="clean", noise=0.0)
    row = examples_of(cohort)[0][2][1]
    assert cohort.render is not None
    shown = [np.asarray(i.get_array()) for a in bands([cohort]).axes for i in a.images]
    # of the first group and label, without the device: drawn, other sex; with it: and without
    drawn, other, bare = shown[2], shown[3], shown[4]
    assert (drawn == cohort.render(np.array([row]), PIXELS)[0, :, :, 0]).all()
    half = PIXELS * 2 // 3
    assert (drawn[:half] == bare[:half]).all() and (drawn != bare).any()
    assert (drawn != other).any()


def test_a_group_and_label_without_images_is_an_empty_place() -> None:
    cohort = datasets.load("synthetic-cxr", prevalence=0.0, setting="clean", n_train=60)
    figure = bands([cohort])
    assert sum(len(axes.images) for axes in figure.axes) == 2 * (3 + 2)


def test_what_is_not_synthetic_is_not_shown(tmp_path: Path) -> None:
    cohort = datasets.load("pad-ufes-20", pad_ufes_20(tmp_path))
    with pytest.raises(InputError, match="expected a synthetic cohort"):
        bands([cohort])
    with pytest.raises(InputError, match="Unknown synthetic cohort 'pad-ufes-20'"):
        image_sheet("pad-ufes-20", "clean")
    with pytest.raises(InputError, match="Unknown profile"):
        image_sheet("synthetic-cxr", "clean", profile="quik")
    with pytest.raises(InputError, match="Unknown setting"):
        image_sheet("synthetic-cxr", "clear")
    with pytest.raises(InputError, match="Expected dataset"):
        image_sheet(" , ", "clean")


def test_counts_keep_what_is_not_stated_apart(tmp_path: Path) -> None:
    cohort = datasets.load("pad-ufes-20", pad_ufes_20(tmp_path))
    table = count_table(cohort, "malignant", "skin_type")
    assert table.index.tolist() == ["I-II", "III-IV", "V-VI", "not stated"]
    assert table.to_numpy().sum() == len(cohort)
    assert table.loc["not stated"].sum() == cohort.frame["skin_type"].isna().sum()
    figure = group_counts(cohort)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        *["by skin type", "by sex", "by age group"]
    ]
    lengths = [sum(bar.get_width() for c in axes.containers for bar in c) for axes in figure.axes]
    assert lengths == [12, 12, 12]


def test_a_label_that_is_not_stated_has_a_bar_of_its_own() -> None:
    frame = pd.DataFrame({"image_id": list("abc"), "patient_id": list("abc"), "split": "test"})
    frame["y"], frame["sex"] = [1.0, 0.0, np.nan], ["F", None, "M"]
    cohort = Cohort("mine", frame.assign(path="x"), ("y",), ("sex",))
    table = count_table(cohort, "y", "sex")
    assert table.to_dict() == {
        **{"absent": {"F": 0, "M": 0, "not stated": 1}},
        **{"present": {"F": 1, "M": 0, "not stated": 0}},
        **{"not stated": {"F": 0, "M": 1, "not stated": 0}},
    }
    words = [text.get_text() for axes in group_counts(cohort).axes for text in axes.texts]
    assert words == ["1, 100% present", "1", "1, 0% present"]
