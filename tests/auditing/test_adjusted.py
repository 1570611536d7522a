"""Gaps adjusted for other columns: what is left when groups have the same mix of them."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest
from support.predictions import table

import fairthesis
from fairthesis import cli, stats
from fairthesis.auditing import audit_targets
from fairthesis.errors import InputError

SCHEMA = json.loads(
    (Path(fairthesis.__file__).parent / "auditing" / "audit.schema.json").read_text()
)
QUICK = {"groups": ["sex"], "n_boot": 200, "n_permutations": 20}


def rows_of(cells):
    """(sex, age, label, score): number of rows."""
    found = [cell for cell, n in cells.items() for _ in range(n)]
    return pd.DataFrame(found, columns=["sex", "age", "y_true", "y_score"])


# Of women 60 are young and 40 old, of men 20 and 80; the old are found less often.
BY_HAND = rows_of(
    {
        ("F", "young", 1, 0.9): 54, ("F", "young", 1, 0.1): 6,
        ("F", "old", 1, 0.9): 24, ("F", "old", 1, 0.1): 16,
        ("M", "young", 1, 0.9): 16, ("M", "young", 1, 0.1): 4,
        ("M", "old", 1, 0.9): 40, ("M", "old", 1, 0.1): 40,
        ("F", "young", 0, 0.2): 40, ("F", "old", 0, 0.2): 30, ("F", "old", 0, 0.95): 10,
        ("M", "young", 0, 0.2): 30, ("M", "old", 0, 0.2): 25, ("M", "old", 0, 0.95): 25,
    }
)  # fmt: skip


def adjusted(frame, **options):
    report = fairthesis.audit(frame, **(QUICK | {"adjust": ["age"]} | options))
    jsonschema.validate(report.to_dict(), SCHEMA)
    return report, report.to_dict()["further"]["adjusted"]["sex"]


def test_standardised_by_hand():
    _, found = adjusted(BY_HAND)
    assert found["by"] == ["age"]
    assert found["strata"] == 2
    # Of the 200 positives 80 are young: F 0.9 and 0.6, M 0.8 and 0.5 by age.
    groups = {
        g: {m: v["adjusted"]["value"] for m, v in of.items()} for g, of in found["groups"].items()
    }
    assert groups["F"]["tpr"] == pytest.approx(0.4 * 0.9 + 0.6 * 0.6)
    assert groups["M"]["tpr"] == pytest.approx(0.4 * 0.8 + 0.6 * 0.5)
    assert found["gaps"]["tpr"]["adjusted"]["value"] == pytest.approx(0.1)
    assert found["gaps"]["tpr"]["crude"]["value"] == pytest.approx(0.78 - 0.56)
    # Of the 160 negatives 70 are young, none of these called positive.
    assert groups["F"]["fpr"] == pytest.approx(90 / 160 * 10 / 40)
    assert groups["M"]["fpr"] == pytest.approx(90 / 160 * 25 / 50)
    # 360 rows, 150 of them young.
    right = {"F": (94 / 100, 54 / 80), "M": (46 / 50, 65 / 130)}
    for g, (young, old) in right.items():
        assert groups[g]["accuracy"] == pytest.approx(150 / 360 * young + 210 / 360 * old)
    # AUROC of each age, ties half, weighted by the positives.
    young = {"F": 54 / 60 + 0, "M": 16 / 20 + 0}
    old = {"F": 24 / 40 * 30 / 40, "M": 40 / 80 * 25 / 50}
    for g in "FM":
        assert groups[g]["auroc"] == pytest.approx(0.4 * young[g] + 0.6 * old[g])
    # A positive young woman stands for 0.4 / 60 of the standard.
    cases = found["groups"]["F"]["tpr"]["effective_cases"]
    assert cases == pytest.approx(1 / (0.4**2 / 60 + 0.6**2 / 40))


def test_weighted_rows_are_standardised_as_repeated_ones():
    w = np.where(BY_HAND["sex"] == "F", 2, 3) + (BY_HAND["age"] == "old")
    one = adjusted(BY_HAND.assign(w=w), weight="w")[1]
    many = adjusted(BY_HAND.loc[BY_HAND.index.repeat(w)].reset_index(drop=True))[1]
    for g in "FM":
        for m, both in one["groups"][g].items():
            other = many["groups"][g][m]["adjusted"]["value"]
            assert both["adjusted"]["value"] == pytest.approx(other), m
    assert one["support"] == many["support"]


def cohort(seed, n=4000, confounded=True, own=0.0):
    """Women are older where ``confounded``; scores are worse in the old, by ``own`` in women."""
    rng = np.random.default_rng(seed)
    patient = np.arange(n) // 2
    sex = rng.integers(0, 2, n // 2)[patient]
    share = np.where(sex[::2] > 0, 0.8, 0.2) if confounded else np.full(n // 2, 0.5)
    old = (rng.random(n // 2) < share)[patient]
    y = (rng.random(n) < 0.5) * 1.0
    strength = 3.0 - 2.0 * old - own * (sex > 0)
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + strength * (y - 0.5))))
    frame = {
        "patient_id": patient,
        "sex": np.where(sex, "F", "M"),
        "age": np.where(old, "old", "young"),
    }
    return pd.DataFrame({**frame, "y_true": y, "y_score": s})


def test_a_gap_that_is_all_mix_is_gone():
    held = {"tpr": 0, "auroc": 0, "fpr": 0}
    for seed in range(8):
        _, found = adjusted(cohort(seed), patient="patient_id")
        for m in held:
            crude, left = (found["gaps"][m][kind] for kind in ("crude", "adjusted"))
            assert crude["value"] > 0.05
            assert crude["ci"][0] > 0
            assert left["value"] < crude["value"] / 2
            held[m] += left["ci"][0] == 0
    assert min(held.values()) >= 6


def test_without_such_a_mix_both_agree():
    _, found = adjusted(cohort(3, confounded=False, own=1.0), patient="patient_id")
    for m in ("tpr", "fpr", "accuracy", "brier"):
        crude, left = (found["gaps"][m][kind] for kind in ("crude", "adjusted"))
        assert left["ci"][0] > 0
        assert left["value"] == pytest.approx(crude["value"], abs=0.02)
        for end, other in zip(left["ci"], crude["ci"], strict=True):
            assert end == pytest.approx(other, abs=0.03)


@pytest.mark.simulation
def test_intervals_of_the_adjusted_hold_the_truth():
    """The standard is the mix of one large table, so the truth is known for all small ones."""
    truth = 0.8 * 0.5 + 0.6 * 0.5
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = 600
        sex, old = rng.integers(0, 2, n), np.arange(n) % 2
        called = rng.random(n) < np.where(old, 0.6, 0.8)
        frame = pd.DataFrame(
            {
                "sex": np.where(sex, "F", "M"),
                "age": old,
                "y_true": 1.0,
                "y_score": called * 0.8 + 0.1,
            }
        )
        negatives = frame.iloc[:200].assign(y_true=0.0)
        _, found = adjusted(
            pd.concat([frame, negatives], ignore_index=True), n_boot=200, n_permutations=0
        )
        low, high = found["groups"]["F"]["tpr"]["adjusted"]["ci"]
        held += low <= truth <= high
    assert 52 <= held <= 60


def test_strata_that_lack_a_group_are_named():
    gone = BY_HAND[~((BY_HAND.sex == "M") & (BY_HAND.age == "young"))]
    more = pd.concat([gone, BY_HAND[BY_HAND.age == "old"]], ignore_index=True)
    report, found = adjusted(more)
    # Of the positives 60 are young women, who have no counterpart; of 300.
    assert found["support"]["tpr"] == pytest.approx(240 / 300)
    assert found["groups"]["F"]["tpr"]["adjusted"]["value"] == pytest.approx(0.6)
    told = " ".join(report.warnings)
    assert "some strata lack a compared group" in told
    assert "80 % of the cases" in told
    assert found["support"]["tpr"] < 1


def test_too_little_in_common_is_refused():
    apart = BY_HAND[(BY_HAND.sex == "F") == (BY_HAND.age == "young")]
    little = pd.concat([apart, BY_HAND.groupby(["sex", "age", "y_true"]).head(2)])
    report, found = adjusted(
        little.reset_index(drop=True).assign(
            age=lambda f: f.age + f.sex.where(f.index < len(apart), "")
        )
    )
    assert found["gaps"]["tpr"]["adjusted"] == {"value": None, "ci": None}
    assert found["gaps"]["tpr"]["crude"]["value"] is not None
    assert 0 < found["support"]["tpr"] < 0.5
    assert "not adjusted" in " ".join(report.warnings)
    assert "could not be adjusted for age" in report.to_html()


def test_few_cases_in_a_stratum_are_counted():
    few = BY_HAND.copy()
    few.loc[few.index[(few.sex == "M") & (few.y_true == 1)][:3], "age"] = "?"
    few.loc[few.index[(few.sex == "F") & (few.y_true == 1)][:9], "age"] = "?"
    report, _ = adjusted(few)
    told = next(w for w in report.warnings if "fewer than 5 cases" in w)
    assert "1 of 3 strata (true positive rate" in told


def test_empty_values_are_a_stratum_of_their_own():
    frame = BY_HAND.copy()
    frame.loc[frame["age"] == "old", "age"] = None
    report, found = adjusted(frame)
    assert found["gaps"] == adjusted(BY_HAND)[1]["gaps"]
    assert "210 of 360 rows have no age" in " ".join(report.warnings)


def test_many_numbers_are_cut_into_fifths():
    frame = cohort(0, n=1000)
    age = np.random.default_rng(0).integers(20, 90, 1000)
    _, found = adjusted(frame.assign(age=age), patient="patient_id")
    cuts = found["cuts"]["age"]
    assert len(cuts) == 4
    assert found["strata"] == 5
    share = np.histogram(age, [0, *cuts, 100])[0] / 1000
    assert share == pytest.approx(np.full(5, 0.2), abs=0.03)
    as_text = adjusted(frame.assign(age=age.astype(str)), patient="patient_id")[1]
    assert as_text == found


def test_several_columns_are_taken_together_and_an_attribute_is_not_its_own():
    frame = table(900)
    frame["view"] = np.where(np.arange(900) % 3 > 0, "PA", "AP")
    options = QUICK | {"groups": ["sex", "age_group", "sex*age_group"], "patient": "patient_id"}
    report = fairthesis.audit(frame, adjust=["age_group", "view"], **options)
    found = report.to_dict()["further"]["adjusted"]
    assert {a: one["by"] for a, one in found.items()} == {
        "sex": ["age_group", "view"],
        "age_group": ["view"],
        "sex*age_group": ["view"],
    }
    assert found["sex"]["strata"] == 6
    only = fairthesis.audit(frame, adjust="age_group", **(options | {"groups": ["age_group"]}))
    assert "adjusted" not in only.to_dict()["further"]
    assert "age_group is not adjusted" in " ".join(only.warnings)


def test_the_order_of_rows_does_not_count_and_patients_are_the_unit():
    frame = cohort(1, n=800)
    one, other = (
        adjusted(f, patient=None)[1] for f in (frame, frame.sample(frac=1, random_state=0))
    )
    assert one == other
    # Every row four times, all of one patient: as wide as before.
    copies = pd.concat([frame] * 4, ignore_index=True)
    rows, patients = (
        adjusted(f, patient="patient_id")[1]["groups"]["F"]["tpr"]["adjusted"]["ci"]
        for f in (frame, copies)
    )
    assert np.ptp(patients) == pytest.approx(np.ptp(rows), rel=0.1)


def test_groups_that_share_patients_are_not_independent():
    frame = cohort(2, n=800).rename(columns={"sex": "old_sex"})
    frame["sex"] = np.where(np.arange(800) % 2, "AP", "PA")  # both views of every patient
    frame["y_true"] = frame.groupby("patient_id")["y_true"].transform("first")
    frame["y_score"] = frame.groupby("patient_id")["y_score"].transform("first")
    _, found = adjusted(frame, patient="patient_id")
    gap = found["gaps"]["tpr"]["adjusted"]
    assert gap["value"] == pytest.approx(0, abs=1e-12)
    assert gap["ci"][1] < 0.02  # the same patients, the same scores
    ends = stats.GroupEnds(
        *np.array(
            [
                [one["tpr"]["adjusted"]["value"], *one["tpr"]["adjusted"]["ci"]]
                for one in found["groups"].values()
            ]
        ).T
    )
    assert ends.gap()[1] > 0.05


def test_what_cannot_be_adjusted_for_is_refused():
    with pytest.raises(InputError, match="Unknown column"):
        adjusted(BY_HAND, adjust=["agee"])
    with pytest.raises(InputError, match="one value only"):
        adjusted(BY_HAND.assign(age="young"))


def test_it_stands_on_the_page_in_the_table_and_in_the_terminal(tmp_path, capsys):
    file, out = tmp_path / "p.csv", tmp_path / "out"
    frame = cohort(0, n=800)
    frame.to_csv(file, index=False)
    args = [file, "--group", "sex", "--patient", "patient_id", "--adjust", "age", "--out", out]
    with pytest.raises(SystemExit) as ended:
        cli.main(["audit", *map(str, args), "--n-boot", "60", "--n-permutations", "20"])
    said, err = capsys.readouterr()
    assert ended.value.code == 0, err
    assert "gaps by sex, adjusted for age" in said
    rows = pd.read_csv(out / "adjusted.csv")
    assert set(rows["metric"]) == {"auroc", "tpr", "fpr", "selection_rate", "accuracy", "brier"}
    assert rows["group"].isna().sum() == 6
    page = (out / "audit.html").read_text()
    assert "sex, adjusted for age" in page
    assert "is left after adjusting for age" in page
    fairthesis.audit(frame, **QUICK).write(out)
    assert not (out / "adjusted.csv").exists()


def test_targets_are_adjusted_each():
    frame = cohort(0, n=800)
    wide = {"edema": ("y_true", "y_score"), "mass": ("y_true", "other")}
    frame["other"] = frame["y_score"] / 2
    frame["w"] = np.arange(len(frame)) % 4 + 1
    options = QUICK | {"patient": "patient_id", "adjust": ["age"], "weight": "w"}
    reports = audit_targets(frame, findings=wide, **options).reports
    assert all(r.additional["adjusted"]["sex"]["by"] == ["age"] for r in reports.values())
    assert all(r.data.weight is not None for r in reports.values())
    with pytest.raises(InputError, match="no weights"):
        audit_targets(frame, classes=["y_score", "other"], label="y_true", **options)
