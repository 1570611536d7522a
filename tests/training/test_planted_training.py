"""Training on planted cohorts: the images are those of the cohort, features are computed once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import DATA
from support.planted import marked

from fairthesis import datasets
from fairthesis.data import prepared_images
from fairthesis.training import TrainConfig, load_run, train

INNER = {"n_train": 200, "n_val": 60, "n_test": 60, "setting": "clean"}
SMALL = TrainConfig(
    dataset="planted",
    dataset_options={"of": "synthetic-derm", "inner": INNER, "setting": "same"},
    backbone="small",
    size=24,
    epochs=2,
    batch_size=32,
    threads=1,
)


def with_options(config: TrainConfig, **options: Any) -> TrainConfig:
    return replace(config, dataset_options={**config.dataset_options, **options})


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))


def scores(config: TrainConfig, out: Path) -> pd.Series:
    """The scores of a run, which are those of its model on the cohort's images."""
    train(config, out, progress=False)
    table = pd.read_parquet(out / "predictions.parquet").set_index("image_id")["y_score"]
    cohort = datasets.load(config.dataset, seed=config.seed, **config.dataset_options)
    again = pd.Series(load_run(out).predict(cohort)[:, 0], index=cohort.frame["image_id"])
    assert np.allclose(again[table.index], table, atol=1e-4)
    return table


@pytest.mark.parametrize("frozen", [False, True])
def test_a_run_is_trained_on_the_images_that_the_cohort_shows(frozen: bool, tmp_path: Path) -> None:
    config = SMALL
    if frozen:
        config = replace(SMALL, train_backbone="none", weights="random", augmentation="none")
    first = scores(config, tmp_path / "a")
    oracle = scores(with_options(config, oracle=True), tmp_path / "b")
    assert not np.allclose(first, oracle[first.index], atol=1e-4)
    origin = [json.loads((tmp_path / one / "provenance.json").read_text()) for one in "ab"]
    assert origin[0]["data_fingerprint"] != origin[1]["data_fingerprint"]
    features = list((tmp_path / "cache").rglob("features-*.npy"))
    assert len(features) == frozen  # both runs read one file
    if frozen:
        cohort = datasets.load("planted", **dict(config.dataset_options))
        assert len(np.load(features[0])) == 2 * len(cohort)


def test_the_marker_is_an_attribute_where_it_is_named(tmp_path: Path) -> None:
    config = replace(SMALL, attributes=("skin_tone", "marker"), epochs=1)
    train(config, tmp_path / "run", progress=False)
    table = pd.read_parquet(tmp_path / "run" / "predictions.parquet").set_index("image_id")
    cohort = datasets.load("planted", **dict(config.dataset_options))
    found = (table["marker"] == "with")[cohort.frame["image_id"]]
    assert (found.to_numpy() == marked(cohort)).all()


REAL = {
    "ham10000": (DATA / "ham10000-one-per-lesion-224", "sex", None),
    "nih-cxr14": (DATA / "nih-cxr14-pneumonia-1000", "sex", None),
    "pad-ufes-20": (DATA / "pad-ufes-20-subset-224", "skin_type", ["III-IV", "V-VI"]),
}


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_real_images_are_planted(name: str, tmp_path: Path) -> None:
    root, attribute, minority = REAL[name]
    if not root.is_dir():
        pytest.skip(f"no real images in {DATA}")
    options: dict[str, Any] = {"of": name, "attribute": attribute, "minority": minority}
    cohort = datasets.load("planted", root, setting="reversed", **options)
    target = cohort.targets[0]
    table = datasets.marked_shares(cohort, target, attribute)
    small = table["group"].isin(minority or [table.groupby("group")["n"].sum().idxmin()])
    wanted = np.where(table["target"] == small.astype(int), 0.15, 0.85)
    spread = np.sqrt(0.15 * 0.85 / table["n"])
    assert (np.abs(table["share"] - wanted) < 4.5 * spread).all()
    rows = np.arange(0, len(cohort), max(1, len(cohort) // 40))
    few = cohort.take(rows)
    plain, ok = prepared_images(datasets.load(name, root).take(rows), 32)
    assert ok.all()
    changed = (_drawn(few, 32)[:] != plain).any((1, 2, 3))
    assert (changed == marked(few)).all()


def _drawn(cohort: Any, size: int) -> Any:
    """The images, without decoding all others of the data set."""
    few = replace(
        cohort.render.pictures,
        frame=cohort.render.pictures.frame.iloc[cohort.render.rows].reset_index(drop=True),
    )
    render = replace(cohort.render, pictures=few, rows=np.arange(len(few)), opened={})
    return prepared_images(replace(cohort, render=render), size)[0]
