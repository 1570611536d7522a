"""``fairthesis compare``: same images, paired, corrected; what does not match is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.predictions import table, two

from fairthesis import cli
from fairthesis.auditing._compare import TESTED, compare
from fairthesis.auditing._levelling import NOT_SHOWN, SHOWN, UNKNOWN
from fairthesis.auditing._pairs import paired_changes
from fairthesis.cli.compare import summary
from fairthesis.errors import InputError
from fairthesis.stats import benjamini_hochberg, bootstrap_p_value, holm, percentile_interval

QUICK = {"group": "sex", "n_boot": 200}


def worse(frame, where):
    """Scores of the rows ``where`` replaced by noise."""
    noise = np.random.default_rng(3).random(len(frame))
    return frame.assign(y_score=np.where(where, noise, frame["y_score"]))


def test_benjamini_hochberg_is_scipys():
    p = np.random.default_rng(0).random(40) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))
    assert benjamini_hochberg([]) == []


def test_the_p_value_agrees_with_the_interval_and_with_a_z_test():
    rng = np.random.default_rng(1)
    for shift in (0.5, 1.5, 1.9, 2.1, 3.0):
        drawn = rng.normal(shift, 1, 20_000)
        low, high = percentile_interval(drawn)
        p = bootstrap_p_value(drawn)
        assert (p < 0.05) == (not low < 0 < high)
        assert p == pytest.approx(2 * stats.norm.sf(shift), rel=0.25, abs=1e-3)
    assert bootstrap_p_value(np.zeros(99)) == 1.0
    assert np.isnan(bootstrap_p_value([]))


def test_levelling_down_is_named_and_p_values_are_corrected():
    first = table(2400)
    # The better group is M: its scores are blurred, the other's stay.
    other = worse(first, (first["sex"] == "M") & (np.arange(2400) % 2 == 0))
    found = compare({"plain": first, "blurred": other, "same": first}, **QUICK)
    levels = found.levelling.set_index(["model", "metric"])
    assert levels.loc[("blurred", "auroc"), "levelled_down"] == SHOWN
    assert levels.loc[("same", "auroc"), "levelled_down"] == NOT_SHOWN
    rows = found.changes.set_index(["model", "group", "metric"])
    row = rows.loc[("blurred", "M", "auroc")]
    assert row["change"] < -0.05 and row["p_holm"] < 0.5
    assert rows.loc[("blurred", "F", "auroc"), "change"] == 0
    assert rows.loc[("same", "M", "auroc"), "p_value"] == 1
    family = found.changes.dropna(subset="p_holm")
    assert set(family["metric"]) == set(TESTED)
    assert (family["p_holm"] >= family["p_bh"]).all()
    assert (family["p_bh"] >= family["p_value"] - 1e-12).all()
    assert family["p_holm"].tolist() == holm(family["p_value"].tolist())
    assert set(family["model"]) == {"blurred", "same"}  # one family over all models


def test_only_the_test_part_counts_and_rules_see_validation_only():
    first, second = two()
    moved = second.copy()
    moved.loc[moved["split"] == "val", "y_score"] = 0.5
    options = QUICK | {"n_boot": 20}
    a = compare({"a": first, "b": second}, **options)
    b = compare({"a": first, "b": moved}, **options)
    pd.testing.assert_frame_equal(a.changes, b.changes)
    assert a.n_images == (first["split"] == "test").sum()
    rule = compare({"a": first, "b": second}, threshold="fpr=0.2", **options)
    changed = second.copy()
    changed.loc[changed["split"] == "test", "y_score"] **= 2
    again = compare({"a": first, "b": changed}, threshold="fpr=0.2", **options)
    assert rule.thresholds == again.thresholds
    assert rule.thresholds["a"] != rule.thresholds["b"]


def test_a_small_group_is_shown_but_not_in_the_gaps():
    first, second = two()
    rare = first["patient_id"].isin(first.loc[first["split"] == "test", "patient_id"].unique()[:9])
    first = first.assign(sex=first["sex"].mask(rare, "X"))
    found = compare({"a": first, "b": second}, **QUICK)
    assert "X" in set(found.changes["group"])
    assert any("sex = X" in warning for warning in found.warnings)
    without = {"a": first[first["sex"] != "X"]}
    without["b"] = second.loc[without["a"].index]
    expected = compare(without, **QUICK)
    for result in (found, expected):
        rows = result.changes.set_index(["group", "metric"])
        assert rows.loc[("between groups", "auroc_gap"), "reference"] == pytest.approx(
            expected.changes.set_index(["group", "metric"]).loc[
                ("between groups", "auroc_gap"), "reference"
            ]
        )


def test_a_group_too_small_for_the_gaps_levels_nothing_down():
    first = table(900).drop(columns="split")
    tiny = first.iloc[:6].assign(image_id=list("abcdef"), patient_id=list("abcdef"), sex="X")
    tiny = tiny.assign(y_true=[1.0, 1, 1, 1, 0, 0], y_score=[0.9] * 4 + [0.1] * 2)
    first = pd.concat([first, tiny], ignore_index=True)
    other = first.assign(y_score=first["y_score"].mask(first["image_id"] == "a", 0.4))
    found = compare({"a": first, "b": other}, group="sex", n_boot=5)
    levels = found.levelling.set_index("metric")
    rows = found.changes.set_index(["group", "metric"])["change"]
    assert rows[("X", "tpr")] == -0.25
    assert levels.loc["tpr", "gap_change"] == rows[("between groups", "tpr_difference")] == 0
    assert SHOWN not in set(levels["levelled_down"])
    assert "X" not in {*levels["best"], *levels["worst"]}
    allowed = compare({"a": first, "b": other}, group="sex", n_boot=200, floor=2)
    row = allowed.levelling.set_index("metric").loc["tpr"]
    # One of X's four positives was lost: the gap shrank, and of one patient nothing is sure.
    assert row["best"] == "X" and row["best_change"] == -0.25 and row["gap_change"] < 0
    assert row["levelled_down"] == UNKNOWN and row["best_ci_high"] > 0


@pytest.mark.parametrize("floor", [0, 30])
def test_a_group_without_positives_is_compared_in_what_is_known(floor):
    first, second = (f.assign(y_true=f["y_true"].mask(f["sex"] == "F", 0.0)) for f in two())
    found = compare({"a": first, "b": second}, **QUICK, floor=floor)
    rows = found.changes.set_index(["group", "metric"])["change"]
    assert np.isnan(rows[("F", "auroc")]) and np.isfinite(rows[("F", "tnr")])
    assert np.isfinite(rows[("M", "auroc")]) and np.isnan(rows[("between groups", "auroc_gap")])
    levels = {row["metric"]: row for row in found.to_dict()["levelling"]}
    assert levels["auroc"]["levelled_down"] is levels["tpr"]["best"] is None
    # False positives rest on negatives alone, of which both groups have enough.
    assert levels["tnr"]["levelled_down"] is not None
    assert np.isfinite(rows[("between groups", "fpr_difference")])
    assert any("two of the compared groups of sex have a known auroc" in w for w in found.warnings)
    assert "b, auroc: not known in two groups" in summary(found)


def test_what_is_compared_is_counted_and_what_is_left_out_is_reported():
    first, second = (f.drop(columns="split") for f in two())
    unlabelled, unscored = first.index < 100, (first["sex"] == "F") & (first.index >= 150)
    first, second = (f.assign(y_true=f["y_true"].mask(unlabelled)) for f in (first, second))
    first.loc[100:106, "y_score"] = np.nan
    second = second.assign(y_score=second["y_score"].mask(unscored))
    kept = first[["y_true", "y_score"]].notna().all(axis=1) & second["y_score"].notna()
    found = compare({"a": first, "b": second}, **QUICK)
    assert found.n_images == kept.sum() < len(first) - 300
    assert found.n_patients == first.loc[kept, "patient_id"].nunique()
    few = first[kept & (first["sex"] == "F")]["y_true"].value_counts()
    assert found.warnings[:4] == (
        "100 of 900 rows of a have no y_true and are left out.",
        "7 of 900 rows of a have no y_score and are left out.",
        f"{int(793 - kept.sum())} of 793 cases have no y_score of b and are left out of its "
        "comparison.",
        f"b: sex = F has {few[1.0]} positive and {few[0.0]} negative cases: too few of the 30 that "
        "a metric rests on, so shown, but left out of the gaps.",
    )
    none = second.assign(y_score=second["y_score"].mask(first["sex"] == "F"))
    found = compare({"a": first, "b": none, "c": first}, **QUICK)
    assert found.n_images == 793  # with c
    assert any("b: sex = F has no case with a label and both" in text for text in found.warnings)


def test_without_resamples_there_are_changes_and_no_intervals():
    first, second = two()
    some, none = (compare({"a": first, "b": second}, group="sex", n_boot=n) for n in (5, 0))
    drawn = ["ci_low", "ci_high", "p_value", "p_holm", "p_bh"]
    assert none.changes[drawn].isna().all(axis=None)
    pd.testing.assert_frame_equal(
        none.changes.drop(columns=drawn), some.changes.drop(columns=drawn)
    )
    assert none.to_dict()["changes"][0]["ci_low"] is None
    assert "worst_group_auroc" in summary(none)


def run(*argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", *map(str, argv)])
    return ended.value.code


def files(tmp_path, *frames):
    paths = [tmp_path / f"{name}.parquet" for name in "abc"[: len(frames)]]
    for path, frame in zip(paths, frames, strict=True):
        frame.to_parquet(path)
    return paths


def test_the_command(tmp_path, capsys):
    first, second = two()
    paths = files(tmp_path, first, second.sample(frac=1, random_state=0))
    out = tmp_path / "out"
    assert run(*paths, "--group", "sex", "--n-boot", 50, "--out", out) == 0
    text = capsys.readouterr().out
    for words in ("reference a", "worst_group_auroc", "Holm", "Levelling", "changes.csv"):
        assert words in text
    found = json.loads((out / "comparison.json").read_text())
    assert found["reference"] == "a" and len(found["levelling"]) == 3
    assert len(found["changes"]) == len(pd.read_csv(out / "changes.csv"))
    named = ["--name", "plain", "--name", "other"]
    assert run(*paths, "--group", "sex", "--n-boot", 9, *named, "--out", out) == 0
    assert set(pd.read_csv(out / "changes.csv")["model"]) == {"other"}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f.iloc[5:], [], "in one table only"),
        (lambda f: f.assign(image_id="x" + f["image_id"]), [], "in one table only"),
        (lambda f: f.assign(y_true=1 - f["y_true"]), [], "disagree on y_true"),
        (lambda f: pd.concat([f, f]), [], "appears twice"),
        (lambda f: f.assign(y_score=f["y_score"] * 3), [], "in b: expected a probability from"),
        (lambda f: f.assign(y_score=f["y_score"] * 100), [], "If these are percentages"),
        (lambda f: f.assign(y_true=f["y_true"] + 1), [], "in b: expected 0 (absent)"),
        (lambda f: f, ["--name", "one"], "1 names for 2 files"),
        (lambda f: f, ["--threshold", "yuden"], "Did you mean 'youden'"),
        (lambda f: f, ["--split", "tst"], "Did you mean 'test'"),
        (lambda f: f.drop(columns="sex"), [], "column in b"),
    ],
)
def test_the_command_refuses_in_one_line(tmp_path, capsys, change, options, message):
    first, second = two()
    paths = files(tmp_path, first, change(second))
    out = tmp_path / "out"
    assert run(*paths, "--group", "sex", "--n-boot", 9, *options, "--out", out) == 2
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1
    assert not out.exists()


def test_models_without_a_scored_case_in_common_are_refused():
    first, second = two()
    for empty in (np.nan, None):
        with pytest.raises(InputError, match="y_score of b is empty in all"):
            compare({"a": first, "b": second.assign(y_score=empty)}, **QUICK)
    half = first.index < 450
    a, b = (f.assign(y_score=f["y_score"].mask(m)) for f, m in ((first, half), (second, ~half)))
    with pytest.raises(InputError, match="a and b: No case has y_true and, in both tables"):
        compare({"a": a, "b": b}, **QUICK)
    with pytest.raises(InputError, match="No case has y_true"):
        paired_changes(a, b, group="sex")


def test_one_model_and_one_group_are_refused():
    first, second = two()
    with pytest.raises(InputError, match="at least two models"):
        compare({"a": first}, **QUICK)
    with pytest.raises(InputError, match="at least two groups"):
        compare({"a": first.assign(sex="F"), "b": second}, **QUICK)
