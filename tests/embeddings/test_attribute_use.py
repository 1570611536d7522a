"""Encoding and use: what erasing does to a refitted head, where it is known beforehand."""

import json

import numpy as np
import pandas as pd
import pytest
from support.embeddings import tables

from fairthesis import cli
from fairthesis.embeddings import (
    ERASERS,
    TooFewPatientsError,
    fit_probe,
    macro_auroc,
    probe,
    use_of_attribute,
)
from fairthesis.embeddings import _refitted_heads as heads
from fairthesis.embeddings._erasers import Leace
from fairthesis.errors import InputError

NONE = {"n_boot": 0, "n_random": 0}


def drawn(n=4000, d=4, prevalence=(0.5, 0.5), seed=0):
    """Noise (n, d), labels and groups, the labels with a share of cases for each group."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, n)
    y = (rng.random(n) < np.take(prevalence, a)).astype(int)
    return rng.normal(size=(n, d)), y, a


def readings(found, scope="marginal"):
    table = found.table()
    return table[table["scope"] == scope].set_index("metric")


def test_an_attribute_that_is_encoded_and_not_used_changes_nothing():
    x, y, a = drawn(d=30)  # so that a direction of chance takes little from the target's
    x[:, 0] += 1.5 * y
    x[:, 1] += 6 * a  # independent of the label: a head has no use for it
    score = fit_probe("logistic", x[:2000], a[:2000]).predict_proba(x[2000:])
    assert macro_auroc(a[2000:], score) > 0.99
    found = use_of_attribute(x, y, a, n_boot=100, n_random=2)
    for scope in ("marginal", "given the target"):
        rows = readings(found, scope)
        assert rows["change"].abs().max() < 0.015
        assert (rows["ci_low"] <= 0.01).all() and (rows["ci_high"] >= -0.01).all()
    assert rows.loc["auroc", "kept"] > 0.8


def test_an_attribute_that_is_used_gives_back_its_gap():
    x, y, a = drawn(prevalence=(0.2, 0.8))
    x[:, 0] += y
    x[:, 1] = 3 * a + 0.1 * x[:, 1]
    found = use_of_attribute(x, y, a, n_boot=100, n_random=2)
    odds = readings(found, "given the target").loc["equalized_odds_difference"]
    assert odds["kept"] > 0.6 and odds["erased"] < 0.08
    assert odds["ci_low"] <= odds["change"] <= odds["ci_high"] < -0.4
    # Given the target erasing takes the shift alone; without it, what the target shares with it.
    auroc = [readings(found, s).loc["auroc", "erased"] for s in ("marginal", "given the target")]
    assert auroc[0] < auroc[1]


def test_random_directions_do_not_do_it():
    x, y, a = drawn(d=12, prevalence=(0.2, 0.8))
    x[:, 0] += y
    x[:, 1] = 3 * a + 0.1 * x[:, 1]
    odds = readings(use_of_attribute(x, y, a, n_boot=0), "marginal").loc[
        "equalized_odds_difference"
    ]
    assert odds["change"] < odds["random_low"] - 0.1
    assert odds["random_low"] <= odds["random_change"] <= odds["random_high"]


def test_a_gap_of_auroc_closes_with_the_direction_that_makes_it():
    rng = np.random.default_rng(1)
    x, y, a = drawn(6000, prevalence=(0.1, 0.9))
    x[:, 0] += 1.5 * y
    x[:, 1] = a * (3 + 2 * rng.normal(size=len(a)))  # noise of one group, which the head reads
    found = use_of_attribute(x, y, a, **NONE)
    gap = readings(found, "given the target").loc["auroc_gap"]
    assert gap["kept"] > 0.09 and gap["erased"] < 0.04
    # Taken out without the target what it shares with it goes too, and the noise stays in part.
    assert readings(found).loc["auroc_gap", "change"] > gap["change"]


def test_every_eraser_does():
    x, y, a = drawn(1500, prevalence=(0.3, 0.7))
    x[:, 0] += y
    x[:, 1] += 3 * a
    for kind in ERASERS.values():
        found = use_of_attribute(x, y, a, eraser=kind(), folds=2, **NONE)
        assert readings(found)["kept"].notna().all()
        assert found.settings["eraser"] == kind.__name__


def test_no_patient_is_on_both_sides(monkeypatch):
    x, y, a = drawn(900)
    who = np.arange(900) // 3
    y, a = y[who * 3], a[who * 3]
    seen = []
    fill = heads.Scored.fill

    def spied(self, fold, cases, fit, held, change, seed):
        seen.append((fold, set(cases.patient[fit]), set(cases.patient[held])))
        fill(self, fold, cases, fit, held, change, seed)

    monkeypatch.setattr(heads.Scored, "fill", spied)
    use_of_attribute(x, y, a, who, folds=3, n_boot=0, n_random=1)
    assert len(seen) == 3 * 5  # as it is, and for each of two ways after it and at random
    assert all(not fit & held for _, fit, held in seen)
    assert all(set().union(*(h for f, _, h in seen if f == k)) for k in range(3))
    assert set().union(*(held for _, _, held in seen)) == set(range(300))


def test_an_embedding_that_is_erased_already_stays_as_it_is():
    # Of four fifths of the rows the groups differ by chance, in any direction: of 32 one costs
    # little.
    x, y, a = drawn(2000, d=32)
    x[:, 0] += y
    x[:, 1] += 3 * a
    first = readings(use_of_attribute(x, y, a, **NONE))
    again = readings(use_of_attribute(Leace().fit(x, a).transform(x), y, a, **NONE))
    assert again.loc["auroc", "kept"] == pytest.approx(first.loc["auroc", "erased"], abs=0.005)
    assert again["change"].abs().max() < 0.02


def test_small_groups_stay_out_of_gaps_and_are_named():
    x, y, a = drawn(1000)
    a = np.where(np.arange(1000) < 40, 2, a).astype(str)
    found = use_of_attribute(x, y, a, **NONE)
    assert "'2' has" in found.warnings[0] and "kept out of gaps" in found.warnings[0]
    one = use_of_attribute(x[:100], y[:100], np.arange(100) % 2, **NONE)
    assert np.isnan(readings(one).loc["auroc_gap", "kept"]) and len(one.warnings) == 2
    assert one.to_dict()["readings"][1]["kept"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"folds": 1}, "folds is 1: expected 2"),
        ({"n_boot": -1}, "n_boot is -1"),
        ({"y_true": np.full(60, 2)}, "expected"),
        ({"X": np.full((60, 2), np.nan)}, "not"),
        ({"X": np.zeros((59, 2))}, r"shape \(60, d\), but got \(59, 2\)"),
        ({"attribute": np.array(["f"] * 60)}, "'f' in all rows"),
        ({"attribute": np.array(["f", None] * 30, object)}, "unknown in 30 of 60 rows"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(change, message):
    given = {"X": np.zeros((60, 2)), "y_true": np.arange(60) % 2, "attribute": np.arange(60) % 3}
    with pytest.raises(InputError, match=message):
        use_of_attribute(**{**given, **change})


def test_too_few_patients_of_a_group_are_refused_by_name():
    a = np.where(np.arange(60) < 3, "rare", "common")
    with pytest.raises(TooFewPatientsError, match="'rare' have label 0: expected 5"):
        use_of_attribute(np.zeros((60, 2)), np.arange(60) % 2, a)


def used(code, y, rng):
    y = (rng.random(len(code)) < np.where(code == 1, 0.8, 0.2)).astype(int)
    return {
        0: 4 * code + 0.1 * rng.normal(size=len(code)),
        1: y + rng.normal(size=len(code)),
        "y": y,
    }


def test_probe_has_it_beside_and_the_command_shows_it(tmp_path, capsys):
    embedded, labels = tables(used)
    options = {"names": ["logistic"], "n_boot": 50, "n_shuffles": 0}
    found = probe(embedded, labels, attribute="sex", use_folds=4, **options)
    table = found.use.table()
    assert len(table) == 6 and found.use.n_patients == 600  # of val and test
    assert probe(embedded, labels, attribute="sex", **options).use is None
    for name, frame in (("e", embedded), ("l", labels)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    command = ["probe", tmp_path / "e.csv", "--labels", tmp_path / "l.csv", "--attribute", "sex"]
    command += ["--probe", "logistic", "--n-boot", 50, "--n-shuffles", 0, "--use-folds", 4]
    out = tmp_path / "out"
    assert run(*command, "--out", out) == 0
    said = capsys.readouterr().out
    assert "refitted before and after erasure (Leace), in 4 folds of 600 patients" in said
    kept = json.loads((out / "leakage.json").read_text())["use"]
    assert kept["readings"][0]["change"] == pytest.approx(table["change"][0])
    assert pd.read_csv(out / "use.csv")["change"].tolist() == pytest.approx(table["change"])
    assert run(*command, "--use-folds", 0, "--out", out) == 0
    assert not (out / "use.csv").exists()
    assert json.loads((out / "leakage.json").read_text())["use"] is None


def test_too_few_patients_are_a_warning_of_the_probe():
    embedded, labels = tables(used, n=40)
    found = probe(embedded, labels, attribute="sex", use_folds=20, names=["logistic"], n_boot=0)
    assert found.use is None and any("No head was refitted" in text for text in found.warnings)


def test_folds_of_one_are_refused():
    embedded, labels = tables(used, n=40)
    with pytest.raises(InputError, match="use_folds is 1: expected 2 or more, or 0"):
        probe(embedded, labels, attribute="sex", use_folds=1)


def run(*argv):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in argv])
    return ended.value.code
