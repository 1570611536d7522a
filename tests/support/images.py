"""Cohorts of a few image files."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from fairthesis.data import _image_files as image_files
from fairthesis.data._cohort import Cohort


def files(root: Path, names: list[str], channels: int = 1) -> Cohort:
    n = len(names)
    frame = pd.DataFrame(
        {
            "image_id": [str(i) for i in range(n)],
            "patient_id": [str(i) for i in range(n)],
            "split": "test",
            "path": names,
            "y": 0.0,
            "sex": "F",
        }
    )
    return Cohort("made", frame, ("y",), ("sex",), channels, root)


def made_old(folder: Path) -> None:
    """Files are believed only some seconds after they changed: see ``image_files.YOUNG``."""
    time.sleep(image_files.YOUNG / 1e9 + 0.05)


NEEDS_PROC = pytest.mark.skipif(sys.platform != "linux", reason="no /proc tells of memory here")
# Not `resource`: what it calls the peak of a process begins with that of the one that started it.
PEAK = """
import pathlib, re, sys
from concurrent.futures import ThreadPoolExecutor
from fairthesis.data._decoding import decode
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
base = peak()
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(lambda path: decode(path, 64, 3), [pathlib.Path(sys.argv[1])] * 8))
print((peak() - base) // 1024)
print(*{one if isinstance(one, str) else one.shape for one in found})
"""


def peak_of_eight(path: Path) -> tuple[int, str]:
    """MB that eight threads take at most which decode a file at once, and what they found."""
    words = [sys.executable, "-c", PEAK, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    peak, found = done.stdout.splitlines()
    return int(peak), found
