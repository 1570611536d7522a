"""Tables of predictions with a known difference between groups."""

from __future__ import annotations

import numpy as np
import pandas as pd

import fairthesis
from fairthesis.metrics import logit


def table(n=900, seed=0, effect=1.5):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, n // 2, n)
    sex = rng.choice(["F", "M"], n)[patient]
    age = rng.choice(["<40", "40-60", ">60"], n)[patient]
    y = (rng.random(n) < 0.4).astype(float)
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + effect * (y - 0.5) * np.where(sex == "F", 1, 2))))
    split = np.where(patient % 3 == 0, "val", "test")
    return pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "patient_id": [f"p{k}" for k in patient],
            "split": split,
            "target": "pneumonia",
            "y_true": y,
            "y_score": s,
            "sex": sex,
            "age_group": age,
        }
    )


def run(frame, **options):
    quick = {"groups": ["sex"], "patient": "patient_id", "n_boot": 60, "n_permutations": 60}
    return fairthesis.audit(frame, **(quick | options))


def two(noise=0.3, n=900):
    first = table(n)
    logits = logit(first["y_score"])
    moved = logits + np.random.default_rng(1).normal(size=n) * noise
    return first, first.assign(y_score=1 / (1 + np.exp(-moved)))


def scored(seed, n=600, n_patients=250, ties=False):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(float)
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + y - 0.5)))
    patient = np.unique(rng.integers(0, n_patients, n), return_inverse=True)[1]
    return y, np.round(s, 2) if ties else s, patient
