"""Thresholds and recalibrators as estimators: fairlearn's and scikit-learn's own numbers."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.isotonic import IsotonicRegression
from sklearn.utils import estimator_checks as checks
from support.predictions import table

from fairthesis.errors import InputError
from fairthesis.postprocessing import (
    BY_GROUP,
    CALIBRATIONS,
    GroupRecalibration,
    LevelUpThresholds,
    RandomizedThresholds,
    apply_by_group,
    apply_thresholds,
    equalize,
    fit_by_group,
    level_up_thresholds,
    recalibrate,
)
from fairthesis.postprocessing._randomized import CONSTRAINTS, Scores

NEWER = ("check_estimator_repr", "check_estimator_cloneable", "check_mixin_order")
ALL = {
    "level_up": LevelUpThresholds(0.4),
    "randomized": RandomizedThresholds("demographic_parity"),
    "logistic": GroupRecalibration(),
    "isotonic": GroupRecalibration("isotonic"),
}


def cases(n=2000, seed=0):
    frame = table(n, seed=seed)
    return (
        frame["y_score"].to_numpy(copy=True),
        frame["y_true"].to_numpy(int),
        np.array(frame["sex"], object),
    )


def used(estimator, s, g):
    if hasattr(estimator, "transform"):
        return estimator.transform(s, sensitive_features=g)
    drawn = {"random_state": 3} if isinstance(estimator, RandomizedThresholds) else {}
    return estimator.predict(s, sensitive_features=g, **drawn)


@pytest.mark.parametrize("name", ALL)
def test_an_estimator_that_can_be_cloned_set_and_pickled(name):
    """Of scikit-learn's checks those that hand over no rows: theirs are no probabilities."""
    made = ALL[name]
    for check in (
        checks.check_no_attributes_set_in_init,
        checks.check_parameters_default_constructible,
        checks.check_get_params_invariance,
        checks.check_set_params,
        *(getattr(checks, name) for name in NEWER if hasattr(checks, name)),
    ):
        check(type(made).__name__, clone(made))
    s, y, g = cases()
    fitted = clone(made).fit(s, y, sensitive_features=g)
    assert vars(clone(fitted)) == fitted.get_params()
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(used(again, s, g), used(fitted, s[:, None], g))


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_decisions_are_those_of_fairlearn(constraint):
    from fairlearn.postprocessing import ThresholdOptimizer

    s, y, g = cases()
    theirs = ThresholdOptimizer(
        estimator=Scores().fit([], []),
        constraints=constraint,
        objective="balanced_accuracy_score",
        prefit=True,
        predict_method="predict",
    ).fit(s[:, None], y, sensitive_features=g)
    ours = RandomizedThresholds(constraint).fit(s, y, sensitive_features=g)
    new, _, group = cases(3000, seed=1)
    edges = ours.table_[:, [4, 7]]  # the thresholds themselves: which side is a tie on?
    edges = np.clip(np.where(np.isfinite(edges), edges, 0.5), 0, 1)
    new = np.concatenate([new, edges.ravel()])
    group = np.concatenate([group, np.repeat(ours.groups_, 2).astype(object)])
    chance = theirs._pmf_predict(new[:, None], sensitive_features=group)[:, 1]
    np.testing.assert_array_equal(ours.positive_probability(new, sensitive_features=group), chance)
    np.testing.assert_array_equal(
        ours.predict(new, sensitive_features=group, random_state=7),
        theirs.predict(new[:, None], sensitive_features=group, random_state=7),
    )
    assert set(np.unique(chance)) - {0.0, 1.0} and not np.isnan(chance).any()


def test_isotonic_maps_are_those_of_scikit_learn():
    s, y, g = cases()
    ours = GroupRecalibration("isotonic").fit(s, y, sensitive_features=g)
    new, _, group = cases(3000, seed=1)
    new[:2], group[:2] = [0.0, 1.0], "F"  # beyond the fitting scores
    found = ours.transform(new, sensitive_features=group)
    for name in ("F", "M"):
        theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
        theirs.fit(s[g == name], y[g == name])
        np.testing.assert_array_equal(found[group == name], theirs.predict(new[group == name]))


def test_an_isotonic_map_of_one_knot_is_a_constant():
    fitted = GroupRecalibration("isotonic").fit(
        [0.3] * 4, [0, 1, 1, 1], sensitive_features=["a"] * 4
    )
    assert fitted.transform([0.1, 0.9], sensitive_features=["a", "a"]).tolist() == [0.75, 0.75]


@pytest.mark.parametrize("name", ALL)
def test_a_group_that_was_not_there_is_named(name):
    s, y, g = cases()
    fitted = clone(ALL[name]).fit(s, y, sensitive_features=g)
    with pytest.raises(InputError, match=r"Unknown group 'X', 'Z': this was fitted for F, M"):
        used(fitted, [0.5, 0.5, 0.5], ["Z", "F", "X"])
    with pytest.raises(InputError, match="unknown in 1 of 2 rows"):
        used(fitted, [0.5, 0.5], ["F", None])
    with pytest.raises(InputError, match="a group for each of 2 rows"):
        used(fitted, [0.5, 0.5], ["F"])
    with pytest.raises(InputError, match="probabilities from 0 to 1"):
        used(fitted, [0.5, 7], ["F", "M"])
    with pytest.raises(InputError, match="y holds 2"):
        clone(ALL[name]).fit([0.5, 0.6], [1, 2], sensitive_features=["F", "M"])


def test_what_is_kept_does_to_the_test_rows_what_the_functions_do():
    frame = table(4000)
    test = frame[frame["split"] == "test"].reset_index(drop=True)
    for method in BY_GROUP:
        fitted, about = fit_by_group(frame, group="sex", method=method)
        assert about["splits"] == ["val"] and about["n_rows"] == (frame["split"] == "val").sum()
        assert sum(about["groups"].values()) == about["n_rows"]
        found, left_out = apply_by_group(fitted, about, test, seed=2)
        if method == "level_up":
            cut = level_up_thresholds(frame, group="sex", threshold=0.5)
            expected = apply_thresholds(frame, cut, group="sex")["y_pred"]
        elif method in CALIBRATIONS:
            expected = recalibrate(frame, group="sex", method=method)["y_score"]
        else:
            expected = equalize(frame, group="sex", constraint=method, seed=2)["y_pred"]
        column = "y_score" if method in CALIBRATIONS else "y_pred"
        np.testing.assert_array_equal(found[column], expected)
        assert left_out == 0


def test_tomorrows_table_needs_no_label_and_rows_without_group_are_counted():
    frame = table(2000)
    fitted, about = fit_by_group(frame, group="sex", method="logistic")
    new = pd.DataFrame(
        {"id": range(4), "sex": ["F", "M", None, "F"], "y_score": [0.2, 0.3, 0.4, None]}
    )
    found, left_out = apply_by_group(fitted, about, new)
    assert found["id"].tolist() == [0, 1] and left_out == 2 and "y_true" not in found
    with pytest.raises(InputError, match="Unknown sex 'X'"):
        apply_by_group(fitted, about, new.assign(sex="X"))
    with pytest.raises(InputError, match="No row of the predictions table"):
        apply_by_group(fitted, about, new.assign(sex=None))


def test_a_table_of_several_targets_is_taken_target_by_target():
    frame = table(2000).drop(columns="target", errors="ignore")
    both = pd.concat([frame.assign(target="a"), frame.assign(target="b", y_score=0.5)])
    with pytest.raises(InputError, match="2 targets: a, b"):
        fit_by_group(both, group="sex", method="level_up")
    fitted, about = fit_by_group(both, group="sex", method="level_up", target="a")
    plain, _ = fit_by_group(frame, group="sex", method="level_up")
    assert fitted.by_group() == plain.by_group() and about["target"] == "a"
    found, _ = apply_by_group(fitted, about, both)
    assert set(found["target"]) == {"a"}
    with pytest.raises(InputError, match="Unknown target 'a'"):
        apply_by_group(fitted, about, both[both["target"] == "b"])


def test_the_fingerprint_is_that_of_labels_scores_and_groups():
    frame = table(600)
    one, two = (fit_by_group(f, group="sex", method="level_up")[1] for f in (frame, frame))
    assert one == two
    changed = frame.assign(y_score=frame["y_score"] * 0.99)
    assert (
        fit_by_group(changed, group="sex", method="level_up")[1]["fingerprint"]
        != (one["fingerprint"])
    )
