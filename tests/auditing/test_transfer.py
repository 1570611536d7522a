"""Models in another cohort: changes against closed forms, shared groups, files, bad input."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from support.predictions import table
from support.transfer import cohort

import fairthesis
from fairthesis import audit
from fairthesis.auditing import Estimate, Gap, TransferTables, transfer
from fairthesis.auditing._transfer_changes import gap_changes, independent_change
from fairthesis.errors import InputError

SCHEMA = json.loads(
    (Path(fairthesis.__file__).parent / "auditing" / "transfer.schema.json").read_text()
)
QUICK = {"groups": ["sex"], "n_boot": 100, "n_permutations": 0, "n_shift": 99}


def tables(seed=0, n=700, **shift):
    own, vectors = cohort(n, 0.35, seed=seed)
    other, theirs = cohort(n, seed=seed + 50, tag="b", **{"prevalence": 0.35, **shift})
    return TransferTables(own, other, vectors, theirs)


def line(report, metric, group="all rows", attribute="", model="erm"):
    found = report.changes.query(
        "metric == @metric and group == @group and attribute == @attribute and model == @model"
    )
    assert len(found) == 1
    return found.iloc[0]


def test_an_interval_of_a_change_is_pythagoras_of_its_arms():
    ends, p = independent_change(Estimate(0.8, (0.76, 0.84)), Estimate(0.7, (0.67, 0.73)))
    assert ends == pytest.approx((-0.15, -0.05))
    z = 1.959964 * 0.1 / 0.05
    from scipy.stats import norm

    assert p == pytest.approx(2 * norm.sf(z), rel=1e-4)
    # Unequal arms: below it is the arms below the second and above the first that count.
    (low, high), _ = independent_change(Estimate(0.8, (0.7, 0.83)), Estimate(0.9, (0.86, 0.92)))
    assert low == pytest.approx(0.1 - np.hypot(0.04, 0.03))
    assert high == pytest.approx(0.1 + np.hypot(0.02, 0.1))
    assert independent_change(Estimate(0.5, (0.4, 0.6)), Estimate(0.5, (0.4, 0.6)))[1] == 1.0
    assert independent_change(Estimate(0.5), Estimate(0.5, (0.4, 0.6)))[0] is None


def test_a_gap_that_was_cut_at_zero_may_have_been_larger_by_chance():
    cut, other = Gap(0.02, (0.0, 0.08)), Gap(0.05, (0.0, 0.12))
    (low, _), _ = independent_change(cut, other, gap=True)
    assert low == pytest.approx(0.03 - np.hypot(0.07, 0.06))


def test_a_change_is_significant_where_its_interval_leaves_zero_out():
    rng = np.random.default_rng(0)
    for _ in range(200):
        v = rng.random(2)
        arms = 0.2 * rng.random((2, 2))
        one, two = (Estimate(x, (x - a, x + b)) for x, (a, b) in zip(v, arms, strict=True))
        (low, high), p = independent_change(one, two)
        assert (p <= 0.05) == (low > 0 or high < 0)


@pytest.mark.simulation
def test_intervals_of_changes_cover_and_of_no_change_are_rarely_without_zero():
    """40 pairs of cohorts: AUROC falls by a known amount; the gap stays 0."""
    truth = [auroc_of(seed, worse) for seed, worse in ((1, 0.0), (2, 0.4))]
    inside, odd = 0, 0
    for seed in range(40):
        pair = [cohort(400, 0.4, seed=2 * seed + k, worse=w)[0] for k, w in ((0, 0.0), (1, 0.4))]
        reports = [
            audit(
                t.assign(split="test"), groups=["sex"], patient="patient_id", n_boot=200,
                n_permutations=0,
            )
            for t in pair
        ]  # fmt: skip
        ends, _ = independent_change(*(r.overall["auroc"] for r in reports))
        inside += ends[0] <= truth[1] - truth[0] <= ends[1]
        rows = {row["metric"]: row for row in gap_changes(*reports)}
        odd += rows["auroc_gap"]["p_value"] <= 0.05
    assert inside >= 34 and odd <= 6


def auroc_of(seed, worse):
    from fairthesis.metrics import auroc

    large = cohort(60_000, 0.4, seed=seed, worse=worse)[0]
    return auroc(large["y_true"], large["y_score"])


def test_values_are_those_of_the_audits_at_the_runs_own_threshold():
    given = tables(prevalence=0.6)
    report = transfer({"erm": given}, **QUICK)
    model = report.models["erm"]
    assert model.external.threshold == model.internal.threshold and model.internal.rule == "youden"
    called = given.external["y_score"] >= model.internal.threshold
    sick = given.external["y_true"] == 1
    assert line(report, "tpr")["external"] == pytest.approx(called[sick].mean())
    women = given.external["sex"] == "F"
    row = line(report, "fpr", "F", "sex")
    assert row["external"] == pytest.approx(called[~sick & women].mean())
    assert row["change"] == pytest.approx(row["external"] - row["internal"])
    mean = line(report, "mean_score")
    assert mean["external"] == pytest.approx(given.external["y_score"].mean())
    assert mean["external_low"] < mean["external"] < mean["external_high"]
    oe = line(report, "observed_expected")["external"]
    assert oe == pytest.approx(sick.sum() / given.external["y_score"].sum())
    gap = line(report, "auroc_gap", "between groups", "sex")
    assert gap["internal"] == pytest.approx(model.internal.disparities["sex"]["auroc_gap"].value)
    assert gap["external_high"] == pytest.approx(
        model.external.disparities["sex"]["auroc_gap"].ci[1]
    )


def test_the_same_cohort_again_changes_nothing():
    given = tables()
    again = given.internal[given.internal["split"] == "test"]
    same = TransferTables(
        given.internal, again, given.internal_embeddings, given.internal_embeddings
    )
    report = transfer({"erm": same}, **QUICK)
    tested = report.changes[report.changes["p_value"].notna()]
    assert tested["change"].abs().max() == 0 and tested["p_value"].min() == 1
    assert set(report.shifts["verdict"]) == {"no shift shown"}


def test_planted_shifts_are_named_and_the_labels_are_set_beside():
    wanted = {
        "no shift shown": {},
        "explained by prevalence": {"prevalence": 0.7},
        "appearance; prevalence cannot be told beside it": {"prevalence": 0.7, "look": 0.8},
    }
    for verdict, shift in wanted.items():
        report = transfer({"erm": tables(**shift)}, **QUICK | {"n_shift": 199})
        whole = report.shifts.iloc[0]
        assert (whole["group"], whole["verdict"]) == ("all rows", verdict)
    said = " ".join(report.to_dict()["sentences"]["erm"])
    assert "cannot be told without labels" in said and "The labels say that the prevalence" in said


def test_gaps_are_of_the_groups_that_both_cohorts_have():
    """A third group that is far worse is in one cohort only: it makes no change of the gap."""
    given = tables(n=900)
    frame = given.external.copy()
    frame["sex"] = np.where(np.arange(len(frame)) % 3 == 0, "X", frame["sex"])
    frame.loc[frame["sex"] == "X", "y_score"] = 1 - frame["y_score"]
    with_third = TransferTables(given.internal, frame)
    without = TransferTables(given.internal, frame[frame["sex"] != "X"])
    reports = [transfer({"erm": t}, **QUICK) for t in (with_third, without)]
    for name in ("auroc_gap", "equalized_odds_difference", "worst_group_auroc"):
        one, two = (line(r, name, "between groups", "sex") for r in reports)
        assert one["external"] == pytest.approx(two["external"])
    assert reports[0].alone == {"sex": {"in-distribution": [], "external": ["X"]}}
    assert "in the external cohort only: X" in reports[0].to_html()
    assert reports[0].models["erm"].external.groups["sex"]["X"].n > 0  # the full audit has it


def test_an_external_cohort_without_labels_gets_its_shift_named_and_nothing_else_claimed(tmp_path):
    given = tables(prevalence=0.7)
    bare = TransferTables(
        given.internal, given.external.drop(columns=["y_true", "split", "target"]),
        given.internal_embeddings, given.external_embeddings,
    )  # fmt: skip
    report, full = (transfer({"erm": t}, **QUICK) for t in (bare, given))
    assert not report.labelled and report.models["erm"].external is None
    pd.testing.assert_frame_equal(report.shifts, full.shifts)
    assert set(report.changes["metric"]) == {"mean_score", "selection_rate"}
    wanted = full.changes.query("metric == 'selection_rate' and group == 'F'").iloc[0]
    found = line(report, "selection_rate", "F", "sex")
    assert found["external"] == pytest.approx(wanted["external"])
    assert found["external_low"] == pytest.approx(wanted["external_low"], abs=0.03)
    jsonschema.validate(report.to_dict(), SCHEMA)
    assert "how well the model does there is not known" in report.to_html()
    full.write(tmp_path)
    assert (tmp_path / "audits/erm-external/audit.html").exists()
    report.write(tmp_path)
    assert not (tmp_path / "audits/erm-external/audit.json").exists()


def test_several_models_are_compared_on_the_same_patients(tmp_path):
    given = tables(look=0.5)
    rng = np.random.default_rng(0)

    def noisy(frame):
        moved = frame["y_score"] + rng.normal(0, 0.25, len(frame))
        return frame.assign(y_score=moved.clip(0, 1))

    other = TransferTables(noisy(given.internal), noisy(given.external))
    own = TransferTables(given.internal, given.external)
    report = transfer({"erm": own, "noisy": other}, **QUICK)
    assert set(report.comparisons) == {("in-distribution", "sex"), ("external", "sex")}
    outside = report.comparisons["external", "sex"].changes
    row = outside.query("metric == 'auroc' and group == 'all rows'").iloc[0]
    assert row["reference"] == pytest.approx(line(report, "auroc")["external"])
    assert row["other"] == pytest.approx(line(report, "auroc", model="noisy")["external"])
    assert report.comparisons["external", "sex"].thresholds["erm"] == pytest.approx(
        report.models["erm"].internal.threshold
    )
    written = report.write(tmp_path)
    assert {path.name for path in written} == {
        "transfer.json", "transfer.html", "transfer.csv", "shifts.csv"
    }  # fmt: skip
    found = json.loads((tmp_path / "transfer.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, SCHEMA)
    page = (tmp_path / "transfer.html").read_text(encoding="utf-8")
    for link in ("audits/erm-in-distribution", "audits/noisy-external"):
        assert f'href="{link}/audit.html"' in page and (tmp_path / link / "audit.html").exists()
    assert len(pd.read_csv(tmp_path / "comparisons/external-sex.csv")) == len(outside)


def test_models_of_other_splits_are_not_compared_at_home_and_that_is_said():
    given = tables()
    shuffled = given.internal.assign(split=np.roll(given.internal["split"], 7))
    own, other = (TransferTables(t, given.external) for t in (given.internal, shuffled))
    report = transfer({"a": own, "b": other}, **QUICK)
    assert set(report.comparisons) == {("external", "sex")}
    assert any("not compared in the in-distribution cohort" in w for w in report.warnings)


def test_the_order_of_rows_and_the_type_of_keys_do_not_count():
    given = tables(n=300, look=0.4)
    rng = np.random.default_rng(0)
    mixed = TransferTables(
        *(
            t.iloc[rng.permutation(len(t))]
            for t in (
                given.internal, given.external, given.internal_embeddings, given.external_embeddings
            )
        )
    )  # fmt: skip
    reports = [transfer({"erm": t}, **QUICK) for t in (given, mixed)]
    pd.testing.assert_frame_equal(reports[0].shifts, reports[1].shifts)
    pd.testing.assert_frame_equal(reports[0].changes, reports[1].changes)


def test_p_values_are_corrected_over_what_is_tested_of_one_model():
    report = transfer({"erm": tables(prevalence=0.6, look=0.4)}, **QUICK)
    tested = report.changes["metric"].isin(report.settings["tested"])
    assert report.changes.loc[~tested, "p_holm"].isna().all()
    least = report.changes[tested]["p_value"].min()
    assert report.changes["p_holm"].min() == pytest.approx(min(1, least * tested.sum()))


def test_a_number_as_threshold_needs_no_validation_rows():
    given = tables(n=300)
    bare = TransferTables(given.internal.assign(split="test"), given.external)
    report = transfer({"erm": bare}, **QUICK | {"threshold": "0.4"})
    model = report.models["erm"]
    assert (model.internal.rule, model.internal.threshold) == ("fixed", 0.4)
    assert model.external.threshold == 0.4 and "(fixed)" in report.to_html()


def test_too_few_permutations_for_the_groups_are_said():
    own = table(600).assign(age_group=[f"{k % 6}" for k in range(600)])
    report = transfer(
        {"erm": TransferTables(own, own.assign(split="test"))}, **QUICK | {"groups": ["age_group"]}
    )
    assert any("Take at least 360 permutations" in text for text in report.warnings)


BAD = {
    "no models": (lambda t: {}, {}, "No model is given"),
    "name": (lambda t: {"../erm": t}, {}, "The model's name is '../erm'"),
    "groups": (None, {"groups": []}, "No group is given"),
    "permutations": (None, {"n_shift": 20}, "n_shift is 20"),
    "column": (None, {"groups": ["shoe"]}, "shoe"),
    "target": (None, {"target": "y"}, "target"),
    "rule": (None, {"threshold": "best"}, "best"),
    "validation": (
        lambda t: {"erm": TransferTables(t.internal.assign(split="test"), t.external)},
        {},
        "split == 'val'",
    ),
    "one group": (
        lambda t: {"erm": TransferTables(t.internal.assign(sex="F"), t.external)},
        {},
        "sex has 1 group",
    ),
    "other groups": (
        lambda t: {"erm": TransferTables(t.internal, t.external.assign(sex="female"))},
        {},
        "No group of sex is in both cohorts: F, M in-distribution, female",
    ),
    "one embedding": (
        lambda t: {"erm": TransferTables(t.internal, t.external, t.internal_embeddings)},
        {},
        "embeddings of one cohort only",
    ),
    "no vector": (
        lambda t: {
            "erm": TransferTables(
                t.internal, t.external, t.internal_embeddings, t.external_embeddings.iloc[1:]
            )
        },
        {},
        "1 images have no row in the external embeddings of erm",
    ),
    "prefix": (None, {"prefix": "z_"}, "z_"),
    "widths": (
        lambda t: {
            "erm": TransferTables(
                t.internal, t.external, t.internal_embeddings,
                t.external_embeddings.drop(columns="disease_000"),
            )
        },
        {},
        "columns disease_",
    ),
    "twice": (
        lambda t: {"erm": TransferTables(t.internal, pd.concat([t.external] * 2))},
        {},
        "appears twice",
    ),
    "patient": (None, {"patient": "who"}, "who"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_used_is_said(case):
    change, options, words = BAD[case]
    given = tables(n=200)
    models = {"erm": given} if change is None else change(given)
    with pytest.raises(InputError, match=words.replace("(", r"\(").replace(".", r"\.")):
        transfer(models, **QUICK | options)
