"""Closed-form variances of the AUROC: DeLong's as a special case, and the truth by simulation."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fairthesis import metrics
from fairthesis.errors import InputError
from fairthesis.stats._delong import delong, delong_paired, obuchowski, obuchowski_paired
from fairthesis.stats._resampling import patient_counts


def clustered(seed, n_patients=60, images=4):
    """Labels and two scores that hang together within patients; some patients have both classes."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), images)
    frailty = rng.normal(size=n_patients)[patient]
    y = (rng.random(len(patient)) < 1 / (1 + np.exp(-1.5 * frailty))).astype(int)
    shared = rng.normal(size=n_patients)[patient]
    first = y + shared + rng.normal(size=len(y))
    second = 1.5 * y + shared + rng.normal(size=len(y))
    return y, first, second, patient


@pytest.mark.parametrize("ties", [False, True])
def test_one_row_per_patient_is_delong(ties):
    y, a, b, _ = clustered(0)
    a, b = (np.round(a, 1), np.round(b, 1)) if ties else (a, b)
    alone = [f"p{k}" for k in range(len(y))]
    one, other = obuchowski(y, a, alone), delong(y, a)
    assert one.value == pytest.approx(roc_auc_score(y, a), abs=1e-12)
    assert one.standard_error == pytest.approx(other.standard_error, abs=1e-12)
    assert one.ci == pytest.approx(other.ci, abs=1e-12)
    one, other = obuchowski_paired(y, a, b, alone), delong_paired(y, a, b)
    assert one.value == pytest.approx(roc_auc_score(y, b) - roc_auc_score(y, a), abs=1e-12)
    assert one.standard_error == pytest.approx(other.standard_error, abs=1e-12)
    assert one.p_value == pytest.approx(other.p_value, abs=1e-12)


def test_the_standard_error_is_that_of_repeated_studies():
    drawn = [clustered(k) for k in range(400)]
    for paired in (False, True):
        found = [
            obuchowski_paired(y, a, b, p) if paired else obuchowski(y, a, p) for y, a, b, p in drawn
        ]
        naive = [delong_paired(y, a, b) if paired else delong(y, a) for y, a, b, _ in drawn]
        spread = np.std([e.value for e in found], ddof=1)
        mean = np.sqrt(np.mean([e.standard_error**2 for e in found]))
        assert mean == pytest.approx(spread, rel=0.12)  # 400 studies: 3.5 % standard error
        if not paired:  # what taking rows for patients would have said
            assert np.sqrt(np.mean([e.standard_error**2 for e in naive])) < 0.85 * spread


def test_the_interval_holds_the_truth():
    truth = roc_auc_score(*clustered(999, 40_000)[:2])
    inside = [low <= truth <= high for low, high in (obuchowski_ci(k) for k in range(400))]
    assert 0.91 < np.mean(inside) < 0.98


def obuchowski_ci(seed):
    y, a, _, patient = clustered(seed)
    return obuchowski(y, a, patient).ci


def test_resampled_patients_agree():
    y, a, b, patient = clustered(7, 300)
    counts = patient_counts(300, range(2000), 0)[:, patient]
    first, second = (metrics.auroc(y, s, counts) for s in (a, b))
    assert obuchowski(y, a, patient).standard_error == pytest.approx(first.std(), rel=0.08)
    paired = obuchowski_paired(y, a, b, patient)
    assert paired.standard_error == pytest.approx((second - first).std(), rel=0.08)


def test_rows_in_another_order_are_the_same():
    y, a, _, patient = clustered(3)
    turn = np.random.default_rng(0).permutation(len(y))
    one, two = obuchowski(y, a, patient), obuchowski(y[turn], a[turn], patient[turn])
    assert one.standard_error == pytest.approx(two.standard_error, rel=1e-9)
    same = obuchowski_paired(y, a, a, patient)
    assert same.value == 0 and same.standard_error == 0 and same.p_value == 1


@pytest.mark.parametrize(
    ("y", "patients", "words"),
    [
        ([1, 1, 1, 0], "abcd", "two positive and two negative"),
        ([1, 1, 0, 0], "aabc", "with a positive case and two"),
        ([1, 1, 0, 0], "abc", "each of the 4 cases"),
        ([1, 1, 0, 0], ["a", "b", None, "c"], "null"),
    ],
)
def test_bad_input_is_named(y, patients, words):
    with pytest.raises(InputError, match=words):
        obuchowski(y, [0.1, 0.2, 0.3, 0.4], list(patients))
