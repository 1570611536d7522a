"""`make reproduce ON=slurm` on a real Slurm: jobs are requeued, cancelled and killed, and go on.

Skipped, with the reason, where Slurm is not installed or does not come up.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.pipeline import RUN, checkout, epochs_done, soon
from support.slurm import Cluster, cluster, missing

EAGER = "--slurm-init-seconds-before-status-checks 2 --seconds-between-status-checks 2"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = missing()
    if not reason and find_spec("snakemake_executor_plugin_slurm") is None:
        reason = "snakemake-executor-plugin-slurm is not installed (the extra cluster)"
    if reason:
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("slurm")
    try:
        with cluster(home) as found:
            yield found
    except RuntimeError as error:
        pytest.skip(str(error))


def start(folder: Path, slurm: Cluster, on: str = "slurm") -> subprocess.Popen[str]:
    env = os.environ | slurm.env
    env |= {"PYTHONPATH": str(folder), "FAIRTHESIS_CACHE": str(folder / "cache")}
    env.pop("MAKELEVEL", None)
    return subprocess.Popen(
        [sys.executable, "workflow/build.py", "--on", on, f"--args={EAGER}",
         "--target", "reproduce", "--set", "profile=quick", "only=synthetic-cxr"],
        cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def training(slurm: Cluster) -> str:
    """The id of the job that trains; empty where none runs."""
    running = (i for i, state, word in slurm.jobs() if state == "RUNNING" and "train" in word)
    return next(running, "")


def test_a_requeued_and_a_cancelled_job_go_on_after_their_last_epoch(
    slurm: Cluster, tmp_path: Path
) -> None:
    folder = checkout(tmp_path / "p", epochs=60)
    build = start(folder, slurm)
    try:
        soon(lambda: len(epochs_done(folder)) >= 5)
        first = epochs_done(folder)[:3]
        job = training(slurm)
        slurm.say("scontrol", "requeue", job)  # as when a node is taken away
        soon(lambda: training(slurm) != job or not training(slurm), 30)
        slurm.say("scontrol", "release", job) if "HELD" in str(slurm.jobs()) else None
        before = len(epochs_done(folder))
        soon(lambda: len(epochs_done(folder)) >= before + 3, 300)
        slurm.say("scancel", training(slurm))
        said, _ = build.communicate(timeout=300)
    finally:
        build.kill()
    assert build.returncode == 0, said
    lines = epochs_done(folder)
    assert len(lines) == 60 and lines[:3] == first  # with the seconds that they took: not anew
    assert (folder / "build" / "archive" / "synthetic-cxr-quick" / "metrics.csv").is_file()
    assert "log: " in said and "failed: " in said, said  # of the cancelled job
    [log] = {line.split("log: ")[1].strip() for line in said.splitlines() if "log: " in line}
    assert Path(folder, log).is_file(), log


def test_a_killed_build_takes_its_jobs_back_and_the_next_one_goes_on(
    slurm: Cluster, tmp_path: Path
) -> None:
    folder = checkout(tmp_path / "p", epochs=200)
    build = start(folder, slurm)
    try:
        soon(lambda: len(epochs_done(folder)) >= 3)
        second = start(folder, slurm)
        said, _ = second.communicate(timeout=60)
        assert second.returncode == 1 and f"process {build.pid}" in said, said
        first = epochs_done(folder)[:3]
        build.send_signal(signal.SIGKILL)
        build.communicate()
        soon(lambda: not slurm.jobs(), 60)
        build = start(folder, slurm, "slurm-gpu")
        asked = ""

        def shown() -> str:
            nonlocal asked
            job = training(slurm)
            asked = asked or (job and slurm.say("scontrol", "show", "job", job))
            return asked

        soon(lambda: shown() or build.poll() is not None)
        said, _ = build.communicate(timeout=300)
    finally:
        build.kill()
    assert build.returncode == 0, said
    assert epochs_done(folder)[:3] == first
    assert "gpu:1" in asked and "NumCPUs=1" in asked, asked
    origin = json.loads((folder / RUN / "provenance.json").read_text(encoding="utf-8"))
    assert origin["threads"] == 1


def test_shards_of_vectors_are_jobs_that_ask_for_a_gpu(slurm: Cluster, tmp_path: Path) -> None:
    folder = checkout(tmp_path / "p", epochs=1)
    env = os.environ | slurm.env
    env |= {"PYTHONPATH": str(folder), "FAIRTHESIS_CACHE": str(folder / "cache")}
    env.pop("MAKELEVEL", None)
    embed = "--encoder torchvision:squeezenet1_1 --weights random --size 32"
    embed += " --dataset synthetic-cxr --dataset-option n_train=40"
    embed += " --dataset-option n_val=8 --dataset-option n_test=8"
    out = tmp_path / "vectors"
    done = subprocess.run(
        [sys.executable, "workflow/build.py", "--on", "slurm-gpu", f"--args={EAGER}",
         "--target", "vectors", "--set", f"embed={embed}", f"vectors={out}", "shards=2"],
        cwd=folder, env=env, text=True, capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for i in (1, 2):
        assert (out / "embeddings" / f"shard-{i}-of-2" / "DONE").is_file()
    logs = list((folder / "build" / "logs" / "slurm").glob("rule_embed/**/*.log"))
    assert logs, "the shards were no jobs"
