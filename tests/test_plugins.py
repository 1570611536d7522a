"""What another package adds by entry points trains, loads and audits by name, without a fork."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

PLUGIN = ROOT / "tests" / "plugin_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """The environment of a process in which the plug-in package is installed."""
    at = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, at / "source")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(at / "site"), str(at / "source")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join([str(at / "site"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "FAIRTHESIS_CACHE": str(at / "cache")}


def run(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fairthesis", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")


@pytest.mark.needs("torch")
def test_a_method_and_a_data_set_of_ones_own_train_by_name(installed, tmp_path: Path) -> None:
    asked = ["train", "--dataset", "dots", "--dataset-option", "n=160", "--method", "brier"]
    asked += ["--backbone", "small", "--size", 16, "--epochs", 2, "--batch-size", 16, "--quiet"]
    done = run(installed, *asked, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "brier" in json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    found = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert len(found) == 160 and set(found["side"]) == {"L", "R"}
    again = run(installed, "predict", tmp_path / "run", "--out", tmp_path / "again", "--quiet")
    assert again.returncode == 0, again.stderr
    described = run(installed, "datasets", "describe", "dots")
    assert described.stdout.startswith("Dots: random pictures") and "Options: n" in described.stdout


@pytest.mark.needs("torch")
def test_an_encoder_of_ones_own_embeds_and_trains_by_name(installed, tmp_path: Path) -> None:
    asked = ["embed", "--encoder", "mine:12", "--weights", "random", "--dataset", "dots"]
    done = run(installed, *asked, "--quiet", "--out", tmp_path / "vectors")
    assert done.returncode == 0, done.stderr
    found = pd.read_parquet(tmp_path / "vectors" / "embeddings.parquet")
    assert len([column for column in found if column[-1].isdigit()]) == 12
    asked = ["train", "--dataset", "dots", "--backbone", "mine:8", "--weights", "random"]
    asked += ["--epochs", 1, "--batch-size", 16, "--quiet"]
    done = run(installed, *asked, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    again = run(installed, "predict", tmp_path / "run", "--out", tmp_path / "again", "--quiet")
    assert again.returncode == 0, again.stderr


def test_a_metric_of_ones_own_audits_by_name(installed, tmp_path: Path) -> None:
    table = pd.DataFrame({"sex": ["F", "M"] * 60, "both": 1.0, "any": [2.0, 4.0] * 60})
    table.to_csv(tmp_path / "t.csv", index=False)
    asked = ["audit", tmp_path / "t.csv", "--group", "sex", "--metric", "overlap:both,any"]
    done = run(installed, *asked, "--n-boot", 20, "--n-permutations", 20, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "0.500" in done.stdout and "0.250" in done.stdout


@pytest.mark.needs("torch")
def test_without_the_package_the_names_are_unknown() -> None:
    done = run(dict(os.environ), "train", "--method", "brier", "--out", "/nowhere")
    assert done.returncode == 2 and "Unknown method 'brier'" in done.stderr


def broken(at: Path, points: str, code: str) -> dict[str, str]:
    """A package whose plug-ins cannot be used."""
    (at / "odd-1.dist-info").mkdir(parents=True)
    (at / "odd-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: odd\nVersion: 1\n"
    )
    (at / "odd-1.dist-info" / "entry_points.txt").write_text(points)
    (at / "odd.py").write_text(code)
    return {**os.environ, "PYTHONPATH": str(at)}


@pytest.mark.needs("torch")
def test_a_broken_plug_in_is_named_and_passed_over(tmp_path: Path) -> None:
    points = "[fairthesis.methods]\nerm = odd:own\nnumber = odd:number\ngone = odd:gone\n"
    points += "[fairthesis.datasets]\nfunction = odd:own\ncsv = odd\n"
    environment = broken(tmp_path, points, "number = 3\ndef own(): ...\n")
    code = "from fairthesis.methods import METHODS; print(METHODS['erm'].__name__, len(METHODS))"
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        capture_output=True, text=True, env=environment, cwd="/",
    )  # fmt: skip
    assert done.stdout.split()[0] == "ERM" and done.returncode == 0
    for words in ("'erm' (odd:own) of odd", "the name is taken", "expected a subclass"):
        assert words in done.stderr
    assert "'gone' (odd:gone) of odd" in done.stderr and "cannot be loaded" in done.stderr
    done = run(environment, "datasets", "describe", "function")
    assert done.returncode == 2 and "expected a module with a function load" in done.stderr
