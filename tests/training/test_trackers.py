"""Trackers get every epoch's line; one that fails, or is not installed, costs no training."""

import json
import sys
from types import SimpleNamespace

import pytest

from fairthesis.errors import InputError
from fairthesis.training import TrainConfig, make_tracker, train

FEW = {"n_train": 64, "n_val": 32, "n_test": 32}
CONFIG = TrainConfig(backbone="small", size=16, epochs=3, batch_size=32, dataset_options=FEW)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def logged(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_a_function_gets_the_lines_of_the_log(tmp_path):
    seen = []
    run = train(
        CONFIG, tmp_path / "run", progress=False, tracker=lambda config, line: seen.append(line)
    )
    assert [line["val_auroc"] for line in seen] == [line["val_auroc"] for line in logged(run)]


def test_one_that_fails_is_left_and_the_run_is_the_same(tmp_path):
    calls = []

    def fails(config, line):
        calls.append(line)
        raise ConnectionError("no server")

    with pytest.warns(UserWarning, match=r"failed in epoch 1 \(ConnectionError: no server\)"):
        run = train(CONFIG, tmp_path / "run", progress=False, tracker=fails)
    assert len(calls) == 1 and len(logged(run)) == 3
    plain = train(CONFIG, tmp_path / "plain", progress=False)
    for name in ("predictions.parquet", "model.safetensors"):
        assert (run / name).read_bytes() == (plain / name).read_bytes()


def test_tensorboard_holds_every_epoch(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tracker = make_tracker("tensorboard", tmp_path / "run")
    run = train(CONFIG, tmp_path / "run", progress=False, tracker=tracker)
    found = accumulator.EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    values = [event.value for event in found.Scalars("val_auroc")]
    assert values == pytest.approx([line["val_auroc"] for line in logged(run)], abs=1e-6)


def test_mlflow_is_called_as_its_own_docs_say(tmp_path, monkeypatch):
    calls = []
    fake = SimpleNamespace(
        start_run=lambda run_name: calls.append(("start", run_name)),
        log_params=lambda values: calls.append(("params", values["method"])),
        log_metrics=lambda values, step: calls.append((step, values["val_auroc"])),
    )
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    run = train(
        CONFIG, tmp_path / "run", progress=False, tracker=make_tracker("mlflow", tmp_path / "run")
    )
    expected = [(line["epoch"], line["val_auroc"]) for line in logged(run)]
    assert calls == [("start", "run"), ("params", "erm"), *expected]


def test_what_is_not_installed_is_said(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match="pip install mlflow"):
        make_tracker("mlflow", tmp_path)
