"""The measure of twins: closed forms, invariance, coverage, bad input, what an audit cannot see."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

import fairthesis
from fairthesis import audit, datasets
from fairthesis.auditing import TWIN_MEASURES, twin_effects
from fairthesis.datasets import twin_scores
from fairthesis.errors import InputError

SCHEMA = json.loads(
    (Path(fairthesis.__file__).parent / "auditing" / "twins.schema.json").read_text()
)


def sigmoid(logit):
    return 1 / (1 + np.exp(-np.asarray(logit, float)))


def linear(n=400, effect=0.7, scale=1.0, shift=0.0, seed=0, only=None):
    """Images whose logit is linear in a device, with the device removed where it is present."""
    rng = np.random.default_rng(seed)
    y, device = rng.integers(0, 2, n), rng.integers(0, 2, n).astype(bool)
    sex = rng.choice(["F", "M"], n)
    strength = np.where(sex == "F", effect, effect if only is None else 0.0)
    rest = 1.5 * (y - 0.5) + rng.normal(size=n)
    logit, twin = (scale * (rest + strength * d) + shift for d in (device, np.zeros(n)))
    table = pd.DataFrame({"image_id": range(n), "patient_id": rng.integers(0, n // 2, n)})
    table = table.assign(y_true=y, y_score=sigmoid(logit), sex=sex)
    return table.assign(twin_device_removed=np.where(device, sigmoid(twin), np.nan)), logit, device


def found(report, group="all"):
    return {name: report.value("device_removed", name, group) for name in TWIN_MEASURES}


def test_a_linear_score_has_the_closed_form():
    table, logit, device = linear()
    report = twin_effects(table, threshold=0.4, n_boot=0)
    y = table["y_true"].to_numpy()
    spread = np.sqrt((logit[y == 0].var() + logit[y == 1].var()) / 2)
    s, t = table["y_score"][device], table["twin_device_removed"][device]
    assert found(report) == pytest.approx(
        {
            "score": (t - s).mean(),
            "logit": -0.7 / spread,
            "logit_absolute": 0.7 / spread,
            "flips": ((s >= 0.4) != (t >= 0.4)).mean(),
        }
    )
    about = report.targets[""]
    assert about["spread"] == pytest.approx(spread)
    apart = (logit[y == 1].mean() - logit[y == 0].mean()) / spread
    assert about["separation"] == pytest.approx(apart)
    rows = report.effects.query("measure == 'score'")
    assert rows["n"].tolist() == [device.sum(), *rows["n"].tolist()[1:]]
    assert rows["n"].iloc[0] == rows["n"].iloc[1:].sum()


def test_nothing_changed_is_exactly_nothing():
    table, _, device = linear()
    table["twin_device_removed"] = table["y_score"].where(device)
    report = twin_effects(table, n_boot=50)
    assert found(report) == dict.fromkeys(TWIN_MEASURES, 0.0)
    flips = report.effects.query("measure == 'flips' and group == 'all'").iloc[0]
    assert flips["ci_low"] == 0 < flips["ci_high"] < 0.05


@pytest.mark.parametrize(("scale", "shift"), [(3.0, 0.0), (0.2, -1.0)])
def test_an_affine_map_of_the_logit_changes_no_logit_measure(scale, shift):
    plain = found(twin_effects(linear()[0], n_boot=0))
    mapped = found(twin_effects(linear(scale=scale, shift=shift)[0], n_boot=0))
    for name in ("logit", "logit_absolute"):
        assert mapped[name] == pytest.approx(plain[name], rel=1e-9)
    assert mapped["score"] != pytest.approx(plain["score"], rel=0.05)


def test_the_spread_does_not_change_with_prevalence():
    table, _, _ = linear(n=4000)
    fewer = pd.concat([table[table["y_true"] == 0], table[table["y_true"] == 1].iloc[::8]])
    spreads = [twin_effects(t, n_boot=0).targets[""]["spread"] for t in (table, fewer)]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.05)


def test_groups_are_told_apart_and_share_one_spread():
    table, _, _ = linear(only="F")
    report = twin_effects(table, n_boot=200)
    women, men = found(report, "F"), found(report, "M")
    assert men == dict.fromkeys(TWIN_MEASURES, 0.0)
    assert women["logit"] == pytest.approx(-0.7 / report.targets[""]["spread"])
    assert women["logit"] == pytest.approx(-women["logit_absolute"])


def test_the_order_of_rows_does_not_count():
    table, _, _ = linear()
    one = twin_effects(table, n_boot=100).effects
    other = twin_effects(table.sample(frac=1, random_state=1), n_boot=100).effects
    pd.testing.assert_frame_equal(one, other, check_exact=False, rtol=1e-9)


def test_targets_have_thresholds_of_their_own():
    table, _, _ = linear()
    both = pd.concat([table.assign(target="a"), table.assign(target="b")])
    report = twin_effects(both, threshold={"a": 0.5, "b": 0.999}, rule="youden", n_boot=0)
    flips = [report.value("device_removed", "flips", target=name) for name in "ab"]
    assert flips[0] > 0.05 and flips[1] == 0
    assert report.targets["b"]["threshold"] == {"value": 0.999, "rule": "youden"}
    with pytest.raises(InputError, match="Unknown target with a threshold 'b'"):
        twin_effects(both, threshold={"a": 0.5}, n_boot=0)


@pytest.mark.parametrize(
    ("patients", "threshold", "size"), [(40, 0.5, 0.5), (60, 0.9, 0.2)], ids=["few", "rare"]
)
def test_intervals_hold_the_truth_with_few_patients_of_unequal_size(patients, threshold, size):
    def drawn(n, rng):
        many = 1 + np.minimum(rng.pareto(1.2, n) * 1.5, 40).astype(int)  # a few have most images
        who = np.repeat(np.arange(n), many)
        y = rng.integers(0, 2, len(who))
        own = 0.8 * rng.normal(size=n)[who] + 0.6 * rng.normal(size=len(who))
        moved = size * (rng.normal(size=n)[who] + rng.exponential(size=len(who))) - 0.5
        logit = 2.4 * (y - 0.5) + own
        table = pd.DataFrame({"patient_id": who, "y_true": y, "y_score": sigmoid(logit)})
        return table.assign(twin_device_removed=sigmoid(logit + moved))

    rng = np.random.default_rng(3)
    truth = twin_effects(drawn(50_000, rng), threshold=threshold, n_boot=0).effects["value"]
    held = []
    for _ in range(100):
        table = twin_effects(drawn(patients, rng), threshold=threshold, n_boot=200).effects
        held.append((table["ci_low"] <= truth) & (truth <= table["ci_high"]))
    # of 100 intervals of 95 % fewer than 88 hold the truth once in 250 times
    assert np.sum(held, axis=0).min() >= 88


def test_what_cannot_be_known_is_not_zero():
    table, _, _ = linear()
    report = twin_effects(table.drop(columns="y_true"), n_boot=0)
    assert np.isnan(report.value("device_removed", "logit"))
    assert report.value("device_removed", "flips") > 0
    assert any("no spread" in text for text in report.warnings)
    nowhere = twin_effects(table.assign(twin_device_removed=np.nan), n_boot=20)
    assert nowhere.effects["value"].isna().all() and (nowhere.effects["n"] == 0).all()
    jsonschema.validate(nowhere.to_dict(), SCHEMA)


def test_scores_of_0_and_1_are_held_and_said():
    table, _, _ = linear()
    table.loc[:40, "y_score"] = 1.0
    report = twin_effects(table, n_boot=0)
    assert np.isfinite(report.effects["value"]).all()
    assert any("last digit" in text for text in report.warnings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="twin_device_removed"), "No column .* twin_"),
        (lambda t: t.drop(columns="y_score"), "y_score"),
        (lambda t: t.assign(twin_device_removed=3.0), "twin_device_removed"),
        (lambda t: t.assign(y_true=2), "y_true"),
        (lambda t: t.assign(y_score=None), "y_score"),
    ],
)
def test_bad_tables_are_refused_in_words(change, words):
    with pytest.raises(InputError, match=words):
        twin_effects(change(linear()[0]), n_boot=0)
    with pytest.raises(InputError, match="skin"):
        twin_effects(linear()[0], groups=["skin"], n_boot=0)


def test_what_is_written_is_whole_and_fits_the_schema(tmp_path):
    table, _, _ = linear()
    report = twin_effects(table, n_boot=20, words={"device_removed": "ruler removed"})
    paths = report.write(tmp_path, table)
    assert {path.name for path in paths} == {"twins.json", "twins.csv", "pairs.parquet"}
    read = json.loads((tmp_path / "twins.json").read_text())
    jsonschema.validate(read, SCHEMA)
    assert read["changes"] == {"device_removed": "ruler removed"}
    rows = pd.read_csv(tmp_path / "twins.csv")
    assert len(rows) == len(read["effects"]) == 3 * len(TWIN_MEASURES)
    report.write(tmp_path)  # pairs of an older report would be of other numbers
    assert not (tmp_path / "pairs.parquet").exists()


def ruler(images):
    """Reads nothing but the ruler: how dark the outermost lines are beside those within."""
    green = images[..., 1].astype(float)
    edge = np.minimum(green[:, 0].mean(1), green[:, -1].mean(1))
    inner = np.minimum(green[:, 5:7].mean((1, 2)), green[:, -7:-5].mean((1, 2)))
    return sigmoid((inner - edge - 20) / 8)


def test_twins_see_a_shortcut_that_is_the_same_in_both_groups_and_an_audit_does_not():
    same = {"shortcut": 0.8, "shortcut_minority": 0.8, "n_train": 1, "n_val": 1, "n_test": 3000}
    cohort = datasets.load("synthetic-derm", setting="clean", **same)
    rows = np.flatnonzero(cohort.frame["split"] == "test")
    scores, twins = twin_scores(cohort, ruler, size=32, rows=rows)
    table = cohort.frame.iloc[rows].rename(columns={"malignant": "y_true"})
    table = table[["image_id", "patient_id", "y_true", "skin_tone"]].assign(y_score=scores)
    seen = audit(table, groups=["skin_tone"], patient="patient_id", n_boot=0, n_permutations=200)
    gap = seen.disparities["skin_tone"]["auroc_gap"]
    assert seen.overall["auroc"].value > 0.85  # it is good, by the ruler alone
    assert gap.value < 0.03 and gap.p_value > 0.05
    pairs = table.assign(**{f"twin_{name}": values for name, values in twins.items()})
    report = twin_effects(pairs, groups=["skin_tone"], n_boot=100)
    for group in ("all", "light", "dark"):
        assert report.value("device_removed", "flips", group) > 0.9
        assert report.value("device_removed", "logit", group) < -1
        assert report.value("device_added", "logit", group) > 1
        for change in ("disease_removed", "disease_added"):
            assert report.value(change, "flips", group) < 0.05
    assert report.value("skin_tone", "flips") < 0.05
