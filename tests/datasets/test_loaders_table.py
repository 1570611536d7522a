"""The page's table of all loaders run holds every data set, and what the loaders find today."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import DATA, ROOT

from fairthesis import datasets

PAGE = (ROOT / "book" / "datasets.md").read_text(encoding="utf-8")
TABLE = PAGE.split("<!-- loaders: start -->")[1].split("<!-- loaders: end -->")[0].strip()


@pytest.fixture(scope="module")
def now() -> list[str]:
    """The table as the loaders make it now, by lines."""
    script = ROOT / "benchmarks" / "datasets" / "loaders.py"
    command = [sys.executable, str(script), "--data", str(DATA)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()


def test_every_data_set_is_run() -> None:
    named = {line.split("`")[1] for line in TABLE.splitlines() if "`" in line}
    assert named == set(datasets.DATASETS)


def test_the_table_is_what_the_loaders_find(now: list[str]) -> None:
    kept = TABLE.splitlines()
    assert set(now) <= set(kept)
    if not DATA.is_dir():
        kept = [line for line in kept if "| real" not in line]
    assert now == kept
