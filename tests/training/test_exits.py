"""Exported models give the run's scores, and no row of a patient goes with them."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from fairthesis import cli, load_run
from fairthesis.errors import InputError
from fairthesis.training import EXPORTS, TrainConfig, export, predict, train
from fairthesis.training import _exits as module

FEW = {"n_train": 120, "n_val": 60, "n_test": 80}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    at = tmp_path_factory.mktemp("run")
    patch = pytest.MonkeyPatch()
    patch.setenv("FAIRTHESIS_CACHE", str(at / "cache"))
    config = TrainConfig(
        backbone="small", size=24, epochs=2, batch_size=16, dataset_options=FEW, attributes=("sex",)
    )
    yield train(config, at / "run", progress=False)
    patch.undo()


@pytest.fixture(scope="module")
def images():
    return torch.rand(7, 1, 24, 24, generator=torch.Generator().manual_seed(5))


def test_onnx_gives_the_runs_scores_and_embedding(folder, images, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    run = load_run(folder)
    export(run, tmp_path / "out", "onnx", n_boot=20)
    session = onnxruntime.InferenceSession(tmp_path / "out" / "model.onnx")
    scores, embedding = session.run(["scores", "embedding"], {"images": images.numpy()})
    np.testing.assert_allclose(scores, run.predict(images), atol=1e-5)
    np.testing.assert_allclose(embedding, run.embed(images), atol=1e-4)


def test_torchscript_gives_the_runs_scores(folder, images, tmp_path):
    run = load_run(folder)
    export(run, tmp_path / "out", "torchscript", n_boot=20)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of TorchScript itself
        scores, embedding = torch.jit.load(tmp_path / "out" / "model.pt")(images)
    np.testing.assert_allclose(scores, run.predict(images), atol=1e-5)
    np.testing.assert_allclose(embedding, run.embed(images), atol=1e-4)


def test_a_shared_folder_is_a_run_without_its_rows(folder, images, tmp_path):
    run = load_run(folder)
    out = export(run, tmp_path / "out", "hub-folder", n_boot=20)
    again = load_run(out)
    assert np.array_equal(again.predict(images), run.predict(images))
    assert again.operating_point("fpr=0.2") == run.operating_point("fpr=0.2")
    assert again.groups == run.groups and again.targets == run.targets
    with pytest.raises(InputError, match=r"Unknown rule of a shared model 'fpr=0\.3'"):
        again.operating_point("fpr=0.3")
    rows = pd.read_parquet(folder / "predictions.parquet")
    for file in out.iterdir():
        content = file.read_bytes().decode("utf-8", errors="replace")
        assert not [key for key in rows["image_id"].head(40) if f'"{key}"' in content]
        assert str(folder.parent) not in content
    table = predict(again, _cohort(), tmp_path / "new", progress=False)
    assert len(pd.read_parquet(table / "predictions.parquet")) == sum(FEW.values())


def _cohort():
    from fairthesis import datasets

    return datasets.load("synthetic-cxr", seed=4, **FEW)


def test_the_card_holds_the_audit_at_the_runs_own_point(folder, tmp_path):
    run = load_run(folder)
    out = export(run, tmp_path / "out", "hub-folder", n_boot=20)
    card = (out / "README.md").read_text()
    audit = json.loads((out / "audit.json").read_text())
    assert audit["threshold"] == {"value": run.operating_point("youden"), "rule": "youden"}
    assert card.startswith("---\nlibrary_name: fairthesis\n")
    assert f"{audit['overall']['auroc']['value']:.3f}" in card
    assert "## Intended use, and by whom\n\nNot stated." in card
    assert "Not a medical device." in card


@pytest.mark.parametrize("form", sorted(set(EXPORTS) - {"hub-folder"}))  # its weights are copied
def test_an_export_that_gives_other_scores_is_not_written(form, folder, tmp_path, monkeypatch):
    run = load_run(folder)
    original = module.ScoresAndEmbedding.forward
    monkeypatch.setattr(
        module.ScoresAndEmbedding, "forward",
        lambda self, x: (original(self, x)[0] * 0.9, original(self, x)[1]),
    )  # fmt: skip
    with pytest.raises(InputError, match="other scores than the run"):
        export(run, tmp_path / "out", form, n_boot=20)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_not_overwritten_by_chance(folder, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"not empty.*--overwrite"):
        export(load_run(folder), tmp_path / "full", "hub-folder", n_boot=20)
    with pytest.raises(InputError, match=r"Unknown export format 'onyx': .* Did you mean 'onnx'"):
        export(load_run(folder), tmp_path / "new", "onyx")
    arguments = ["export", str(folder), "--format", "hub-folder", "--n-boot", "20", "--overwrite"]
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments, "--out", str(tmp_path / "full")])
    assert not ended.value.code and "model.safetensors" in capsys.readouterr().out
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"


def test_a_shared_model_of_another_kind_is_refused(folder, tmp_path):
    out = export(load_run(folder), tmp_path / "out", "hub-folder", n_boot=20)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"schema": "fairthesis.model/9"}))
    with pytest.raises(InputError, match=r"'fairthesis\.model/9', made by fairthesis"):
        load_run(out)
