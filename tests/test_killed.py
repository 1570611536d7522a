"""Killed at any change of a file, a command given again ends as if it had never been killed.

The whole enumeration (every change of every scenario) is ``python tests/killing.py``; here some
changes of each, evenly taken, since each costs two runs.
"""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

MOST = {
    "train": 14,
    "overwrite": 8,
    "damaged": 5,
    "posthoc": 9,
    "posthoc-overwrite": 6,
    "audit": 16,
    "compare": 8,
    "experiment": 8,
    "experiment-probes": 6,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: not on this system")
@pytest.mark.parametrize("name", MOST)
def test_the_same_command_ends_with_the_same_bytes_and_nothing_is_left_over(name):
    words = [sys.executable, "-W", "ignore", "tests/killing.py", name, "--most", str(MOST[name])]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert f" {MOST[name]} kills, 0 wrong" in done.stdout
