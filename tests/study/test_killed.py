"""Killed at any change of a file, a command given again ends as if it had never been killed.

The whole enumeration (every change of every scenario) is ``python tests/support/killing.py``;
here some changes of each, evenly taken, since each costs two runs.
"""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

MOST = {
    "train": 10,
    "overwrite": 5,
    "damaged": 3,
    "posthoc": 5,
    "posthoc-overwrite": 4,
    "audit": 8,
    "compare": 4,
    "experiment": 5,
    "experiment-probes": 3,
}


@pytest.mark.needs("torch")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: not on this system")
def test_the_same_command_ends_with_the_same_bytes_and_nothing_is_left_over():
    words = [f"{name}:{most}" for name, most in MOST.items()]
    path = [str(ROOT), str(ROOT / "tests")]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "tests/support/killing.py", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    for name, most in MOST.items():
        assert f" {most} kills, 0 wrong" in done.stdout.partition(f"{name}: ")[2]
