"""Standard errors over patients, and studentised permutation: closed forms, exactness, size."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats as scipy_stats
from support.predictions import scored

from fairthesis import metrics
from fairthesis.auditing import TESTED_METRICS, WITHIN_LABEL
from fairthesis.stats import (
    GroupTest,
    RankedCases,
    RatioOfSums,
    SquaredCalibrationError,
    delong,
    group_values,
    obuchowski,
    permuted_tests,
    step_down,
)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("own", [True, False])
def test_values_are_the_metrics_of_each_group(ties, own):
    y, s, patient = scored(4, ties=ties)
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, len(y))
    labels = labels[patient] if own else labels
    for name, of in TESTED_METRICS.items():
        if name == "ece_debiased":  # its square, with noise over patients
            continue
        found = group_values(of(y, s, 0.5), patient, labels).value[0]
        expected = [metrics.evaluate(y[labels == g], s[labels == g])[name] for g in range(3)]
        assert found == pytest.approx(expected, abs=1e-12), name


def test_the_error_of_a_rate_is_that_of_the_jackknife_over_patients():
    y, s, patient = scored(1)
    a, b = (s >= 0.5) * y, y
    found = group_values(RatioOfSums(a, b), patient, np.zeros(len(y), int)).variance[0, 0]
    some = np.unique(patient[y > 0])
    left_out = np.array([a[patient != p].sum() / b[patient != p].sum() for p in some])
    m = len(some)
    full = a.sum() / b.sum()
    assert found == pytest.approx((m - 1) / m * ((left_out - full) ** 2).sum())


def test_the_error_of_an_auroc_is_delong_s_and_obuchowski_s():
    y, s, patient = scored(2, n=900, n_patients=400)
    everyone = np.zeros(len(y), int)
    rows = np.arange(len(y))
    alone = group_values(RankedCases(y, s), rows, everyone).variance[0, 0] ** 0.5
    assert alone == pytest.approx(delong(y, s).standard_error, rel=0.01)
    clustered = group_values(RankedCases(y, s), patient, everyone).variance[0, 0] ** 0.5
    assert clustered == pytest.approx(obuchowski(y, s, patient).standard_error, rel=0.02)


def test_shared_patients_are_in_the_error_of_a_difference():
    rng = np.random.default_rng(0)
    n = 2000
    shared = rng.random(n) < 0.3  # the same outcome in both groups: their difference is known
    called = np.concatenate([shared, shared]) * 1.0
    labels = np.repeat([0, 1], n)
    patient = np.tile(np.arange(n), 2)
    found = group_values(RatioOfSums(called, np.ones(2 * n)), patient, labels)
    difference, error = found.pairs()
    assert difference[0, 0, 1] == 0 and error[0, 0, 1] < 1e-9
    apart = group_values(RatioOfSums(called, np.ones(2 * n)), np.arange(2 * n), labels)
    assert apart.pairs()[1][0, 0, 1] == pytest.approx(np.sqrt(2 * 0.3 * 0.7 / n), rel=0.05)


def test_a_squared_calibration_error_is_free_of_noise_also_with_many_images_a_patient():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(200):
        patient = np.repeat(np.arange(100), 6)
        s = rng.random(100)[patient].clip(0.02, 0.98)
        y = (rng.random(100)[patient] < s) * 1.0  # all images of a patient have one label
        one = group_values(SquaredCalibrationError(y, s), patient, np.zeros(600, int))
        found.append((one.value[0, 0], one.variance[0, 0] ** 0.5))
    value, error = np.array(found).T
    assert abs(value.mean()) < 3 * value.std() / np.sqrt(200)
    assert 0.7 < error.mean() / value.std() < 1.4


def permuted(called, labels, n=1999, **options):
    return permuted_tests(
        {"rate": RatioOfSums(called, np.ones(len(called)))},
        np.arange(len(called)),
        labels,
        n_permutations=n,
        seed=0,
        stream="sex",
        **options,
    )["rate"]


def p_of(test: GroupTest) -> float:
    return float((test.largest >= test.largest[0] - 1e-9).mean())


def test_one_miss_in_thirty_against_none_in_ninety_is_fisher_s():
    called = np.ones(120)
    called[3] = 0
    labels = np.repeat([0, 1], [30, 90])
    fisher = scipy_stats.fisher_exact([[29, 1], [90, 0]]).pvalue
    assert p_of(permuted(called, labels)) == pytest.approx(fisher, abs=0.03)


def test_few_patients_give_the_exact_permutation_test():
    rng = np.random.default_rng(3)
    value = rng.random(9)
    labels = np.array([0] * 4 + [1] * 5)

    def t(rows):
        a, b = value[list(rows)], np.delete(value, list(rows))
        error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        return abs(a.mean() - b.mean()) / error

    every = [t(rows) for rows in combinations(range(9), 4)]
    exact = np.mean(np.array(every) >= t(range(4)) - 1e-12)
    found = permuted_tests(
        {"mean": RatioOfSums(value, np.ones(9), share=False)},
        np.arange(9),
        labels,
        n_permutations=4000,
        seed=0,
        stream="sex",
    )["mean"]
    assert p_of(found) == pytest.approx(exact, abs=0.03)
    assert found.pair_p[0, 1] == found.pair_p_corrected[0, 1] == pytest.approx(p_of(found))


def test_equal_groups_have_p_1_and_far_ones_the_smallest():
    called = np.tile([1.0, 0, 1, 1], 50)
    same = permuted(called, np.repeat([0, 1], 100), 199)
    assert p_of(same) == 1
    apart = permuted(np.repeat([1.0, 0.0], 100), np.repeat([0, 1], 100), 199)
    assert p_of(apart) == 1 / 200
    assert np.isfinite(apart.null).all()


def simulated(rng, sizes, prevalences, images, rate=0.8):
    """Groups that differ in prevalence, size and images per patient, and in nothing else."""
    y, s, patient, group = [], [], [], []
    for k, (n, prevalence, m) in enumerate(zip(sizes, prevalences, images, strict=True)):
        who = np.repeat(np.arange(n), m)
        frail = rng.normal(size=n)[who]
        y.append(
            (scipy_stats.norm.cdf(0.7 * frail + 0.714 * rng.normal(size=len(who))) < prevalence)
            * 1.0
        )
        noise = 0.6 * rng.normal(size=n)[who] + 0.8 * rng.normal(size=len(who))
        s.append(np.where(y[-1] > 0, scipy_stats.norm.ppf(rate), -0.9) + noise)
        patient.append(who + 10_000 * k)
        group.append(np.full(len(who), k))
    y, s, patient, group = map(np.concatenate, (y, s, patient, group))
    return y, 1 / (1 + np.exp(-s)), np.unique(patient, return_inverse=True)[1], group


@pytest.mark.parametrize(
    "sizes, prevalences, images",
    [
        ((1000, 1000), (0.05, 0.45), (1, 1)),  # prevalence alone: 25 % by plain permutation
        ((60, 360), (0.3, 0.3), (6, 1)),  # images per patient alone: 13 to 20 %
        ((200, 150, 300, 100), (0.3, 0.1, 0.4, 0.2), (1, 3, 1, 2)),
    ],
)
def test_the_test_errs_as_often_as_it_says(sizes, prevalences, images):
    sets, rejected = 150, dict.fromkeys(WITHIN_LABEL, 0)
    for k in range(sets):
        y, s, patient, group = simulated(np.random.default_rng(k), sizes, prevalences, images)
        tested = {m: TESTED_METRICS[m](y, s, 0.5) for m in WITHIN_LABEL}
        found = permuted_tests(
            tested, patient, group, n_permutations=99, seed=k, stream="a", within=y > 0
        )
        for name, one in found.items():
            rejected[name] += p_of(one) <= 0.05
    # 5 % of 150, and 3.3 standard errors
    assert max(rejected.values()) <= 16, rejected


def test_prevalence_alone_makes_plain_gaps_differ():
    y, s, patient, group = simulated(np.random.default_rng(0), (800, 800), (0.1, 0.5), (1, 1))
    tested = {"selection_rate": TESTED_METRICS["selection_rate"](y, s, 0.5)}
    found = permuted_tests(tested, patient, group, n_permutations=199, seed=0, stream="a")
    assert p_of(found["selection_rate"]) == 1 / 200


def test_each_group_is_compared_with_the_rest_and_each_pair_with_the_largest():
    rng = np.random.default_rng(7)
    labels = np.repeat(np.arange(4), 200)
    called = (rng.random(800) < np.repeat([0.5, 0.5, 0.5, 0.8], 200)) * 1.0
    found = permuted(called, labels, 499)
    assert found.rest_p_corrected[3] <= 0.01 and found.pair_p_corrected[3, 0] <= 0.01
    assert found.pair_p_corrected[0, 1] >= found.pair_p[0, 1]
    assert p_of(found) == pytest.approx(found.pair_p_corrected[np.triu_indices(4, 1)].min())
    low, high = found.band()
    assert not low[3] <= found.value[3] <= high[3]
    means = called.reshape(4, 200).mean(1)
    assert found.rest[3] == pytest.approx(means[:3].mean())


def test_the_same_seed_gives_the_same_whatever_the_order_of_metrics():
    y, s, patient = scored(0)
    labels = np.random.default_rng(0).integers(0, 2, patient.max() + 1)[patient]
    options = {"n_permutations": 50, "seed": 1, "stream": "sex"}
    of = {m: TESTED_METRICS[m](y, s, 0.5) for m in ("brier", "accuracy")}
    turned = dict(reversed(of.items()))
    first, second = (permuted_tests(one, patient, labels, **options) for one in (of, turned))
    np.testing.assert_array_equal(first["brier"].largest, second["brier"].largest)
    other = permuted_tests(of, patient, labels, **(options | {"seed": 2}))
    assert (first["brier"].largest != other["brier"].largest).any()


def test_step_down_keeps_its_level_and_gains_on_holm():
    rng = np.random.default_rng(0)
    raw_false = false = 0
    for _ in range(300):
        shared = rng.normal(size=(200, 1))
        null = np.abs(0.9 * shared + 0.436 * rng.normal(size=(200, 6)))
        raw, corrected = step_down(null[0], null[1:])
        assert (corrected >= raw).all()
        assert (np.argsort(raw) == np.argsort(raw)).all()
        false += corrected.min() <= 0.05
        raw_false += raw.min() <= 0.05
    assert false / 300 <= 0.05 + 3.3 * np.sqrt(0.05 * 0.95 / 300)
    assert raw_false > false
    raw, corrected = step_down([5.0, np.nan, 1.0], rng.normal(size=(99, 3)))
    assert np.isnan(raw[1]) and np.isnan(corrected[1]) and corrected[0] <= 0.03
