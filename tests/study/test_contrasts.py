"""Contrasts of two variants, over seeds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from fairthesis.errors import InputError
from fairthesis.study import contrasts, load_results
from fairthesis.study._archive import archive_results


@pytest.fixture
def archived():
    """The quick archive with five seeds, whose AUROCs are moved by known amounts."""
    found = load_results(archive_results() / "synthetic-cxr-quick")
    change = {"metrics": [], "disparities": []}
    for name, parts in change.items():
        table = getattr(found, name)
        table = table[table["seed"] == 0]
        parts += [table.assign(seed=s) for s in range(5)]
    tables = {name: pd.concat(parts) for name, parts in change.items()}
    moved = np.array([0.010, 0.013, 0.011, 0.018, 0.009])
    metrics = tables["metrics"].reset_index(drop=True)
    rows = metrics["group"].isna() & (metrics["metric"] == "auroc")
    rows &= metrics["variant"] == "erm"
    metrics.loc[rows, "value"] = 0.8
    own = metrics["group"].isna() & (metrics["metric"] == "auroc")
    own &= metrics["variant"] == "adversarial"
    metrics.loc[own, "value"] = 0.8 - moved[metrics.loc[own, "seed"]]
    return dataclasses.replace(found, **(tables | {"metrics": metrics})), moved


def test_the_interval_is_students_of_paired_differences(archived):
    results, moved = archived
    table = contrasts({"a": results}, [("adversarial", "erm")], ["AUROC"])
    row = table.iloc[0]
    known = ttest_rel(0.8 - moved, np.full(5, 0.8)).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(-moved.mean())
    assert (row["lo"], row["hi"]) == pytest.approx((known.low, known.high))
    assert row["verdict"] == "lower" and row["seeds"] == 5
    turned = contrasts({"a": results}, [("erm", "adversarial")], ["AUROC"]).iloc[0]
    assert turned["verdict"] == "higher" and turned["lo"] == pytest.approx(-row["hi"])


def test_what_holds_zero_is_nothing_only_if_it_is_narrow(archived):
    results, _ = archived
    results = dataclasses.replace(results, metrics=results.metrics.copy())
    rows = results.metrics["group"].isna() & (results.metrics["metric"] == "auroc")
    rows &= results.metrics["variant"] == "adversarial"
    results.metrics.loc[rows, "value"] = [0.8 + d for d in (0.01, -0.01, 0.02, -0.02, 0.001)]
    table = contrasts({"a": results}, [("adversarial", "erm")], ["AUROC"])
    assert table["verdict"].tolist() == ["nothing"]
    wide = table["hi"] - table["lo"]
    again = contrasts({"a": results}, [("adversarial", "erm")], ["AUROC"], narrow=wide[0])
    assert again["verdict"].tolist() == ["cannot be told"]


def test_pairs_and_cohorts_that_are_not_there_are_left_out(archived):
    results, _ = archived
    found = {"a": results, "b": None}
    table = contrasts(found, [("adversarial", "erm"), ("critics", "erm")], ["AUROC", "AUROC gap"])
    assert table[["cohort", "number"]].values.tolist() == [["a", "AUROC"], ["a", "AUROC gap"]]
    with pytest.raises(InputError, match=r"Unknown number of a contrast 'AUROC gab'"):
        contrasts(found, [("adversarial", "erm")], ["AUROC gab"])
