"""The audit of numbers per case: references, the contract, what is left out, what is refused."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, mean_absolute_error, r2_score
from support.predictions import table

import fairthesis
from fairthesis.auditing import audit_outcomes, outcome_columns
from fairthesis.errors import InputError

SCHEMA = json.loads(
    (Path(fairthesis.__file__).parent / "auditing" / "outcomes.schema.json").read_text()
)
ALL = (
    *("mean:dice:higher", "median:distance:lower", "mae:age,predicted", "rmse:age,predicted"),
    *("bias:age,predicted", "r2:age,predicted", "kappa:grade,rated"),
    "concordance:time,event,risk",
)


def outcomes(n=600, seed=0):
    """One to several rows a patient; women have the lower Dice and the larger errors."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, n // 2, n)
    sex = rng.choice(["F", "M"], n // 2)[who]
    site = rng.choice(["a", "b", "c"], n // 2)[who]
    frail = rng.normal(size=n // 2)[who]
    worse = np.where(sex == "F", 1.6, 1.0)
    age = rng.integers(20, 90, n)
    grade = rng.integers(0, 5, n)
    event, censored = rng.exponential(10, n), rng.exponential(20, n)
    return pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(n)],
            "patient_id": [f"p{k}" for k in who],
            "sex": sex,
            "site": site,
            "dice": 1 / (1 + np.exp(-(2 + 0.5 * frail + 0.5 * rng.normal(size=n) - 0.6 * worse))),
            "distance": np.exp(1 + 0.5 * rng.normal(size=n)),
            "age": age,
            "predicted": age + 5 * worse * rng.normal(size=n),
            "grade": grade,
            "rated": np.clip(grade + np.round(0.7 * worse * rng.normal(size=n)), 0, 4).astype(int),
            "time": np.minimum(event, censored).round(1),
            "event": (event <= censored) * 1,
            "risk": -np.log(event) + worse * rng.normal(size=n),
        }
    )


def run(frame, metrics=ALL, **options):
    quick = {"groups": ["sex"], "patient": "patient_id", "n_boot": 60, "n_permutations": 99}
    return audit_outcomes(frame, metrics=metrics, **(quick | options))


def test_contract():
    frame = outcomes()
    frame.loc[:8, "distance"] = np.nan
    report = run(frame, groups=["sex", "site", "sex*site"], floor=10)
    found = json.loads(report.to_json())
    jsonschema.validate(found, SCHEMA)
    assert found == report.to_dict() and found["schema"] == "fairthesis.outcomes/1"
    assert list(found["overall"]) == list(found["metrics"])
    assert found["n_patients"] == frame["patient_id"].nunique()
    for attribute, members in found["groups"].items():
        assert sum(g["n"] for g in members.values()) == found["n_rows"] == len(frame)
        for metric, whole in found["overall"].items():
            parts = [g["metrics"][metric] for g in members.values()]
            for count in ("n", "n_missing", "n_cases"):
                assert sum(p[count] for p in parts) == whole[count]
            gap = found["disparities"][attribute][f"{metric}_gap"]
            values = [p["value"] for p in parts]
            assert gap["value"] == pytest.approx(max(values) - min(values))
    assert found["overall"]["median:distance"]["n_missing"] == 9


def test_values_are_those_of_the_references():
    frame = outcomes()
    report = run(frame)
    for name, rows in frame.groupby("sex"):
        found = {m: e.value for m, e in report.groups["sex"][name].metrics.items()}
        truth, guess = rows["age"], rows["predicted"]
        expected = {
            "mean:dice": rows["dice"].mean(),
            "median:distance": rows["distance"].median(),
            "mae:age,predicted": mean_absolute_error(truth, guess),
            "rmse:age,predicted": ((guess - truth) ** 2).mean() ** 0.5,
            "bias:age,predicted": (guess - truth).mean(),
            "r2:age,predicted": r2_score(truth, guess),
            "kappa:grade,rated": cohen_kappa_score(
                rows["grade"], rows["rated"], weights="quadratic"
            ),
        }
        assert {m: found[m] for m in expected} == pytest.approx(expected)
        t, e, r = (rows[c].to_numpy() for c in ("time", "event", "risk"))
        before = (t[:, None] < t) | ((t[:, None] == t) & (e == 0))
        before &= e[:, None] == 1
        wins = (r[:, None] > r) + 0.5 * (r[:, None] == r)
        assert found["concordance:time,event,risk"] == pytest.approx(wins[before].mean())


def test_a_mean_is_audited_as_the_classification_s_brier_score_is():
    frame = table()
    frame = frame[frame["split"] == "test"].drop(columns=["split", "target"])
    frame["loss"] = (frame["y_score"] - frame["y_true"]) ** 2
    options = {"groups": ["sex", "age_group"], "patient": "patient_id", "n_boot": 200}
    options |= {"n_permutations": 199}
    first = fairthesis.audit(frame, **options)
    second = audit_outcomes(frame, metrics=["mean:loss:lower"], **options)
    for attribute, members in first.groups.items():
        for name, group in members.items():
            one, other = group.metrics["brier"], second.groups[attribute][name].metrics["mean:loss"]
            assert other.value == pytest.approx(one.value)
            assert other.ci == pytest.approx(one.ci, abs=1e-5)  # resampled losses have 32 bits
            assert second.groups[attribute][name].chance["mean:loss"] == pytest.approx(
                group.chance["brier"]
            )
        gap, other = (
            first.disparities[attribute]["brier_gap"],
            second.disparities[attribute]["mean:loss_gap"],
        )
        assert other.p_value == gap.p_value
        assert other.null_mean == pytest.approx(gap.null_mean)
        assert other.null_q95 == pytest.approx(gap.null_q95)
        assert other.ci == pytest.approx(gap.ci, abs=1e-5)
        pairs = [p for p in first.additional["pairs"][attribute] if p["metric"] == "brier"]
        for one, two in zip(pairs, second.pairs[attribute], strict=True):
            for key in ("first", "second", "p_value", "p_value_corrected"):
                assert two[key] == one[key]
            assert two["difference"] == pytest.approx(one["difference"])


def test_a_share_is_audited_as_the_accuracy_is():
    """Also in a group where all are right."""
    frame = table()
    frame = frame[frame["split"] == "test"].drop(columns=["split", "target"])
    right = (frame["y_score"] >= 0.5) == (frame["y_true"] > 0)
    frame["right"] = (right | (frame["age_group"] == "<40")) * 1
    frame["y_score"] = np.where(frame["right"] > 0, frame["y_true"], 1 - frame["y_true"])
    options = {"groups": ["age_group"], "patient": "patient_id", "n_boot": 100}
    options |= {"n_permutations": 199}
    first = fairthesis.audit(frame, **options)
    second = audit_outcomes(frame, metrics=["mean:right:higher"], **options)
    assert second.groups["age_group"]["<40"].metrics["mean:right"].value == 1
    for name, group in first.groups["age_group"].items():
        one, other = group.metrics["accuracy"], second.groups["age_group"][name].metrics
        assert other["mean:right"].ci == pytest.approx(one.ci)
    p = second.disparities["age_group"]["mean:right_gap"].p_value
    assert p == first.disparities["age_group"]["accuracy_gap"].p_value


@pytest.mark.parametrize("metric", ALL)
def test_the_worse_side(metric):
    report = run(outcomes(), [metric])
    ((name, of),) = report.metrics.items()
    worst = report.disparities["sex"][f"worst_group_{name}"]
    values = {g: m.metrics[name].value for g, m in report.groups["sex"].items()}
    by = {"higher": min, "lower": max, "zero": lambda v, key: max(v, key=lambda g: abs(v[g]))}
    assert worst.group == by[of.better](values, key=values.get)
    assert worst.value == pytest.approx(
        abs(values[worst.group]) if of.better == "zero" else values[worst.group]
    )
    low, high = worst.ci
    assert low <= worst.value <= high
    if of.better == "higher":
        assert worst.value <= worst.null_mean and worst.null_q95 <= worst.null_mean
    elif of.better == "lower":
        assert worst.value >= worst.null_mean and worst.null_q95 >= worst.null_mean
    # The interval is not the group's own: it must hold for whichever group is worst.
    own = report.groups["sex"][worst.group].metrics[name].ci
    assert of.better == "zero" or high - low >= 0.99 * (own[1] - own[0])


def test_turned_round_a_metric_has_the_same_report_turned_round():
    frame = outcomes()
    frame["loss"] = -frame["dice"]
    one = run(frame, ["mean:dice:higher", "median:dice:higher"])
    two = run(frame, ["mean:loss:lower", "median:loss:lower"])
    for kind in ("mean", "median"):
        first = one.disparities["sex"][f"worst_group_{kind}:dice"]
        second = two.disparities["sex"][f"worst_group_{kind}:loss"]
        assert second.group == first.group and second.p_value == first.p_value
        assert second.value == pytest.approx(-first.value)
        assert second.ci == pytest.approx((-first.ci[1], -first.ci[0]))
        assert second.null_q95 == pytest.approx(-first.null_q95)


def test_seed_and_order_of_rows():
    frame = outcomes()
    first = run(frame)
    assert first.to_json() == run(frame).to_json()
    assert first.to_json() == run(frame.sample(frac=1, random_state=1)).to_json()
    assert first.to_json() != run(frame, seed=1).to_json()
    without = run(frame, patient=None)
    shuffled = run(frame.sample(frac=1, random_state=1), patient=None)
    assert without.to_json() == shuffled.to_json()


def test_rows_without_a_number_are_left_out_of_its_metric_alone_and_counted_by_group():
    frame = outcomes()
    women = frame.index[frame["sex"] == "F"]
    frame.loc[women[:40], "dice"] = np.nan
    report = run(frame, ["mean:dice:higher", "median:distance:lower"])
    kept = frame[frame["dice"].notna() & (frame["sex"] == "F")]["dice"]
    found = report.groups["sex"]["F"].metrics
    assert found["mean:dice"].value == pytest.approx(kept.mean())
    assert (found["mean:dice"].n, found["mean:dice"].n_missing) == (len(kept), 40)
    assert found["median:distance"].n == len(women)
    share = f"{40 / len(women):.0%} (F)"
    assert any("40 of 600 rows have no dice" in w and share in w for w in report.warnings)
    assert f"40 ({40 / len(women):.1%})" in report.to_html()


def test_few_cases_or_no_value_are_shown_and_not_compared():
    frame = outcomes()
    frame.loc[:19, "sex"] = "X"
    frame.loc[frame["sex"] == "M", "event"] = 0
    report = run(frame, ["mean:dice:higher", "concordance:time,event,risk"])
    assert report.groups["sex"]["X"].metrics["mean:dice"].ci is not None
    values = [report.groups["sex"][g].metrics["mean:dice"].value for g in "FM"]
    gap = report.disparities["sex"]["mean:dice_gap"]
    assert gap.value == pytest.approx(abs(values[0] - values[1]))
    none = report.to_dict()["disparities"]["sex"]["concordance:time,event,risk_gap"]
    assert set(none.values()) == {None}
    assert (
        report.to_dict()["groups"]["sex"]["M"]["metrics"]["concordance:time,event,risk"]["value"]
        is None
    )
    assert any("No gap shown does not mean no gap" in w for w in report.warnings)
    jsonschema.validate(report.to_dict(), SCHEMA)
    assert "concordance" in report.to_html()


def test_what_a_permutation_leaves_undefined_never_makes_a_p_value_smaller():
    """Few events: groups of six have none in most permutations, and no concordance index."""
    rng = np.random.default_rng(0)
    time = rng.random(60)
    frame = pd.DataFrame({"time": time, "event": 0, "risk": -time, "sex": "M"})
    frame.loc[:5, "sex"] = "F"
    frame.loc[:5, "risk"] = time[:6]  # all pairs the wrong way round; right among all others
    frame.loc[[np.argmin(time[:6]), *range(6, 10)], "event"] = 1
    report = run(frame, ["concordance:time,event,risk"], patient=None, floor=1)
    values = [report.groups["sex"][g].metrics["concordance:time,event,risk"].value for g in "FM"]
    assert values == [0, 1]
    gap = report.disparities["sex"]["concordance:time,event,risk_gap"]
    assert gap.p_value > 0.4 and np.isfinite(gap.null_q95) and gap.null_q95 < 5


def test_own_functions_and_those_that_are_installed(tmp_path, monkeypatch):
    frame = outcomes()

    def pinball(truth, guess):
        return np.maximum(0.9 * (truth - guess), 0.1 * (guess - truth))

    code = "import numpy as np\n\ndef p90(x):\n    return float(np.quantile(x, 0.9))\n"
    (tmp_path / "tails.py").write_text(code, encoding="utf-8")
    installed = tmp_path / "tails-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: tails\nVersion: 1.0\n", encoding="utf-8")
    points = "[fairthesis.metrics]\ntail = tails:p90\nbroken = tails:p91\n"
    (installed / "entry_points.txt").write_text(points, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    frame["loss"] = pinball(frame["age"], frame["predicted"])
    metrics = ["pinball:age,predicted:lower", "mean:loss:lower", "tail:distance:lower"]
    report = run(frame, metrics, functions={"pinball": pinball}, n_boot=200)
    gaps = report.to_dict()["disparities"]["sex"]
    # A number for each row is compared as the mean of a column is.
    assert gaps["pinball:age,predicted_gap"] == gaps["mean:loss_gap"]
    rows = frame[frame["sex"] == "F"]
    tail = report.groups["sex"]["F"].metrics["tail:distance"]
    assert tail.value == pytest.approx(np.quantile(rows["distance"], 0.9))
    assert tail.ci[0] < tail.value < tail.ci[1]
    assert 0 < gaps["tail:distance_gap"]["p_value"] <= 1
    with pytest.raises(InputError, match=r"'broken' is installed as tails:p91 and cannot be"):
        run(frame, ["broken:distance"])
    with pytest.raises(InputError, match=r"expected one of mean, .*concordance, broken, tail"):
        run(frame, ["tial:distance"])


def test_grades_in_words_have_the_order_that_is_given():
    frame = outcomes()
    words = ("none", "mild", "moderate", "severe", "worst")
    named = frame.assign(**{c: [words[k] for k in frame[c]] for c in ("grade", "rated")})
    expected = run(frame, ["kappa:grade,rated"]).overall
    assert run(named, ["kappa:grade,rated"], orders=[words]).overall == expected
    of = pd.CategoricalDtype(words, ordered=True)
    assert run(named.astype({"grade": of, "rated": of}), ["kappa:grade,rated"]).overall == expected
    with pytest.raises(InputError, match=r"grade is '\w+'.*--order"):
        run(named, ["kappa:grade,rated"])
    with pytest.raises(InputError, match="one order for both"):
        run(named, ["kappa:grade,rated"], orders=[words, words[::-1]])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metrics": []}, "No metric is given"),
        ({"metrics": ["dice"]}, r"Cannot read metric 'dice': expected KIND:COLUMNS"),
        ({"metrics": ["mean:"]}, "Cannot read metric 'mean:'"),
        ({"metrics": ["maen:dice"]}, "expected one of mean, median, mae"),
        ({"metrics": ["mae:age"]}, r"has 1 column: mae expects 2, as mae:truth,prediction"),
        ({"metrics": ["mae:age,predicted:higher"]}, "lower is better. Leave out :higher"),
        ({"metrics": ["mean:dice:higher", "mean:dice:lower"]}, "given twice"),
        ({"metrics": ["mean:dise"]}, "Did you mean 'dice'"),
        ({"metrics": ["mean:sex"]}, "sex is '[FM]' in the table: expected a number"),
        ({"metrics": ["mean:far"]}, "far is inf .* expected a number"),
        ({"metrics": ["mean:empty"]}, "No row in the table has empty"),
        ({"metrics": ["kappa:grade,dice"]}, "dice is 0.* expected whole numbers"),
        ({"metrics": ["concordance:time,age,risk"]}, r"age is \d+ .* expected 0"),
        ({"metrics": ["concordance:error,event,risk"]}, "error is -.* a time of 0 or more"),
        ({"metrics": ["r2:one,dice"]}, "is nan over the 600 rows"),
        ({"metrics": ["own:dice"], "functions": {"own": 3}}, "expected a function of arrays"),
        ({"metrics": ["own:dice"], "functions": {"mean": len}}, "'mean', which is built in"),
        (
            {"metrics": ["own:dice"], "functions": {"own": lambda x: x[:3]}},
            r"an array of shape \(3,\)",
        ),
        ({"metrics": ["own:dice"], "functions": {"own": lambda: 3}}, "own:dice cannot be computed"),
        ({"floor": -1}, "floor is -1"),
        ({"groups": []}, "No group is given"),
        ({"primary": ["mean:dice"]}, "Did you mean 'mean:dice_gap'"),
        ({"reference": {"sex": "X"}}, "Unknown sex in reference 'X'"),
    ],
)
def test_what_cannot_be_used_is_said_in_words(options, words):
    frame = outcomes().assign(far=np.inf, empty=np.nan, one=1)
    frame["error"] = frame["predicted"] - frame["age"]
    with pytest.raises(InputError, match=words):
        run(frame, **({"metrics": ["mean:dice:higher"]} | options))


def test_a_side_that_was_not_said_is_not_guessed():
    report = run(outcomes(), ["mean:dice"])
    assert list(report.disparities["sex"]) == ["mean:dice_gap"]
    assert any("mean:dice:higher" in warning for warning in report.warnings)


def test_planned_gaps_are_corrected_among_themselves():
    frame = outcomes()
    plain, planned = run(frame), run(frame, primary=["mean:dice_gap"])
    gap = planned.disparities["sex"]["mean:dice_gap"]
    assert gap.p_value_corrected == gap.p_value
    assert plain.disparities["sex"]["mean:dice_gap"].p_value_corrected >= gap.p_value


def test_nothing_private_is_written_and_all_files_are_of_one_audit(tmp_path):
    frame = outcomes()
    run(frame, groups=["sex", "site"]).write(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"audit.json", "audit.html", *(f"{n}.csv" for n in TABLES)}
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not any(f'"{p}"' in text or f",{p}," in text for p in frame["patient_id"].unique())
        assert str(tmp_path) not in text
    further = pd.read_csv(tmp_path / "further.csv")
    assert {"metric", "first", "second", "difference", "ci_low", "p_value"} <= set(further)


TABLES = ("overall", "groups", "disparities", "further")


def test_groups_of_few_patients_are_not_drawn():
    frame = outcomes()
    few = frame["patient_id"].isin(frame["patient_id"].unique()[:9])
    report = run(frame.assign(sex=frame["sex"].mask(few, "X")), ["mean:dice:higher"], floor=5)
    assert report.sketches["sex"]["mean:dice"]["groups"]["X"] is None
    assert "too few patients to be drawn" in report.to_html()


def test_groups_that_share_patients():
    """Two views of the same patients: the correlation makes the gap's interval narrower."""
    rng = np.random.default_rng(0)
    n = 200
    own = rng.normal(size=n)
    frame = pd.DataFrame(
        {"patient_id": np.tile(np.arange(n), 2), "view": np.repeat(["ap", "pa"], n)}
    )
    frame["x"] = np.tile(own, 2) + 0.1 * rng.normal(size=2 * n)
    frame["truth"] = 0.0
    metrics = ["mean:x", "median:x", "rmse:truth,x", "own:x"]
    options = {"functions": {"own": lambda x: float(x.mean())}, "groups": ["view"], "n_boot": 300}
    paired = run(frame, metrics, **options)
    apart = run(frame, metrics, patient=None, **options)
    for m in paired.metrics:
        low, high = (report.disparities["view"][f"{m}_gap"].ci[1] for report in (paired, apart))
        assert low < 0.5 * high, m


@pytest.mark.simulation
@pytest.mark.parametrize("kind", ["mae", "rmse"])
def test_gaps_keep_their_promise_where_only_shape_size_and_rows_differ(kind):
    """Size and coverage: 80 patients with 6 rows against 300 with 1, normal against Laplace."""
    sets, rejected, held = 120, 0, 0
    for k in range(sets):
        rng = np.random.default_rng(k)
        who = np.concatenate([np.repeat(np.arange(80), 6), np.arange(300) + 100])
        sex = np.where(who < 100, "F", "M")
        z = 0.7 * rng.normal(size=400)[who] + 0.714 * rng.normal(size=len(who))
        heavy = rng.laplace(size=len(who)) / (1 if kind == "mae" else np.sqrt(2))
        error = np.where(sex == "F", z / (np.sqrt(2 / np.pi) if kind == "mae" else 1), heavy)
        frame = pd.DataFrame({"patient_id": who, "sex": sex, "zero": 0.0, "error": error})
        report = run(frame, [f"{kind}:zero,error"], n_boot=200, seed=k)
        gap = report.disparities["sex"][f"{kind}:zero,error_gap"]
        rejected += gap.p_value <= 0.05
        held += gap.ci[0] == 0
    assert rejected <= 14 and held >= 105  # 5 and 95 % of 120, and 3.5 standard errors


def test_columns_of_metrics():
    assert outcome_columns(ALL)[:3] == ["dice", "distance", "age"]
    with pytest.raises(InputError, match="Cannot read metric"):
        outcome_columns(["mean"])
