"""Patients are resampled, the seed decides, and chance levels are chance levels."""

import numpy as np
import pandas as pd
import pytest
from support.predictions import scored

from fairthesis.stats import _p_values, progress_of_all, progress_shown
from fairthesis.stats import _resampling as resampling
from fairthesis.stats._replicates import bootstrap_groups, prepare

STATISTICS = [
    lambda found: found.auroc,
    lambda found: found.log_loss,
    lambda found: found.recalibration[1],
    lambda found: found.bins[1],
]


def test_the_seed_alone_decides(monkeypatch):
    y, s, patient = scored(2)
    part = prepare(y, s, patient, 0.5)

    def run(seed):
        return bootstrap_groups([part], STATISTICS, patient.max() + 1, 60, seed)

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


def test_p_value_and_holm():
    assert _p_values.permutation_p_value(1.0, np.zeros(99)) == 0.01
    assert _p_values.permutation_p_value(0.1, np.full(99, 0.5), smaller=True) == 0.01
    assert _p_values.holm([]) == []
    assert _p_values.holm([0.5, 0.9]) == [1.0, 1.0]


def test_null_patients_are_refused():
    with pytest.raises(ValueError, match="patient key is null"):
        resampling.patient_index(["a", None])


@pytest.mark.parametrize("known", [3, 1])
def test_any_number_of_processors_gives_the_same_replicates(monkeypatch, known):
    def replicates_now():
        return resampling.bootstrap(lambda counts: counts[:, :2], 50, n_boot=20)

    before = replicates_now()
    monkeypatch.setattr(resampling, "usable_cpus", lambda: known)
    np.testing.assert_array_equal(replicates_now(), before)


def test_progress_is_shown_where_it_is_asked_for(monkeypatch):
    bars = []

    class Bar:
        def __init__(self, **how):
            self.how, self.done, self.said = how, 0, how["desc"]
            self.total, self.disable = how["total"], how["disable"]
            bars.append(self)

        @property
        def n(self):
            return self.done

        def set_description_str(self, said, refresh):
            self.said = said

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def update(self, n):
            self.done += n

    monkeypatch.setattr("fairthesis.stats._progress.tqdm", Bar)
    monkeypatch.setattr(resampling, "CHUNK", 150)  # three replicates of 50 patients
    plain = resampling.bootstrap(lambda counts: counts.sum(1), 50, n_boot=20)
    with progress_shown():
        shown = resampling.bootstrap(lambda counts: counts.sum(1), 50, n_boot=20)
        with progress_shown(False):
            resampling.jackknife(lambda counts: counts.sum(1), 50)
    resampling.bootstrap(lambda counts: counts.sum(1), 50, n_boot=20)
    np.testing.assert_array_equal(plain, shown)
    # None: on a terminal; True: nowhere
    assert [bar.how["disable"] for bar in bars] == [True, None, True, True]
    assert [bar.done for bar in bars] == [20, 20, 50, 20] == [bar.how["total"] for bar in bars]
    bars.clear()
    with progress_shown(), progress_of_all(30, "audit"):  # a round more than was known
        for _ in range(2):
            resampling.bootstrap(lambda counts: counts.sum(1), 50, n_boot=20)
    [bar] = bars
    assert (bar.done, bar.total, bar.said) == (40, 40, "audit: resamples")
