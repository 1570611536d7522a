"""Cohorts of a few image files."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd

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
