"""Folds by patient: every image tested once in a repeat, nobody in two parts, and refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.planted import pictures, table

from fairthesis import datasets
from fairthesis.data import Cohort, cache_folder, folds_by_patient, prepared_images
from fairthesis.datasets import fold_of
from fairthesis.errors import InputError

DATA = Path(__file__).parents[3] / "shared" / "data"
K = 5


def folds(cohort: Cohort, **options: object) -> list[Cohort]:
    return [fold_of(cohort, k=K, fold=fold, **options) for fold in range(K)]  # type: ignore[arg-type]


def in_test(cohorts: list[Cohort]) -> pd.DataFrame:
    """Which image is in the test part of which fold."""
    return pd.concat([one.frame["split"] == "test" for one in cohorts], axis=1)


def test_every_image_is_tested_once_in_a_repeat_and_nobody_is_in_two_parts() -> None:
    inner = table(2000)
    for repeat in (0, 7):
        found = folds(inner, repeat=repeat)
        assert (in_test(found).sum(axis=1) == 1).all()
        for one in found:  # the cohort itself refuses a patient in two parts
            assert one.frame["split"].value_counts(normalize=True).round(2).to_dict() == {
                "train": 0.6, "val": 0.2, "test": 0.2,
            }  # fmt: skip
    first, second = (in_test(folds(inner, repeat=repeat)).to_numpy() for repeat in (0, 1))
    together = (first.astype(int).T @ second.astype(int)) / len(inner)
    assert together == pytest.approx(np.full((K, K), 1 / K**2), abs=0.02)  # dealt anew


def test_the_strata_are_spread_evenly() -> None:
    inner = table(2000)
    for one in folds(inner, strata=["cancer", "sex", "site"]):
        cells = one.frame.groupby(["cancer", "sex", "site", "split"]).size().unstack("split")
        assert (cells["test"] / cells.sum(axis=1)).between(0.14, 0.26).all()
        assert (cells["val"] / cells.sum(axis=1)).between(0.14, 0.26).all()


def test_the_deal_does_not_depend_on_the_order_of_rows_nor_on_the_split_before() -> None:
    inner = table(400)
    order = np.random.default_rng(0).permutation(len(inner))
    mixed = replace(inner, frame=inner.frame.iloc[order].reset_index(drop=True).assign(split="val"))
    one, other = (fold_of(c, fold=2).frame.set_index("image_id")["split"] for c in (inner, mixed))
    assert one.sort_index().equals(other.sort_index())


def test_what_shares_a_lesion_stays_together() -> None:
    inner = table(600)
    pairs = np.arange(600) // 4  # a lesion of two patients
    joined = replace(inner, frame=inner.frame.assign(lesion_id=pairs.astype(str)))
    for one in folds(joined):
        assert one.frame.groupby("lesion_id")["split"].nunique().max() == 1
    assert fold_of(inner).frame["split"].groupby(pairs).nunique().max() > 1


def test_a_seed_is_a_fold_of_a_repeat() -> None:
    options = {"of": "synthetic-derm", "inner": {"n_train": 200, "n_val": 60, "n_test": 60}}
    cohorts = [datasets.load("folds", seed=seed, k=4, **options) for seed in range(8, 12)]
    assert all(one.frame["image_id"].equals(cohorts[0].frame["image_id"]) for one in cohorts)
    assert all(one.frame["malignant"].equals(cohorts[0].frame["malignant"]) for one in cohorts)
    assert (in_test(cohorts).sum(axis=1) == 1).all()
    named = datasets.load("folds", seed=2, k=4, fold=3, **options)
    assert named.frame["split"].equals(cohorts[3].frame["split"])  # 11 = 2 * 4 + 3


def test_all_folds_and_repeats_read_one_cache(tmp_path: Path) -> None:
    inner = pictures(tmp_path, 24)
    images = [prepared_images(fold_of(inner, k=2, fold=f), 16, tmp_path / "c")[0] for f in (0, 1)]
    assert (np.asarray(images[0]) == np.asarray(images[1])).all()
    assert len(list((tmp_path / "c").iterdir())) == 1
    assert cache_folder(inner, 16, tmp_path / "c").name not in {
        path.name for path in (tmp_path / "c").iterdir()
    }  # which knows neither labels nor split
    fingerprints = {fold_of(inner, k=2, fold=f).fingerprint() for f in (0, 1)}
    assert len(fingerprints) == 2


def own_table(root: Path, split: bool) -> dict[str, object]:
    """A CSV cohort of 40 patients, with or without a split of its own."""
    inner = pictures(root, 80)
    frame = inner.frame.rename(columns={"path": "file", "patient_id": "pid"})
    if split:
        frame["split"] = np.where(np.arange(80) < 60, "train", "test")
    else:
        frame = frame.drop(columns="split")
    frame.to_csv(root / "images.csv", index=False)
    options = {"table": "images.csv", "image": "file", "patient": "pid", "targets": ["cancer"]}
    return {**options, "attributes": ["sex"], **({"split": "split"} if split else {})}


def test_csv_cohorts_have_folds_and_an_official_test_part_is_never_broken_up_silently(
    tmp_path: Path,
) -> None:
    inner = own_table(tmp_path, split=False)
    found = datasets.load("folds", tmp_path, of="csv", inner=inner, k=4, seed=4)
    assert (found.frame["split"] == "test").sum() == 20
    inner = own_table(tmp_path, split=True)
    with pytest.raises(InputError, match=r"brings a test part of its own.*official=leave-out"):
        datasets.load("folds", tmp_path, of="csv", inner=inner, k=4)
    options = {"of": "csv", "inner": inner, "k": 3, "official": "leave-out"}
    out = [datasets.load("folds", tmp_path, seed=seed, **options) for seed in range(3)]
    assert (in_test(out).sum(axis=1) == 1).all() and len(out[0]) == 60
    assert out[0].left_out["image of the official test part"] == 20
    dealt = datasets.load("folds", tmp_path, of="csv", inner=inner, k=4, official="deal")
    assert len(dealt) == 80


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"fold": 5}, r"fold to be from 0 to 4 \(k = 5\), but got 5"),
        ({"k": 1, "fold": 0}, "2 folds or more"),
        ({"validation": 1.0}, "validation to be between 0 and 1"),
        ({"strata": ["tone"]}, "tone"),
        ({"official": "drop"}, "Unknown official of folds 'drop'"),
        ({"k": 400}, "200 patients .* cannot be dealt into 400 folds"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        fold_of(table(400), **options)  # type: ignore[arg-type]


def test_a_fold_without_cases_is_refused_with_the_counts() -> None:
    inner = table(400)
    rare = np.zeros(400)
    rare[:6] = 1  # three patients
    few = replace(inner, frame=inner.frame.assign(cancer=rare))
    with pytest.raises(InputError, match=r"has 0 images with cancer .* 3 patients have it"):
        fold_of(few, k=5)


def test_folds_of_equal_size_even_where_patients_have_many_images() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"patient_id": rng.geometric(0.01, 3000).astype(str)})
    frame["y"] = rng.integers(0, 2, 3000)
    fold = folds_by_patient(frame, strata=["y"], k=5, seed=3)
    assert pd.Series(fold).groupby(frame["patient_id"]).nunique().max() == 1
    assert np.bincount(fold).min() > 500


@pytest.mark.data
@pytest.mark.parametrize(
    ("of", "folder"),
    [("ham10000", "ham10000-one-per-lesion-224"), ("pad-ufes-20", "pad-ufes-20-subset-224"),
     ("nih-cxr14", "nih-cxr14-pneumonia-1000")],
)  # fmt: skip
def test_real_cohorts_are_tested_once(of: str, folder: str) -> None:
    if not (DATA / folder).is_dir():
        pytest.skip(f"{folder} is not in ../shared/data")
    found = [datasets.load("folds", DATA / folder, of=of, k=3, seed=seed) for seed in range(3)]
    assert (in_test(found).sum(axis=1) == 1).all()
