"""Twins of any cohort whose drawing knows changes: what changes, what stays, what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fairthesis import datasets
from fairthesis.data import Cohort
from fairthesis.datasets import Change, twin, twin_changes, twin_scores
from fairthesis.errors import InputError

SMALL = {"n_train": 60, "n_val": 20, "n_test": 40}
NAMES = ("synthetic-cxr", "synthetic-derm")


def drawn(cohort: Cohort, size: int = 32) -> np.ndarray:
    assert cohort.render is not None
    return cohort.render(np.arange(len(cohort)), size).astype(int)


@pytest.mark.parametrize("name", NAMES)
def test_every_change_changes_the_images_it_applies_to_and_no_other(name: str) -> None:
    cohort = datasets.load(name, **SMALL)
    before, rows = drawn(cohort), np.arange(len(cohort))
    for change, about in twin_changes(cohort).items():
        other = twin(cohort, rows, change)
        changed = (drawn(other) != before).any(axis=(1, 2, 3))
        assert (changed == about.applies).all(), change
        assert about.applies.any()
        same = ["image_id", "patient_id", "split", "age_group"]
        assert other.frame[same].equals(cohort.frame[same])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", ["device", "disease"])
def test_what_is_added_and_removed_again_is_as_it_was(name: str, what: str) -> None:
    cohort = datasets.load(name, label_noise=0.3, **SMALL)
    lacking = np.flatnonzero(twin_changes(cohort)[f"{what}_added"].applies)
    there = twin(cohort, lacking, f"{what}_added")
    again = twin(there, np.arange(len(lacking)), f"{what}_removed")
    assert (drawn(again) == drawn(cohort)[lacking]).all()
    assert again.frame.equals(cohort.frame.iloc[lacking].reset_index(drop=True))


@pytest.mark.parametrize(("name", "target"), [(NAMES[0], "opacity"), (NAMES[1], "malignant")])
def test_a_twin_of_the_disease_is_labelled_as_it_is_drawn_and_errors_stay(
    name: str, target: str
) -> None:
    cohort = datasets.load(name, label_noise=0.4, **SMALL)
    frame = cohort.frame
    rows = np.flatnonzero(frame[f"clean_{target}"] == 1)
    other = twin(cohort, rows, "disease_removed").frame
    assert (other[f"clean_{target}"] == 0).all()
    wrong = frame[target] != frame[f"clean_{target}"]
    assert wrong.iloc[rows].any()
    assert ((other[target] != 0).to_numpy() == wrong.iloc[rows].to_numpy()).all()
    kept = frame.drop(columns=[target, f"clean_{target}"]).iloc[rows].reset_index(drop=True)
    assert other[kept.columns].equals(kept)


def test_the_disease_is_all_that_changes_in_a_picture_of_it() -> None:
    cohort = datasets.load("synthetic-cxr", **SMALL)
    rows = np.flatnonzero(cohort.frame["clean_opacity"] == 1)
    changed = drawn(twin(cohort, rows, "disease_removed"), 64) - drawn(cohort, 64)[rows]
    assert (changed <= 0).all()  # an opacity is brighter than lung, and noise stays
    assert (changed != 0).mean() < 0.1


def test_some_rows_of_a_cohort_have_the_same_twins() -> None:
    cohort = datasets.load("synthetic-cxr", **SMALL)
    rows = np.array([70, 3, 11, 20])
    some = cohort.take(rows)
    for change, about in twin_changes(some).items():
        assert about.applies.tolist() == twin_changes(cohort)[change].applies[rows].tolist()
        one, other = twin(some, [2, 0], change), twin(cohort, rows[[2, 0]], change)
        assert (drawn(one) == drawn(other)).all()
        assert one.frame.equals(other.frame)


def test_the_old_name_of_the_device_is_its_removal() -> None:
    cohort = datasets.load("synthetic-cxr", **SMALL)
    old, new = (twin(cohort, range(20), name) for name in ("device", "device_removed"))
    assert old.fingerprint() == new.fingerprint()
    _, scores = twin_scores(cohort, means, size=16, changes=["device", "device_removed"])
    assert list(scores) == ["device_removed"]


@dataclass(frozen=True)
class Spots:
    """A drawing of another package: grey images with a bright spot in some."""

    spot: np.ndarray

    def __call__(self, rows: np.ndarray, size: int) -> np.ndarray:
        images = np.full((len(rows), size, size, 1), 50, np.uint8)
        images[self.spot[rows], 0, 0] = 255
        return images

    @property
    def changes(self) -> dict[str, Change]:
        return {"marker_removed": Change("spot removed", self.spot)}

    def twin(
        self, rows: np.ndarray, change: str, frame: pd.DataFrame
    ) -> tuple[Spots, pd.DataFrame]:
        return Spots(np.zeros(len(rows), bool)), frame.assign(marker=0.0)


def spotted(n: int = 6) -> Cohort:
    ids = [str(k) for k in range(n)]
    frame = pd.DataFrame({"image_id": ids, "patient_id": ids, "split": "test"})
    spot = np.arange(n) % 2 == 0
    frame = frame.assign(y=1.0, sex="F", marker=spot.astype(float))
    return Cohort("spots", frame, ("y",), ("sex",), render=Spots(spot))


def means(images: np.ndarray) -> np.ndarray:
    return images.astype(float).mean(axis=(1, 2, 3))


def test_any_drawing_that_knows_changes_has_twins() -> None:
    cohort = spotted()
    scores, twins = twin_scores(cohort, means, size=8, batch_size=4)
    assert (scores > 50).tolist() == [True, False] * 3
    assert np.isnan(twins["marker_removed"]).tolist() == [False, True] * 3
    assert (twins["marker_removed"][::2] == 50).all()
    assert (twin(cohort, [0, 2], "marker_removed").frame["marker"] == 0).all()


def test_batches_do_not_change_scores_and_hold_no_more_images_than_asked() -> None:
    cohort, seen = datasets.load("synthetic-derm", **SMALL), []

    def score(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return np.stack([means(images), means(images) / 2], axis=1)

    few = twin_scores(cohort, score, size=16, batch_size=7)
    assert max(seen) == 7
    many = twin_scores(cohort, score, size=16)
    assert few[0].shape == (120, 2)
    assert (few[0] == many[0]).all()
    for name, values in few[1].items():
        np.testing.assert_array_equal(values, many[1][name])


def test_cohorts_without_twins_and_unknown_changes_are_refused() -> None:
    plain: Any = replace(spotted(), render=lambda r, s: np.zeros((len(r), s, s, 1), np.uint8))
    assert twin_changes(plain) == {} == twin_changes(plain.take(np.array([1])))
    for cohort in (plain, plain.take(np.array([1, 2]))):
        with pytest.raises(InputError, match="spots has no twins: expected a synthetic one"):
            twin(cohort, [0], "device")
        with pytest.raises(InputError, match="has no twins"):
            twin_scores(cohort, means, size=8)
    with pytest.raises(InputError, match=r"Unknown change of spots 'device'.*marker_removed"):
        twin_scores(spotted(), means, size=8, changes=["device"])


def test_a_file_may_say_by_its_options_whether_it_has_twins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fairthesis.datasets.loaders import ddi

    said = lambda options: options.get("of") == "synthetic-cxr"  # noqa: E731
    monkeypatch.setattr(ddi, "TWINS", said, raising=False)
    assert datasets.has_twins("ddi", {"of": "synthetic-cxr"})
    assert not datasets.has_twins("ddi", {"of": "ham10000"}) and not datasets.has_twins("ddi")


@pytest.mark.parametrize("name", datasets.DATASETS)
def test_a_data_set_says_whether_it_has_twins(name: str) -> None:
    said = datasets.has_twins(name)
    if name.startswith("synthetic-"):
        assert said == bool(twin_changes(datasets.load(name, **SMALL)))
