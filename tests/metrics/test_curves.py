"""Curves as tables, held against scikit-learn, SciPy and counting."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as reference

from fairthesis.metrics import THRESHOLDS, reliability_curve, roc_curve, threshold_counts


@pytest.fixture
def cases():
    rng = np.random.default_rng(3)
    s = np.round(rng.beta(2, 3, 400), 2) * 0.99 + 0.003  # with ties, none on the edge of a bin
    return (rng.random(400) < s).astype(int), s


@pytest.mark.parametrize("weighted", [False, True])
def test_the_roc_curve_is_scikit_learns(cases, weighted):
    y, s = cases
    w = np.random.default_rng(1).uniform(0.5, 3, len(y)) if weighted else None
    table = roc_curve(y, s, weight=w)
    fpr, tpr, cut = reference.roc_curve(y, s, sample_weight=w, drop_intermediate=False)
    np.testing.assert_array_equal(table["threshold"], cut)
    np.testing.assert_allclose(table["fpr"], fpr)
    np.testing.assert_allclose(table["tpr"], tpr)


def test_a_thinned_roc_curve_keeps_its_ends_and_its_points(cases):
    y, s = cases
    whole, few = roc_curve(y, s), roc_curve(y, s, points=9)
    assert len(few) == 10 and len(whole) == len(np.unique(s)) + 1 <= 201
    assert few["threshold"].isin(whole["threshold"]).all()
    assert few.iloc[[0, 1, -1]].equals(
        whole.iloc[[0, 1, -1]].set_axis(few.index[[0, 1, -1]])
    )  # nothing, the highest score, everything
    steps = np.diff(np.searchsorted(-whole["threshold"], -few["threshold"])[1:])
    assert np.ptp(steps) <= 1  # equally spaced in their order
    many = np.linspace(0, 1, 1000)
    assert len(roc_curve(np.arange(1000) % 2, many)) == 201


def test_rates_of_an_absent_class_are_not_known():
    table = roc_curve([1, 1], [0.2, 0.7])
    assert table["fpr"].isna().all() and table["tpr"].tolist() == [0, 0.5, 1]


def test_the_intervals_of_reliability_are_wilsons(cases):
    y, s = cases
    table = reliability_curve(y, s, n_bins=5)
    bins = np.minimum((s * 5).astype(int), 4)
    assert len(table) == len(np.unique(bins))
    for row, b in zip(table.itertuples(), np.unique(bins), strict=True):
        own = bins == b
        k, n = int(y[own].sum()), int(own.sum())
        ends = binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert (row.n, row.rate) == (n, pytest.approx(k / n))
        assert row.score == pytest.approx(s[own].mean())
        assert (row.low, row.high) == pytest.approx((ends.low, ends.high), abs=1e-6)


def test_reliability_of_weighted_cases_has_kishs_number(cases):
    """One weight for all is no weight; two weights are fewer cases than there are."""
    y, s = cases
    plain, same = reliability_curve(y, s), reliability_curve(y, s, weight=np.full(len(y), 7.0))
    np.testing.assert_allclose(same, plain)
    w = np.where(np.arange(len(y)) % 4, 1.0, 5.0)
    one = reliability_curve(y, np.full(len(y), 0.5), weight=w)
    n = w.sum() ** 2 / (w**2).sum()
    p = (w * y).sum() / w.sum()
    z = 1.959964
    root = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert one["rate"].item() == pytest.approx(p)
    ends = [(p + z**2 / (2 * n) + side * root) / (1 + z**2 / n) for side in (-1, 1)]
    assert one[["low", "high"]].iloc[0].tolist() == pytest.approx(ends)
    assert one["n"].item() == len(y)


def test_ten_bins_by_default_and_none_that_is_empty():
    s = np.array([0.05, 0.15, 0.151, 0.95, 1.0])
    table = reliability_curve([0, 1, 0, 1, 1], s)
    assert table["n"].tolist() == [1, 2, 2]
    assert table["score"].tolist() == pytest.approx([0.05, 0.1505, 0.975])


@pytest.mark.parametrize("thresholds", [None, [0.5, 0.2, 0.2]])
def test_positives_are_counted_at_each_threshold(cases, thresholds):
    y, s = cases
    w = np.random.default_rng(2).integers(0, 4, len(y)).astype(float)
    for weight in (None, w):
        table = threshold_counts(y, s, thresholds, weight)
        used = np.ones(len(y)) if weight is None else weight
        cuts = THRESHOLDS if thresholds is None else thresholds
        np.testing.assert_array_equal(table["threshold"], cuts)
        for name, own in (("tp", y == 1), ("fp", y == 0)):
            expected = [used[own & (s >= cut)].sum() for cut in cuts]
            np.testing.assert_allclose(table[name], expected)
