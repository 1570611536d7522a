"""Averages of weights: closed forms, fresh statistics, and a resumed run that is the same."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from support.batches import make_method, many_sided_cohort
from support.runs import BASE, same_runs
from torch import nn

from fairthesis.errors import InputError
from fairthesis.models import (
    CONVERGED,
    EMA,
    SWAD,
    TOLERATED,
    estimate_statistics,
    set_weights,
    valley,
    weights_of,
)
from fairthesis.training import TrainConfig, augment, in_batches, make_table, train
from fairthesis.training import _train as module
from fairthesis.training._validation import use_average

SMALL = dataclasses.replace(BASE, epochs=5)


def walk(steps, seed=0):
    """A linear layer that takes random steps; yields it with its weights so far."""
    model = nn.Linear(3, 2)
    g = torch.Generator().manual_seed(seed)
    seen = []
    for _ in range(steps):
        weights = {n: torch.randn(v.shape, generator=g) for n, v in model.named_parameters()}
        set_weights(model, weights)
        seen.append(weights)
        yield model, seen


def test_ema_is_the_bias_corrected_sum():
    ema, decay = EMA(0.9), 0.9
    for t, (model, seen) in enumerate(walk(12), 1):
        ema.step(model)
        shares = np.array([(1 - decay) * decay ** (t - i) for i in range(1, t + 1)])
        shares /= 1 - decay**t
        assert shares.sum() == pytest.approx(1)
        for name, value in ema.average().items():
            expected = sum(float(w) * s[name] for w, s in zip(shares, seen, strict=True))
            torch.testing.assert_close(value, expected)


def test_ema_starts_again_where_a_model_may_first_be_chosen():
    ema, fresh = EMA(0.5), EMA(0.5)
    for i, (model, _) in enumerate(walk(6)):
        ema.step(model)
        if i == 2:
            ema.end_epoch(0, 0.0, selectable=False)
            assert ema.average() is None
        if i > 2:
            fresh.step(model)
    for name, value in ema.average().items():
        assert torch.equal(value, fresh.average()[name])


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([3, 2, 1], (None, None)),
        ([1, 2, 3], (0, None)),
        ([3, 2, 1, 2, 3], (2, None)),
        ([1.0, 1.1, 1.1] + [9] * (TOLERATED - 1), (0, None)),
        ([1.0, 1.1, 1.1] + [9] * TOLERATED, (0, 2)),
        ([1.0, 1.1, 1.1, 9, 9, 1.0] + [9] * TOLERATED, (0, 5)),
        ([5, 1.0, 1.1, 1.2, 1.2] + [1.4] * TOLERATED, (1, None)),  # 1.4 < 1.3 * 1.1
        ([5, 1.0, 1.1, 1.2, 1.2] + [1.44] * TOLERATED, (1, 4)),
    ],
)
def test_the_valley_is_that_of_the_algorithm(losses, expected):
    assert (CONVERGED, TOLERATED) == (3, 6)
    assert valley(losses) == expected


@pytest.mark.parametrize(
    "losses",
    [
        [3.0, 2.0, 1.0, 2.0, 1.1, 1.2],
        [3.0, 2.0, 1.0, 1.1, 1.1, *[9.0] * 8],
        [3.0, 2.0, 1.5, 1.2, 1.1],
        [1.0, *[1.1] * 12],
    ],
)
@pytest.mark.parametrize("skipped", [0, 2])
def test_swad_is_the_mean_of_every_step_in_the_valley(losses, skipped):
    swad, per_epoch = SWAD(), 4
    step = walk((len(losses) + skipped) * per_epoch)
    for epoch in range(len(losses) + skipped):
        for _ in range(per_epoch):
            model, seen = next(step)
            swad.step(model)
        loss = 0.1 if epoch < skipped else losses[epoch - skipped]
        swad.end_epoch(epoch, loss, selectable=epoch >= skipped)
        again = SWAD()
        again.load(swad.state())
        swad = again
        assert len(swad.sums) <= TOLERATED + 1  # memory stays bounded
    start, end = valley(losses)
    last = len(losses) - 1
    first, final = (last, last) if start is None else (start, last if end is None else end)
    assert swad.interval() == (first + skipped, final + skipped)
    inside = seen[(first + skipped) * per_epoch : (final + skipped + 1) * per_epoch]
    for name, value in swad.average().items():
        torch.testing.assert_close(value, torch.stack([s[name] for s in inside]).mean(0))


def test_statistics_are_the_mean_over_batches_whatever_they_were():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    model[1].running_mean.fill_(99.0)
    batches = [torch.randn(50, 3) for _ in range(3)]
    model.eval()
    estimate_statistics(model, batches)
    with torch.no_grad():
        inputs = [model[0](batch) for batch in batches]
    torch.testing.assert_close(
        model[1].running_mean, torch.stack([x.mean(0) for x in inputs]).mean(0)
    )
    torch.testing.assert_close(
        model[1].running_var, torch.stack([x.var(0) for x in inputs]).mean(0)
    )
    assert model[1].momentum == 0.1 and not model.training


def test_heads_of_averaged_weights_see_images_as_in_training_and_the_encoder_as_in_use(
    tmp_path, monkeypatch
):
    """Equal grey pictures differ by their augmentation only: without it nothing has a variance."""
    cohort = many_sided_cohort()
    grey = np.full((len(cohort.frame), 24, 24, 1), 128, np.uint8)
    readable = np.ones(len(grey), bool)
    table = make_table(cohort, grey, readable, ("disease", "other"), ("site", "device"))
    method = make_method("erm", table.batch(table.rows["train"]), groups=3)
    ema = EMA(0.5)
    ema.step(method.model)
    cpu = torch.device("cpu")

    def statistics(augmentation):
        use_average(method, ema, table, 64, cpu, augmentation)
        head, first = method.model.disease_norm, method.model.shared_encoder[1]
        return head.running_var.clone(), first.running_mean.clone()

    (none, plain), (found, body) = statistics("none"), statistics("light")
    assert none.max() < 1e-9
    generator = torch.Generator().manual_seed(0)
    rows = np.random.default_rng(0).permutation(table.rows["train"])
    images = [table.batch(part).images for part in in_batches(rows[: len(rows) // 64 * 64], 64)]
    method.eval()
    with torch.no_grad():
        features = [method.model.features(augment("light", x, generator)) for x in images]
        spread = torch.stack([method.model.disease_head(f).var(0) for f in features]).mean(0)
    assert spread.min() > 1e-7
    torch.testing.assert_close(found, spread)
    assert torch.equal(body, plain)

    asked = []
    monkeypatch.setattr(module, "use_average", lambda *args: asked.append(args[-1]))
    run(dataclasses.replace(SMALL, augmentation="mirrored", averaging="ema"), tmp_path / "run")
    assert asked == ["mirrored"] * SMALL.epochs


def run(config, out):
    return train(config, out, cohort=many_sided_cohort(), progress=False)


@pytest.mark.parametrize("name", ["ema", "swad"])
def test_a_stopped_averaged_run_ends_as_if_it_had_not(name, tmp_path, monkeypatch):
    config = dataclasses.replace(SMALL, averaging=name)
    whole = run(config, tmp_path / "whole")
    real = module._epoch

    def dies(settings, method, table, epoch, *more):
        if epoch == 3:
            raise KeyboardInterrupt
        return real(settings, method, table, epoch, *more)

    monkeypatch.setattr(module, "_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "stopped")
    monkeypatch.setattr(module, "_epoch", real)
    same_runs(whole, run(config, tmp_path / "stopped"))


@pytest.mark.parametrize("name", ["ema", "swad"])
def test_averaging_changes_what_is_kept_and_not_how_it_is_trained(name, tmp_path):
    plain = run(SMALL, tmp_path / "plain")
    other = run(dataclasses.replace(SMALL, averaging=name), tmp_path / "averaged")
    losses = []
    for folder in (plain, other):
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        losses.append([line["disease_loss"] for line in lines])
    assert losses[0] == losses[1]
    a, b = (pd.read_parquet(f / "predictions.parquet")["y_score"] for f in (plain, other))
    assert (a - b).abs().max() > 1e-3


def test_the_swad_run_writes_the_mean_of_its_steps(tmp_path, monkeypatch):
    steps = []
    real = SWAD.step

    def noted(self, model):
        steps.append(weights_of(model))
        real(self, model)

    monkeypatch.setattr(SWAD, "step", noted)
    folder = run(dataclasses.replace(SMALL, averaging="swad"), tmp_path / "r")
    origin = json.loads((folder / "provenance.json").read_text())
    first, last = origin["averaged_epochs"]
    per_epoch = len(steps) // SMALL.epochs
    inside = steps[first * per_epoch : (last + 1) * per_epoch]
    written = load_file(folder / "model.safetensors")
    for name in inside[0]:
        torch.testing.assert_close(
            written[name], torch.stack([s[name] for s in inside]).mean(0), rtol=1e-4, atol=1e-5
        )
    assert origin["selected_epoch"] == last
    assert 0 <= origin["selected_val_auroc"] <= 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"averaging": "swa"}, "Unknown averaging 'swa': expected one of none, ema, swad"),
        ({"ema_decay": 1.0}, "ema_decay to be a number between 0 and 1, but got 1.0"),
        ({"ema_decay": 0.0}, "ema_decay to be a number between 0 and 1, but got 0.0"),
        ({"reference_auroc": 87}, "reference_auroc to be a number from 0 to 1 or none, but got 87"),
    ],
)
def test_bad_values_are_named(changes, words):
    with pytest.raises(InputError, match=words):
        TrainConfig(**changes)


def test_statistics_of_a_whitening_are_the_mean_over_batches_too():
    from fairthesis.models import Whitening

    model = nn.Sequential(nn.Linear(3, 4), Whitening(4))
    batches = [torch.randn(50, 3) + k for k in range(3)]
    model.eval()
    estimate_statistics(model, batches)
    with torch.no_grad():
        inputs = [model[0](batch) for batch in batches]
    mean = torch.stack([x.mean(0) for x in inputs]).mean(0)
    covariance = torch.stack([torch.cov(x.T, correction=0) for x in inputs]).mean(0)
    torch.testing.assert_close(model[1].running_mean, mean)
    torch.testing.assert_close(model[1].running_covariance, covariance, rtol=1e-4, atol=1e-5)
