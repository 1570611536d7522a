"""Ranks over data sets: published values, the definition, and what cannot be ranked."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import friedmanchisquare

from fairthesis import plots
from fairthesis.errors import InputError
from fairthesis.stats._ranks import friedman_nemenyi

# Demšar (2006), table 6: AUC of C4.5 and three variants on 14 data sets.
DEMSAR = pd.DataFrame(
    {
        "C4.5": [
            0.763,
            0.599,
            0.954,
            0.628,
            0.882,
            0.936,
            0.661,
            0.583,
            0.775,
            1.0,
            0.94,
            0.619,
            0.972,
            0.957,
        ],
        "C4.5+m": [
            0.768,
            0.591,
            0.971,
            0.661,
            0.888,
            0.931,
            0.668,
            0.583,
            0.838,
            1.0,
            0.962,
            0.666,
            0.981,
            0.978,
        ],
        "C4.5+cf": [
            0.771,
            0.59,
            0.968,
            0.654,
            0.886,
            0.916,
            0.609,
            0.563,
            0.866,
            1.0,
            0.965,
            0.614,
            0.9751,
            0.946,
        ],
        "C4.5+m+cf": [
            0.798,
            0.569,
            0.967,
            0.657,
            0.898,
            0.931,
            0.685,
            0.625,
            0.875,
            1.0,
            0.962,
            0.669,
            0.975,
            0.97,
        ],
    }
)


def test_published_example():
    found = friedman_nemenyi(DEMSAR)
    # The paper: mean ranks 3.143, 2.000, 2.893, 1.964; CD 1.25 at 5 %, q 2.569.
    assert found.mean.round(3).to_dict() == pytest.approx(
        {"C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143}, abs=1e-3
    )
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=2e-3)
    loose = friedman_nemenyi(DEMSAR, alpha=0.10)
    assert loose.critical_difference == pytest.approx(2.291 * np.sqrt(4 * 5 / (6 * 14)), abs=2e-3)
    # At 10 %: C4.5 differs from both variants with m (3.143 - 2.000 and 3.143 - 1.964 > 1.12).
    assert loose.differ("C4.5", "C4.5+m") and loose.differ("C4.5", "C4.5+m+cf")
    assert not loose.differ("C4.5", "C4.5+cf")


def test_statistic_is_scipys_and_the_formula():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(12, 5)) + np.arange(5) / 3, columns=list("abcde"))
    found = friedman_nemenyi(table)
    reference = friedmanchisquare(*table.to_numpy().T)
    assert found.p_value == pytest.approx(reference.pvalue, abs=1e-12)
    R, N, k = found.mean.to_numpy(), 12, 5
    by_hand = 12 * N / (k * (k + 1)) * ((R**2).sum() - k * (k + 1) ** 2 / 4)
    assert found.statistic == pytest.approx(by_hand, abs=1e-9)
    assert found.mean.sum() == pytest.approx(k * (k + 1) / 2)


def test_direction_and_ties():
    table = pd.DataFrame({"a": [1.0, 1.0], "b": [2.0, 2.0], "c": [2.0, 3.0]})
    assert friedman_nemenyi(table).mean.to_dict() == {"c": 1.25, "b": 1.75, "a": 3.0}
    assert friedman_nemenyi(table, larger_is_better=False).mean.index[0] == "a"
    same = friedman_nemenyi(table * 0)
    assert same.p_value == 1.0 and set(same.mean) == {2.0} and same.cliques() == [("a", "b", "c")]


def test_error_over_all_pairs_is_the_level():
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(400):
        found = friedman_nemenyi(pd.DataFrame(rng.normal(size=(15, 4)), columns=list("abcd")))
        wrong += found.mean.iloc[-1] - found.mean.iloc[0] >= found.critical_difference
    assert 0.02 <= wrong / 400 <= 0.08


def test_cliques_hold_methods_that_do_not_differ():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(20, 6)) + 0.5 * np.arange(6), columns=list("abcdef"))
    found = friedman_nemenyi(table)
    groups = found.cliques()
    for group in groups:
        assert not any(found.differ(a, b) for a in group for b in group)
    for a in table:
        for b in table:
            together = any(a in group and b in group for group in groups)
            assert a == b or together == (not found.differ(a, b))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame({"a": [1.0, 2], "b": [1.0, 2]}), "3 methods"),
        (pd.DataFrame({"a": [1.0], "b": [1.0], "c": [2.0]}), "2 data sets"),
        (
            pd.DataFrame({"a": [1.0, 2], "b": [1.0, np.nan], "c": [1.0, 2]}),
            "no value on data set 1",
        ),
        (pd.DataFrame([[1.0, 2, 3]] * 2, columns=["a", "a", "b"]), "two columns"),
    ],
)
def test_bad_input_is_named(table, words):
    with pytest.raises(InputError, match=words):
        friedman_nemenyi(table)


def test_level_is_checked():
    with pytest.raises(InputError, match="alpha is 5"):
        friedman_nemenyi(DEMSAR, alpha=5)


def test_diagram_shows_every_method_at_its_rank(tmp_path):
    ax = plots.critical_difference(friedman_nemenyi(DEMSAR))
    words = " ".join(text.get_text() for text in ax.texts)
    for name, rank in friedman_nemenyi(DEMSAR).mean.items():
        assert f"{name} ({rank:.2f})" in words
    assert "CD = 1.25" in words
    ax.figure.savefig(tmp_path / "cd.png")
    assert ax.get_xlim() == (1.0, 4.0)
    plt.close(ax.figure)


@pytest.mark.parametrize("methods, sets", [(4, 14), (12, 6), (23, 3)])
def test_no_two_texts_of_the_diagram_overlap(methods, sets):
    drawn = np.random.default_rng(0).normal(size=(sets, methods)) + 2 * np.arange(methods)
    names = [f"a_long_name_{number}" for number in range(methods)]
    ax = plots.critical_difference(friedman_nemenyi(pd.DataFrame(drawn, columns=names)))
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    for number, box in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert not box.overlaps(other)
    plt.close(ax.figure)


def test_differ_answers_with_pythons_own_truth():
    found = friedman_nemenyi(pd.DataFrame([[3.0, 2.0, 1.0]] * 4, columns=["a", "b", "c"]))
    assert found.differ("a", "c") is True
    assert found.differ("a", "b") is False
