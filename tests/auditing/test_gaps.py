"""Gaps of an audit: what they rest on, how they are corrected, pairs, planned gaps, many groups."""

import json
import re

import jsonschema
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from scipy.stats import norm
from support.predictions import run, table

from fairthesis.auditing import limitation_sentences, summary_sentences
from fairthesis.auditing._funnel import funnel
from fairthesis.auditing._gaps import AttributeGaps
from fairthesis.auditing._meaning import meaning_of_positive
from fairthesis.errors import InputError
from fairthesis.inputs import in_order
from fairthesis.metrics import DISPARITIES
from fairthesis.stats import EFFECTIVE_GAPS

SCHEMA = json.loads((ROOT / "fairthesis/auditing/audit.schema.json").read_text(encoding="utf-8"))


def test_groups_of_the_same_rows_have_no_gap_and_an_interval_that_holds_it():
    one = table(600)
    one = one[one["split"] == "test"]
    parts = [
        one.assign(site=name, patient_id=one["patient_id"] + name, image_id=one["image_id"] + name)
        for name in "abcdefgh"
    ]
    report = run(pd.concat(parts), groups=["site"], n_permutations=99)
    for name, gap in report.disparities["site"].items():
        assert gap.ci[0] <= gap.value <= gap.ci[1], name
        assert name == "worst_group_auroc" or gap.value == pytest.approx(0, abs=1e-12)
        assert gap.p_value == 1, name
    pairs = report.additional["pairs"]["site"]
    assert len(pairs) == 7 * 28 and all(p["ci"][0] < 0 < p["ci"][1] for p in pairs)


def test_an_answer_does_not_change_because_another_attribute_was_asked_for():
    frame = table(1500)
    alone = run(frame, groups=["sex"])
    more = run(frame, groups=["sex", "age_group", "sex*age_group"])
    assert alone.disparities["sex"] == more.disparities["sex"]
    assert alone.groups["sex"] == more.groups["sex"]


def test_planned_gaps_are_corrected_among_themselves():
    frame = table(1500)
    plain = run(frame, n_permutations=199).disparities["sex"]
    planned = run(frame, n_permutations=199, primary=["tpr_difference"]).disparities["sex"]
    one = planned["tpr_difference"]
    assert one.p_value_corrected == one.p_value == plain["tpr_difference"].p_value
    for name in DISPARITIES:
        assert planned[name].p_value == plain[name].p_value
        assert planned[name].p_value_corrected <= plain[name].p_value_corrected
    with pytest.raises(InputError, match="Did you mean 'tpr_difference'"):
        run(frame, primary=["tpr_diference"])


def test_a_group_is_left_out_by_the_cases_that_the_metric_rests_on():
    """A false alarm gap of a group without positives was reported as 0."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"sex": np.repeat(["F", "M", "X"], 200)})
    frame["y_true"] = np.where(frame["sex"] == "X", 0, rng.integers(0, 2, 600))
    alarm = rng.random(600) < np.where(frame["sex"] == "X", 0.6, 0.2)
    frame["y_score"] = np.where((frame["y_true"] == 1) | alarm, 0.9, 0.1) - 0.05 * rng.random(600)
    report = run(frame, patient=None)
    gaps = report.disparities["sex"]
    rates = {name: g.metrics["fpr"].value for name, g in report.groups["sex"].items()}
    assert gaps["fpr_difference"].value == pytest.approx(rates["X"] - min(rates.values()))
    assert gaps["fpr_difference"].value > 0.3 and gaps["fpr_difference"].p_value < 0.05
    assert gaps["tpr_difference"].value < 0.1  # between F and M
    assert any("AUROC and true positive rate" in warning for warning in report.warnings)
    words = " ".join(s for _, part in summary_sentences(report.to_dict()) for s in part)
    assert "among the groups compared" not in words.split("False positive rate")[1]


def test_pairs_are_signed_and_the_reference_comes_second():
    report = run(table(1500), groups=["age_group"], reference={"age_group": "<40"})
    pairs = [p for p in report.additional["pairs"]["age_group"] if p["metric"] == "tpr"]
    assert [(p["first"], p["second"]) for p in pairs] == [
        ("40-60", ">60"), ("40-60", "<40"), (">60", "<40"),
    ]  # fmt: skip
    groups = report.groups["age_group"]
    for pair in pairs:
        a, b = (groups[pair[k]].metrics["tpr"].value for k in ("first", "second"))
        assert pair["difference"] == pytest.approx(a - b)
        assert pair["ratio"] == pytest.approx(a / b)
        low, high = pair["ci"]
        wide = pair["ci_simultaneous"]
        assert wide[0] < low < pair["difference"] < high < wide[1]
        assert pair["p_value"] <= pair["p_value_corrected"]
    with pytest.raises(InputError, match="age_group in reference"):
        run(table(), groups=["age_group"], reference={"age_group": "30"})


def test_two_groups_have_a_signed_sentence():
    words = dict(summary_sentences(run(table(1500)).to_dict()))["sex"]
    assert re.search(r"“.” less “.” is −?0\.\d+ \(95 % interval", words[0])
    assert "corrected for 10 gaps" in words[0]


def test_what_one_means_decides_which_error_is_a_missed_diagnosis():
    frame = table().assign(target="No Finding")
    told = run(frame)
    plain = run(frame, positive_means="disease")
    group = told.groups["sex"]["F"].metrics
    found = told.additional["groups"]["sex"]["F"]
    assert found["underdiagnosis_rate"] == group["fpr"]
    assert found["overdiagnosis_rate"] == group["fnr"]
    assert plain.additional["groups"]["sex"]["F"]["underdiagnosis_rate"] == group["fnr"]
    assert any("--positive-means" in w for w in told.warnings)
    assert not any("--positive-means" in w for w in plain.warnings)
    for name in ("no_finding", "NoFinding", "Normal", "healthy"):
        assert meaning_of_positive(None, (name, "y"), []) == "healthy"
    assert meaning_of_positive(None, (None, "Abnormal finding"), []) == "disease"
    with pytest.raises(InputError, match="expected one of disease, healthy"):
        run(frame, positive_means="sick")


@pytest.mark.simulation
def test_a_rule_s_promise_has_an_interval_of_its_own():
    """At the chosen threshold the rate is known better than what the rule promises."""
    held = conditional = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = 700
        y = rng.random(n) < 0.3
        frame = pd.DataFrame({"patient_id": np.arange(n), "y_true": y * 1, "sex": list("FM") * 350})
        frame["y_score"] = norm.cdf(rng.normal(size=n) + 1.2 * y)
        frame["split"] = np.where(np.arange(n) < 200, "val", "test")
        report = run(frame, threshold="fpr=0.2", n_permutations=0, n_boot=200)
        low, high = report.to_dict()["further"]["rule"]["overall"]["fpr"]
        held += low <= 0.2 <= high
        low, high = report.overall["fpr"].ci
        conditional += low <= 0.2 <= high
    assert held >= 53 and conditional <= 48 and held > conditional
    jsonschema.validate(report.to_dict(), SCHEMA)
    assert "The rule fpr=0.2 instead of this threshold" in report.to_html()
    assert "rule" not in run(frame).to_dict()["further"]


def test_many_groups_are_looked_at_in_a_funnel_and_small_ones_pooled():
    rng = np.random.default_rng(0)
    sizes = np.repeat([f"h{k}" for k in range(70)], np.r_[np.full(60, 60), np.full(10, 8)])
    n = len(sizes)
    frame = pd.DataFrame({"site": sizes, "patient_id": np.arange(n)})
    frame["y_true"] = (rng.random(n) < 0.55) * 1
    frame["y_score"] = norm.cdf(rng.normal(size=n) + frame["y_true"])
    bad = frame["site"] == "h7"
    frame.loc[bad, "y_score"] = 1 - frame.loc[bad, "y_score"]
    report = run(frame, groups=["site"], n_permutations=199, floor=20)
    assert len(report.groups["site"]) == 61 and report.groups["site"]["others"].n == 80
    assert any("10 groups of site have fewer than 20 rows" in w for w in report.warnings)
    rest = {p["first"]: p for p in report.additional["pairs"]["site"] if p["metric"] == "auroc"}
    assert rest["h7"]["second"] == "all others" and rest["h7"]["p_value_corrected"] <= 0.02
    found = report.to_dict()
    jsonschema.validate(found, SCHEMA)
    plot = funnel(found["overall"], found["groups"]["site"], "auroc")
    assert [d["name"].split(":")[0] for d in plot["dots"] if d["out"]] == ["h7"]
    page = report.to_html()
    assert "Funnel plots" in page and "data-explorer" not in page.split("</style>")[1]
    with pytest.raises(InputError, match="Bin a continuous"):
        run(frame.assign(site=np.arange(n)), groups=["site"])


def test_groups_are_in_the_order_of_their_numbers():
    assert in_order(["60+", "<20", "20-39", "40-59"]) == ["<20", "20-39", "40-59", "60+"]
    assert in_order([">80", "80", "<80", "9"]) == ["9", "<80", "80", ">80"]
    assert in_order(["b", "a", "10"]) == ["10", "a", "b"]
    assert in_order(["F * 100+", "F * 20-99", "M * 20-99"])[0] == "F * 20-99"
    assert list(run(table(), groups=["age_group"]).groups["age_group"]) == ["<40", "40-60", ">60"]


def test_rows_without_a_group_are_told_with_whether_it_goes_with_the_label():
    frame = table(1500)
    test = frame["split"] == "test"
    gone = test & (frame["y_true"] == 1) & (frame.index % 3 == 0)
    report = run(frame.assign(sex=frame["sex"].mask(gone)))
    missing = report.additional["missing"]["sex"]
    assert missing["missing"]["n"] == missing["missing"]["n_positive"] == int(gone.sum())
    assert missing["missing"]["auroc"] is None and missing["p_value"] <= 0.01
    assert "goes with the label" in report.to_html()
    at_random = run(frame.assign(sex=frame["sex"].mask(frame.index % 5 == 0)))
    assert "cannot be told to go with the label" in at_random.to_html()
    assert run(frame).additional["missing"]["sex"] is None


def test_calibration_as_a_whole_is_told_from_the_line():
    from sklearn.linear_model import LogisticRegression

    from fairthesis.metrics import calibration_in_the_large, logit, observed_expected

    frame = table(3000)
    y, s = frame["y_true"].to_numpy(), frame["y_score"].to_numpy() ** 1.5
    assert observed_expected(y, s) == pytest.approx(y.sum() / s.sum())
    a = calibration_in_the_large(y, s)
    # At this intercept as many are expected as are observed.
    assert (1 / (1 + np.exp(-logit(s) - a))).sum() == pytest.approx(y.sum())
    line = LogisticRegression(C=1e12).fit(logit(s)[:, None], y)
    assert abs(a - line.intercept_[0]) > 0.05  # another number than that of the joint line
    report = run(frame.assign(y_score=s))
    found = report.additional["groups"]["sex"]["F"]
    for name in ("observed_expected", "calibration_in_the_large"):
        low, high = found[name].ci
        assert low < found[name].value < high
    assert np.isnan(calibration_in_the_large(np.ones(5), s[:5]))


def test_limits_do_not_change():
    assert len(limitation_sentences(run(table()).to_dict())) >= 4


@pytest.mark.parametrize("attribute", ["sex", "age_group"])
def test_ten_gaps_are_worth_the_tests_that_power_counts(attribute):
    """At the 5 % point of the smallest of ten p values, as many independent tests would stand."""
    report = run(table(3000), groups=[attribute], n_boot=0, n_permutations=0)
    between = AttributeGaps(
        report.data,
        attribute,
        report.groups[attribute],
        {},
        floor=30,
        n_permutations=999,
        seed=0,
        intervals=False,
    )
    null = np.stack(list(between._statistics({}).values()), axis=-1)[1:]
    p = (len(null) - null.argsort(0).argsort(0)) / len(null)
    worth = np.log(0.95) / np.log1p(-np.quantile(p.min(1), 0.05))
    assert abs(worth - EFFECTIVE_GAPS) <= 2
