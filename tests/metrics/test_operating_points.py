"""Operating points against scikit-learn's ROC curve, and against counting case by case."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from fairthesis.errors import InputError
from fairthesis.metrics import (
    auroc,
    counts,
    cross_auroc,
    fpr_at_tpr,
    net_benefit,
    overdiagnosis_rate,
    tpr_at_fpr,
    underdiagnosis_rate,
)

Numbers = NDArray[np.float64]


def cases(seed: int, weighted: bool) -> tuple[Numbers, Numbers, Numbers | None]:
    """Sixty cases with many ties, so that a threshold takes several at once."""
    rng = np.random.default_rng(seed)
    y = (rng.random(60) < 0.4).astype(float)
    score = np.round(np.clip(0.3 * y + rng.normal(0.4, 0.25, 60), 0, 1), 1)
    return y, score, rng.integers(0, 4, 60).astype(float) if weighted else None


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.2, 0.55, 0.8, 1.0])
def test_a_fixed_rate_is_read_off_scikit_learns_curve(rate: float, weighted: bool) -> None:
    for seed in range(5):
        y, score, weight = cases(seed, weighted)
        false, true, _ = roc_curve(y, score, sample_weight=weight, drop_intermediate=False)
        assert tpr_at_fpr(y, score, rate, weight) == pytest.approx(true[false <= rate + 1e-9].max())
        assert fpr_at_tpr(y, score, rate, weight) == pytest.approx(false[true >= rate - 1e-9].min())


def test_a_rate_that_is_met_exactly_counts() -> None:
    y = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]
    score = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.95, 0.9, 0.55, 0.35]
    assert tpr_at_fpr(y, score, 1 / 7) == pytest.approx(1 / 3)  # 1/7 and no more
    assert tpr_at_fpr(y, score, 1 / 7 - 1e-6) == 0
    assert fpr_at_tpr(y, score, 2 / 3) == pytest.approx(2 / 7)
    assert fpr_at_tpr(y, score, 2 / 3 + 1e-6) == pytest.approx(4 / 7)


def test_cases_of_no_weight_change_nothing() -> None:
    y, score, weight = cases(3, True)
    assert weight is not None and (weight == 0).any()
    kept = weight > 0
    for found in (tpr_at_fpr, fpr_at_tpr):
        assert found(y, score, 0.3, weight) == found(y[kept], score[kept], 0.3, weight[kept])


@pytest.mark.parametrize("y", [[], [0, 0], [1, 1]])
def test_without_both_classes_nothing_is_known(y: list[int]) -> None:
    score = np.linspace(0, 1, len(y))
    assert np.isnan(tpr_at_fpr(y, score, 0.2)) and np.isnan(fpr_at_tpr(y, score, 0.8))
    assert np.isnan(net_benefit([], [], [0.2])).all()


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    for found, name in ((tpr_at_fpr, "limit"), (fpr_at_tpr, "floor")):
        with pytest.raises(InputError, match=rf"{name} is {rate}: expected a rate from 0 to 1"):
            found([0, 1], [0.2, 0.8], rate)
        with pytest.raises(InputError):
            found([0, 1], [0.2, 0.8], 0.5, [-1, 1])


def test_net_benefit_counts_the_treated() -> None:
    y, score, _ = cases(1, False)
    thresholds = np.array([[0.0, 0.1, 0.35], [0.5, 0.7, 0.99]])
    found = net_benefit(y, score, thresholds)
    assert found.shape == thresholds.shape
    for place, t in np.ndenumerate(thresholds):
        treated = score >= t  # at the threshold a case is treated
        worth = (treated & (y == 1)).sum() - t / (1 - t) * (treated & (y == 0)).sum()
        assert found[place] == pytest.approx(worth / len(y))
    assert found[0, 0] == y.mean()  # everyone is treated
    assert net_benefit([0, 1], [0.2, 0.3], 0.9).item() == 0  # no one is


@pytest.mark.parametrize("threshold", [-0.01, 1.0, float("nan")])
def test_a_threshold_that_is_no_risk_is_refused(threshold: float) -> None:
    with pytest.raises(InputError, match=r"outside \[0, 1\): expected a risk"):
        net_benefit([0, 1], [0.2, 0.3], [0.5, threshold])
    with pytest.raises(InputError):
        net_benefit([0, 1], [0.2, 1.3], [0.5])


def test_positives_of_one_group_are_compared_with_negatives_of_the_other() -> None:
    rng = np.random.default_rng(2)
    p, n = np.round(rng.normal(0.6, 0.2, 30), 1), np.round(rng.normal(0.4, 0.2, 40), 1)
    wins = (p[:, None] > n).astype(float) + 0.5 * (p[:, None] == n)
    assert cross_auroc(p, n) == pytest.approx(wins.mean())
    w, v = rng.random(30), rng.random(40)
    both = w[:, None] * v
    assert cross_auroc(p, n, (w, v)) == pytest.approx((wins * both).sum() / both.sum())
    labels, scores = np.r_[np.ones(30), np.zeros(40)], np.r_[p, n]
    assert cross_auroc(p, n) == pytest.approx(roc_auc_score(labels, scores))
    assert cross_auroc(p, n) == float(auroc(labels, scores))
    assert np.isnan(cross_auroc([], n)) and np.isnan(cross_auroc(p, []))


@pytest.mark.parametrize(
    ("p", "n", "name"), [([0.1, None], [0.2], "positives"), ([0.1], ["x"], "negatives")]
)
def test_scores_that_are_no_numbers_are_named(p: list[object], n: list[object], name: str) -> None:
    with pytest.raises(InputError, match=name):
        cross_auroc(p, n)  # type: ignore[arg-type]


def test_missed_and_false_diagnoses_are_shares_of_their_class() -> None:
    y, score, _ = cases(4, False)
    tp, fp, tn, fn = (float(value) for value in counts(y, score >= 0.5))
    called = score >= 0.5
    assert underdiagnosis_rate(tp, fp, tn, fn) == pytest.approx((~called[y == 1]).mean())
    assert overdiagnosis_rate(tp, fp, tn, fn) == pytest.approx(called[y == 0].mean())
    assert np.isnan(underdiagnosis_rate(0, 1, 1, 0)) and np.isnan(overdiagnosis_rate(1, 0, 0, 1))
