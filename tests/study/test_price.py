"""What a method costs in patients, and what a test set could have shown, found again by hand."""

import dataclasses

import numpy as np
import pytest

from fairthesis.stats import Size, smallest_gap
from fairthesis.study import detectable_gaps, errors_in_patients, load_archived
from fairthesis.study._across_cohorts import seed_interval


@pytest.fixture(scope="module")
def found():
    return {"cxr": load_archived("synthetic-cxr", "full"), "ham": load_archived("ham10000", "full")}


def test_errors_are_the_rates_of_the_archive_in_patients(found):
    table = errors_in_patients(found)
    metrics = found["cxr"].metrics
    for metric, said in (("tpr", "missed of 100 with the disease"), ("fpr", "false alarms")):
        name = next(n for n in table.index.unique("of 100") if n.startswith(said))
        for group in ("all", "F"):
            rows = metrics[metrics["metric"] == metric]
            rows = rows[rows["group"].isna() if group == "all" else rows["group"] == group]
            rates = rows.pivot(index="seed", columns="variant", values="value")
            errors = 100 * (1 - rates if metric == "tpr" else rates)
            row = table.loc[("cxr", "all" if group == "all" else "sex F", name)]
            assert row["erm"] == pytest.approx(errors["erm"].mean(), abs=0.051)
            mean, lo, hi = seed_interval((errors["adversarial"] - errors["erm"]).tolist())
            assert row[["change", "lo", "hi"]].tolist() == pytest.approx([mean, lo, hi], abs=0.051)


def test_small_groups_and_missing_methods_have_no_rows(found):
    table = errors_in_patients(found)
    counts = found["ham"].metrics.query("metric == 'n_positive' and attribute == 'age_group'")
    small = counts.groupby("group")["value"].min()
    shown = {who.removeprefix("age_group ") for who in table.loc["ham"].index.unique("patients")}
    assert not shown & set(small[small < 30].index) and shown & set(small.index)
    assert errors_in_patients(found, "no_such_method").empty


def test_the_smallest_gap_is_the_one_of_the_numbers_of_cases(found):
    row = detectable_gaps(found).loc[("cxr", "sex")]
    metrics = found["cxr"].metrics.query("variant == 'erm'")
    mean = metrics[metrics["group"].notna()].groupby(["metric", "group"])["value"].mean()
    sizes = [Size(int(mean["n_positive", g]), int(mean["n_negative", g])) for g in ("F", "M")]
    overall = metrics[(metrics["metric"] == "auroc") & metrics["group"].isna()]["value"].mean()
    gap = smallest_gap("auroc", overall, *sizes, alpha=0.05, wanted=0.8)
    assert row["planned"] == pytest.approx(gap) and row["corrected"] > row["planned"]
    assert row["fewest"] == min(min(size.positive, size.negative) for size in sizes)
    smaller = found["cxr"].metrics.copy()
    counts = smaller["metric"].isin(["n_positive", "n_negative"]) & smaller["group"].notna()
    smaller.loc[counts, "value"] = 20
    none = detectable_gaps({"few": dataclasses.replace(found["cxr"], metrics=smaller)})
    assert none["groups"].item() == 0 and np.isnan(none["planned"].item())
