"""`make vectors`: images into vectors, a job for each shard, which are one table afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.pipeline import checkout

from fairthesis import datasets
from fairthesis.data import read_vectors

pytestmark = pytest.mark.needs("snakemake", "torch")
EMBED = (
    "--encoder torchvision:squeezenet1_1 --weights random --size 32 --dataset synthetic-cxr "
    "--dataset-option n_train=40 --dataset-option n_val=8 --dataset-option n_test=8"
)


def build(folder: Path, **given: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(folder), "FAIRTHESIS_CACHE": str(folder / "cache")}
    env.pop("MAKELEVEL", None)
    settings = [f"{name}={value}" for name, value in given.items()]
    return subprocess.run(
        [sys.executable, "workflow/build.py", "--target", "vectors", "--set", *settings],
        cwd=folder, env=env, text=True, capture_output=True, check=False, timeout=300,
    )  # fmt: skip


def test_shards_are_one_table_and_nothing_is_computed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkout(tmp_path / "p", epochs=1)
    out = tmp_path / "it's here; $(or there)"  # a folder's name is text
    done = build(folder, embed=EMBED, vectors=str(out), shards="3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"vectors: shard {i} of 3" in done.stdout for i in (1, 2, 3)), done.stdout
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "cache"))
    table = read_vectors(out / "embeddings")
    assert len(table.frame) == 56 and table.array.shape == (56, 512)
    assert np.isfinite(table.array).all()
    cohort = datasets.load("embeddings", out)
    assert cohort.targets == ("opacity",) and len(cohort) == 56
    again = build(folder, embed=EMBED, vectors=str(out), shards="3")
    assert "Nothing changed" in again.stdout, again.stdout + again.stderr
    mark = out / "embeddings" / "shard-2-of-3" / "DONE"
    mark.unlink()
    part = build(folder, embed=EMBED, vectors=str(out), shards="3")
    assert mark.is_file() and "vectors: shard 2 of 3" in part.stdout
    assert "shard 1 of 3" not in part.stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shards": "1"}, "SHARDS is '1': expected 2 or more"),
        ({"vectors": "out/{i}"}, "expected a folder without braces"),
        ({"embed": ""}, "EMBED is '': expected options"),
        ({"embed": EMBED + " --out here"}, "EMBED has --out"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(
    given: dict[str, str], words: str, tmp_path: Path
) -> None:
    folder = checkout(tmp_path / "p", epochs=1)
    whole = {"embed": EMBED, "vectors": str(tmp_path / "out"), "shards": "2"} | given
    done = build(folder, **whole)
    assert done.returncode == 1 and words in done.stderr, done.stdout + done.stderr
    assert not (tmp_path / "out").exists()
