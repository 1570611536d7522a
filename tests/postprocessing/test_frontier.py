"""The frontier against its ends, against every pair of thresholds, and against fairlearn."""

import numpy as np
import pytest
from fairlearn.postprocessing import ThresholdOptimizer
from scipy.optimize import linprog
from sklearn.base import BaseEstimator
from sklearn.metrics import roc_curve

from fairthesis.errors import InputError
from fairthesis.postprocessing import equalized_odds_frontier


def made(n=600, seed=0, groups=2, worse=0.8):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, n)
    y = (rng.random(n) < 0.3 + 0.1 * group).astype(int)
    s = np.round(y * (1.8 - worse * group) + rng.normal(size=n) + 0.3 * group, 2)
    return y, s, np.array(list("abc"))[group]


def values(y, s, g, epsilons, **options):
    found = equalized_odds_frontier(y, s, g, epsilons, **options)
    name = options.get("objective", "balanced_accuracy")
    return found.groupby("epsilon")[name].first().to_numpy()


@pytest.mark.parametrize("objective", ["balanced_accuracy", "accuracy"])
def test_at_1_every_group_has_its_own_best_threshold(objective):
    y, s, g = made()
    best = 0.0 if objective == "accuracy" else 0.5
    n = {k: (y == k).sum() for k in (0, 1)}
    for name in "ab":
        mine = g == name
        fpr, tpr, _ = roc_curve(y[mine], s[mine], drop_intermediate=False)
        positive, negative = y[mine].sum(), (1 - y[mine]).sum()
        if objective == "accuracy":
            best += (tpr * positive + (1 - fpr) * negative).max() / len(y)
        else:
            best += (tpr * positive / n[1] - fpr * negative / n[0]).max() / 2
    assert values(y, s, g, [1.0], objective=objective)[0] == pytest.approx(best)


def test_at_0_it_is_equalized_odds_as_fairlearn_has_it():
    y, s, g = made(3000)

    class Scores(BaseEstimator):
        def fit(self, X, y):
            self.fitted_ = True
            return self

        def predict(self, X):
            return np.asarray(X)[:, 0]

    optimizer = ThresholdOptimizer(
        estimator=Scores().fit(None, None), constraints="equalized_odds",
        objective="balanced_accuracy_score", prefit=True, predict_method="predict", grid_size=4000,
    )  # fmt: skip
    optimizer.fit(s[:, None], y, sensitive_features=g)
    chance = optimizer._pmf_predict(s[:, None], sensitive_features=g)[:, 1]
    theirs = (chance[y == 1].mean() + 1 - chance[y == 0].mean()) / 2
    assert values(y, s, g, [0.0])[0] == pytest.approx(theirs, abs=1e-3)


@pytest.mark.parametrize("groups", [2, 3])
def test_it_is_the_program_over_all_thresholds(groups):
    """The same program without the hull, with each pair of groups as a constraint of its own."""
    y, s, g = made(120, groups=groups)
    names = sorted(set(g))
    corners = []
    for k, name in enumerate(names):
        fpr, tpr, _ = roc_curve(y[g == name], s[g == name], drop_intermediate=False)
        corners += [(k, t, f) for t, f in zip(tpr, fpr, strict=True)]
    of, tpr, fpr = (np.array(column) for column in zip(*corners, strict=True))
    share = {k: (g == name) for k, name in enumerate(names)}
    cost = [
        f * (y[share[k]] == 0).sum() / (y == 0).sum()
        - t * (y[share[k]] == 1).sum() / (y == 1).sum()
        for k, t, f in corners
    ]
    upper = [
        rate * ((of == a).astype(float) - (of == b))
        for rate in (tpr, fpr)
        for a in range(groups)
        for b in range(groups)
        if a != b
    ]
    equal = np.array([of == k for k in range(groups)], float)
    for epsilon in (0.0, 0.03, 0.1, 0.3, 1.0):
        slow = linprog(cost, np.array(upper), [epsilon] * len(upper), equal, np.ones(groups))
        expected = 0.5 - slow.fun / 2
        assert values(y, s, g, [epsilon])[0] == pytest.approx(expected, abs=1e-7)


def test_more_freedom_is_never_worse_and_the_difference_is_kept():
    y, s, g = made(900, groups=3)
    epsilons = np.linspace(0, 1, 11)
    found = equalized_odds_frontier(y, s, g, epsilons)
    by = found.groupby("epsilon").first()
    assert (np.diff(by["balanced_accuracy"]) >= -1e-9).all()
    assert (by["difference"] <= by.index.to_numpy() + 1e-7).all()
    assert by["balanced_accuracy"].iloc[-1] > by["balanced_accuracy"].iloc[0] + 0.01


def test_its_thresholds_drawn_give_what_it_says():
    y, s, g = made(900)
    found = equalized_odds_frontier(y, s, g, [0.05])
    assert found.groupby("group")["share"].sum().tolist() == pytest.approx([1, 1])
    chance = np.zeros(len(y))
    for row in found.to_dict("records"):
        chance += row["share"] * ((g == row["group"]) & (s >= row["threshold"]))
    tpr, fpr = chance[y == 1].mean(), chance[y == 0].mean()
    assert found["balanced_accuracy"].iloc[0] == pytest.approx((tpr + 1 - fpr) / 2)
    one = found.groupby("group").first()
    for name in "ab":
        assert chance[(g == name) & (y == 1)].mean() == pytest.approx(one.loc[name, "tpr"])
        assert chance[(g == name) & (y == 0)].mean() == pytest.approx(one.loc[name, "fpr"])


def test_where_groups_are_alike_nothing_is_lost():
    y, s, _ = made(400)
    both = np.repeat(["a", "b"], 400)
    found = values(np.tile(y, 2), np.tile(s, 2), both, [0.0, 1.0])
    assert found[0] == pytest.approx(found[1])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"epsilons": [1.5]}, "epsilons has 1.5"),
        ({"epsilons": []}, "an empty list"),
        ({"objective": "f1"}, "Unknown objective 'f1'"),
        ({"group": ["a"] * 120}, "expected two or more"),
        ({"group": ["a"] * 119}, "119"),
        ({"group": [None] + ["a"] * 119}, "empty in 1 rows"),
        ({"y_score": [np.nan] * 120}, "y_score"),
    ],
)
def test_what_has_no_frontier_is_said(change, words):
    y, s, g = made(120)
    given = {"y_true": y, "y_score": s, "group": g, "epsilons": [0.1]} | change
    with pytest.raises(InputError, match=words):
        equalized_odds_frontier(**given)
    lone = np.where(y == 1, "a", "b")
    with pytest.raises(InputError, match="both classes in every group"):
        equalized_odds_frontier(y, s, lone, [0.1])
