"""Every metric of the audit, in resamples, is that of the rows written out."""

import numpy as np
import pytest
from support.predictions import scored

from fairthesis import metrics
from fairthesis.auditing import FIXED, RESAMPLED_METRICS
from fairthesis.metrics import fpr_at_tpr, tpr_at_fpr
from fairthesis.stats import patient_counts, prepare

LINE = ("calibration_intercept", "calibration_slope")


def resampled(group, counts):
    found = group.resampled(counts)
    return {name: of(found) for name, of in RESAMPLED_METRICS.items()}


@pytest.mark.parametrize("ties", [False, True])
def test_replicates_equal_metrics_of_repeated_rows(ties):
    y, s, patient = scored(0, ties=ties)
    counts = patient_counts(patient.max() + 1, range(5), seed=3)
    found = resampled(prepare(y, s, patient, 0.4), counts)
    for k in range(5):
        w = counts[k, patient].astype(float)
        expected = metrics.evaluate(y, s, threshold=0.4, weight=w)
        # The debiased error has the noise of resampling removed, the line is tested below.
        for name in set(metrics.METRICS) - {"ece_debiased", *LINE}:
            assert found[name][k] == pytest.approx(expected[name], abs=2e-6), name


@pytest.mark.parametrize("ties", [False, True])
def test_rates_at_a_fixed_rate_are_those_of_repeated_rows(ties):
    y, s, patient = scored(4, ties=ties)
    counts = patient_counts(patient.max() + 1, range(20), seed=3)
    found = resampled(prepare(y, s, patient, 0.4), counts)
    for k, row in enumerate(counts):
        rows = np.repeat(np.arange(len(y)), row[patient].astype(int))
        assert found["tpr_at_fpr_0.2"][k] == tpr_at_fpr(y[rows], s[rows], 0.2)
        assert found["fpr_at_tpr_0.8"][k] == fpr_at_tpr(y[rows], s[rows], 0.8)
    one_class = prepare(np.ones(5), s[:5], np.arange(5), 0.5)
    alone = resampled(one_class, np.ones((1, 5), np.float32))
    assert np.isnan([alone[name][0] for name in FIXED]).all()


@pytest.mark.parametrize("name", LINE)
def test_replicates_of_the_calibration_line_are_close_for_their_spread(name):
    y, s, patient = scored(0)
    counts = patient_counts(patient.max() + 1, range(100))
    found = resampled(prepare(y, s, patient, 0.5), counts)[name]
    exact = metrics.SCORES[name](y, s, counts[:, patient])
    assert (found - exact).std() < 0.03 * exact.std()
    assert abs((found - exact).mean()) < 0.03 * exact.std()


def test_replicates_of_a_debiased_error_centre_on_it():
    rng = np.random.default_rng(1)
    s = rng.random(4000)
    y = (rng.random(4000) < 0.2 + 0.6 * s).astype(float)
    part = prepare(y, s, np.arange(4000), 0.5)
    drawn = resampled(part, patient_counts(4000, range(400)))["ece_debiased"]
    exact = metrics.evaluate(y, s)["ece_debiased"]
    assert abs(drawn.mean() - exact) < 0.1 * drawn.std() + 1e-3
