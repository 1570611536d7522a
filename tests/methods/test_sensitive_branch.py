"""The sensitive branch: what it reads, which way its steps go, and that nothing else moves."""

import dataclasses

import pandas as pd
import pytest
import torch
from support.batches import changed, make_batch, snapshot

from fairthesis.errors import InputError
from fairthesis.methods import (
    METHODS,
    Setting,
    conditional_hsic,
    subgroup_probabilities,
    target_hsic,
)
from fairthesis.models import FairEncoder
from fairthesis.training import TrainConfig, load_run, train

HALF = ("shared_encoder", "disease_head", "disease_norm", "disease_classifier")
FEW = {"n_train": 96, "n_val": 48, "n_test": 48}


def made(batch, name="erm", branch="own", hsic=0.0, **options):
    torch.manual_seed(0)
    model = FairEncoder(
        "small", channels=1, disease_dim=4, sensitive_dim=4, groups=(2,),
        disease_norm="whitening", sensitive_branch=branch,
    )  # fmt: skip
    subgroups = tuple(subgroup_probabilities(batch.targets, a, 2) for a in batch.attributes.T)
    labels = (batch.targets, batch.attributes)
    setting = Setting(1e-3, 1e-4, 20, 0, subgroups, *labels, sensitive_hsic=hsic)
    return METHODS[name](model, METHODS[name].Options(**options), setting)


@torch.no_grad()
def dependence(method, batch):
    """Of the sensitive embedding, in training mode, on the target given the attribute."""
    method.train()
    s = method.model(batch.images)[1]
    return float(target_hsic(s, batch.targets[:, 0], batch.attributes[:, 0]))


@pytest.mark.parametrize(("name", "options"), [("erm", {}), ("adversarial", {"warmup_epochs": 0})])
def test_the_disease_half_is_the_same_bit_for_bit(name, options):
    batch, halves = make_batch(), []
    for branch, hsic in (("detached", 0.0), ("own", 0.0), ("own", 5.0)):
        method = made(batch, name, branch, hsic, **options)
        method.at(10.0, 1.0)
        for _ in range(4):
            method.update(batch)
        state = method.model.state_dict()
        halves.append({k: v for k, v in state.items() if k.split(".")[0] in HALF})
    for key, value in halves[0].items():
        assert torch.equal(value, halves[1][key]) and torch.equal(value, halves[2][key]), key


def test_only_the_branch_moves_when_it_is_trained_and_all_of_it_does():
    batch = make_batch()
    method = made(batch, hsic=5.0)
    method.train()
    before, features = snapshot(method.model), method.model.features(batch.images).detach()
    loss, _ = method.sensitive_loss(features, batch)
    method.descend(loss, "sensitive")
    moved = {name.split(".")[0] for name in changed(before, method.model)}
    assert moved == {"sensitive_encoder", "sensitive_head", "sensitive_classifiers"}


def test_the_penaltys_steps_lower_the_dependence_on_the_disease():
    """The branch starts on images that show label and group; both are there to be taken."""
    batch = make_batch(n=256)
    values = []
    for hsic in (0.0, 20.0):
        method = made(batch, hsic=hsic)
        method.at(0.0, 1.0)
        start = dependence(method, batch)
        losses = [method.update(batch)["sensitive_loss"] for _ in range(25)]
        values.append(dependence(method, batch))
        assert losses[-1] < losses[0]
    assert start > 0.02 and values[1] < 0.3 * start
    assert values[1] < values[0]


def test_one_step_down_the_penalty_alone_lowers_it():
    batch = make_batch(n=256)
    method = made(batch)
    method.at(0.0, 0.01)  # a short step: the direction is asked for
    before = dependence(method, batch)
    s = method.model(batch.images)[1]
    method.descend(target_hsic(s, batch.targets[:, 0], batch.attributes[:, 0]), "sensitive")
    assert dependence(method, batch) < before


def test_the_dependence_is_the_other_one_with_label_and_group_exchanged():
    g = torch.Generator().manual_seed(1)
    s, y = torch.randn(200, 3, generator=g), torch.randint(0, 2, (200,), generator=g)
    a = torch.randint(0, 2, (200,), generator=g)
    s[:, 0] += y
    found = target_hsic(s, y.float(), a)
    assert float(found) == pytest.approx(float(conditional_hsic(s, y, 2, a.float())))
    holes = y.float()
    holes[::3] = torch.nan
    unknown = torch.where(torch.arange(200) % 5 == 0, -1, a)
    kept = ~torch.isnan(holes) & (unknown >= 0)
    part = target_hsic(s[kept], y.float()[kept], a[kept])
    assert float(target_hsic(s, holes, unknown)) == pytest.approx(float(part), rel=1e-4)
    assert float(target_hsic(s, torch.zeros(200), a)) == 0  # one class alone


def test_a_run_is_what_it_was_where_nothing_is_asked():
    plain = TrainConfig()
    assert not {"sensitive_branch", "sensitive_hsic"} & set(plain.to_dict())
    asked = dataclasses.replace(plain, sensitive_branch="own", sensitive_hsic=5.0)
    assert asked.to_dict()["sensitive_branch"] == "own"
    keys = FairEncoder("small", channels=1).state_dict()
    assert not [key for key in keys if key.startswith("sensitive_encoder")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sensitive_branch": "owm"}, "Unknown sensitive_branch 'owm'"),
        ({"sensitive_branch": "own", "backbone": "none"}, "own reads images"),
        (
            {"sensitive_branch": "own", "train_backbone": "none", "weights": "random"},
            "own reads images",
        ),
        ({"sensitive_hsic": -1.0}, "sensitive_hsic"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**change)


def test_a_run_with_a_branch_is_read_again_and_embeds_alike(tmp_path, monkeypatch):
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))
    config = TrainConfig(
        dataset_options=FEW, backbone="small", size=16, epochs=1, batch_size=32, threads=1,
        sensitive_branch="own", sensitive_dim=4, sensitive_hsic=1.0,
    )  # fmt: skip
    folder = train(config, tmp_path / "run", progress=False)
    run = load_run(folder)
    assert run.model.sensitive_encoder is not None
    kept = pd.read_parquet(folder / "embeddings.parquet")
    assert kept.filter(like="sensitive_").shape == (192, 4)
    with pytest.raises(InputError, match="more images than sensitive_dim"):
        train(dataclasses.replace(config, sensitive_dim=64), tmp_path / "wide", progress=False)
