"""Metrics agree with scikit-learn, fairlearn and torchmetrics, and keep their invariances."""

import warnings

import fairlearn.metrics as fl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from fairthesis.metrics._calibration import bin_sums, ece, ece_debiased
from fairthesis.metrics._disparities import (
    DISPARITIES,
    NEEDED,
    disparities,
    equalized_odds_difference_mean,
)
from fairthesis.metrics._rates import ratio
from fairthesis.metrics._recalibration import calibration_line, logit, recalibration_line
from fairthesis.metrics._scores import METRICS, SCORES, auroc, evaluate


def sample(seed, n=400, ties=False):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(float)
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + y - 0.5)))
    return y, np.round(s, 1) if ties else s, rng.integers(0, 4, n).astype(float)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_equal_scikit_learn(ties, weighted):
    y, s, w = sample(1, ties=ties)
    weight = w if weighted else None
    clip = np.clip(s, 1e-15, 1 - 1e-15)
    expected = {
        "auroc": sk.roc_auc_score(y, s, sample_weight=weight),
        "average_precision": sk.average_precision_score(y, s, sample_weight=weight),
        "brier": sk.brier_score_loss(y, s, sample_weight=weight),
        "log_loss": sk.log_loss(y, clip, sample_weight=weight),
        "accuracy": sk.accuracy_score(y, s >= 0.5, sample_weight=weight),
        "balanced_accuracy": sk.balanced_accuracy_score(y, s >= 0.5, sample_weight=weight),
        "tpr": sk.recall_score(y, s >= 0.5, sample_weight=weight),
        "ppv": sk.precision_score(y, s >= 0.5, sample_weight=weight),
    }
    found = evaluate(y, s, weight=weight)
    assert {k: found[k] for k in expected} == pytest.approx(expected, abs=1e-12)


def test_rates_and_disparities_equal_fairlearn():
    y, s, _ = sample(2, n=900)
    group = np.random.default_rng(3).choice(["a", "b", "c"], 900)
    pred = (s >= 0.5).astype(float)
    frame = fl.MetricFrame(
        metrics={
            "tpr": fl.true_positive_rate,
            "fpr": fl.false_positive_rate,
            "tnr": fl.true_negative_rate,
            "fnr": fl.false_negative_rate,
            "selection_rate": fl.selection_rate,
            "auroc": lambda t, p: sk.roc_auc_score(t, s[t.index] if hasattr(t, "index") else p),
        },
        y_true=y,
        y_pred=pred,
        sensitive_features=group,
    )
    names = ["tpr", "fpr", "tnr", "fnr", "selection_rate"]
    ours = {g: evaluate(y[group == g], s[group == g]) for g in "abc"}
    for name in names:
        by_group = frame.by_group[name]
        assert {g: ours[g][name] for g in "abc"} == pytest.approx(by_group.to_dict(), abs=1e-12)
    stacked = {m: np.array([ours[g][m] for g in "abc"]) for m in NEEDED}
    found = disparities(stacked)
    for agg, key in (("worst_case", ""), ("mean", "_mean")):
        expected = fl.equalized_odds_difference(y, pred, sensitive_features=group, agg=agg)
        assert found[f"equalized_odds_difference{key}"] == pytest.approx(expected, abs=1e-12)
    expected = fl.demographic_parity_difference(y, pred, sensitive_features=group)
    assert found["demographic_parity_difference"] == pytest.approx(expected, abs=1e-12)
    assert found["worst_group_auroc"] == min(ours[g]["auroc"] for g in "abc")


def test_ece_equals_torchmetrics():
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("fairthesis.models")
    models.FairEncoder("resnet18")  # loads torchvision as the package does, for torchmetrics
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchmetrics.functional.classification import binary_calibration_error
    y, s, _ = sample(4)
    s = s.astype(np.float64)
    expected = binary_calibration_error(
        torch.tensor(s, dtype=torch.float64), torch.tensor(y).long(), n_bins=15, norm="l1"
    )
    assert evaluate(y, s)["ece"] == pytest.approx(float(expected), abs=1e-10)


@pytest.mark.parametrize("name", list(METRICS))
def test_integer_weights_are_repeated_cases(name):
    y, s, w = sample(5, ties=True)
    times = w.astype(int)
    whole = evaluate(np.repeat(y, times), np.repeat(s, times))
    assert evaluate(y, s, weight=w)[name] == pytest.approx(whole[name], abs=1e-9)


@pytest.mark.parametrize("name", list(SCORES))
def test_weights_of_any_leading_shape(name):
    y, s, _ = sample(6, n=80)
    weight = np.random.default_rng(7).integers(0, 3, (2, 3, 80)).astype(float)
    found = SCORES[name](y, s, weight)
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(float(SCORES[name](y, s, weight[1, 2])), abs=1e-9)


def test_a_rate_over_no_cases_is_not_known():
    found = evaluate([0, 0], [0.2, 0.9])
    for name in ("tpr", "fnr", "auroc", "average_precision", "balanced_accuracy"):
        assert np.isnan(found[name]), name
    assert found["fpr"] == 0.5
    assert np.isnan(ratio(0, 0))


def test_perfect_and_constant_scores():
    assert float(auroc([0, 0, 1], [0.1, 0.2, 0.3])) == 1
    assert float(auroc([0, 1, 1], [0.5, 0.5, 0.5])) == 0.5
    assert np.isnan(evaluate([0, 1, 1], [0.5] * 3)["calibration_slope"])


def test_calibration_line_is_the_logistic_fit():
    y, s, w = sample(8, n=3000)
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=500)
    fit.fit(logit(s)[:, None], y, sample_weight=w)
    a, b = calibration_line(y, s, w)
    assert float(a) == pytest.approx(fit.intercept_[0], abs=1e-5)
    assert float(b) == pytest.approx(fit.coef_[0, 0], abs=1e-5)


def test_calibration_line_of_separated_classes_is_not_known():
    a, b = calibration_line([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert np.isnan(a) and np.isnan(b)


def skewed(kind):
    """Labels, and scores that are far from their probabilities."""
    rng = np.random.default_rng(14)
    z = 1.5 * rng.normal(size=400)
    y = (rng.random(400) < 1 / (1 + np.exp(-z))).astype(float)
    x = {"decisions": 1e3 * np.sign(z), "too low": 2 * z - 8, "reversed": -4 * z, "steep": 8 * z}
    return y, 1 / (1 + np.exp(-np.clip(x[kind], -700, 700)))


@pytest.mark.parametrize("kind", ["decisions", "too low", "reversed", "steep"])
def test_calibration_line_of_skewed_scores_is_the_logistic_fit(kind):
    y, s = skewed(kind)
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=500)
    fit.fit(logit(s)[:, None], y)
    expected = (fit.intercept_[0], fit.coef_[0, 0])
    weight = np.ones((2, 400))
    for found in (calibration_line(y, s, weight), _from(kind, weight, (0.0, 1.0))):
        for value, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(value, [other] * 2, atol=1e-5)


def _from(kind, weight, start):
    y, s = skewed(kind)
    return recalibration_line(logit(s), weight, weight * y, start)


@pytest.mark.parametrize(
    ("y", "s"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.9]),  # touching
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]),  # the wrong way round
        ([0, 1, 0, 1], [0.3] * 4),
        ([1, 1, 1, 1], [0.1, 0.2, 0.8, 0.9]),
        ([0, 0, 0, 0], [0.1, 0.2, 0.8, 0.9]),
        ([], []),
    ],
)
def test_no_line_where_none_is_the_likeliest(y, s):
    assert np.isnan(calibration_line(y, s)).all()
    # among replicates that have one
    both = np.array([[1.0] * len(y) + [0.0] * 4, [0.0] * len(y) + [1.0] * 4])
    a, b = calibration_line([*y, 0, 1, 0, 1], [*s, 0.2, 0.4, 0.6, 0.8], both)
    assert np.isnan([a[0], b[0]]).all() and np.isfinite([a[1], b[1]]).all()


def test_debiased_error_is_not_known_where_no_bin_has_two_cases():
    s = np.linspace(0.05, 0.95, 8)
    assert np.isnan(ece_debiased(np.zeros(8), s))
    assert np.isfinite(ece_debiased(np.zeros(9), [*s, 0.95]))
    replicated = ece_debiased(np.zeros(8), s, np.stack([np.ones(8), 2 * np.ones(8)]))
    assert np.isnan(replicated).tolist() == [True, False]


def test_debiased_error_does_not_grow_as_the_group_shrinks():
    rng = np.random.default_rng(9)
    plug_in, squared = [], []
    for _ in range(400):
        s = rng.random(150)
        y = (rng.random(150) < s).astype(float)
        plug_in.append(float(ece(y, s)))
        w, t, c = (total[bin_sums(y, s)[0] > 1] for total in bin_sums(y, s))
        rate = c / w
        squared.append(((w * (rate - t / w) ** 2 - w * rate * (1 - rate) / (w - 1)) / 150).sum())
    assert np.mean(plug_in) > 0.08  # the plug-in error of a calibrated model
    assert abs(np.mean(squared)) < 3 * np.std(squared) / 20 + 2e-4  # within-bin spread of scores


def labelled():
    score = st.integers(1, 19).map(lambda k: k / 20)
    return st.lists(st.tuples(st.booleans(), score), min_size=2, max_size=40).filter(
        lambda rows: len({y for y, _ in rows}) == 2
    )


@settings(deadline=None, max_examples=60)
@given(labelled())
def test_auroc_is_the_chance_of_a_right_order(rows):
    y, s = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    pairs = s[y][:, None] - s[~y][None, :]
    assert float(auroc(y, s)) == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())
    assert float(auroc(~y, s)) == pytest.approx(1 - float(auroc(y, s)))
    assert float(auroc(y, s**3)) == pytest.approx(float(auroc(y, s)))


@settings(deadline=None, max_examples=60)
@given(labelled(), st.randoms())
def test_order_of_rows_does_not_matter_and_ranges_hold(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, two = (evaluate([r[0] for r in part], [r[1] for r in part]) for part in (rows, shuffled))
    assert one == pytest.approx(two, abs=1e-9, nan_ok=True)
    bounded = set(METRICS) - {"log_loss", "calibration_intercept", "calibration_slope"}
    for name in bounded:
        assert np.isnan(one[name]) or -1e-12 <= one[name] <= 1 + 1e-12


def test_disparities_pass_over_unknown_groups():
    groups = {m: np.array([[0.9, np.nan, 0.6], [0.9, np.nan, np.nan]]) for m in NEEDED}
    found = disparities(groups)
    assert list(found) == list(DISPARITIES)
    for name, value in found.items():
        assert value[0] == pytest.approx(0.6 if name == "worst_group_auroc" else 0.3)
        assert np.isnan(value[1])


def test_opposite_gaps_do_not_cancel():
    groups = {m: np.array([0.5, 0.5]) for m in NEEDED}
    groups |= {"tpr": np.array([0.9, 0.7]), "fpr": np.array([0.1, 0.3])}
    assert equalized_odds_difference_mean(groups) == pytest.approx(0.2)
