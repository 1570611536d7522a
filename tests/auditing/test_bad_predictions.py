"""Predictions as they come: each oddity ends in a clear message or warning, no wrong number."""

import resource
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from support.predictions import run, table

from fairthesis import metrics
from fairthesis.auditing._predictions import read_predictions
from fairthesis.errors import InputError

COLUMNS = {"label": "y_true", "score": "y_score", "groups": ["sex"], "patient": "patient_id"}


def told(frame, **options):
    return " ".join(run(frame, **options).warnings)


@pytest.mark.parametrize("score", [np.inf, -np.inf, 1.0001, -3.2], ids=str)
def test_scores_outside_0_to_1_are_refused(score):
    frame = table()
    frame.loc[frame.index[frame["split"] == "test"][7], "y_score"] = score
    with pytest.raises(InputError, match="logistic function"):
        run(frame)


def test_logits_are_refused():
    frame = table()
    frame["y_score"] = np.log(frame["y_score"]) - np.log1p(-frame["y_score"])
    with pytest.raises(InputError, match="If these are logits, apply the logistic function"):
        run(frame)


def test_percentages_are_refused():
    frame = table()
    frame["y_score"] *= 100
    with pytest.raises(InputError, match="If these are percentages, divide them by 100"):
        run(frame)


def test_numbers_kept_as_text_are_read_and_other_text_is_refused():
    frame = table()
    text = frame.assign(
        y_true=frame["y_true"].astype(int).astype(str), y_score=frame["y_score"].map(repr)
    )
    assert run(text).to_json() == run(frame).to_json()
    for column, value, words in (
        ("y_score", "0,7", "expected a probability"),
        ("y_score", "high", "expected a probability"),
        ("y_true", "0.5", "expected 0"),
        ("y_true", np.inf, "expected 0"),
        ("y_true", -1, "expected 0"),
        ("y_true", 2, "expected 0"),
    ):
        bad = text.astype({column: object})
        bad.loc[bad.index[bad["split"] == "test"][3], column] = value
        with pytest.raises(InputError, match=words) as error:
            run(bad)
        assert str(value) in str(error.value)


def test_rows_without_a_label_or_score_are_left_out_and_counted():
    frame = table()
    test = frame.index[frame["split"] == "test"]
    holes = frame.copy()
    holes.loc[test[:7], "y_score"] = np.nan
    holes.loc[test[7:12], "y_true"] = np.nan
    report = run(holes)
    assert report.overall == run(frame.drop(test[:12])).overall
    text = " ".join(report.warnings)
    assert "7 of" in text and "5 of" in text and "left out" in text
    with pytest.raises(InputError, match="both y_true and y_score"):
        run(frame.assign(y_score=np.nan))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_is_refused_and_in_one_group_is_not_a_number(value):
    frame = table()
    with pytest.raises(InputError, match=f"All .* labels in y_true are {value:g}"):
        run(frame.assign(y_true=value))
    frame.loc[frame["sex"] == "F", "y_true"] = value
    report = run(frame)
    group, known = report.groups["sex"]["F"], ("fpr", "tpr")[int(value)]
    assert np.isnan(group.metrics["auroc"].value)
    assert np.isnan(group.metrics[("tpr", "fpr")[int(value)]].value)
    assert 0 < group.metrics[known].value < 1
    assert np.isnan(report.disparities["sex"]["auroc_gap"].value)
    assert "sex = F has" in " ".join(report.warnings) and "no gap is given" in told(frame)


@pytest.mark.parametrize(("value", "words"), [("F", "only 'F'"), (None, "no value at all")])
def test_one_group_or_none_is_refused(value, words):
    with pytest.raises(InputError, match=f"{words}: expected at least two groups"):
        run(table().assign(sex=value))


@pytest.mark.parametrize("label", ["yes", "1 (present)", True, "pneumonia"], ids=str)
def test_labels_in_words_are_refused_or_read(label):
    frame = table()
    if label is True:  # true and false are 1 and 0
        assert run(frame.assign(y_true=frame["y_true"] > 0)).overall == run(frame).overall
        return
    frame["y_true"] = np.where(frame["y_true"] > 0, label, "no")
    with pytest.raises(InputError, match="Map other codes to these first"):
        run(frame)


@pytest.mark.parametrize("levels", [2, 3, 11])
def test_ties_everywhere_give_the_same_as_scikit_learn(levels):
    frame = table()
    frame["y_score"] = (frame["y_score"] * (levels - 1)).round() / (levels - 1)
    report = run(frame)
    for name, rows in frame[frame["split"] == "test"].groupby("sex"):
        value = report.groups["sex"][name].metrics["auroc"].value
        assert value == pytest.approx(roc_auc_score(rows["y_true"], rows["y_score"]), abs=1e-10)


def test_constant_scores_rank_nothing():
    report = run(table().assign(y_score=0.3))
    assert report.overall["auroc"].value == 0.5
    assert report.overall["calibration_slope"].ci is None
    gap = report.disparities["sex"]["auroc_gap"]
    assert gap.value == 0 and gap.p_value == 1
    assert "nothing is ranked" in " ".join(report.warnings)


def test_a_group_of_one_patient_is_named_and_has_no_interval():
    frame = table(3000)
    test = frame.index[frame["split"] == "test"][:400]
    frame.loc[test, ["patient_id", "sex"]] = ["one", "X"]
    report = run(frame)
    group = report.groups["sex"]["X"]
    assert group.n_patients == 1 and group.compared("auroc", 30)
    assert group.metrics["tpr"].ci is None  # in a third of the resamples they are not drawn
    text = " ".join(report.warnings)
    assert "sex = X has only 1 patient," in text and "not to be trusted" in text
    assert "sex = F" not in text


def test_a_patient_in_two_groups_is_counted():
    frame = table()
    twice = frame[frame["split"] == "test"].groupby("patient_id").filter(lambda p: len(p) > 1)
    first = twice.index[~twice.duplicated("patient_id")][:3]
    frame.loc[first, "sex"] = frame.loc[first, "sex"].map({"F": "M", "M": "F"})
    assert "3 patients have rows in more than one group of sex" in told(frame)
    assert "more than one group" not in told(table())


def test_doubled_rows_are_counted_once_in_a_warning():
    frame = table()
    test = frame[frame["split"] == "test"]
    doubled = pd.concat([frame, test.iloc[:25]], ignore_index=True)
    assert f"25 of {len(test) + 25} rows repeat an image_id" in told(doubled)
    without = doubled.drop(columns="image_id")
    assert "25 of" in told(without) and "repeat y_true, y_score, patient_id" in told(without)
    assert "repeat" not in told(frame) + told(frame.drop(columns="image_id"))
    # Coarse scores repeat without being copies.
    assert "repeat" not in told(frame.drop(columns="image_id").round({"y_score": 1}))


def test_ten_thousand_groups_are_refused():
    rng = np.random.default_rng(0)
    frame = table(20_000).assign(age=rng.permutation(20_000) % 10_000)
    with pytest.raises(
        InputError, match=r"at most 50 groups, or some with 30 rows or more\. Bin a cont"
    ):
        run(frame, groups=["age"])


def test_names_like_formulas_stay_text_in_a_spreadsheet(tmp_path):
    frame = table()
    formula = '=HYPERLINK("http://example.org","F")'
    frame["sex"] = frame["sex"].replace({"F": formula, "M": "-1"})
    frame = frame.rename(columns={"sex": "@sex"})
    report = run(frame, groups=["@sex"])
    assert set(report.to_dict()["groups"]["@sex"]) == {formula, "-1"}
    report.write(tmp_path)
    for name in ("groups", "disparities", "further"):
        written = pd.read_csv(tmp_path / f"{name}.csv", dtype=str, keep_default_na=False)
        assert not written["attribute"].str.startswith(("=", "@")).any()
        assert set(written["attribute"]) <= {"'@sex", ""}
    groups = pd.read_csv(tmp_path / "groups.csv", dtype=str)
    assert set(groups["group"]) == {"'" + formula, "-1"}
    assert "<a " not in (tmp_path / "audit.html").read_text()


# Files of any size


def test_only_the_needed_columns_are_read(tmp_path):
    frame = table().assign(report="long text " * 30, extra=1)
    for name in ("p.csv", "p.csv.gz", "p.parquet"):
        file = tmp_path / name
        frame.to_parquet(file) if name.endswith("parquet") else frame.to_csv(file, index=False)
        found = read_predictions(file, **COLUMNS)
        wanted = ["image_id", "patient_id", "split", "target", "y_true", "y_score", "sex"]
        assert list(found.columns) == wanted
        numbers = dict.fromkeys(("y_true", "y_score"), float)
        pd.testing.assert_frame_equal(found.astype(numbers), frame[wanted], check_dtype=False)
    for changed, words in (
        ({"groups": ["sx"]}, "Did you mean 'sex'"),
        ({"groups": ["sex*age_grup"]}, "Did you mean 'age_group'"),
        ({"patient": "patient"}, "Did you mean 'patient_id'"),
    ):
        with pytest.raises(InputError, match=words):
            read_predictions(file, **(COLUMNS | changed))


@pytest.mark.parametrize("head", [b"", b"y_true,y_score,sex,patient_id\n"], ids=["zeros", "header"])
def test_five_gigabytes_of_nothing_are_refused_at_once(tmp_path, head):
    file = tmp_path / "huge.csv"
    with file.open("wb") as out:
        out.write(head)
        out.truncate(5_000_000_000)  # sparse: takes no space
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="expected text with a header line"):
        read_predictions(file, **COLUMNS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB


# Fuzzing

ODD = st.one_of(
    st.none(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        [0, 1, 0.5, "0", "1", "nan", "", " ", "=1+1", "<b>", "\x00", "é", True, 10**30]
    ),
    st.text(max_size=4),
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({"y_true": ODD, "y_score": ODD, "sex": ODD, "patient_id": ODD}),
        max_size=12,
    )
)
def test_any_table_is_audited_or_refused_in_words(rows):
    frame = pd.DataFrame(rows, columns=["y_true", "y_score", "sex", "patient_id"])
    try:
        report = run(frame, n_boot=10, n_permutations=10, floor=1)
    except InputError as error:
        assert str(error)
        return
    found = report.to_dict()
    assert 0 < found["n_rows"] <= len(rows)
    for estimate in found["overall"].values():
        assert estimate["value"] is None or np.isfinite(estimate["value"])
    report.to_html()


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_in_words(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("p.csv", "p.csv.gz", "p.parquet"):
        (folder / name).write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(InputError) as error:
                read_predictions(folder / name, **COLUMNS)
        assert "Traceback" not in str(error.value)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 3)
        ),
        min_size=1,
        max_size=30,
    )
)
def test_metrics_stay_in_range_and_whole_weights_repeat_rows(cases):
    y, s, w = (np.array(column, float) for column in zip(*cases, strict=True))
    weighted = metrics.evaluate(y, s, weight=w)
    times = w.astype(int)
    repeated = metrics.evaluate(np.repeat(y, times), np.repeat(s, times))
    for name, value in weighted.items():
        other = repeated[name]
        assert np.isnan(value) == np.isnan(other), name
        # The line is found by iteration, and badly conditioned in small samples.
        if not np.isnan(value) and "calibration_" not in name:
            assert value == pytest.approx(other, abs=1e-9), name
            assert name == "log_loss" or 0 <= value <= 1 + 1e-12, name


def test_no_rows_have_no_known_metric():
    assert all(np.isnan(value) for value in metrics.evaluate([], []).values())
