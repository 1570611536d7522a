"""Tables of embeddings in which something is planted for a probe to find."""

from __future__ import annotations

import numpy as np
import pandas as pd


def tables(plant, n=900, d=6, seed=0, groups=("f", "m"), images=1):
    """Embeddings with column 0 set by ``plant(code, y, rng)``, and a predictions table."""
    rng = np.random.default_rng(seed)
    code = np.repeat(rng.integers(0, len(groups), n), images)
    y = np.repeat(rng.integers(0, 2, n), images)
    x = rng.normal(size=(n * images, d))
    planted = plant(code, y, rng)
    y = planted.pop("y", y)
    for column, values in planted.items():
        x[:, column] = values
    frame = pd.DataFrame({"image_id": [f"i{k}" for k in range(n * images)]})
    frame["patient_id"] = np.repeat([f"p{k}" for k in range(n)], images)
    frame["split"] = np.repeat(np.resize(["train", "val", "test"], n), images)
    embedded = frame.join(pd.DataFrame(x, columns=[f"disease_{k:03d}" for k in range(d)]))
    labels = frame.assign(target="t", y_true=y, y_score=0.5, sex=np.array(groups)[code])
    return embedded, labels


def planted(code, y, rng):
    return {0: 6 * code + rng.normal(size=len(code))}


def shifted(n=600, d=12):
    """Embeddings ``z_0`` and on that sex shifts, two rows a patient, and a predictions table."""
    rng = np.random.default_rng(0)
    patient = np.arange(n) // 2
    sex = rng.choice(["F", "M"], n // 2)[patient]
    y = rng.integers(0, 2, n)
    x = rng.normal(size=(n, d)) + np.outer(sex == "F", rng.normal(size=d))
    x += np.outer(y, np.eye(d)[0])
    keys = pd.DataFrame({"image_id": [f"i{k}" for k in range(n)], "patient_id": patient})
    keys["patient_id"] = keys["patient_id"].astype(str)
    keys["split"] = np.array(["train", "val", "test"])[patient % 3]
    columns = [f"z_{k}" for k in range(d)]  # z_10 stands after z_1 in the order of letters
    whole = keys.join(pd.DataFrame(x.astype(np.float32), columns=columns))
    return whole, keys.assign(target="edema", y_true=y, y_score=0.5, sex=sex)
