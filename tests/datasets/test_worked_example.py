"""The data set that CONTRIBUTING.md adds is loaded as it says."""

from __future__ import annotations

import pandas as pd
import pytest
from support.contributing import examples, run, values
from support.layouts import picture

from fairthesis import data
from fairthesis.datasets.loaders import _values


@pytest.fixture
def lists(tmp_path, monkeypatch):
    """The example's list of values in the place of those of the package."""
    (tmp_path / "values").mkdir()
    (tmp_path / "values" / "eye-clinic.csv").write_text(values(), encoding="utf-8")
    monkeypatch.setattr(_values, "TABLES", tmp_path / "values")
    _values.published.cache_clear()
    yield
    _values.published.cache_clear()


def test_the_data_set_is_loaded(tmp_path, lists):
    found = run(examples()["A data set"])
    rows = []
    for k in range(40):
        picture(tmp_path / "images" / f"e{k}.png", seed=k)
        sex = "unclear" if k == 7 else ("woman", "man")[k % 2]
        rows.append({"image": f"e{k}.png", "patient": k // 2, "glaucoma": k % 2, "sex": sex})
    pd.DataFrame(rows).to_csv(tmp_path / "eyes.csv", index=False)
    cohort = found["load"](tmp_path, seed=1)
    assert len(cohort) == 40 and cohort.attributes == ("sex",)
    assert cohort.frame["sex"].value_counts().to_dict() == {"F": 20, "M": 19}
    assert any("unclear" in reason for reason in cohort.left_out)
    assert len(data.shared_values(cohort.frame, ["patient_id"])) == 0
