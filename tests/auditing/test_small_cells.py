"""With --small-cells no count of 1 to 4 is in any file, nor can it be found by subtraction."""

import json
import re

import jsonschema
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from support.predictions import run, table

from fairthesis.auditing._small_cells import pooled, said_of_small
from fairthesis.errors import InputError

SCHEMA = json.loads((ROOT / "fairthesis/auditing/audit.schema.json").read_text(encoding="utf-8"))


def few():
    """Two small groups, one row without a group, three without a label."""
    frame = table(1500)
    test = frame.index[frame["split"] == "test"]
    frame.loc[test[:4], "age_group"] = "0-1"
    frame.loc[test[4:7], "age_group"] = "1-2"
    frame.loc[test[7:9], "age_group"] = None
    frame.loc[test[9:12], "y_true"] = np.nan
    return frame


def test_small_groups_are_pooled_and_small_numbers_said(tmp_path):
    plain = run(few(), groups=["age_group"])
    assert {"0-1", "1-2"} <= set(plain.groups["age_group"])
    report = run(few(), groups=["age_group"], small_cells=True)
    groups = report.groups["age_group"]
    assert "others" in groups and not {"0-1", "1-2"} & set(groups)
    for group in groups.values():
        assert min(group.n_positive, group.n_negative) >= 5
    found = json.loads(report.to_json())
    jsonschema.validate(found, SCHEMA)
    assert found["further"]["flow"]["left out: no label"] is None
    assert found["further"]["missing"]["age_group"]["missing"]["n"] is None
    assert sum(g["n"] for g in found["groups"]["age_group"].values()) < found["n_rows"]
    words = re.sub(r"<(style|script).*?</\1>|<[^>]+>", " ", report.to_html(), flags=re.S)
    assert "fewer than 5" in words and "data-explorer" not in report.to_html()
    assert not re.search(r"\b[1-4] (of \d+ rows|rows|positive|negative cases)", words)
    report.write(tmp_path)
    table_ = pd.read_csv(tmp_path / "groups.csv")
    assert (table_[["n", "n_positive", "n_negative"]] >= 5).all(axis=None)


def test_one_small_group_is_pooled_with_another():
    """Alone it would be all rows less the others."""
    column = pd.Categorical(["a"] * 30 + ["b"] * 20 + ["c"] * 4)
    positive = np.arange(54) % 2 == 0
    found, names = pooled(column, positive)
    assert found.categories.tolist() == ["a", "others"] and names == ["b", "c"]
    none, names = pooled(pd.Categorical(["a"] * 30 + ["c"] * 4), positive[:34])
    assert none is None and names == ["a", "c"]
    same, names = pooled(pd.Categorical(["a"] * 30 + ["b"] * 24), positive)
    assert same.categories.tolist() == ["a", "b"] and names == []


def test_an_attribute_that_cannot_be_shown_is_left_out_or_the_audit_refused():
    frame = table(1500)
    frame["ward"] = np.where(frame.index == frame.index[frame["split"] == "test"][0], "x", "y")
    report = run(frame, groups=["sex", "ward"], small_cells=True)
    assert list(report.groups) == ["sex"]
    assert any("ward is not shown" in warning for warning in report.warnings)
    with pytest.raises(InputError, match="without counts under 5"):
        run(frame, groups=["ward"], small_cells=True)


def test_sentences_say_small_counts_as_such():
    said = said_of_small("sex = X has 3 positive and 24 negative cases; 4 patients, 12 rows")
    assert said == (
        "sex = X has fewer than 5 positive and 24 negative cases; fewer than 5 patients, 12 rows"
    )
