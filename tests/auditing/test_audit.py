"""The audit keeps its contract, says what it left out, and refuses what it cannot use."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from support.predictions import run, table

import fairthesis
from fairthesis import metrics
from fairthesis.auditing._html import render
from fairthesis.errors import InputError
from fairthesis.metrics import (
    DISPARITIES,
    choose_threshold,
    cross_auroc,
    fpr_at_tpr,
    net_benefit,
    overdiagnosis_rate,
    parse_threshold,
    smooth_ece,
    tpr_at_fpr,
    underdiagnosis_rate,
)
from fairthesis.stats import (
    bca_interval,
    bootstrap_groups,
    degrees_of_freedom,
    expanded_level,
    patient_index,
    prepare,
)

SCHEMA = json.loads(
    (Path(fairthesis.__file__).parent / "auditing" / "audit.schema.json").read_text()
)


def test_contract():
    frame = table()
    report = run(frame, groups=["sex", "age_group", "sex*age_group"], floor=10)
    found = json.loads(report.to_json())
    jsonschema.validate(found, SCHEMA)
    assert found == report.to_dict()
    assert found["schema"] == "fairthesis.audit/1"
    assert set(found["overall"]) == set(metrics.METRICS)
    assert set(found["groups"]) == set(found["disparities"])
    assert set(found["groups"]["sex*age_group"]) >= {"F * <40", "M * >60"}
    for attribute, members in found["groups"].items():
        assert set(found["disparities"][attribute]) == set(DISPARITIES)
        assert sum(g["n"] for g in members.values()) == found["n_rows"]
        for group in members.values():
            assert set(group["metrics"]) == set(metrics.METRICS)
            assert group["n_positive"] + group["n_negative"] == group["n"]
    test = frame[frame["split"] == "test"]
    assert found["n_rows"] == len(test)
    assert found["n_patients"] == test["patient_id"].nunique()
    assert found["threshold"] == {"value": 0.5, "rule": "fixed"}


def test_values_are_those_of_the_rows():
    frame = table()
    report = run(frame)
    for name, rows in frame[frame["split"] == "test"].groupby("sex"):
        value = report.groups["sex"][name].metrics["auroc"]
        assert value.value == pytest.approx(roc_auc_score(rows["y_true"], rows["y_score"]))
        assert value.ci[0] < value.value < value.ci[1]
    gap = report.disparities["sex"]["auroc_gap"]
    aurocs = [g.metrics["auroc"].value for g in report.groups["sex"].values()]
    assert gap.value == pytest.approx(max(aurocs) - min(aurocs))
    assert 0 < gap.null_mean < gap.null_q95
    assert gap.p_value <= gap.p_value_corrected <= 1
    assert gap.p_value < 0.1
    worst = report.disparities["sex"]["worst_group_auroc"]
    assert worst.value < worst.null_q95 < worst.null_mean


def test_seed_and_order_of_rows_and_attributes():
    frame = table()
    first = run(frame, groups=["sex", "age_group"])
    assert first.to_json() == run(frame, groups=["sex", "age_group"]).to_json()
    assert first.to_json() != run(frame, groups=["sex", "age_group"], seed=1).to_json()
    other = run(frame, groups=["age_group", "sex"])
    assert other.disparities["sex"]["auroc_gap"].ci == first.disparities["sex"]["auroc_gap"].ci
    assert other.groups["sex"] == first.groups["sex"]


def test_unknown_labels_scores_and_attributes_are_counted():
    frame = table()
    test = frame.index[frame["split"] == "test"]
    frame.loc[test[:5], "y_true"] = np.nan
    frame.loc[test[5:8], "y_score"] = np.nan
    frame.loc[test[8:12], "sex"] = None
    report = run(frame)
    assert report.n_rows == len(test) - 8
    assert sum(g.n for g in report.groups["sex"].values()) == len(test) - 12
    text = " ".join(report.warnings)
    assert "5 of" in text and "3 of" in text and "4 of" in text


def test_a_small_group_is_shown_and_not_compared():
    frame = table(2000)
    frame.loc[frame.index[frame["split"] == "test"][:20], "sex"] = "X"
    report = run(frame)
    aurocs = [report.groups["sex"][g].metrics["auroc"].value for g in "FM"]
    assert report.disparities["sex"]["auroc_gap"].value == pytest.approx(abs(aurocs[0] - aurocs[1]))
    assert "X" in report.groups["sex"]
    assert any("sex = X has" in warning for warning in report.warnings)


def test_no_gap_with_fewer_than_two_groups():
    report = run(table(), floor=100_000)
    found = report.to_dict()["disparities"]["sex"]["auroc_gap"]
    assert set(found.values()) == {None}
    assert any("No gap shown does not mean no gap" in warning for warning in report.warnings)
    jsonschema.validate(report.to_dict(), SCHEMA)


def test_group_without_positives_is_null_not_zero():
    frame = table()
    frame.loc[frame["age_group"] == "<40", "y_true"] = 0.0
    found = run(frame, groups=["age_group"]).to_dict()["groups"]["age_group"]["<40"]
    for name in ("auroc", "tpr", "fnr", "calibration_slope"):
        assert found["metrics"][name] == {"value": None, "ci": None}
    assert found["metrics"]["fpr"]["value"] is not None


def test_decisions_that_are_all_right_in_a_group_can_be_audited():
    """smECE's bandwidth is 0 there; it ended in a division by it."""
    frame = table()
    right = frame["sex"] == "F"
    frame["y_score"] = np.where(right, frame["y_true"], 1 - frame["y_true"])
    found = run(frame).to_dict()
    jsonschema.validate(found, SCHEMA)
    smooth = {g: found["further"]["groups"]["sex"][g]["smooth_ece"] for g in ("F", "M")}
    assert smooth["F"] == {"value": 0.0, "ci": [0.0, 0.0]}
    assert smooth["M"]["value"] > 0.3 and smooth["M"]["ci"][0] > 0.2


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_a_calibration_error_without_two_cases_in_a_bin_is_null(interval):
    score = (np.arange(8) + 0.5) / 15  # a bin each
    frame = pd.DataFrame({"patient_id": np.arange(8), "y_true": [0, 1] * 4, "y_score": score})
    frame["sex"] = np.repeat(["F", "M"], 4)
    report = run(frame, split=None, floor=1, interval=interval)
    found = report.to_dict()
    jsonschema.validate(found, SCHEMA)
    unknown = {"value": None, "ci": None}
    assert found["overall"]["ece_debiased"] == unknown
    assert found["groups"]["sex"]["F"]["metrics"]["ece_debiased"] == unknown
    assert found["disparities"]["sex"]["ece_gap"]["ci"] is None
    assert "no bin has two cases" in report.to_html()


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_a_share_of_0_or_1_has_the_exact_interval(interval):
    frame = pd.DataFrame({"y_true": [0, 1] * 20, "sex": ["F", "F", "M", "M"] * 10})
    frame["y_score"] = 0.6 * frame["y_true"] + np.linspace(0.1, 0.3, 40)  # apart at 0.5
    frame["patient_id"] = np.arange(40) // 8  # 5 patients, F and M, both labels in each
    report = run(frame, split=None, floor=1, interval=interval)
    found = report.to_dict()
    jsonschema.validate(found, SCHEMA)
    for name, value in (("tpr", 1), ("fpr", 0), ("ppv", 1), ("accuracy", 1)):
        low, high = stats.binomtest(5 * value, 5).proportion_ci(0.95, "exact")
        for one in (found["overall"], found["groups"]["sex"]["F"]["metrics"]):
            assert one[name]["value"] == value
            assert one[name]["ci"] == pytest.approx([low, high])
    # Replicates that never differ are not an interval.
    assert found["overall"]["auroc"] == {"value": 1, "ci": None}
    assert found["disparities"]["sex"]["auroc_gap"]["ci"] is None
    # A gap of two such shares that share their patients: correlated, so less than by Pythagoras.
    reach = 1 - 0.025 ** (1 / 5)
    for name in ("tpr_difference", "fpr_difference", "equalized_odds_difference", "accuracy_gap"):
        assert found["disparities"]["sex"][name]["ci"] == pytest.approx([0, reach])
    assert "A gap as large as 0.000" not in report.to_html()


def test_a_gap_of_which_one_group_has_a_share_of_1_counts_what_is_not_known_of_it():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"y_true": rng.integers(0, 2, 400), "sex": ["F"] * 80 + ["M"] * 320})
    noisy = rng.normal(0.35 + 0.3 * frame["y_true"], 0.2).clip(0, 1)
    frame["y_score"] = np.where(frame["sex"] == "M", noisy, 0.1 + 0.8 * frame["y_true"])
    found = run(frame, split=None, patient=None).to_dict()
    rates = {g: found["groups"]["sex"][g]["metrics"] for g in "FM"}
    assert rates["F"]["tpr"]["value"] == 1 > rates["M"]["tpr"]["value"]
    gap = found["disparities"]["sex"]["tpr_difference"]
    own = rates["M"]["tpr"]
    # F's true rate may be lower than 1 by as much as its interval: the gap may be smaller.
    below = np.hypot(1 - rates["F"]["tpr"]["ci"][0], own["ci"][1] - own["value"])
    above = own["value"] - own["ci"][0]
    assert gap["ci"] == pytest.approx([gap["value"] - below, gap["value"] + above])
    both = [found["disparities"]["sex"][f"{rate}_difference"]["ci"] for rate in ("tpr", "fpr")]
    low, high = found["disparities"]["sex"]["equalized_odds_difference"]["ci"]
    # The larger of two lower ends holds less often than each, so it is taken a little lower.
    assert max(both)[0] - 0.03 < low < max(both)[0] and high == max(high for _, high in both)


def test_resampling_can_be_left_out():
    found = run(table(), n_boot=0, n_permutations=0).to_dict()
    assert found["overall"]["auroc"]["ci"] is None
    assert found["disparities"]["sex"]["auroc_gap"]["p_value"] is None
    jsonschema.validate(found, SCHEMA)


def test_thresholds_come_from_the_validation_part():
    frame = table()
    val = frame[frame["split"] == "val"]
    for rule in ("youden", "fpr=0.2", "tnr=0.8"):
        report = run(frame, threshold=rule, n_boot=0, n_permutations=0)
        assert report.rule == rule
        assert report.threshold in set(val["y_score"])
        false = (val.loc[val["y_true"] == 0, "y_score"] >= report.threshold).mean()
        assert rule == "youden" or 0.15 < false <= 0.2
    changed = frame.copy()
    changed.loc[changed["split"] == "test", "y_true"] = 1 - changed["y_true"]
    again = run(changed, threshold="youden", n_boot=0, n_permutations=0)
    assert again.threshold == run(frame, threshold="youden", n_boot=0, n_permutations=0).threshold


def test_rules_at_their_limits():
    assert choose_threshold([0, 0, 1], [0.9, 0.9, 0.1], "fpr", 0.0) > 0.9
    assert choose_threshold([0, 1], [0.2, 0.8], "youden") == 0.8
    for bad in ("yuden", "fpr=2", "fpr", "0.5=", "1.5", "-1"):
        with pytest.raises(InputError):
            parse_threshold(bad)


def test_warnings_that_a_table_calls_for():
    frame = table()
    assert any("'patient_id': name it" in w for w in run(frame, patient=None).warnings)
    assert run(frame, patient=None).n_patients is None
    frame["file"] = [f"{k}.png" for k in range(len(frame))]
    assert any("looks like a file name" in w for w in run(frame, patient="file").warnings)
    frame["y_score"] = 0.5
    assert any("All scores are 0.5" in w for w in run(frame).warnings)
    frame["patient_id"] = "p" + (frame.index % 50).astype(str)
    assert any("also in another split" in w for w in run(frame).warnings)


def test_integer_groups_beside_nulls_keep_their_names():
    frame = table()
    frame["skin"] = np.where(frame["sex"] == "F", 1.0, 2.0)
    frame.loc[3, "skin"] = np.nan
    assert set(run(frame, groups=["skin"], n_boot=0).groups["skin"]) == {"1", "2"}


def test_several_targets_ask_for_a_choice():
    frame = pd.concat([table(seed=1), table(seed=2).assign(target="edema")])
    with pytest.raises(InputError, match="edema, pneumonia"):
        run(frame)
    assert run(frame, target="edema", n_boot=0).n_rows < len(frame) / 2
    with pytest.raises(InputError, match="Did you mean 'edema'"):
        run(frame, target="edma")


@pytest.mark.parametrize(
    "change, options, message",
    [
        ({}, {"label": "y_tru"}, "Did you mean 'y_true'"),
        ({}, {"groups": ["gender"]}, "Unknown column in the predictions table 'gender'"),
        ({}, {"groups": ["sex*agegroup"]}, "Did you mean 'age_group'"),
        ({}, {"groups": []}, "No group is given"),
        ({"y_score": 3.0}, {}, "logistic"),
        ({"y_score": "high"}, {}, "expected a probability"),
        ({"y_true": 2.0}, {}, "expected 0"),
        ({"y_true": 1.0}, {}, "positive and negative"),
        ({"y_true": np.nan}, {}, "both y_true and y_score"),
        ({"sex": "F"}, {}, "at least two groups"),
        ({"sex": None}, {}, "at least two groups"),
        ({}, {"groups": ["image_id"]}, "Bin a continuous"),
        ({}, {"threshold": "yoden"}, "Did you mean 'youden'"),
        ({"split": "test"}, {"threshold": "youden"}, "flatter"),
        ({"split": "train"}, {}, "--split"),
        ({}, {"split": "tset"}, "Did you mean 'test'"),
        ({}, {"n_boot": -1}, "0 or more"),
    ],
)
def test_bad_input_is_named(change, options, message):
    with pytest.raises(InputError, match=message):
        run(table().assign(**change), **options)


def test_empty_table_is_named():
    with pytest.raises(InputError, match="No rows"):
        run(table().iloc[:0])


def test_write_leaves_whole_files(tmp_path):
    report = run(table())
    paths = report.write(tmp_path / "deep" / "audit")
    names = {"audit.json", "audit.html"}
    names |= {f"{table}.csv" for table in ("overall", "groups", "disparities", "further")}
    assert {path.name for path in paths} == names
    assert {path.name for path in paths[0].parent.iterdir()} == names
    groups = pd.read_csv(paths[0].parent / "groups.csv")
    assert len(groups) == 2 * len(metrics.METRICS)
    assert not groups.duplicated(["attribute", "group", "metric"]).any()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a directory"):
        report.write(tmp_path / "file")


def test_the_audit_loads_no_torch():
    code = (
        "import sys, fairthesis.cli.audit\nfrom fairthesis.auditing import *\n"
        "sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_additional_metrics_are_those_of_the_functions():
    frame = table()
    report = run(frame, threshold=0.4)
    found = report.to_dict()
    jsonschema.validate(found, SCHEMA)
    test = frame[frame["split"] == "test"]
    parts = {str(name): rows for name, rows in test.groupby("sex")}
    for name, rows in parts.items():
        y, s = rows["y_true"].to_numpy(), rows["y_score"].to_numpy()
        further = found["further"]["groups"]["sex"][name]
        cells = metrics.counts(y, s >= 0.4)
        assert further["underdiagnosis_rate"]["value"] == float(underdiagnosis_rate(*cells))
        assert further["overdiagnosis_rate"]["value"] == float(overdiagnosis_rate(*cells))
        assert further["tpr_at_fpr_0.2"]["value"] == tpr_at_fpr(y, s, 0.2)
        assert further["fpr_at_tpr_0.8"]["value"] == fpr_at_tpr(y, s, 0.8)
        assert further["smooth_ece"]["value"] == smooth_ece(y, s)
        index = further["integrated_calibration_index"]
        assert index["ci"] is None
        assert index["value"] == pytest.approx(metrics.integrated_calibration_index(y, s))
        for estimate in (further[m] for m in ("tpr_at_fpr_0.2", "fpr_at_tpr_0.8")):
            assert estimate["ci"][0] < estimate["value"] < estimate["ci"][1]
        low, high = further["smooth_ece"]["ci"]
        assert 0 <= low < high < 0.5
        benefit = further["net_benefit"]
        assert benefit["value"] == pytest.approx(float(net_benefit(y, s, 0.4)), abs=1e-12)
        assert benefit["ci"][0] < benefit["value"] < benefit["ci"][1]
    crossed = found["further"]["cross_auroc"]["sex"]
    f, m = parts["F"], parts["M"]
    expected = cross_auroc(f.y_score[f.y_true == 1], m.y_score[m.y_true == 0])
    assert crossed["F"]["M"] == expected != crossed["M"]["F"]
    auroc = found["groups"]["sex"]["F"]["metrics"]["auroc"]
    assert crossed["F"]["F"] == pytest.approx(auroc["value"])
    ends = found["further"]["cross_auroc_ci"]["sex"]
    assert ends["F"]["F"] == pytest.approx(auroc["ci"], abs=5e-3)  # the same resamples
    assert ends["F"]["M"][0] < crossed["F"]["M"] < ends["F"]["M"][1]
    del found["further"]["cross_auroc_ci"]  # a file written before there were any
    jsonschema.validate(found, SCHEMA)
    assert "xAUC" in render(found)


def test_bca_intervals():
    frame = table()
    plain, bca = (run(frame, interval=kind, n_boot=500) for kind in ("percentile", "bca"))
    assert bca.settings["interval"] == "bca"
    a, b = (report.overall["auroc"] for report in (plain, bca))
    assert a.value == b.value and a.ci != b.ci
    # The same replicates, read at other quantiles: the ends move by less than half the length.
    length = a.ci[1] - a.ci[0]
    assert max(abs(x - y) for x, y in zip(a.ci, b.ci, strict=True)) < length / 2
    assert plain.overall["ece"].ci == bca.overall["ece"].ci
    gap = bca.disparities["sex"]["auroc_gap"]
    assert gap.ci[0] < gap.value < gap.ci[1]
    with pytest.raises(InputError, match="bca"):
        run(frame, interval="bka")


def test_bca_in_the_audit_is_that_of_every_patient_left_out():
    frame = table(120, effect=2.0)
    frame = frame[frame["split"] == "test"].sort_values(["patient_id", "image_id"])
    y, s = frame["y_true"].to_numpy(), frame["y_score"].to_numpy()
    patient = patient_index(frame["patient_id"])
    part = prepare(y, s, patient, 0.5)
    n = int(patient.max()) + 1
    left_out = [metrics.evaluate(y[patient != k], s[patient != k])["brier"] for k in range(n)]
    drawn = bootstrap_groups([part], [lambda found: found.brier], n, 400, 0)[:, 0, 0]
    value = metrics.evaluate(y, s)["brier"]
    ci = run(frame, interval="bca", n_boot=400).overall["brier"].ci
    level = expanded_level(degrees_of_freedom(np.bincount(patient)))
    assert level > 0.95
    assert ci == pytest.approx(bca_interval(value, drawn, left_out, level), abs=1e-4)


def test_too_few_permutations_to_find_anything_are_reported():
    words = "no gap can be told from chance"
    few, many = (run(table(), n_permutations=n).warnings for n in (60, 199))
    assert any(words in w and "at least 200 permutations" in w for w in few)
    assert not any(words in w for w in [*many, *run(table(), n_permutations=0).warnings])
