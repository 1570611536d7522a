"""The worked examples in CONTRIBUTING.md are code that runs."""

from __future__ import annotations

import doctest
import importlib
import re
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from support.layouts import picture
from support.predictions import scored

from fairthesis import data, metrics, stats


def examples() -> dict[str, str]:
    """The code below each **bold** paragraph, by what it adds."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.findall(r"^\*\*(A \w+(?: \w+)?)\*\*.*?```python\n(.*?)```", text, re.M | re.S)
    return dict(found)


def run(code: str) -> dict[str, Any]:
    module = ModuleType("example")
    exec(compile(code, "CONTRIBUTING.md", "exec"), vars(module))
    return vars(module)


def test_there_is_one_of_each_kind():
    assert list(examples()) == ["A method", "A metric", "A data set", "A figure"]


def test_the_method_trains_and_lowers_what_it_says(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from support.batches import make_batch, make_method

    from fairthesis.methods import METHODS

    found = run(examples()["A method"])
    monkeypatch.setitem(METHODS, "covariance", found["Covariance"])
    torch.manual_seed(0)
    batch = make_batch()
    method = make_method("covariance", batch, weight=3.0, warmup_epochs=0, ramp_epochs=0)
    found = [method.update(batch)["penalty"] for _ in range(60)]
    first, last = found[0], found[-1]
    assert last < 0.5 * first


def test_the_metric_is_resampled_as_the_built_in_ones():
    found = run(examples()["A metric"])
    (example,) = doctest.DocTestFinder().find(found["youden"], "youden", globs=found)
    assert doctest.DocTestRunner().run(example).failed == 0 and example.examples
    y, s, patient = scored(0)
    group = stats.prepare(y, s, patient, 0.5)
    counts = stats.patient_counts(patient.max() + 1, range(3), seed=0)
    drawn = found["youden"](*group.resampled(counts).confusion)
    for k, row in enumerate(counts):
        rows = np.repeat(np.arange(len(y)), row[patient].astype(int))
        cells = metrics.counts(y[rows], s[rows] >= 0.5)
        assert drawn[k] == pytest.approx(float(found["youden"](*cells)))


def test_the_data_set_is_loaded(tmp_path):
    found = run(examples()["A data set"])
    rows = []
    for k in range(40):
        picture(tmp_path / "images" / f"e{k}.png", seed=k)
        rows.append({"image": f"e{k}", "patient": k // 2, "glaucoma": k % 2, "sex": "FM"[k % 2]})
    pd.DataFrame(rows).to_csv(tmp_path / "eyes.csv", index=False)
    cohort = found["load"](tmp_path, seed=1)
    assert len(cohort) == 40 and cohort.attributes == ("sex",)
    assert len(data.shared_values(cohort.frame, ["patient_id"])) == 0


def test_the_figure_is_drawn():
    plt = importlib.import_module("matplotlib.pyplot")
    found = run(examples()["A figure"])
    axes = found["epochs_of_runs"](
        pd.DataFrame({"method": ["erm", "mmd"], "epoch": [3, 5]}), plt.subplots()[1]
    )
    assert axes.get_xlabel() == "selected epoch"
    plt.close("all")
    assert "example" not in sys.modules
