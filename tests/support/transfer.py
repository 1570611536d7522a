"""A cohort of predictions and embeddings in which prevalence and look can be planted apart."""

from __future__ import annotations

import numpy as np
import pandas as pd


def cohort(
    n: int,
    prevalence: float,
    look: float = 0.0,
    *,
    seed: int = 0,
    tag: str = "a",
    worse: float = 0.0,
    width: int = 6,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """About 1.5 images per patient; ``worse`` takes from the signal, ``look`` moves all images."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, 2 * n // 3, n)
    y = (rng.random(n) < prevalence)[who].astype(float)
    z = rng.normal(size=(n, width))
    z[:, 0] += 2 * y * (1 - worse)
    z[:, 1] += look
    table = pd.DataFrame(
        {
            "image_id": [f"{tag}{k}" for k in range(n)],
            "patient_id": [f"{tag}-{k}" for k in who],
            "split": np.where(who % 3 == 0, "val", "test"),
            "target": "opacity",
            "y_true": y,
            "y_score": 1 / (1 + np.exp(2 - 2 * z[:, 0] - look)),
            "sex": rng.choice(["F", "M"], n)[who],
        }
    )
    vectors = pd.DataFrame({f"disease_{k:03}": z[:, k] for k in range(width)})
    return table, pd.concat([table[["image_id", "patient_id", "split"]], vectors], axis=1)
