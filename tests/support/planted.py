"""Small cohorts into which markers are planted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data import Cohort
from support.layouts import picture


def table(n: int = 6000, seed: int = 0) -> Cohort:
    """A cohort of which nothing but the table is looked at: labels, groups, sites, unknowns."""
    rng = np.random.default_rng(seed)
    split = np.where(
        np.arange(n // 2) % 5 < 3, "train", np.where(np.arange(n // 2) % 5 < 4, "val", "test")
    )
    sex = np.repeat(rng.choice(["F", "M"], n // 2, p=[0.4, 0.6]), 2).astype(object)
    y = rng.integers(0, 2, n).astype(float)
    lost = rng.permutation(n)
    sex[lost[: n // 40]], y[lost[-n // 40 :]] = None, np.nan
    frame = pd.DataFrame(
        {
            "image_id": [f"i{k:05d}" for k in range(n)],
            "patient_id": [f"p{k // 2:05d}" for k in range(n)],
            "split": np.repeat(split, 2),
            "cancer": y,
            "sex": sex,
            "site": rng.choice(["back", "face", "leg"], n, p=[0.5, 0.3, 0.2]),
            "path": "none.png",
        }
    )
    return Cohort("made", frame, ("cancer",), ("sex",), 3)


def pictures(root: Path, n: int = 12, channels: int = 3) -> Cohort:
    """A cohort of a few files of random pixels."""
    names = [f"{k}.png" for k in range(n)]
    for k, name in enumerate(names):
        picture(root / name, seed=k, mode="RGB" if channels == 3 else "L", size=(70, 64))
    frame = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": [f"p{k // 2}" for k in range(n)],
            "split": np.resize(
                ["train", "train", "train", "train", "val", "val", "test", "test"], n
            ),
            "cancer": np.resize([0.0, 1.0], n),
            "sex": np.resize(["F", "F", "M", "M"], n),
            "path": names,
        }
    )
    return Cohort("few", frame, ("cancer",), ("sex",), channels, root)


def marked(cohort: Cohort) -> NDArray[np.bool_]:
    """Which images of a planted cohort have the marker."""
    found = cohort.frame["marker"] == "with"
    return found.to_numpy()
