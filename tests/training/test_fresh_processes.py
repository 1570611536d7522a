"""The same seed on one thread gives the same weights in another process, for every method."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT

from fairthesis.methods import METHODS

TRAIN_ALL = """
import hashlib, json, sys
from dataclasses import replace
from support.batches import many_sided_cohort, quick
from support.runs import BASE
from fairthesis.methods import METHODS
from fairthesis.training import train

found = {}
for name in METHODS:
    norm = "batch" if name == "orthogonal" else "whitening"
    config = replace(BASE, method=name, method_options=quick(name), disease_norm=norm)
    out = train(config, f"{sys.argv[1]}/{name}", cohort=many_sided_cohort(), progress=False)
    found[name] = [
        hashlib.sha256((out / file).read_bytes()).hexdigest()
        for file in ("model.safetensors", "predictions.parquet", "embeddings.parquet")
    ]
print(json.dumps(found))
"""


def trained(folder: Path, hash_seed: str) -> dict[str, list[str]]:
    env = os.environ | {
        "PYTHONHASHSEED": hash_seed,  # no order of a set may matter
        "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}",
        "FAIRTHESIS_CACHE": str(folder / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAIN_ALL, str(folder)],
        env=env, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_every_method_is_the_same_in_another_process(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = trained(tmp_path / "a", "1"), trained(tmp_path / "b", "2")
    assert set(first) == set(METHODS)
    assert {name for name in first if first[name] != second[name]} == set()
    weights = {digests[0] for digests in first.values()}
    assert len(weights) == len(METHODS)  # and no method is another one
