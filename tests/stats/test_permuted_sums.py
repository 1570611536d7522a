"""The fast ways through permutations against slow ones that follow the formulas to the letter."""

import numpy as np
import pytest

from fairthesis import metrics
from fairthesis.auditing import TESTED_METRICS, WITHIN_LABEL
from fairthesis.stats import (
    Assignment,
    RankedCases,
    RatioOfSums,
    SquaredCalibrationError,
    permuted_tests,
)
from fairthesis.stats import _group_sums as group_sums
from fairthesis.stats._resampling import generator


def table(seed, n=240, k=3, images=2, ties=False, prevalence=(0.5, 0.2, 0.3)):
    """Labels, scores, patients with one group each, and groups of unequal prevalence."""
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, max(n // images, 2), n))
    patient = np.unique(patient, return_inverse=True)[1]
    own = rng.integers(0, k, patient.max() + 1)
    group = own[patient]
    y = (rng.random(n) < np.resize(prevalence, k)[group]) * 1.0
    s = np.clip(0.3 * y + 0.7 * rng.random(n), 0, 1)
    return y, np.round(s, 1) if ties else s, patient, group


def jackknife(influence, m):
    return (np.asarray(influence) ** 2).sum() * max(m - 1, 0) / max(m, 1)


def slow_ratio(a, b, unit, group, k, share):
    """Value, variance and weight of every group, by loops over patients."""
    found = []
    for g in range(k):
        units = [u for u in np.unique(unit[group == g]) if b[unit == u].sum() > 0]
        A, B = a[group == g].sum(), b[group == g].sum()
        value = A / B if B else np.nan
        influence = []
        for u in units:
            rest = B - b[unit == u].sum()
            own = a[unit == u].sum() - value * b[unit == u].sum()
            influence.append(own / rest if rest > 0 else 0.0)
        variance, m = jackknife(influence, len(units)), len(units)
        found.append((value, max(variance, 0.5 / max(m, 1) ** 2) if share else variance, B))
    return np.array(found).T


def slow_auroc(y, s, unit, group, k):
    found = []
    for g in range(k):
        inside = group == g
        pos, neg = s[inside & (y > 0)], s[inside & (y == 0)]
        P, N = len(pos), len(neg)
        wins = (pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)
        A = wins.mean() if P and N else np.nan
        a = np.nan_to_num(A)
        of_pos, of_neg = wins.sum(1) / max(N, 1) - a, 1 - a - (1 - wins).sum(0) / max(P, 1)
        if not P:
            of_neg = np.full(N, 1.0)
        who_pos, who_neg = unit[inside & (y > 0)], unit[inside & (y == 0)]
        influence = []
        for u in np.unique(unit[inside]):
            total = 0.0
            for who, values, size in ((who_pos, of_pos, P), (who_neg, of_neg, N)):
                rest = size - (who == u).sum()
                total += values[who == u].sum() / rest if rest > 0 else 0.0
            influence.append(total)
        fewest = min(len(np.unique(who_pos)), len(np.unique(who_neg)))
        variance = max(jackknife(influence, len(influence)), 0.5 / max(fewest, 1) ** 2)
        found.append((A, variance, P * N / max(P + N, 1)))
    return np.array(found).T


def slow_calibration(y, s, unit, group, k):
    found = []
    bins = metrics.bin_index(s)
    for g in range(k):
        parts = []
        for b in range(metrics.N_BINS):
            rows = (group == g) & (bins == b)
            units = np.unique(unit[rows])
            if len(units) < 2:
                continue
            n = rows.sum()
            D = (y - s)[rows].mean()
            left = [((y - s)[rows & (unit == u)] - D).sum() for u in units]
            v = (np.array(left) ** 2).sum() / n**2 * len(units) / (len(units) - 1)
            parts.append((n, D**2 - v, v))
        if not parts:
            found.append((np.nan, 0.0, 0.0))
            continue
        n, value, v = np.array(parts).T
        w = n / n.sum()
        variance = (w**2 * (4 * np.maximum(value, 0) * v + 2 * v**2)).sum()
        found.append(((w * value).sum(), variance, n.sum()))
    return np.array(found).T


def compare(metric, slow, patient, unit_group, k):
    """A metric in several replicates at once against ``slow``, one after the other."""
    groups = Assignment(None, patient, k, unit_group)
    found = metric.values(groups)
    for r, own in enumerate(unit_group):
        value, variance, weight = slow(own[patient])
        np.testing.assert_allclose(found.value[r], value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.variance[r], variance, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.weight[r], weight, rtol=1e-12)


CASES = [
    {"k": 2, "n": 60, "images": 1},
    {"k": 3, "ties": True},
    {"k": 2, "images": 8, "ties": True},
    {"k": 5, "n": 120, "prevalence": (0.05, 0.6)},
    {"k": 30, "n": 90},  # groups of a patient or two, some without positives, some empty
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("replicates", [1, 6])
def test_all_metrics_of_permuted_groups_are_those_of_the_formulas(case, replicates):
    y, s, patient, group = table(3, **case)
    k, rng = case["k"], np.random.default_rng(0)
    own = np.zeros(patient.max() + 1, int)
    own[patient] = group
    drawn = np.stack([rng.permutation(own) for _ in range(replicates)]).astype(np.uint8)
    called = (s >= 0.5) * 1.0
    ones, loss = np.ones(len(y)), (s - y) ** 2
    for a, b, share in ((called, ones, True), (called * y, y, True), (loss, ones, False)):
        compare(
            RatioOfSums(a, b, share),
            lambda g, a=a, b=b, share=share: slow_ratio(a, b, patient, g, k, share),
            patient,
            drawn,
            k,
        )
    compare(
        SquaredCalibrationError(y, s),
        lambda g: slow_calibration(y, s, patient, g, k),
        patient,
        drawn,
        k,
    )
    compare(RankedCases(y, s), lambda g: slow_auroc(y, s, patient, g, k), patient, drawn, k)
    # A patient's positive and negative cases apart, as where groups are permuted within a label.
    unit = np.unique(patient * 2 + (y > 0), return_inverse=True)[1]
    own = np.zeros(unit.max() + 1, int)
    own[unit] = group
    drawn = np.stack([rng.permutation(own) for _ in range(replicates)]).astype(np.uint8)
    compare(RankedCases(y, s), lambda g: slow_auroc(y, s, unit, g, k), unit, drawn, k)


def test_perfect_and_constant_scores():
    y, _, patient, group = table(1, n=80, images=1)
    own = group[None].astype(np.uint8)
    for s in (y, np.full(len(y), 0.5)):
        compare(RankedCases(y, s), lambda g, s=s: slow_auroc(y, s, patient, g, 3), patient, own, 3)


def test_values_of_many_kinds_lose_no_digits_to_a_large_mean():
    rng = np.random.default_rng(0)
    patient, x = np.repeat(np.arange(300), 2), 1e6 + rng.normal(size=600)
    own = rng.integers(0, 2, (3, 300)).astype(np.uint8)
    found = RatioOfSums(x, np.ones(600), share=False).values(Assignment(None, patient, 2, own))
    for r in range(3):
        _, variance, _ = slow_ratio(x, np.ones(600), patient, own[r][patient], 2, False)
        np.testing.assert_allclose(found.variance[r], variance, rtol=1e-6)


def test_the_permutations_are_those_of_each_replicates_generator():
    y, s, patient, group = table(5, n=200)
    found = permuted_tests(
        {"auroc": RankedCases(y, s)},
        patient,
        group,
        n_permutations=3,
        seed=4,
        stream="sex",
        within=y > 0,
    )["auroc"]
    own = np.zeros(patient.max() + 1, int)
    own[patient] = group
    kinds, unit = np.unique(patient * 2 + (y > 0), return_inverse=True)
    observed = RankedCases(y, s).values(Assignment(None, patient, 3, own[None]))
    share = observed.weight[0] / observed.weight[0].sum()
    error = observed.against_rest()[1][0]
    for r in range(3):
        rng = generator(4, "permutation sex", r)
        labels = own[kinds // 2]
        for kind in (1, 0):
            rows = np.flatnonzero(kinds % 2 == kind)
            labels[rows] = own[kinds // 2][rng.permutation(rows)]
        one = RankedCases(y, s).values(Assignment(None, unit, 3, labels[None]))
        difference, spread = one.against_rest()
        expected = (share * observed.value[0]).sum() + (1 - share) * error * difference[0] / spread[
            0
        ]
        np.testing.assert_allclose(found.null[r], expected, rtol=1e-9)


@pytest.mark.parametrize("within", [True, False])
def test_how_many_permutations_go_together_changes_nothing(monkeypatch, within):
    y, s, patient, group = table(7, n=400)
    tested = {
        m: of(y, s, 0.5) for m, of in TESTED_METRICS.items() if not within or m in WITHIN_LABEL
    }
    options = {"n_permutations": 37, "seed": 0, "stream": "a", "within": y > 0 if within else None}
    together = permuted_tests(tested, patient, group, **options)
    monkeypatch.setattr("fairthesis.stats._resampling.CHUNK", 8)
    alone = permuted_tests(tested, patient, group, **options)
    for name, one in together.items():
        np.testing.assert_allclose(one.null, alone[name].null, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(one.pair_p, alone[name].pair_p)


def test_weights_and_patients_in_several_groups_take_the_general_way():
    y, s, patient, group = table(9)
    k, rng = 3, np.random.default_rng(1)
    own = np.zeros(patient.max() + 1, int)
    own[patient] = group
    ones = np.ones(len(y))
    drawn = np.stack([rng.permutation(own) for _ in range(3)])
    fast = [
        metric.values(Assignment(None, patient, k, drawn))
        for metric in (RankedCases(y, s), SquaredCalibrationError(y, s))
    ]
    general = [
        metric.values(Assignment(None, patient, k, drawn))
        for metric in (RankedCases(y, s, ones), SquaredCalibrationError(y, s, ones * 1.0))
    ]
    rows = [
        metric.values(Assignment(drawn[:, patient], patient, k, None))
        for metric in (RankedCases(y, s), SquaredCalibrationError(y, s))
    ]
    for one, weighted, by_row in zip(fast, general, rows, strict=True):
        for other in (weighted, by_row):
            np.testing.assert_allclose(one.value, other.value, rtol=1e-9)
            np.testing.assert_allclose(one.variance, other.variance, rtol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 5, 40])
@pytest.mark.parametrize("replicates", [1, 3, 17])
def test_sums_by_code_are_sums_by_group(k, replicates):
    rng = np.random.default_rng(0)
    own = rng.integers(0, k, (replicates, 300)).astype(np.uint8)
    patient, kind, x = np.sort(rng.integers(0, 300, 900)), rng.integers(0, 4, 900), rng.random(900)
    groups = Assignment(None, patient, k, own)
    counts, sums = group_sums.summed_by_group(groups, patient, kind, 4, [None, x])
    expected = np.zeros((2, replicates, k, 4))
    for r in range(replicates):
        np.add.at(expected[0, r], (own[r][patient], kind), 1)
        np.add.at(expected[1, r], (own[r][patient], kind), x)
    np.testing.assert_array_equal(counts, expected[0])
    np.testing.assert_allclose(sums, expected[1], rtol=1e-12)


@pytest.mark.parametrize("values", [[3, 0, 3, 7], [0.5, -1.0, 0.5], [10**9, 4, 10**9], []])
def test_kinds_are_those_of_unique(values):
    x = np.array(values, float)
    unique, place = group_sums.kinds(x)
    expected, inverse = np.unique(x, return_inverse=True)
    np.testing.assert_array_equal(unique, expected)
    np.testing.assert_array_equal(place, inverse)
    whole = np.array([10**9, 4, 10**9])
    numbers, place = group_sums.compact(whole)
    np.testing.assert_array_equal(numbers[place], whole)
