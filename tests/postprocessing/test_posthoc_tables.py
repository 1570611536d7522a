"""Post-hoc methods need tables only: they run where torch is not installed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairthesis.postprocessing._posthoc import POSTHOC, RunTables


def made(names: tuple[str, str] = ("F", "M"), n: int = 900) -> RunTables:
    """Two groups whose embeddings and scores differ; every fifth image is of an unknown group."""
    rng = np.random.default_rng(0)
    row = np.arange(n)
    second, y = row % 2, (row // 2) % 2
    z = rng.normal(size=(n, 4)) + np.outer(second, [1, 0, 0, 0]) + np.outer(y, [0, 1, 0, 0])
    score = 1 / (1 + np.exp(-(1.5 * z[:, 1] + second - 1)))
    group = np.array(names, dtype=object)[second]
    group[row % 5 == 0] = None
    split = np.array(["train", "val", "test"])[row // 4 % 3]
    keys = pd.DataFrame({"image_id": [f"i{k}" for k in row], "patient_id": row, "split": split})
    return RunTables(keys, z, y[:, None].astype(float), score[:, None], group, ("y",), 0)


@pytest.mark.parametrize("name", POSTHOC)
def test_every_method_gives_scores_of_the_same_rows(name: str) -> None:
    run = made()
    found = POSTHOC[name](run)
    assert found.z.shape == run.z.shape
    known = ~np.isnan(found.y_score)
    assert ((found.y_score[known] >= 0) & (found.y_score[known] <= 1)).all()
    assert known[run.known("test")].all()


def test_a_group_called_none_is_not_the_unknown_one() -> None:
    run = made(("None", "some"))
    score = POSTHOC["threshold_optimizer"](run).y_score[:, 0]
    unknown = np.array([group is None for group in run.group])
    assert np.isnan(score[unknown]).all()
    assert not np.isnan(score[~unknown]).any()
