"""What was expected beforehand, held against runs whose differences are known by construction."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from fairthesis.errors import InputError
from fairthesis.study import (
    Hypothesis,
    _hypotheses,
    hypotheses_across,
    hypotheses_told,
    hypothesis_sentences,
)

NOISE = np.array([-0.004, 0.003, 0.0, 0.002, -0.001])
GAP, F, M = "AUROC gap", "AUROC, F", "AUROC, M"
# what `adversarial` changes, by setting
MOVED = {
    "none": {GAP: 0.0, F: 0.0, M: 0.0},
    "reversed": {GAP: -0.1, F: -0.02, M: -0.03},
    "same": {GAP: 0.1, F: -0.02, M: 0.02},
    "noisy": {GAP: 0.0, F: -0.02, M: 0.0},
}


@pytest.fixture
def runs(monkeypatch):
    """Numbers of five seeds in place of an archive's; pairs of `noisy` are far apart."""
    rows = []
    for setting, moved in MOVED.items():
        wide = 40 if setting == "noisy" else 1
        for number, change in moved.items():
            for seed, noise in enumerate(NOISE):
                rows.append([setting, "erm", seed, number, 0.2 + 0.01 * seed])
                value = 0.2 + 0.01 * seed + change + wide * noise
                rows.append([setting, "adversarial", seed, number, value])
    table = pd.DataFrame(rows, columns=["setting", "variant", "seed", "number", "value"])
    monkeypatch.setattr(_hypotheses, "settings_numbers", lambda results: table)
    monkeypatch.setattr("fairthesis.study._contrasts.test_train_ratio", lambda results: 0.0)
    return table


def _holds(number, expected, *settings, **more):
    one = Hypothesis("It is so.", "adversarial", "erm", number, expected, settings, **more)
    return hypotheses_told(None, [one])


@pytest.mark.parametrize(
    ("expected", "holds"),
    [
        ("lower", ["no", "yes", "no", "cannot be told"]),
        ("higher", ["no", "no", "yes", "cannot be told"]),
        ("not lower", ["yes", "no", "yes", "cannot be told"]),
        ("not higher", ["yes", "yes", "no", "cannot be told"]),
        ("not shown lower", ["yes", "no", "yes", "yes"]),
        ("not shown higher", ["yes", "yes", "no", "yes"]),
        ("not shown different", ["yes", "no", "no", "yes"]),
    ],
)
def test_the_interval_decides_what_holds(runs, expected, holds):
    assert _holds(GAP, expected, *MOVED)["holds"].tolist() == holds


def test_differences_are_paired_by_seed(runs):
    row = _holds(GAP, "lower", "reversed").iloc[0]
    known = ttest_rel(0.1 + NOISE, np.full(5, 0.2)).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(-0.1 + NOISE.mean())
    assert (row["lo"], row["hi"]) == pytest.approx((known.low, known.high))


def test_a_variant_can_be_held_against_one_of_another_setting(runs):
    row = _holds(GAP, "higher", "same", against="reversed").iloc[0]
    assert row["difference"] == pytest.approx(0.1 + NOISE.mean())
    one = Hypothesis("", "adversarial", "adversarial", GAP, "higher", ("same",), "reversed")
    assert hypotheses_told(None, [one])["difference"][0] == pytest.approx(0.2)


def test_of_several_numbers_all_must_be_as_expected(runs):
    alone = hypothesis_sentences(_holds(GAP, "lower", "reversed"))
    assert alone == "1. It is so. *Holds*."  # a single setting has no need of a name
    table = _holds((F, M), "lower", *MOVED)
    assert len(table) == 2 * len(MOVED)
    assert hypothesis_sentences(table) == (
        "1. It is so. *Holds* in `reversed`. *Does not hold* in `none`, `same`. "
        "*Cannot be told* in `noisy`."
    )


def test_many_settings_that_agree_are_counted():
    columns = ["hypothesis", "setting", "number", "holds"]
    rows = [["It is so.", f"s{i}", "AUROC", "yes"] for i in range(7)]
    assert hypothesis_sentences(pd.DataFrame(rows, columns=columns)) == (
        "1. It is so. *Holds* in all 7 settings."
    )
    rows[3][-1] = "no"
    told = hypothesis_sentences(pd.DataFrame(rows, columns=columns))
    assert told.endswith("`s5`, `s6`. *Does not hold* in `s3`.")


def test_what_the_experiment_lacks_is_named(runs):
    asked = {"variant": "adversarial", "than": "erm", "number": GAP, "settings": ("same",)}
    wrong = {"variant": "mine", "setting": ("here",), "number": "F1"}
    for what, name in wrong.items():
        change = {"settings" if what == "setting" else what: name}
        with pytest.raises(InputError, match=f"Unknown {what} '"):
            hypotheses_told(None, [Hypothesis("", expected="lower", **(asked | change))])


def test_answers_of_several_experiments_stand_beside_one_another(runs):
    both = _holds((F, M), "lower", *MOVED)
    other = both.assign(hypothesis="Another.")
    few = both[both["setting"] == "reversed"]
    table = hypotheses_across({"all": pd.concat([both, other]), "few": few})
    assert table.index.tolist() == [1, 2] and list(table) == ["hypothesis", "all", "few"]
    assert table.loc[1].tolist() == ["It is so.", "yes in 1, no in 2, cannot be told in 1", "yes"]
    assert table.loc[2, "few"] == ""  # it was not asked that
