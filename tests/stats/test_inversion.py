"""Intervals of calibration errors: the truth inside, 0 where nothing is shown, order kept."""

import numpy as np
import pytest

import fairthesis
from fairthesis import metrics
from fairthesis.auditing import bin_residuals, unanimous_interval
from fairthesis.metrics import N_BINS, bin_index, bin_sums
from fairthesis.stats._gap_intervals import GroupEnds
from fairthesis.stats._intervals import degrees_of_freedom, effective_patients, expanded_level
from fairthesis.stats._inversion import calibration_intervals
from fairthesis.stats._replicates import bootstrap_groups, prepare
from fairthesis.stats._resampling import patient_index


def clustered(seed, n_patients=400, power=1.0):
    """Three images per patient whose labels hang together; scores true for ``power=1``."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), 3)
    s = 1 / (1 + np.exp(-rng.normal(size=n_patients)[patient] - rng.normal(size=len(patient))))
    shared = rng.random(n_patients)[patient]
    u = np.where(rng.random(len(s)) < 0.5, shared, rng.random(len(s)))
    return (u < s).astype(float), s**power, patient


def gap(values, intervals):
    low, high = np.array(intervals).T
    return GroupEnds(np.array(values), low, high).gap()


def intervals(y, s, patient, n_boot=300, seed=0):
    part = prepare(y, s, patient, 0.5)
    bins = bootstrap_groups([part], [bin_residuals], patient.max() + 1, n_boot, seed)
    bins = bins.reshape(n_boot, 1, 2, N_BINS)
    n, scores, labels = bin_sums(y, s)
    of_bin = [np.bincount(patient[bin_index(s) == k]) for k in range(N_BINS)]
    m = np.array([effective_patients(cases) for cases in of_bin])
    level = expanded_level(degrees_of_freedom(np.bincount(patient)))
    return calibration_intervals(n, labels - scores, bins[:, 0, 0], bins[:, 0, 1], m, level=level)


def test_replicated_bins_are_those_of_repeated_rows():
    y, s, patient = clustered(3, 40)
    counts = np.random.default_rng(0).integers(0, 3, (5, 40)).astype(np.float32)
    found = bin_residuals(prepare(y, s, patient, 0.5).resampled(counts)).reshape(5, 2, N_BINS)
    for k in range(5):
        n, scores, labels = bin_sums(y, s, counts[k][patient])
        np.testing.assert_allclose(found[k, 0], n)
        np.testing.assert_allclose(found[k, 1], labels - scores, atol=1e-5)


@pytest.mark.parametrize(
    ("power", "sets", "least"), [(1.0, 60, 54), (1.5, 60, 52)], ids=["calibrated", "not"]
)
def test_the_truth_lies_inside_about_95_times_in_100(power, sets, least):
    y, s, _ = clustered(99, 200_000, power)
    n, scores, labels = bin_sums(y, s)
    d, w = (labels - scores) / np.maximum(n, 1), n / n.sum()
    truth = {"ece": (w * np.abs(d)).sum(), "ece_debiased": np.sqrt((w * d * d).sum())}
    if power == 1.0:
        truth = dict.fromkeys(truth, 0.0)
    inside = dict.fromkeys(truth, 0)
    for k in range(sets):
        for name, (low, high) in intervals(*clustered(k, power=power)).items():
            inside[name] += low <= truth[name] <= high
    # 54 of 60 or fewer has probability 0.18 at 95 %, 51 or fewer 0.002; 40 would be the plug-in's.
    assert min(inside.values()) >= least, inside


def test_a_wrong_model_is_told_from_a_calibrated_one():
    right, wrong = (intervals(*clustered(1, 2000, power)) for power in (1.0, 2.0))
    for name in ("ece", "ece_debiased"):
        assert right[name][0] < 0.01 and right[name][1] < 0.05 < wrong[name][0]
    assert all(0 <= low <= high <= 1 for low, high in (*right.values(), *wrong.values()))


def test_more_patients_give_a_shorter_interval():
    small, large = (intervals(*clustered(5, n, 1.5))["ece_debiased"] for n in (200, 3200))
    assert 2.5 < (small[1] - small[0]) / (large[1] - large[0]) < 6  # 4 by the root of 16


def test_no_replicates_and_no_rows_give_none():
    n, none = np.ones(15), np.zeros((0, 15))
    assert calibration_intervals(n, n, none, none, n) == {"ece": None, "ece_debiased": None}
    zero = np.zeros((5, 15))
    assert calibration_intervals(0 * n, 0 * n, zero, zero, n)["ece"] is None


def test_one_constant_score_is_one_bin():
    y, patient = np.tile([0.0, 1.0], 200), np.arange(400)
    found = intervals(y, np.full(400, 0.5), patient)
    assert found["ece"][0] == 0.0 and 0.03 < found["ece"][1] < 0.08


def test_the_search_ends_where_errors_do():
    """Two wrong cases alone in a bin: in many replicates no case shows that bin's error."""
    y, patient = np.zeros(52), np.arange(52)
    s = np.where(patient < 50, 0.0, 1.0)
    with np.errstate(over="raise"):
        found = intervals(y, s, patient)
    assert found["ece"][0] < 2 / 52 and found["ece"][1] == found["ece_debiased"][1] == 1.0


def test_the_audit_uses_them():
    import pandas as pd

    y, s, patient = clustered(2, 300, 1.6)
    order = np.lexsort((y, s, patient.astype(str)))  # the audit's own
    y, s, patient = y[order], s[order], patient_index(patient[order])
    table = pd.DataFrame({"y_true": y, "y_score": s, "p": [f"{k:03d}" for k in patient]})
    table["sex"] = np.where(patient % 2, "f", "m")
    report = fairthesis.audit(table, groups=["sex"], patient="p", n_boot=300, n_permutations=0)
    assert report.overall["ece"].ci == pytest.approx(intervals(y, s, patient)["ece"])
    m = (table["sex"] == "f").to_numpy()
    group = report.groups["sex"]["f"].metrics
    exact = metrics.evaluate(y[m], s[m])
    assert group["ece"].value == pytest.approx(exact["ece"], abs=1e-12)
    assert group["ece"].ci[0] < exact["ece_debiased"] and group["ece"].ci[1] > 0.05


def test_the_audit_s_gap_is_made_of_its_groups():
    import pandas as pd

    y, s, patient = clustered(2, 300, 1.6)
    order = np.lexsort((y, s, patient.astype(str)))  # the audit's own
    y, s, patient = y[order], s[order], patient_index(patient[order])
    table = pd.DataFrame({"y_true": y, "y_score": s, "p": patient})
    table["sex"] = np.where(patient % 2, "f", "m")
    report = fairthesis.audit(table, groups=["sex"], patient="p", n_boot=300, n_permutations=0)
    own = [group.metrics["ece_debiased"] for group in report.groups["sex"].values()]
    low, high = np.array([e.ci for e in own]).T
    value = np.array([e.value for e in own])
    expected = GroupEnds(value.clip(low, high), low, high).gap()
    assert report.disparities["sex"]["ece_gap"].ci == pytest.approx(expected)
    assert report.disparities["sex"]["auroc_gap"].ci != expected


@pytest.mark.parametrize(
    ("sizes", "rates", "least", "most"),
    [
        ((35, 180), (0.97, 0.8), 0.97, 0.88),
        ((35, 180), (0.95, 0.9), 0.97, 0.35),
        ((60, 200), (0.98, 0.97), 0.97, 0.75),
        ((100, 400), (0.99, 0.75), 0.95, 0.96),
        ((30, 300), (0.9, 0.9), 0.8, 0.05),  # given an event of 4 in 100: no interval's level
    ],
)
def test_gaps_from_a_share_of_1_hold_the_truth_and_resamples_do_not(sizes, rates, least, most):
    rng = np.random.default_rng(0)
    held = resampled = n = 0
    for _ in range(4000):
        first, second = rng.binomial(sizes, rates) / sizes
        if first < 1 or second == 1:
            continue
        n += 1
        low, high = np.quantile(rng.binomial(sizes[1], second, 400) / sizes[1], [0.025, 0.975])
        own = unanimous_interval(1.0, np.arange(sizes[0]))
        ends = gap([1.0, second], [own, (low, high)])
        truth = rates[0] - rates[1]
        held += ends[0] <= truth <= ends[1]
        resampled += 1 - high <= truth <= 1 - low
    assert n > 100
    assert held / n > least and resampled / n < most and held > resampled
