"""Tables of several targets and of classes, wide and long."""

from __future__ import annotations

import numpy as np
import pandas as pd

TARGETS = ("Edema", "Effusion", "Mass")
CLASSES = ("mel", "nv", "bkl")


def wide(n=600, seed=0):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, n // 2, n)
    sex = rng.choice(["F", "M"], n)[patient]
    found = {
        "image_id": [f"i{k}" for k in range(n)],
        "patient_id": [f"p{k}" for k in patient],
        "sex": sex,
        "age_group": rng.choice(["<40", ">40"], n)[patient],
    }
    common = rng.normal(size=n // 2)[patient]
    for k, target in enumerate(TARGETS):
        y = (rng.random(n) < 0.3 + 0.1 * k).astype(float)
        found[target] = y
        x = common / 2 + rng.normal(size=n) + (1 + k) * y * np.where(sex == "F", 0.3, 1)
        found[f"p_{target}"] = 1 / (1 + np.exp(-x))
    return pd.DataFrame(found)


def long(table):
    keys = table[["image_id", "patient_id", "sex", "age_group"]]
    parts = [keys.assign(target=t, y_true=table[t], y_score=table[f"p_{t}"]) for t in TARGETS]
    return pd.concat(parts, ignore_index=True)


def classes(n=500, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[truth]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = pd.DataFrame(p, columns=[f"p_{c}" for c in CLASSES])
    table["dx"] = np.array(CLASSES)[truth]
    return table.assign(sex=rng.choice(["F", "M"], n), patient_id=rng.integers(0, n // 2, n))
