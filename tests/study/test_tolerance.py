"""Within what an archived number has to come out again: measured, and too narrow for a control."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from conftest import ROOT

from fairthesis.study import Results, compare_results, load_archived
from fairthesis.study._tolerance import TOLERANCE, tolerance_of

MEASURED = ROOT / "benchmarks" / "study" / "tolerances.csv"


def test_every_tolerance_is_the_measured_one() -> None:
    table = pd.read_csv(MEASURED)
    assert {
        name: dict(zip(part["number"], part["tolerance"], strict=True))
        for name, part in table.groupby("table", sort=False)
    } == TOLERANCE
    assert (table["tolerance"] >= 1.5 * table["between environments"]).all()


def exchanged(results: Results, variant: str) -> Results:
    """The other variant's numbers under this one's name, seed by seed."""

    def under(table: pd.DataFrame) -> pd.DataFrame:
        other = table[table["variant"] != variant].assign(variant=variant)
        return pd.concat([other, table[table["variant"] != variant]], ignore_index=True)

    tables = {name: under(getattr(results, name)) for name in TOLERANCE}
    return dataclasses.replace(results, **tables)


@pytest.mark.parametrize("variant", ["erm", "adversarial"])
def test_one_method_does_not_pass_as_the_other(variant: str) -> None:
    archive = load_archived("synthetic-cxr", "quick")
    assert archive is not None and archive.provenance["tolerance"] == TOLERANCE
    assert compare_results(archive, archive)["agrees"].all()
    table = compare_results(archive, exchanged(archive, variant))
    wrong = table[~table["agrees"]]
    assert set(wrong["key"].str.split(" / ").str[0]) == {variant}
    # Each seed by itself, and by what the method is for: not by one number of hundreds.
    for seed in ("0", "1"):
        own = wrong[wrong["key"].str.split(" / ").str[1] == seed]
        assert own["key"].str.endswith((" / auroc_gap", " / worst_group_auroc")).sum() == 2
        assert len(own) > 20


def test_a_number_that_is_not_stated_has_the_largest_tolerance() -> None:
    found = tolerance_of(pd.Series(["auroc", "new"], [3, 5]), {"auroc": 0.01, "tpr": 0.04})
    assert found.to_dict() == {3: 0.01, 5: 0.04}
