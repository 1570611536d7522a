"""Intervals of differences between groups: closed forms, coverage among many, signs, ratios."""

import numpy as np
import pytest

from fairthesis.stats import GroupEnds, larger_gap, mean_gap


def normal(values, error, correlation=None):
    e = np.asarray(values, float)
    half = 1.959964 * np.broadcast_to(error, e.shape)
    return GroupEnds(e, e - half, e + half, correlation)


def test_the_gap_of_two_normal_values_is_the_interval_of_their_difference():
    low, high = normal([0.30, 0.10], [0.03, 0.04]).gap()
    assert (low, high) == pytest.approx((0.2 - 1.96 * 0.05, 0.2 + 1.96 * 0.05), abs=1e-4)


def test_what_two_groups_share_is_taken_out():
    half = 1.959964 * 0.03
    for r, error in ((1.0, 0.0), (0.5, 0.03), (-1.0, 0.06)):
        low, high = normal([0.5, 0.4], 0.03, np.array([[1, r], [r, 1]])).differences()
        assert high[0, 1] - low[0, 1] == pytest.approx(2 * 1.959964 * error, abs=1e-9)
    assert half > 0


def test_differences_have_signs_and_turn():
    low, high = normal([0.9, 0.7, 0.8], [0.01, 0.02, 0.03]).differences()
    np.testing.assert_allclose(low, -high.T)
    assert low[0, 1] > 0 > high[1, 0]
    wide_low, wide_high = normal([0.9, 0.7, 0.8], [0.01, 0.02, 0.03]).differences(True)
    off = ~np.eye(3, dtype=bool)
    # Tukey: 2.344 in place of 1.960 for all pairs of three groups
    assert (wide_high - wide_low)[off] / (high - low)[off] == pytest.approx(2.3437 / 1.96, abs=1e-3)


def test_ratios_are_those_of_the_logarithms():
    value, half = np.log([0.8, 0.4]), np.array([0.1, 0.2])
    ends = GroupEnds(np.exp(value), np.exp(value - half), np.exp(value + half))
    low, high = ends.ratios()
    reach = np.hypot(0.1, 0.2)
    assert (low[0, 1], high[0, 1]) == pytest.approx((2 * np.exp(-reach), 2 * np.exp(reach)))
    none = GroupEnds(np.array([0.0, 0.4]), np.array([0.0, 0.3]), np.array([0.1, 0.5])).ratios()
    assert np.isnan(none[0][0, 1]) or none[0][0, 1] == 0


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.05, 0.1])
@pytest.mark.parametrize("k", [2, 4, 8])
def test_gap_lowest_larger_and_mean_hold_the_truth(k, spread):
    """Half of the groups at one end: where a largest difference misleads most."""
    rng = np.random.default_rng(0)
    error = np.linspace(0.02, 0.05, k)
    truth = 0.8 - spread * (np.arange(k) >= k // 2)
    held = np.zeros(4)
    sets = 400
    for _ in range(sets):
        a, b = (normal(truth + rng.normal(scale=error), error) for _ in range(2))
        for j, (ends, true) in enumerate(
            (
                (a.gap(), spread),
                (a.lowest(), truth.min()),
                (larger_gap([a, b]), spread),
                (mean_gap([a, b]), spread),
            )
        ):
            held[j] += ends[0] - 1e-12 <= true <= ends[1]
    # 95 % less three standard errors; percentiles of a maximum hold a gap of 0 never
    assert held.min() >= sets * (0.95 - 3 * np.sqrt(0.95 * 0.05 / sets)), held


def test_the_gap_is_not_below_0():
    ends = GroupEnds(np.array([0.1, 0.1]), np.array([0.05, 0.05]), np.array([0.2, 0.2]))
    assert ends.gap()[0] == larger_gap([ends, ends])[0] == mean_gap([ends, ends])[0] == 0.0
