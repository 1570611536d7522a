"""Dots: random pictures, brighter where the label is 1. Licence: none needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data import Cohort


def load(root: str | Path | None = None, *, seed: int = 0, n: int = 120) -> Cohort:
    """A cohort of ``n`` pictures."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    frame = pd.DataFrame({"image_id": [f"d{k}" for k in range(n)]})
    frame["patient_id"] = frame["image_id"]
    frame["split"] = rng.permutation(np.resize(["train", "train", "val", "test"], n))
    frame["bright"], frame["side"] = y.astype(float), np.where(rng.random(n) < 0.5, "L", "R")

    def render(rows: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
        noise = np.random.default_rng(1).integers(0, 100, (n, size, size, 1))
        return (noise[rows] + 100 * y[rows, None, None, None]).astype(np.uint8)

    return Cohort("dots", frame, ("bright",), ("side",), channels=1, render=render)
