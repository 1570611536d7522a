"""Patients are resampled, the seed decides, and chance levels are chance levels."""

import os

import numpy as np
import pandas as pd
import pytest

from fairthesis import metrics
from fairthesis.metrics import NEEDED, disparities, fpr_at_tpr, tpr_at_fpr
from fairthesis.stats import _resampling as resampling
from fairthesis.stats._replicates import FIXED, bootstrap_metrics, permutation_null, prepare

LINE = ("calibration_intercept", "calibration_slope")


def scored(seed, n=600, n_patients=250, ties=False):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(float)
    s = 1 / (1 + np.exp(-(rng.normal(size=n) + y - 0.5)))
    patient = np.unique(rng.integers(0, n_patients, n), return_inverse=True)[1]
    return y, np.round(s, 2) if ties else s, patient


@pytest.mark.parametrize("ties", [False, True])
def test_replicates_equal_metrics_of_repeated_rows(ties):
    y, s, patient = scored(0, ties=ties)
    counts = resampling.patient_counts(patient.max() + 1, range(5), seed=3)
    found = prepare(y, s, patient, 0.4).metrics(counts)
    for k in range(5):
        w = counts[k, patient].astype(float)
        expected = metrics.evaluate(y, s, threshold=0.4, weight=w)
        # The debiased error has the noise of resampling removed, the line is tested below.
        for name in set(metrics.METRICS) - {"ece_debiased", *LINE}:
            assert found[name][k] == pytest.approx(expected[name], abs=2e-6), name


@pytest.mark.parametrize("ties", [False, True])
def test_rates_at_a_fixed_rate_are_those_of_repeated_rows(ties):
    y, s, patient = scored(4, ties=ties)
    counts = resampling.patient_counts(patient.max() + 1, range(20), seed=3)
    found = prepare(y, s, patient, 0.4).metrics(counts)
    for k, row in enumerate(counts):
        rows = np.repeat(np.arange(len(y)), row[patient].astype(int))
        assert found["tpr_at_fpr_0.2"][k] == tpr_at_fpr(y[rows], s[rows], 0.2)
        assert found["fpr_at_tpr_0.8"][k] == fpr_at_tpr(y[rows], s[rows], 0.8)
    one_class = prepare(np.ones(5), s[:5], np.arange(5), 0.5)
    alone = one_class.metrics(np.ones((1, 5), np.float32))
    assert np.isnan([alone[name][0] for name in FIXED]).all()


@pytest.mark.parametrize("name", LINE)
def test_replicates_of_the_calibration_line_are_close_for_their_spread(name):
    y, s, patient = scored(0)
    counts = resampling.patient_counts(patient.max() + 1, range(100))
    found = prepare(y, s, patient, 0.5).metrics(counts)[name]
    exact = metrics.SCORES[name](y, s, counts[:, patient])
    assert (found - exact).std() < 0.03 * exact.std()
    assert abs((found - exact).mean()) < 0.03 * exact.std()


def test_replicates_of_a_debiased_error_centre_on_it():
    rng = np.random.default_rng(1)
    s = rng.random(4000)
    y = (rng.random(4000) < 0.2 + 0.6 * s).astype(float)
    part = prepare(y, s, np.arange(4000), 0.5)
    drawn = part.metrics(resampling.patient_counts(4000, range(400)))["ece_debiased"]
    exact = metrics.evaluate(y, s)["ece_debiased"]
    assert abs(drawn.mean() - exact) < 0.1 * drawn.std() + 1e-3


def test_the_seed_alone_decides(monkeypatch):
    y, s, patient = scored(2)
    part = prepare(y, s, patient, 0.5)

    def run(seed):
        return bootstrap_metrics([part], patient.max() + 1, 60, seed)

    first = run(0)
    monkeypatch.setattr(resampling, "CHUNK", 1000)
    np.testing.assert_allclose(first, run(0), rtol=1e-6, equal_nan=True)
    assert not np.allclose(first, run(1), equal_nan=True)


def test_counts_are_multinomial():
    counts = resampling.patient_counts(50, range(4000))
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean() == 1
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.02)


def test_a_cluster_bootstrap_is_as_wide_as_the_closed_form_says():
    # Identical rows within a patient: the variance of a mean is that of the patients' values.
    rng = np.random.default_rng(3)
    values = rng.normal(size=200)
    patient = np.repeat(np.arange(200), 4)
    rows = values[patient]
    by_patient = resampling.bootstrap(lambda c: c[:, patient] @ rows / 800, 200, 4000)
    by_row = resampling.bootstrap(lambda c: c @ rows / 800, 800, 4000)
    assert by_patient.std() == pytest.approx(values.std() / np.sqrt(200), rel=0.05)
    assert by_row.std() == pytest.approx(values.std() / np.sqrt(800), rel=0.05)


def test_interval_is_not_given_where_replicates_are_undefined():
    values = np.ones(100)
    values[:6] = np.nan
    assert resampling.percentile_interval(values) is None
    assert resampling.percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))
    assert resampling.percentile_interval([]) is None


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("constant", [True, False])
@pytest.mark.parametrize("n_groups", [3, 12])  # places are found by scan, or by sort
def test_permuted_metrics_equal_metrics_of_permuted_groups(ties, constant, n_groups):
    y, s, patient = scored(4, ties=ties)
    rng = np.random.default_rng(5)
    labels = rng.integers(0, n_groups, len(y)).astype(np.uint8)
    labels = labels[patient] if constant else labels
    null = permutation_null(y, s, patient, labels, 0.5, 4, 0, "sex")
    permute = resampling.label_permuter(labels, patient)
    for k in range(4):
        group = permute(resampling.generator(0, "permutation sex", k))
        for g in range(int(labels.max()) + 1):
            expected = metrics.evaluate(y[group == g], s[group == g])
            for name in NEEDED:
                assert null[name][k, g] == pytest.approx(expected[name], abs=1e-9), name


def test_permuting_keeps_patients_whole():
    patient = np.array([2, 0, 1, 0, 3, 1, 2])
    labels = np.array([1, 0, 0, 1, 1, 1, 0], np.uint8)
    rng = np.random.default_rng(6)
    constant = labels[:4][patient]
    permute = resampling.label_permuter(constant, patient)
    for _ in range(20):
        moved = permute(rng)
        assert pd.Series(moved).groupby(patient).nunique().max() == 1
        assert moved[[0, 1, 2, 4]].sum() == labels[:4].sum()
    varying = resampling.label_permuter(labels, patient)
    assert all(varying(rng).sum() == labels.sum() for _ in range(20))
    assert len({varying(rng).tobytes() for _ in range(50)}) > 5


def test_permutation_p_is_uniform_under_the_null():
    p = []
    for seed in range(80):
        y, s, patient = scored(100 + seed, n=120, n_patients=80)
        labels = np.random.default_rng(seed).integers(0, 2, 80).astype(np.uint8)[patient]
        null = permutation_null(y, s, patient, labels, 0.5, 49, 0, "sex")
        groups = [metrics.evaluate(y[labels == g], s[labels == g]) for g in range(2)]
        stacked = {m: np.array([g[m] for g in groups]) for m in NEEDED}
        observed = disparities(stacked)["auroc_gap"]
        drawn = disparities(null)["auroc_gap"]
        p.append(resampling.permutation_p_value(float(observed), drawn))
    p = np.array(p)
    assert p.min() > 0 and p.max() <= 1
    assert np.mean(p) == pytest.approx(0.5, abs=0.1)
    assert np.mean(p <= 0.1) < 0.2


def test_p_value_and_holm():
    assert resampling.permutation_p_value(1.0, np.zeros(99)) == 0.01
    assert resampling.permutation_p_value(0.1, np.full(99, 0.5), smaller=True) == 0.01
    assert resampling.holm([]) == []
    assert resampling.holm([0.5, 0.9]) == [1.0, 1.0]


def test_null_patients_are_refused():
    with pytest.raises(ValueError, match="patient key is null"):
        resampling.patient_index(["a", None])


@pytest.mark.parametrize("known", [3, None])
def test_systems_that_do_not_say_which_cores_are_free_give_the_same_replicates(monkeypatch, known):
    def replicates_now():
        return resampling.bootstrap(lambda counts: counts[:, :2], 50, n_boot=20)

    before = replicates_now()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS and Windows
    monkeypatch.setattr(os, "cpu_count", lambda: known)
    np.testing.assert_array_equal(replicates_now(), before)
