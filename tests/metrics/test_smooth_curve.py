"""The smooth calibration curve and the integrated calibration index, against known curves."""

import numpy as np
import pytest
from scipy.special import expit, logit

from fairthesis.metrics import integrated_calibration_index, smooth_curve, smooth_ece


def drawn(n, true, seed=0):
    rng = np.random.default_rng(seed)
    s = rng.beta(2, 3, n)
    return (rng.random(n) < true(s)).astype(float), s


@pytest.mark.parametrize(
    "true", [lambda s: expit(0.5 * logit(s)), lambda s: s**2, lambda s: np.minimum(s + 0.1, 1)]
)
def test_the_curve_and_the_index_are_those_of_the_distribution(true):
    y, s = drawn(400_000, true)
    curve = smooth_curve(y, s)
    inside = curve[curve["score"].between(0.15, 0.8)]
    assert np.abs(inside["rate"] - true(inside["score"])).max() < 0.02
    expected = np.abs(true(s) - s).mean()
    assert integrated_calibration_index(y, s) == pytest.approx(expected, abs=0.01)


def test_of_perfect_scores_the_index_vanishes_and_in_small_samples_it_does_not():
    sizes = [integrated_calibration_index(*drawn(n, lambda s: s)) for n in (300, 3000, 300_000)]
    assert sizes[0] > sizes[1] > sizes[2] and sizes[2] < 0.005


def test_weights_draw_the_curve_of_the_population():
    y, s = drawn(200_000, lambda s: s**2)
    w = np.where(s > 0.5, 3.0, 1.0)
    repeated = np.repeat(y, w.astype(int)), np.repeat(s, w.astype(int))
    assert integrated_calibration_index(y, s, w) == pytest.approx(
        integrated_calibration_index(*repeated), abs=2e-3
    )
    assert integrated_calibration_index(y, s, 7 * w) == pytest.approx(
        integrated_calibration_index(y, s, w), abs=1e-12
    )


def test_it_is_the_smooth_error_where_all_scores_err_one_way():
    y, s = drawn(200_000, lambda s: np.maximum(s - 0.1, 0))
    assert integrated_calibration_index(y, s) == pytest.approx(smooth_ece(y, s), abs=0.01)


def test_no_case_has_no_curve():
    assert len(smooth_curve([], [])) == 0
    assert np.isnan(integrated_calibration_index([], []))
