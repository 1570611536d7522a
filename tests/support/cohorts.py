"""A tiny synthetic cohort: a bright spot for the disease, a bright corner for the attribute."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairthesis.data import Cohort


def planted_cohort(
    n: int = 600, seed: int = 0, groups: int = 2, missing: float = 0.0, spot: float = 45.0
) -> Cohort:
    """Attribute and target go together (P = 0.7); both can be seen; ``missing`` of both is null.

    ``spot`` is the brightness of the disease; noise of 25 over 16 pixels stands against it.
    """
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    a = np.where(rng.random(n) < 0.7, y % groups, rng.integers(0, groups, n))
    splits = np.resize(["train", "train", "train", "val", "test"], n)

    def render(rows: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
        out = np.empty((len(rows), size, size, 1), np.uint8)
        for place, row in enumerate(np.asarray(rows)):
            noise = np.random.default_rng((seed, int(row))).normal(90, 25, (size, size))
            noise[size // 2 - 2 : size // 2 + 2, size // 2 - 2 : size // 2 + 2] += spot * y[row]
            noise[:3, : 3 * (a[row] + 1)] += 60 * a[row]
            out[place, :, :, 0] = noise.clip(0, 255)
        return out

    hidden = rng.random((n, 2)) < missing
    frame = pd.DataFrame(
        {
            "image_id": [f"i{i}" for i in range(n)],
            "patient_id": [f"p{i}" for i in range(n)],
            "split": splits,
            "disease": np.where(hidden[:, 0], np.nan, y.astype(float)),
            "other": (rng.random(n) < 0.5).astype(float),
            "site": [None if h else f"site-{v}" for h, v in zip(hidden[:, 1], a, strict=True)],
        }
    )
    return Cohort(
        f"planted-{seed}-{groups}-{n}-{spot:g}",
        frame,
        ("disease", "other"),
        ("site",),
        1,
        render=render,
    )
