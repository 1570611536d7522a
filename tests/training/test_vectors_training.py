"""Every method trains on vectors; what an encoder would have to forget falls to the floor."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from fairthesis import load_run
from fairthesis.data import Cohort, Vectors
from fairthesis.errors import InputError
from fairthesis.methods import METHODS
from fairthesis.metrics import auroc
from fairthesis.models import FairEncoder
from fairthesis.training import TrainConfig, train

SMALL = {"dataset": "embeddings", "backbone": "none", "batch_size": 64, "threads": 1}


def cohort(n=1500, width=24, seed=0, scale=1.0):
    """Labels in one direction, groups in another, the device of a group in a third."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, n // 2, n)
    group = who % 2
    y = rng.random(n) < 0.3
    x = rng.normal(size=(n, width))
    x[:, 0] += 1.5 * y
    x[:, 1] += 3.0 * group
    x *= scale * rng.uniform(0.05, 20, width)
    frame = pd.DataFrame({"image_id": [f"i{k}" for k in range(n)]})
    frame["patient_id"] = [f"p{w}" for w in who]
    frame["split"] = np.where(who % 5 == 0, "test", np.where(who % 5 == 1, "val", "train"))
    frame["cancer"], frame["sex"] = y.astype(float), np.where(group == 1, "F", "M")
    vectors = Vectors(x.astype(np.float32), np.arange(n), f"{seed} {scale}")
    return Cohort("vectors", frame, ("cancer",), ("sex",), vectors=vectors)


def run(tmp_path, data=None, name="run", **options):
    config = TrainConfig(**(SMALL | {"epochs": 3} | options))
    return train(config, tmp_path / name, cohort=data or cohort(), progress=False)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_on_vectors(method, tmp_path):
    size = {"disease_dim": 64, "disease_norm": "batch"} if method == "orthogonal" else {}
    found = pd.read_parquet(run(tmp_path, method=method, epochs=12, **size) / "predictions.parquet")
    test = found[found["split"] == "test"]
    assert auroc(test["y_true"], test["y_score"]) > 0.75


@pytest.mark.parametrize(
    "options",
    [
        {"averaging": "ema"},
        {"averaging": "swad", "epochs": 6},
        {"selection": "worst_group"},
        {"selection": "pareto"},
        {"selection": "min_leakage"},
        {"disease_norm": "batch", "precision": "bfloat16"},
    ],
    ids=str,
)
def test_selection_and_averaging_take_vectors_as_they_take_images(options, tmp_path):
    found = pd.read_parquet(run(tmp_path, **options) / "predictions.parquet")
    test = found[found["split"] == "test"]
    assert auroc(test["y_true"], test["y_score"]) > 0.75


def test_numbers_of_any_scale_are_the_same_to_the_heads(tmp_path):
    tables = [
        pd.read_parquet(run(tmp_path, cohort(scale=s), f"{s}") / "predictions.parquet")
        for s in (1.0, 1024.0)  # a power of two, so that no digit is lost
    ]
    np.testing.assert_allclose(tables[0]["y_score"], tables[1]["y_score"], atol=1e-6)


def test_the_standards_are_those_of_the_training_part(tmp_path):
    data = cohort()
    model = load_run(run(tmp_path, data)).model
    rows = np.flatnonzero(data.frame["split"] == "train")
    x = data.vectors[rows].astype(np.float64)
    np.testing.assert_allclose(model.shared_encoder.mean, x.mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.shared_encoder.deviation, x.std(0), rtol=1e-4)


def test_a_killed_run_on_vectors_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch):
    from fairthesis.training import _train as module

    whole = run(tmp_path, name="whole", method="adversarial", epochs=12)
    seen = []

    def stop(*given):
        seen.append(given)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return original(*given)

    original = module.save_state
    monkeypatch.setattr(module, "save_state", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, name="cut", method="adversarial", epochs=12)
    monkeypatch.setattr(module, "save_state", original)
    again = run(tmp_path, name="cut", method="adversarial", epochs=12)
    for name in ("predictions.parquet", "embeddings.parquet", "model.safetensors"):
        assert (whole / name).read_bytes() == (again / name).read_bytes()


def test_nothing_is_augmented_and_the_configuration_says_so(tmp_path):
    config = json.loads((run(tmp_path) / "config.json").read_text())
    assert config["augmentation"] == "none" and config["backbone"] == "none"
    with pytest.raises(InputError, match="cannot be augmented"):
        TrainConfig(**SMALL, augmentation="mirrored")


def test_vectors_and_images_are_not_confused(tmp_path):
    with pytest.raises(InputError, match="expected backbone none"):
        run(tmp_path, backbone="small")
    images = TrainConfig(backbone="none", size=16, epochs=1)
    with pytest.raises(InputError, match="has images: choose a backbone"):
        train(images, tmp_path / "images", progress=False)
    assert not (tmp_path / "images").exists()


def test_a_model_of_vectors_says_what_it_needs():
    with pytest.raises(InputError, match="expected a width"):
        FairEncoder("none")
    with pytest.raises(InputError, match="expected no width"):
        FairEncoder("small", width=12)
    with pytest.raises(InputError, match="nothing to load or to freeze"):
        FairEncoder("none", width=12, weights="IMAGENET1K_V1")
    disease, sensitive = FairEncoder("none", width=12).eval()(torch.rand(4, 12))
    assert disease.shape == (4, 128) and sensitive.shape == (4, 64)


def test_tables_that_are_written_in_parts_are_the_same_table(tmp_path, monkeypatch):
    """And a model that diverges in a later part leaves no half of a table."""
    from fairthesis.training import _export as exporting

    whole = run(tmp_path, name="whole", epochs=1)
    monkeypatch.setattr(exporting, "PART", 256)
    parts = run(tmp_path, name="parts", epochs=1)
    for name in ("embeddings.parquet", "predictions.parquet"):
        one, other = (pd.read_parquet(folder / name) for folder in (whole, parts))
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert pq.ParquetFile(whole / "embeddings.parquet").num_row_groups == 1
    assert pq.ParquetFile(parts / "embeddings.parquet").num_row_groups == 6
    plain, seen = exporting.infer_cohort, []

    def diverging(method, table, rows, batch_size, device):
        seen.append(len(rows))
        if len(seen) == 3:
            raise FloatingPointError("a model's score is not finite")
        return plain(method, table, rows, batch_size, device)

    monkeypatch.setattr(exporting, "infer_cohort", diverging)
    with pytest.raises(InputError, match="score is not finite"):
        run(tmp_path, name="third", epochs=1)
    left = {path.name for path in (tmp_path / "third").iterdir()}
    assert "embeddings.parquet" not in left and "DONE" not in left
    assert not [name for name in left if "partial" in name]
