"""Bias by selection: the wanted table, nothing invented, nobody in two parts, and refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.planted import pictures, table

from fairthesis import datasets
from fairthesis.data import Cohort, prepared_images
from fairthesis.datasets import ASSOCIATIONS, association, planted, select
from fairthesis.datasets.wrappers._inner import inner_twins
from fairthesis.errors import InputError

P = {  # (y, smaller group) -> P(site is back) for shortcut 0.7
    "reversed": {(1, False): 0.85, (0, False): 0.15, (1, True): 0.15, (0, True): 0.85},
    "one-group": {(1, False): 0.85, (0, False): 0.15, (1, True): 0.5, (0, True): 0.5},
    "same": {(1, False): 0.85, (0, False): 0.15, (1, True): 0.85, (0, True): 0.15},
    "marks-group": {(1, False): 0.15, (0, False): 0.15, (1, True): 0.85, (0, True): 0.85},
    "none": dict.fromkeys([(1, False), (0, False), (1, True), (0, True)], 0.5),
}
BACK: dict[str, Any] = {"covariate": "site", "value": "back"}


def shares(cohort: Cohort, split: str) -> dict[tuple[int, bool], float]:
    own = cohort.frame[cohort.frame["split"] == split]
    back = own["site"] == "back"
    found = back.groupby([own["cancer"], own["sex"] == "F"]).mean()
    return {(int(y), bool(small)): float(p) for (y, small), p in found.items()}


@pytest.mark.parametrize("setting", ASSOCIATIONS)
def test_training_has_the_wanted_table_and_test_is_balanced(setting: str) -> None:
    inner = table()
    found = select(inner, **BACK, setting=setting)
    for cell, p in shares(found, "train").items():
        assert p == pytest.approx(P[setting][cell], abs=0.01)  # of whole images
    for split in ("val", "test"):
        assert all(p == pytest.approx(0.5, abs=0.01) for p in shares(found, split).values())
    # Groups are as large as they were among each other, and the target as frequent in each.
    before, after = (
        one.frame[one.frame["split"] == "train"].dropna(subset=["sex", "cancer"])
        for one in (inner, found)
    )
    assert (after["sex"] == "F").mean() == pytest.approx((before["sex"] == "F").mean(), abs=0.01)
    for sex in "FM":
        rates = [one.loc[one["sex"] == sex, "cancer"].mean() for one in (before, after)]
        assert rates[0] == pytest.approx(rates[1], abs=0.01)


@pytest.mark.parametrize("s", [0.0, 0.3, 0.6])
def test_the_odds_ratio_is_the_one_that_is_documented(s: float) -> None:
    found = select(table(20000), **BACK, setting="same", shortcut=s)
    assert association(found, "site", "back") == pytest.approx(((1 + s) / (1 - s)) ** 2, rel=0.03)
    for part in ("val", "test"):
        assert association(found, "site", "back", part=part) == pytest.approx(1, abs=0.03)


def test_the_largest_such_selection_is_taken() -> None:
    """One cell is used up: with one image more, the table could not be had."""
    inner = table()
    found = select(inner, **BACK, setting="same", test="all")
    train = inner.frame[inner.frame["split"] == "train"].dropna(subset=["sex", "cancer"])
    kept = train["image_id"].isin(found.frame["image_id"])
    share = kept.groupby([train["cancer"], train["sex"], train["site"] == "back"]).mean()
    assert share.max() > 0.99 and share.min() < 0.5


def test_a_selection_is_part_of_one_that_has_more_in_every_cell() -> None:
    inner = table()
    # The number of images with the site falls from one to the next, that of the others stays.
    found = {p: select(inner, **BACK, probabilities={"F": [p, p], "M": [p, p]}, test="all")
             for p in (0.3, 0.2, 0.1)}  # fmt: skip
    kept = {p: set(one.frame["image_id"]) for p, one in found.items()}
    assert kept[0.1] < kept[0.2] < kept[0.3]
    again = select(inner, **BACK, probabilities={"F": [0.1, 0.1], "M": [0.1, 0.1]}, test="all")
    assert again.fingerprint() == found[0.1].fingerprint()
    other = select(
        inner, **BACK, probabilities={"F": [0.1, 0.1], "M": [0.1, 0.1]}, test="all", seed=1
    )
    assert other.fingerprint() != again.fingerprint()
    assert len(other) == len(again)


def test_patients_are_in_one_part_and_mostly_whole() -> None:
    inner = table()
    found = select(inner, **BACK, setting="same")
    assert (found.frame.groupby("patient_id")["split"].nunique() == 1).all()
    split = inner.frame.set_index("image_id")["split"]
    assert (split[found.frame["image_id"]].to_numpy() == found.frame["split"]).all()
    # Of a cell with several images of a patient, one patient at most is cut.
    alike = replace(
        inner, frame=inner.frame.assign(cancer=np.repeat([0.0, 1.0], 2).tolist() * 1500)
    )
    sites = alike.frame.assign(site=np.repeat(alike.frame["site"].to_numpy()[::2], 2))
    alike = replace(alike, frame=sites.assign(sex=np.repeat(sites["sex"].to_numpy()[1::2], 2)))
    kept = select(alike, **BACK, setting="same", test="all").frame
    train = kept[kept["split"] == "train"]
    cut = train["patient_id"].value_counts() == 1
    assert cut.sum() <= 8


def test_what_is_left_out_is_counted_by_part() -> None:
    inner = table()
    inner.frame.loc[inner.frame.index[5::37], "site"] = None
    found = select(inner, **BACK, setting="one-group")
    assert sum(found.left_out.values()) == len(inner) - len(found)
    lost = inner.frame[["sex", "cancer", "site"]].isna().any(axis=1)
    for part in ("train", "val", "test"):
        here = inner.frame["split"] == part
        reason = f"{part} image of unknown target, group or covariate"
        assert found.left_out[reason] == int((lost & here).sum())
        assert found.left_out[f"{part} image left out by selection"] > 0
    whole = select(inner, **BACK, setting="one-group", test="all")
    assert set(whole.left_out) == {name for name in found.left_out if name.startswith("train")}
    same = select(inner, **BACK, setting="one-group", test="same")
    for cell, p in shares(same, "test").items():
        assert p == pytest.approx(P["one-group"][cell], abs=0.02)


def test_more_images_may_be_kept_where_shares_may_change() -> None:
    inner = table()
    narrow = select(inner, **BACK, setting="same")
    wide = select(inner, **BACK, setting="same", keep="images")
    assert set(narrow.frame["image_id"]) < set(wide.frame["image_id"])
    for cell, p in shares(wide, "train").items():
        assert p == pytest.approx(P["same"][cell], abs=0.01)
    train = inner.frame[inner.frame["split"] == "train"].dropna(subset=["sex", "cancer"])
    kept = train["image_id"].isin(wide.frame["image_id"])
    share = kept.groupby([train["cancer"], train["sex"], train["site"] == "back"]).mean()
    assert (share.groupby(level=[0, 1]).max() > 0.99).all()  # one cell of each is used up


def test_prevalence_by_group() -> None:
    inner = table()
    found = select(inner, prevalence={"F": 0.2, "M": 0.6})
    rate = found.frame.groupby(["split", "sex"])["cancer"].mean()
    assert rate["train", "F"] == pytest.approx(0.2, abs=0.01)
    assert rate["train", "M"] == pytest.approx(0.6, abs=0.01)
    for part in ("val", "test"):
        assert rate[part, "F"] == pytest.approx(rate[part, "M"], abs=0.01)
    both = select(inner, **BACK, setting="same", prevalence={"F": 0.3, "M": 0.5})
    rate = both.frame[both.frame["split"] == "train"].groupby("sex")["cancer"].mean()
    assert rate.round(2).tolist() == [0.3, 0.5]
    assert shares(both, "train")[1, True] == pytest.approx(0.85, abs=0.01)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "Nothing is to be selected by"),
        ({"covariate": "sight"}, "Did you mean 'site'"),
        ({"covariate": "site"}, r"Expected the option value: .* 3 values \(back, face, leg\)"),
        ({"covariate": "site", "value": "bak"}, "Did you mean 'back'"),
        (BACK | {"setting": "reference"}, "Unknown setting"),
        (BACK | {"shortcut": -1.2}, "shortcut to be from -1 to 1"),
        (BACK | {"test": "balance"}, "test of select"),
        (BACK | {"prevalence": {"F": 0.5}}, "prevalence of 'M'"),
        (BACK | {"prevalence": {"F": 0.5, "M": 0.5, "N": 0.1}}, "Unknown group in prevalence"),
        (
            BACK | {"setting": "same", "shortcut": 0.98},
            r"would leave \d+ images of group F, target \d, (site back|another site) in the train "
            r"part of made, and the floor is 10\. The cell that limits it is group M, target \d, "
            r".*site.*, of \d+ images\. Ask for a weaker association or keep=images, or",
        ),
        (BACK | {"floor": 300}, "floor is 300"),
        (BACK | {"keep": "all"}, "Unknown keep of select"),
        (BACK | {"keep": "images", "prevalence": {"F": 0.5, "M": 0.5}}, "leave out prevalence"),
    ],
)
def test_what_cannot_be_selected_is_refused_in_words(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        select(table(), **options)


def test_a_cell_that_has_no_image_is_named() -> None:
    inner = table()
    frame = inner.frame[(inner.frame["site"] != "back") | (inner.frame["sex"] != "F")]
    few = replace(inner, frame=frame.reset_index(drop=True))
    with pytest.raises(InputError, match=r"0 images of group F, target 0, another site"):
        select(few, **BACK)


def test_a_share_of_nothing_needs_no_image() -> None:
    found = select(table(), **BACK, setting="same", shortcut=1.0)
    assert shares(found, "train") == {
        (0, False): 0.0, (0, True): 0.0, (1, False): 1.0, (1, True): 1.0
    }  # fmt: skip


def test_selected_images_are_the_inner_ones(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))
    inner = pictures(tmp_path / "files", 64)
    frame = inner.frame.assign(site=np.resize(["a", "a", "b", "b", "b", "a", "a", "b"], 64))
    frame = frame.assign(split=np.repeat(["train", "val", "test"], [40, 12, 12]))
    frame = frame.assign(cancer=np.random.default_rng(0).integers(0, 2, 64).astype(float))
    inner = replace(inner, frame=frame)
    options = {"covariate": "site", "value": "a", "setting": "none", "floor": 1, "test": "all"}
    before, _ = prepared_images(inner, 16)
    for seed in (0, 1):
        found = select(inner, **options, seed=seed)
        after, ok = prepared_images(found, 16)
        rows = pd.Index(frame["image_id"]).get_indexer(found.frame["image_id"])
        assert ok.all() and (after[:] == before[rows]).all()
        marked = planted(found, setting="none")
        where = (marked.frame["marker"] == "without").to_numpy()
        assert (prepared_images(marked, 16)[0][:][where] == before[rows][where]).all()
    assert len(list((tmp_path / "cache").iterdir())) <= 3 + 3  # with a lock file of each


def test_the_data_set_of_a_name() -> None:
    few = {"n_train": 900, "n_val": 200, "n_test": 200, "setting": "clean"}
    options: dict[str, Any] = {"covariate": "device", "value": "1", "shortcut": 0.5, "floor": 5}
    found = datasets.load("select", of="synthetic-cxr", inner=few, seed=3, **options)
    same = select(datasets.load("synthetic-cxr", seed=3, **few), **options, seed=3)
    assert found.fingerprint() == same.fingerprint()
    assert set(datasets.twin_changes(found)) == set(
        datasets.twin_changes(datasets.load("synthetic-cxr", seed=3, **few))
    )


def test_a_selection_of_planted_images_has_their_twins() -> None:
    few = {"n_train": 900, "n_val": 200, "n_test": 200, "setting": "clean"}
    inner: dict[str, Any] = {"of": "synthetic-cxr", "inner": few}
    options: dict[str, Any] = {
        "covariate": "marker",
        "value": "with",
        "setting": "none",
        "floor": 1,
    }
    found = datasets.load("select", of="planted", inner=inner, **options)
    assert sorted(datasets.twin_changes(found)) == ["marker_added", "marker_removed"]
    assert inner_twins({"of": "planted", "inner": inner})
    assert inner_twins({"of": "select", "inner": {"of": "planted"}})
    assert not inner_twins({"of": "ham10000"})
