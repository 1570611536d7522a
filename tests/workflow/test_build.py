"""What drives the pipeline: nothing outlives it when it is killed, its lock says whose it is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from support.pipeline import checkout, epochs_done, soon

psutil = pytest.importorskip("psutil")  # the table half has none
pytestmark = pytest.mark.needs("snakemake")
BUILD = [sys.executable, "workflow/build.py", "--target", "reproduce"]
ASKED = ["--set", "profile=quick", "only=synthetic-cxr"]


def environment(folder: Path, **more: str) -> dict[str, str]:
    cache = {"FAIRTHESIS_CACHE": str(folder / "cache")}
    env = os.environ | {"PYTHONPATH": str(folder)} | cache | more
    return {name: value for name, value in env.items() if name != "MAKELEVEL" or name in more}


def of_folder(folder: Path) -> list[psutil.Process]:
    """The processes whose working folder it is."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = checkout(tmp_path.resolve() / "p", epochs=400)
    yield place
    for process in of_folder(place):
        process.kill()


@pytest.mark.parametrize("killed", ["build", "make above it", "build, politely"])
def test_nothing_outlives_a_killed_build_and_the_next_goes_on(killed: str, folder: Path) -> None:
    words = [*BUILD, *ASKED]
    if killed == "make above it":
        words = ["sh", "-c", '"$@"; true', "make", *words]
    level = {"MAKELEVEL": "1"} if killed == "make above it" else {}
    with subprocess.Popen(
        words, cwd=folder, env=environment(folder, **level), text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as build:  # fmt: skip
        soon(lambda: len(epochs_done(folder)) >= 3)
        assert len(of_folder(folder)) >= 3  # Snakemake, its step, and what waits for their end
        build.send_signal(signal.SIGTERM if "politely" in killed else signal.SIGKILL)
        build.wait(60)
    if killed == "make above it":  # the build itself lives until its steps have ended
        soon(lambda: not of_folder(folder), 60)
    # The next one waits until the steps are gone, and does not run beside them.
    done = subprocess.run(
        [*BUILD, "--args=--dry-run", *ASKED],
        cwd=folder, env=environment(folder), capture_output=True, text=True, check=False,
        timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert of_folder(folder) == []
    assert "run: synthetic-cxr quick, erm, seed 0" in done.stdout
    assert (folder / "build/experiments/synthetic-cxr-quick/runs/erm-0/state.pt").is_file()


def test_a_second_build_says_whose_the_first_one_is(folder: Path) -> None:
    with subprocess.Popen(
        [*BUILD, *ASKED], cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as build:  # fmt: skip
        soon(lambda: (folder / "build" / "settings.json").is_file())
        done = subprocess.run(
            [*BUILD, *ASKED], cwd=folder, env=environment(folder), capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        build.terminate()
    assert done.returncode == 1
    assert f"(process {build.pid})" in done.stderr and f"kill {build.pid}" in done.stderr


def test_the_runs_within_a_step_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    sys.path.insert(0, str(ROOT / "workflow"))
    from build import follow

    said = ["[Fri Nov 27 10:00:00 2026]\n", "Job 3: experiment: synthetic-cxr quick\n"]
    said += ["[1/4] synthetic-cxr quick: erm, seed 0\n", "1 of 23 steps (4%) done\n"]
    assert follow(iter(said), time.monotonic()) == 23
    shown = [line.split(" s  ")[1].strip() for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        "experiment: synthetic-cxr quick",
        "[1/4] synthetic-cxr quick: erm, seed 0",
        "1 of 23 steps done",
    ]


def test_a_profile_of_ones_own_is_a_folder(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "workflow"))
    from build import PROFILES, profile_folder

    assert profile_folder("slurm") == PROFILES / "slurm"
    own = tmp_path / "mine"
    shutil.copytree(PROFILES / "slurm", own)
    assert profile_folder(str(own)) == own
    (own / "config.yaml").unlink()
    for wrong in (str(own), "slurn", ""):
        with pytest.raises(ValueError, match=r"local, slurm, slurm-gpu, or a folder"):
            profile_folder(wrong)
