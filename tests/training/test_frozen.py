"""Backbones that are frozen, or of which the last stage learns: what moves, and what does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from fairthesis import datasets
from fairthesis.errors import InputError
from fairthesis.models import FairEncoder, norm_layers
from fairthesis.training import TrainConfig, load_run, predict_twins, train
from fairthesis.training import _train as training_loop

FEW = {"n_train": 96, "n_val": 48, "n_test": 48}
SMALL = TrainConfig(
    dataset_options=FEW, backbone="small", size=24, epochs=2, batch_size=32, threads=1
)
FROZEN = replace(SMALL, train_backbone="none", weights="random")
LAST = replace(SMALL, train_backbone="last", weights="random")
OTHER = {"backbone": "torchvision:squeezenet1_1", "size": 32, "weights": "random"}


def trained(config: TrainConfig, out: Path) -> Path:
    return train(config, out, progress=False)


def start(config: TrainConfig) -> dict[str, torch.Tensor]:
    """The state of the backbone that a run of this seed begins with."""
    torch.manual_seed(config.seed)
    model = FairEncoder(
        config.backbone, channels=1, disease_dim=4, disease_norm="whitening", size=config.size,
        train_backbone=config.train_backbone, groups=(2,),
    )  # fmt: skip
    return {k: v for k, v in model.state_dict().items() if k.startswith("shared_encoder.")}


def moved(config: TrainConfig, out: Path) -> set[str]:
    """The names of the backbone's numbers that differ from the run's start."""
    before, after = start(config), load_file(trained(config, out) / "model.safetensors")
    return {k for k, v in before.items() if not torch.equal(v, after[k])}


@pytest.mark.parametrize("averaging", ["none", "ema", "swad"])
def test_what_is_frozen_stays_and_what_is_open_learns(averaging: str, tmp_path: Path) -> None:
    standards = {f"shared_encoder.standardise.{name}" for name in ("mean", "deviation")}
    assert moved(replace(FROZEN, averaging=averaging), tmp_path / "none") == standards
    last = moved(replace(LAST, averaging=averaging), tmp_path / "last")
    places = {name.split(".")[1] for name in last}
    assert places == {"17", "18"}  # its last convolution and the norm behind it
    assert any("running_mean" in name for name in last)
    everything = moved(replace(SMALL, averaging=averaging), tmp_path / "all")
    assert {name.split(".")[1] for name in everything} > places
    origin = json.loads((tmp_path / "last" / "provenance.json").read_text())
    assert origin["open_parts_of_backbone"] == ["17", "18"]


@pytest.mark.parametrize(
    "config",
    [FROZEN, LAST, replace(FROZEN, **OTHER), replace(LAST, **OTHER), replace(SMALL, **OTHER)],
    ids=["frozen", "last", "frozen-other", "last-other", "whole-other"],
)
def test_the_run_is_a_model_of_images(config: TrainConfig, tmp_path: Path) -> None:
    run = load_run(trained(config, tmp_path / "run"))
    kept = pd.read_parquet(tmp_path / "run" / "predictions.parquet")["y_score"].to_numpy()
    scores = run.predict(datasets.load("synthetic-cxr", **FEW))[:, 0]  # type: ignore[arg-type]
    assert (scores == kept).all() and scores.std() > 0
    assert run.model.train_backbone == config.train_backbone


def test_features_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    whole = FairEncoder.backbone_features

    def counted(self: FairEncoder, images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        return whole(self, images)

    monkeypatch.setattr(FairEncoder, "backbone_features", counted)
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))
    trained(FROZEN, tmp_path / "a")
    assert sum(calls) == 256  # 192 images in batches of 128, the last filled up; not once an epoch
    trained(replace(FROZEN, method="reweighted"), tmp_path / "b")
    assert sum(calls) == 256
    trained(replace(FROZEN, seed=1), tmp_path / "c")  # other random weights, other images
    assert sum(calls) == 512
    file = next((tmp_path / "cache").rglob("features-*.npy"))
    file.write_bytes(file.read_bytes()[:50])  # a torn file is no cache
    for other in (tmp_path / "cache").rglob("features-*.npy"):
        if other != file:
            other.unlink()
    trained(replace(FROZEN, seed=0), tmp_path / "d")
    assert sum(calls) > 512


def test_a_state_holds_what_training_changes_and_no_frozen_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed after its first epoch ends as one that was not, to the bit."""
    config = replace(FROZEN, epochs=3)
    whole = load_file(train(config, tmp_path / "whole", progress=False) / "model.safetensors")
    first: list[dict[str, torch.Tensor]] = []
    save = training_loop.save_state

    def killed(place: Any, method: Any, state: Any) -> None:
        save(place, method, state)
        first.append(torch.load(place.path / "state.pt", weights_only=False)["method"]["module"])
        raise KeyboardInterrupt

    monkeypatch.setattr(training_loop, "save_state", killed)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", progress=False)
    frozen = "model.shared_encoder.net."
    assert not [name for name in first[0] if name.startswith(frozen)]
    learned = {name for name in whole if not f"model.{name}".startswith(frozen)}
    assert learned <= {name.removeprefix("model.") for name in first[0]}
    monkeypatch.setattr(training_loop, "save_state", save)
    again = load_file(train(config, tmp_path / "run", progress=False) / "model.safetensors")
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)


@pytest.mark.parametrize(
    "method", ["adversarial", "alternating", "projection", "jtt", "last_layer"]
)
def test_methods_train_the_heads_alone(method: str, tmp_path: Path) -> None:
    config = replace(FROZEN, method=method, epochs=10)
    assert all("standardise" in name for name in moved(config, tmp_path / "run"))
    standards = load_file(tmp_path / "run" / "model.safetensors")
    assert standards["shared_encoder.standardise.deviation"].std() > 0  # fitted, and kept
    torch.manual_seed(0)
    assert (moved(replace(LAST, method=method, epochs=10), tmp_path / "last")) <= {
        name for name in start(LAST) if name.split(".")[1] in ("17", "18")
    }


def test_frozen_norms_stay_in_evaluation() -> None:
    for part, learning in (("none", 0), ("last", 1), ("all", 6)):
        model = FairEncoder("small", channels=1, train_backbone=part).train()
        assert sum(norm.training for norm in norm_layers(model.shared_encoder)) == learning
        assert model.disease_norm.training
        assert not any(module.training for module in model.eval().modules())


def test_a_backbone_trained_whole_is_configured_as_ever() -> None:
    assert "train_backbone" not in SMALL.to_dict() and "train_backbone" in LAST.to_dict()
    folder = TrainConfig(backbone="hf:/home/jane/dinov2", weights="pretrained")
    assert folder.described()["backbone"] == "hf:dinov2"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"train_backbone": "first"}, "Unknown train_backbone 'first'"),
        ({"train_backbone": "none"}, "Give weights: a file, a name, or 'random'"),
        ({"train_backbone": "last"}, "Give weights: a file, a name, or 'random'"),
        ({"train_backbone": "none", "weights": "random", "augmentation": "mirrored"},
         "Features of a frozen backbone cannot be augmented"),
        ({"train_backbone": "none", "backbone": "none"}, "Vectors have no backbone"),
        ({"backbone": "tim:resnet18"}, "Or one of another library: timm:NAME"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant(given: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(SMALL, **given)


def test_a_size_that_the_backbone_cannot_take_writes_nothing(tmp_path: Path) -> None:
    config = replace(SMALL, backbone="torchvision:vit_b_16", size=32)
    with pytest.raises(InputError, match="cannot take an image of 3 channels and 32 x 32 pixels"):
        trained(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_features_are_standardised_by_the_training_part(tmp_path: Path) -> None:
    run = load_run(trained(FROZEN, tmp_path / "run"))
    cohort = datasets.load("synthetic-cxr", **FEW)  # type: ignore[arg-type]
    rows = np.flatnonzero(cohort.frame["split"] == "train")
    images = torch.from_numpy(cohort.render(rows, 24)).permute(0, 3, 1, 2).float() / 255  # type: ignore[misc]
    with torch.no_grad():
        z = run.model.features(images)
    torch.testing.assert_close(z.mean(0), torch.zeros(64), atol=1e-4, rtol=0)
    deviations = z.std(0, correction=0)
    assert bool(((deviations - 1).abs() < 1e-3).logical_or(deviations < 1e-4).all())


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images go through a backbone, call by call."""
    seen: list[int] = []
    encoded = FairEncoder.backbone_features

    def counted(self: FairEncoder, images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return encoded(self, images)

    monkeypatch.setattr(FairEncoder, "backbone_features", counted)
    return seen


@pytest.mark.parametrize("dataset", ["planted", "synthetic-cxr"])
def test_kept_features_are_read_and_change_nothing(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))
    options = {"of": "synthetic-cxr", "inner": FEW} if dataset == "planted" else FEW
    config = replace(FROZEN, dataset=dataset, dataset_options=options, epochs=1)
    run = load_run(trained(config, tmp_path / "run"))
    cohort = datasets.load(dataset, seed=config.seed, **options)
    tested = np.flatnonzero(cohort.frame["split"] == "test")
    seen = _counted(monkeypatch)

    def found() -> tuple[list[Any], int]:
        seen.clear()
        whole, part = run.outputs(cohort), run.features(cohort.take(tested))
        twins = predict_twins(run, cohort, progress=False).filter(like="score")
        twins = twins.join(predict_twins(run, cohort, progress=False).filter(like="twin_"))
        return [*whole, part, twins.to_numpy()], sum(seen)

    kept, through = found()
    for file in (tmp_path / "cache").rglob("features-*.npy"):
        file.unlink()
    computed, all_through = found()
    for a, b in zip(kept, computed, strict=True):
        np.testing.assert_array_equal(a, b)
    # A drawing's twins are other images, and some of its images another cohort.
    assert through < all_through and (through == 0 or dataset == "synthetic-cxr")
    assert run.outputs(torch.rand(2, 1, 24, 24)).scores.shape == (2, 1)  # images as ever


def test_features_of_other_images_are_not_taken_for_a_cohorts(tmp_path: Path) -> None:
    run = load_run(trained(FROZEN, tmp_path / "run"))
    cohort = datasets.load("synthetic-cxr", seed=FROZEN.seed, **FEW)
    other = datasets.load("synthetic-cxr", seed=FROZEN.seed + 1, **FEW)
    assert not np.allclose(run.features(other), run.features(cohort))
    rows = np.arange(len(cohort))[::-1]
    assert np.array_equal(run.features(cohort.take(rows)), run.features(cohort)[rows])
