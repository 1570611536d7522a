"""smECE and xAUC of resamples, from histograms, are those of the repeated rows."""

import numpy as np
import pytest

from fairthesis import metrics
from fairthesis.stats._histograms import GRID, cross_auroc_statistic, residual_histograms
from fairthesis.stats._inversion import smooth_interval
from fairthesis.stats._resampling import patient_counts


def scored(seed, n=900, n_patients=300):
    rng = np.random.default_rng(seed)
    patient = np.unique(rng.integers(0, n_patients, n), return_inverse=True)[1]
    y = (rng.random(n) < 0.4).astype(float)
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + y - 0.5)))
    return y, s, patient, rng.integers(-1, 3, n)  # -1: the group is not known


def repeated(counts, patient):
    return np.repeat(np.arange(len(patient)), counts[patient].astype(int))


def test_residuals_are_those_of_repeated_rows():
    y, s, patient, group = scored(0)
    masks = [np.ones(len(y), bool), group == 1]
    drawn = residual_histograms(y, s, patient, masks, 6, seed=2)
    counts = patient_counts(patient.max() + 1, range(6), seed=2)
    for k in range(6):
        for part, mask in enumerate(masks):
            rows = repeated(counts[k], patient)
            rows = rows[mask[rows]]
            found = metrics.smooth_error(drawn[k, part].astype(float))
            assert found == pytest.approx(metrics.smooth_ece(y[rows], s[rows]), abs=5e-4)


@pytest.mark.parametrize("ties", [False, True])
def test_cross_aurocs_are_those_of_repeated_rows(ties):
    y, s, patient, group = scored(1)
    s = np.round(s, 1) if ties else s
    counts = patient_counts(patient.max() + 1, range(6), seed=2)
    found = cross_auroc_statistic(y, s, patient, group, 3)(counts)
    for k in range(6):
        rows = repeated(counts[k], patient)
        for a in range(3):
            for b in range(3):
                p, n = (rows[(group[rows] == g) & (y[rows] == v)] for g, v in ((a, 1), (b, 0)))
                exact = metrics.cross_auroc(s[p], s[n])
                assert found[k, a, b] == pytest.approx(exact, abs=1e-9 if ties else 2e-3)


def test_a_pair_without_cases_is_not_known():
    y, s = np.array([1.0, 0.0, 1.0]), np.array([0.7, 0.2, 0.6])
    statistic = cross_auroc_statistic(y, s, np.arange(3), np.array([0, 0, 1]), 2)
    found = statistic(np.ones((1, 3), np.float32))[0]
    assert found[:, 0].tolist() == [1, 1] and np.isnan(found[:, 1]).all()


def calibrated(seed, power, n_patients=300):
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), 3)
    s = 1 / (1 + np.exp(-rng.normal(size=n_patients)[patient] - rng.normal(size=len(patient))))
    return (rng.random(len(s)) < s).astype(float), s**power, patient


def interval(y, s, patient, n_boot=200):
    drawn = residual_histograms(y, s, patient, [np.ones(len(y), bool)], n_boot, 0)[:, 0]
    sums = np.bincount(metrics.grid_cell(s, GRID), y - s, GRID)
    return smooth_interval(sums / len(y), drawn)


def test_the_interval_of_smooth_ece_holds_the_truth():
    """Its percentiles would not: they lie above a truth near 0."""
    truth = metrics.smooth_ece(*calibrated(99, 1.5, 200_000)[:2])
    inside = 0
    for seed in range(30):
        low, high = interval(*calibrated(seed, 1.5))
        inside += low <= truth <= high
        assert interval(*calibrated(seed, 1.0))[0] < 0.02
    assert inside >= 25  # 24 or fewer has probability 0.003 at 95 %


def test_more_patients_give_a_narrower_interval_and_none_gives_none():
    few, many = (interval(*calibrated(3, 1.5, n)) for n in (200, 3000))
    assert many[1] - many[0] < 0.5 * (few[1] - few[0])
    assert smooth_interval(np.zeros(8), np.full((10, 8), np.nan)) is None
