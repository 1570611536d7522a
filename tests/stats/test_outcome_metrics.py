"""Metrics of a number per case over patients: references, the jackknife, resamples."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fairthesis.stats import (
    ConcordantPairs,
    FunctionOfSums,
    MedianOfCases,
    RatioOfSums,
    group_values,
    permuted_tests,
)


def harrell(time, event, risk):
    """Over all pairs."""
    concordant = comparable = 0.0
    for t, r in zip(time[event > 0], risk[event > 0], strict=True):
        later = (time > t) | ((time == t) & (event == 0))
        comparable += later.sum()
        concordant += (risk[later] < r).sum() + 0.5 * (risk[later] == r).sum()
    return concordant / comparable if comparable else np.nan


def cases(seed, n=80, ties=True):
    rng = np.random.default_rng(seed)
    time = rng.integers(0, 12, n) * 1.0 if ties else rng.exponential(size=n)
    risk = rng.integers(0, 9, n) * 1.0 if ties else rng.normal(size=n)
    return time, (rng.random(n) < 0.6) * 1.0, risk, rng.integers(0, n // 2, n), rng


def rmse():
    return lambda s: np.sqrt(s[..., 1] / s[..., 0])


def made(name, seed, n=80):
    """A metric of rows, and its plain value over any of them."""
    time, event, risk, patient, rng = cases(seed, n)
    if name == "concordance":
        return (
            ConcordantPairs(time, event, risk),
            lambda rows: harrell(time[rows], event[rows], risk[rows]),
            patient,
            rng,
        )
    if name == "median":
        return MedianOfCases(risk), lambda rows: np.median(risk[rows]), patient, rng
    square = FunctionOfSums(np.stack([np.ones(n), risk**2], 1), rmse())
    return square, lambda rows: np.sqrt((risk[rows] ** 2).mean()), patient, rng


METRICS = ("concordance", "median", "rmse")


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("own", [True, False])
def test_values_and_resamples_are_those_of_the_rows(name, seed, own):
    metric, plain, patient, rng = made(name, seed)
    patient = np.unique(patient, return_inverse=True)[1]
    n = int(patient.max()) + 1
    group = rng.integers(0, 3, n)[patient] if own else rng.integers(0, 3, len(patient))
    found = group_values(metric, patient, group, 3).value[0]
    rows = [np.flatnonzero(group == g) for g in range(3)]
    assert found == pytest.approx([plain(r) for r in rows], abs=1e-12)
    counts = rng.integers(0, 3, (6, n)).astype(np.float32)
    drawn = metric.resampled(patient, rows[0], n)(counts)
    expected = [plain(np.repeat(rows[0], c[patient[rows[0]]].astype(int))) for c in counts]
    assert drawn == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", ["rmse", "concordance"])
def test_errors_are_those_of_the_jackknife_over_patients(name):
    metric, plain, patient, _ = made(name, 3, n=300)
    if name == "concordance":  # two images of a patient have a pair of their own
        patient = np.arange(300)
    found = group_values(metric, patient, np.zeros(300, int)).variance[0, 0]
    full = plain(np.arange(300))
    left = np.array([plain(np.flatnonzero(patient != p)) for p in np.unique(patient)])
    m = len(left)
    assert found == pytest.approx((m - 1) / m * ((left - full) ** 2).sum())


def test_a_function_of_sums_that_is_a_ratio_has_the_errors_of_ratio_of_sums():
    rng = np.random.default_rng(0)
    x, patient = rng.random(400), rng.integers(0, 150, 400)
    group = rng.integers(0, 2, 400)  # patients in both
    mean = FunctionOfSums(np.stack([np.ones(400), x], 1), lambda s: s[..., 1] / s[..., 0])
    first = group_values(mean, patient, group)
    second = group_values(RatioOfSums(x, np.ones(400), share=False), patient, group)
    for name in ("value", "variance", "weight", "covariance"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-9)


@pytest.mark.parametrize("images", [1, 4])
@pytest.mark.parametrize("name", ["median", "concordance"])
def test_errors_are_the_spread_of_the_values(name, images):
    """Also where a patient's rows are alike: without patients, half of it."""
    found = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        who = np.repeat(np.arange(150), images)
        x = rng.normal(size=150)[who] + 0.3 * rng.normal(size=len(who))
        time = (
            rng.exponential(np.exp(-x))[who] if images == 1 else np.exp(-x) * rng.random(150)[who]
        )
        metric = (
            MedianOfCases(x)
            if name == "median"
            else ConcordantPairs(time, (rng.random(150) < 0.6)[who] * 1.0, x)
        )
        one = group_values(metric, who, np.zeros(len(who), int))
        found.append((one.value[0, 0], one.variance[0, 0]))
    value, variance = np.array(found).T
    assert 0.9 < np.sqrt(variance.mean()) / value.std() < 1.12


def test_woodruff_errs_as_often_as_it_says_where_only_the_spread_differs():
    """Plain permutation of medians errs in half of these data sets."""
    rejected = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        x = np.concatenate([rng.normal(size=300), 3 * rng.normal(size=60)])
        found = permuted_tests(
            {"median": MedianOfCases(x)}, np.arange(360), np.repeat([0, 1], [300, 60]),
            n_permutations=99, seed=seed, stream="a",
        )["median"]  # fmt: skip
        rejected += (found.largest >= found.largest[0] - 1e-9).mean() <= 0.05
    assert rejected <= 17  # 5 % of 150, and 3.6 standard errors


def test_shared_patients_are_in_the_error_of_a_difference():
    rng = np.random.default_rng(0)
    n = 400
    x = np.tile(rng.normal(size=n), 2)  # the same in both groups
    patient, group = np.tile(np.arange(n), 2), np.repeat([0, 1], n)
    time, event = np.exp(-x + np.tile(rng.normal(size=n), 2)), np.tile(rng.random(n) < 0.7, 2) * 1.0
    for metric in (MedianOfCases(x), ConcordantPairs(time, event, x)):
        difference, error = group_values(metric, patient, group).pairs()
        apart = group_values(metric, np.arange(2 * n), group).pairs()[1]
        assert difference[0, 0, 1] == 0 and error[0, 0, 1] < 1e-6 < apart[0, 0, 1]


def test_no_pair_to_compare_is_not_known():
    none = ConcordantPairs(np.array([1.0, 2, 1, 2]), np.array([1.0, 1, 0, 0]), np.arange(4.0))
    found = group_values(none, np.arange(4), np.array([0, 0, 1, 1]))
    assert found.value[0, 0] == 0 and np.isnan(found.value[0, 1])


def test_a_perfect_index_has_an_error():
    time = np.arange(20.0)
    found = group_values(
        ConcordantPairs(time, np.ones(20), -time), np.arange(20), np.zeros(20, int)
    )
    assert found.value[0, 0] == 1 and found.variance[0, 0] == 0.5 / 20**2


def test_concordance_without_censoring_is_kendall_s_tau():
    time, _, risk, _, _ = cases(1, 500, ties=False)
    found = group_values(
        ConcordantPairs(time, np.ones(500), risk), np.arange(500), np.zeros(500, int)
    )
    tau = scipy_stats.kendalltau(-time, risk).statistic
    assert found.value[0, 0] == pytest.approx((tau + 1) / 2)
