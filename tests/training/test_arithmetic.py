"""Arithmetic that a device has or has not: half precision, no float64, a compiled encoder."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from support.batches import changed, make_batch, make_method, many_sided_cohort, quick, snapshot
from support.runs import BASE
from torch.utils._python_dispatch import TorchDispatchMode

from fairthesis.methods import METHODS, Method
from fairthesis.models import FairEncoder
from fairthesis.training import TrainConfig, load_run, train


def late(name: str, **model: Any) -> Method:
    """A method whose warm-up and ramp are over."""
    method = make_method(name, make_batch(targets=2, attributes=2, groups=3), 3, epochs=3,
                         model=model, **quick(name))  # fmt: skip
    method.begin(1, lambda: torch.linspace(0, 1, 192).view(96, 2))
    method.at(2.5, 1.0)
    return method


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_steps_in_half_precision(name: str) -> None:
    method = late(name, precision="float16")
    batch = make_batch(targets=2, attributes=2, groups=3)
    before = snapshot(method.model)
    for _ in range(3):
        values = method.update(batch)
        assert all(np.isfinite(float(value)) for value in values.values()), values
    assert changed(before, method.model)


def test_gradients_that_vanish_in_half_precision_are_scaled() -> None:
    batch = make_batch(targets=2, attributes=2, groups=3)
    method = late("erm", precision="float16")

    def step(scaled: bool) -> float:
        """The largest gradient of the first convolution, of a tiny loss."""
        method.scaler = torch.amp.GradScaler("cpu", enabled=scaled)
        z = method.model.embed_disease(method.model.features(batch.images))
        method.descend(1e-8 * method.disease_loss(z, batch))
        first = next(method.model.shared_encoder.parameters())
        assert first.grad is not None
        return float(first.grad.abs().max())

    assert step(False) == 0
    assert step(True) > 0


def test_a_step_that_overflows_is_left_out() -> None:
    method = late("erm", precision="float16")
    batch = make_batch(targets=2, attributes=2, groups=3)
    method.update(batch)
    before, scale = snapshot(method.model), method.scaler.get_scale()
    z = method.model.embed_disease(method.model.features(batch.images))
    method.descend(1e9 * method.disease_loss(z, batch))
    assert not changed(before, method.model)
    assert method.scaler.get_scale() < scale
    method.update(batch)
    assert changed(before, method.model)


def test_the_scale_is_part_of_the_state() -> None:
    batch = make_batch(targets=2, attributes=2, groups=3)
    first, second = late("hsic", precision="float16"), late("hsic", precision="float16")
    first.update(batch)
    first.scaler.update(1024.0)
    first.update(batch)
    second.load_training_state(copy.deepcopy(first.training_state()))
    for method in (first, second):
        method.update(batch)
    assert first.scaler.get_scale() == second.scaler.get_scale() == 1024
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert "scaler" not in late("hsic").training_state()  # of float32, as ever


class NoFloat64(TorchDispatchMode):
    """Refuses what a device without float64 could not compute."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.dtype == torch.float64:
            raise TypeError(f"{func} gives float64")
        return out


@pytest.mark.parametrize("name", METHODS)
def test_no_method_needs_float64(name: str) -> None:
    method = late(name, disease_norm="batch")  # whitening computes its factor on the processor
    batch = make_batch(targets=2, attributes=2, groups=3)
    with NoFloat64():
        for _ in range(2):
            method.update(batch)
        method.predict(batch.images)
    with pytest.raises(TypeError, match="float64"), NoFloat64():
        late(name, disease_norm="whitening").predict(batch.images)  # the mode sees it


def test_a_compiled_encoder_gives_the_same_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = FairEncoder.compile
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:  # without a C++ compiler
        graphs.append(graph)
        return graph

    monkeypatch.setattr(FairEncoder, "compile", lambda self: compiled(self, backend=backend))
    tables = []
    for whether in (False, True):
        config = replace(BASE, compile=whether)
        out = train(config, tmp_path / str(whether), cohort=many_sided_cohort(), progress=False)
        tables.append(pd.read_parquet(out / "predictions.parquet"))
        assert bool(graphs) == whether  # torch did translate it
        assert load_run(out).model.state_dict()  # the weights have their usual names
    assert np.allclose(tables[0]["y_score"], tables[1]["y_score"], atol=1e-4)


def test_precisions_are_named(tmp_path: Path) -> None:
    from fairthesis.errors import InputError

    with pytest.raises(InputError, match="float32, bfloat16, float16"):
        TrainConfig(precision="half")
    assert FairEncoder("small", channels=1, precision="float16").precision == "float16"
