"""The change of a largest contrast: closed forms, what is always so, and coverage."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import norm

from fairthesis.stats import LargestChange, StratifiedPairs

GAP = np.array([[1.0, -1.0], [-1.0, 1.0]])


def contrasts(k: int) -> np.ndarray:
    return np.array([np.eye(k)[a] - np.eye(k)[b] for a, b in permutations(range(k), 2)])


def test_one_contrast_is_the_plain_paired_difference() -> None:
    covariance = np.array([[4.0, 1.5], [1.5, 2.0]]) / 1e4
    change = LargestChange(np.array([0.8]), np.array([0.83]), covariance, np.eye(1))
    error = np.sqrt(4 + 2 - 3) / 100
    for level in (0.8, 0.95, 0.975):
        reach = norm.ppf((1 + level) / 2) * error
        assert change.interval(level) == pytest.approx((0.03 - reach, 0.03 + reach))
    assert change.p_value() == pytest.approx(2 * norm.sf(0.03 / error), rel=1e-6)
    expected = (norm.ppf(0.975) + norm.ppf(0.8)) * error
    assert change.smallest_change() == pytest.approx(expected)


def test_where_the_largest_is_plain_it_is_that_of_one_difference_at_nine_tenths() -> None:
    covariance = np.eye(4) / 1e6 + 3 * np.kron(np.ones((2, 2)), np.eye(2)) / 1e6
    change = LargestChange(np.array([0.9, 0.7]), np.array([0.88, 0.72]), covariance, GAP)
    reach = norm.isf(0.045 / 2) * np.sqrt(4 / 1e6)
    assert change.interval() == pytest.approx((-0.04 - reach, -0.04 + reach))


def test_the_interval_turns_round_with_the_models_and_holds_the_estimate() -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        k = int(rng.integers(2, 5))
        root = rng.normal(size=(2 * k, 2 * k)) * 0.01
        a, b = 0.8 + 0.03 * rng.normal(size=(2, k))
        covariance, c = root @ root.T, contrasts(k)
        there = LargestChange(a, b, covariance, c)
        swap = np.roll(np.arange(2 * k), k)
        back = LargestChange(b, a, covariance[np.ix_(swap, swap)], c)
        low, high = there.interval()
        assert low <= there.value <= high
        assert back.interval() == pytest.approx((-high, -low))
        wider = there.interval(0.99)
        assert wider[0] <= low and high <= wider[1]
        p = there.p_value()
        assert back.p_value() == pytest.approx(p, rel=1e-6)
        if abs(p - 0.05) > 1e-3:
            assert (p < 0.05) == (low > 0 or high < 0)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("k", "first", "second"),
    [(2, 0.0, 0.0), (2, 0.03, 0.03), (2, 0.03, -0.03), (2, 0.03, 0.0), (5, 0.1, 0.0)],
)
def test_the_interval_holds_the_true_change(k: int, first: float, second: float) -> None:
    """Also where no group is apart, the gap is turned round, or the groups only seem to differ."""
    rng = np.random.default_rng(1)
    one = np.eye(k) * 0.02**2
    covariance = np.block([[one, 0.8 * one], [0.8 * one, one]])
    root, truth = np.linalg.cholesky(covariance), np.zeros(2 * k)
    truth[0], truth[k] = first, second
    c, true, held = contrasts(k), abs(second) - abs(first), []
    for _ in range(300):
        drawn = truth + root @ rng.normal(size=2 * k)
        low, high = LargestChange(drawn[:k], drawn[k:], covariance, c).interval()
        held.append(low <= true <= high)
    assert np.mean(held) > 0.92


@pytest.mark.simulation
def test_percentiles_of_the_gaps_own_change_would_miss() -> None:
    """Why the plain bootstrap is not used: both gaps are 0, and one of them is noisier."""
    rng = np.random.default_rng(2)
    error = np.repeat([0.01, 0.06], 4)  # of each group, first and second
    c, missed, held = contrasts(4), 0, 0
    for _ in range(200):
        drawn = error * rng.normal(size=8)
        again = drawn + error * rng.normal(size=(400, 8))
        gaps = np.ptp(again[:, 4:], axis=1) - np.ptp(again[:, :4], axis=1)
        low, high = np.quantile(gaps, [0.025, 0.975])
        missed += not low <= 0 <= high
        low, high = LargestChange(drawn[:4], drawn[4:], np.diag(error**2), c).interval()
        held += low <= 0 <= high
    assert missed > 150 and held > 182


def test_pairs_within_strata_by_hand_and_under_any_scale_of_a_stratum() -> None:
    rng = np.random.default_rng(3)
    n = 120
    y, s, fold = rng.integers(0, 2, n), np.round(rng.normal(size=n), 1), rng.integers(0, 4, n)
    patient = rng.integers(0, 40, n)
    counts = rng.integers(0, 3, (5, 40)).astype(np.float32)
    found = StratifiedPairs(y, s, fold, patient)(counts)
    for count, value in zip(counts, found, strict=True):
        w = count[patient]
        won = pairs = 0.0
        for i in np.flatnonzero(y == 1):
            for j in np.flatnonzero((y == 0) & (fold == fold[i])):
                won += w[i] * w[j] * ((s[i] > s[j]) + (s[i] == s[j]) / 2)
                pairs += w[i] * w[j]
        assert value == pytest.approx(won / pairs)
    scaled = StratifiedPairs(y, np.exp(s) * 10.0**fold + 7 * fold, fold, patient)(counts)
    assert scaled == pytest.approx(found)
    alone = StratifiedPairs(y, s, np.arange(n), patient)
    assert alone.pairs == 0 and np.isnan(alone(counts)).all()
