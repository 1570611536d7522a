"""``fairthesis embed`` and training by a backbone of another library, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fairthesis.cli import main

pytest.importorskip("torch")
FEW = [f"--dataset-option={name}" for name in ("n_train=64", "n_val=32", "n_test=32")]
ENCODER = ["--encoder", "torchvision:squeezenet1_1", "--weights", "random", "--size", "32"]


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, words), "--quiet"])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_embed_then_train_then_predict(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drawn = ["--dataset", "synthetic-cxr", *FEW]
    code, out, err = run(capsys, "embed", *ENCODER, *drawn, "--out", tmp_path / "v")
    assert code == 0, err
    assert "vectors of 512 numbers of synthetic-cxr by torchvision:squeezenet1_1" in out
    words = ["--dataset", "embeddings", "--data-root", tmp_path / "v", "--epochs", 1]
    code, out, err = run(capsys, "train", *words, "--batch-size", 32, "--out", tmp_path / "run")
    assert code == 0, err
    table = tmp_path / "v" / "embeddings.parquet"
    code, _, err = run(
        capsys, "predict", tmp_path / "run", "--embeddings", table, "--out", tmp_path / "p"
    )
    assert code == 0, err
    a, b = (pd.read_parquet(tmp_path / n / "predictions.parquet") for n in ("run", "p"))
    assert np.array_equal(a["y_score"], b["y_score"])


def test_a_table_of_images_with_its_columns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    for i in range(6):
        Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(tmp_path / f"{i}.png")
    rows = pd.DataFrame({"path": [f"{i}.png" for i in range(6)], "patient_id": list("aabbcc")})
    rows.assign(cancer=[0, 1] * 3, sex=list("FFMMFF")).to_csv(tmp_path / "t.csv", index=False)
    words = ["--images", tmp_path / "t.csv", "--target", "cancer", "--attribute", "sex"]
    code, _, err = run(capsys, "embed", *ENCODER, *words, "--out", tmp_path / "v")
    assert code == 0, err
    labels = pd.read_csv(tmp_path / "v" / "labels.csv")
    assert list(labels) == ["image_id", "patient_id", "cancer", "sex"]
    options = json.loads((tmp_path / "v" / "embeddings.json").read_text())
    assert options["targets"] == ["cancer"] and options["attributes"] == ["sex"]


def test_a_frozen_backbone_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--dataset", "synthetic-cxr", *FEW, "--size", 32, "--epochs", 1, "--batch-size", 32]
    backbone = ["--backbone", "torchvision:squeezenet1_1", "--weights", "random"]
    out = ["--train-backbone", "none", "--out", tmp_path / "run"]
    code, _, err = run(capsys, "train", *words, *backbone, *out)
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["train_backbone"] == "none" and config["augmentation"] == "none"


BAD = {
    "--encoder tim:x --weights random": "Unknown library of encoders 'tim'",
    "--encoder torchvision:resnet19 --weights random": "Did you mean 'resnet18'?",
    "--encoder lite:efficientnet-lite4": "weights of lite:efficientnet-lite4 could not be had",
    "--encoder torchvision:resnet18 --weights gone.pth": "No weights file at 'gone.pth'",
    "--encoder python:no.such:thing": "cannot be imported",
    "--encoder torchvision:squeezenet1_1 --weights random --shard 3": "Expected --shard to be i/n",
    "--encoder torchvision:squeezenet1_1 --weights random --shard 3/2": "from 1 to n, but got 3/2",
    "--encoder torchvision:squeezenet1_1 --weights random --target x": "name columns of the table",
    "--encoder torchvision:squeezenet1_1 --weights random --images x": "Expected one of --dataset",
    "--encoder torchvision:squeezenet1_1 --weights random --size 1": "Expected size to be 2",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_named_and_writes_nothing(
    words: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    drawn = ["--dataset", "synthetic-cxr", *FEW]
    code, _, err = run(capsys, "embed", *words.split(), *drawn, "--out", tmp_path / "v")
    assert code == 2 and BAD[words] in err
    assert not (tmp_path / "v").exists()
