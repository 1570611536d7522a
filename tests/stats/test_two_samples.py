"""Two-sample tests: against double loops and scikit-learn, their size, their power, bad input."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score

from fairthesis.errors import InputError
from fairthesis.stats import (
    classifier_two_sample,
    label_shift_prevalence,
    mmd,
    one_row_per_patient,
    ridge_scores,
)

TESTS = {
    "mmd": lambda x, y, seed: mmd(x, y, n_permutations=99, seed=seed),
    "classifier": lambda x, y, seed: classifier_two_sample(x, y, n_permutations=99, seed=seed),
}


def naive_mmd(x, y, bandwidths):
    """Lemma 6 of Gretton et al. (2012) by its sums."""
    pooled = np.concatenate([x, y])
    pooled = pooled / pooled.std(0)
    x, y = pooled[: len(x)], pooled[len(x) :]
    apart = [((a - b) ** 2).sum() for i, a in enumerate(pooled) for b in pooled[i + 1 :]]
    middle = np.median(apart)

    def k(a, b):
        return np.mean([np.exp(-((a - b) ** 2).sum() / (2 * w**2 * middle)) for w in bandwidths])

    n, m = len(x), len(y)
    inside = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    outside = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return inside + outside - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_the_statistic_is_that_of_the_sums():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(14, 3)), rng.normal(0.4, 2, size=(9, 3))
    assert mmd(x, y).statistic == pytest.approx(naive_mmd(x, y, (0.5, 1.0, 2.0)), abs=1e-6)
    one = mmd(x, y, bandwidths=[1.3]).statistic
    assert one == pytest.approx(naive_mmd(x, y, [1.3]), abs=1e-6)


def test_a_permutation_is_what_the_statistic_would_be_of_the_permuted_rows():
    """Products of one matrix, or the test anew of every permuted sample: the same p value."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(12, 2))
    rows[6:] += 0.8
    found = mmd(rows[:6], rows[6:], n_permutations=2000)
    from itertools import combinations

    every = [
        mmd(rows[list(c)], np.delete(rows, list(c), 0), n_permutations=0).statistic
        for c in combinations(range(12), 6)
    ]
    exact = np.mean(np.array(every) >= found.statistic - 1e-7)
    assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 2000) + 1e-3)


@pytest.mark.parametrize("name", TESTS)
def test_alike_samples_are_told_apart_as_often_as_stated(name):
    """120 pairs of the same heavy-tailed distribution; 5 % are 6."""
    p = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        x, y = rng.standard_t(4, size=(60, 5)) ** 3, rng.standard_t(4, size=(35, 5)) ** 3
        p.append(TESTS[name](x, y, seed).p_value)
    assert 1 <= np.sum(np.array(p) <= 0.05) <= 13
    assert 0.4 < np.mean(p) < 0.6


@pytest.mark.parametrize("name", TESTS)
def test_a_shifted_mean_is_found(name):
    found = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(150, 6)), rng.normal(size=(120, 6))
        y[:, 2] += 0.7
        found.append(TESTS[name](x, y, seed).p_value <= 0.05)
    assert sum(found) >= 9


def test_a_spread_is_found_by_the_kernel_and_not_by_a_linear_classifier():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 2)), rng.normal(0, 2, size=(200, 2))
    assert mmd(x, y).p_value <= 0.01
    assert classifier_two_sample(x, y).p_value > 0.05


def test_images_of_one_patient_are_no_evidence_once_one_row_of_each_is_taken():
    """Copies are told apart far too often; one row of each patient as often as stated."""
    raw, one = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        who = np.repeat(np.arange(40), 6)
        x, y = (rng.normal(size=(40, 3))[who] for _ in range(2))
        x, y = (z + 0.1 * rng.normal(size=z.shape) for z in (x, y))
        at, other = one_row_per_patient(who, seed), one_row_per_patient(who, seed + 1)
        assert sorted(who[at]) == list(range(40))
        raw.append(mmd(x, y, n_permutations=99, seed=seed).p_value <= 0.05)
        one.append(mmd(x[at], y[other], n_permutations=99, seed=seed).p_value <= 0.05)
    assert sum(raw) >= 20 and sum(one) <= 7


def test_the_classifier_is_ridge_regression_of_all_labellings_at_once():
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(50, 4)), rng.normal(size=(20, 4))
    labels = rng.integers(0, 2, (50, 3)).astype(float)
    found = ridge_scores(train, labels, test)
    middle, spread = train.mean(0), train.std(0)
    model = Ridge(alpha=0.5).fit((train - middle) / spread, labels)
    wanted = model.predict((test - middle) / spread) - labels.mean(0)
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_another_classifier_can_be_handed_in_and_sees_no_row_that_it_scores():
    seen = []

    def logistic(train, labels, test):
        seen.append((train, test))
        models = [LogisticRegression().fit(train, own) for own in labels.T]
        return np.stack([model.decision_function(test) for model in models], 1)

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 2)), rng.normal(1, 1, size=(30, 2))
    found = classifier_two_sample(x, y, score=logistic, folds=3, n_permutations=19)
    assert found.p_value == 0.05 and found.statistic > 0.65
    assert len(seen) == 3
    for train, test in seen:
        assert len(train) + len(test) == 70
        assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}


def test_the_statistic_is_the_mean_of_the_folds_aurocs():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(40, 1)), rng.normal(0.8, 1, size=(40, 1))
    aurocs = []

    def as_is(train, labels, test):
        aurocs.append((labels, test))
        return np.repeat(test, labels.shape[1], 1)

    found = classifier_two_sample(x, y, score=as_is, folds=2, n_permutations=0)
    pooled = np.concatenate([x, y])
    pooled = (pooled - pooled.mean(0)) / pooled.std(0)
    own = {float(v): k >= 40 for k, v in enumerate(pooled[:, 0])}
    wanted = [roc_auc_score([own[float(v)] for v in t[:, 0]], t[:, 0]) for _, t in aurocs]
    assert found.statistic == pytest.approx(np.mean(wanted))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: mmd(x, x[:, :2]), "3 and 2 columns"),
        (lambda x: mmd(x[:1], x), "n of 2 or more"),
        (lambda x: mmd(x * np.nan, x), "NaN"),
        (lambda x: mmd(x, x, bandwidths=[0]), "above 0"),
        (lambda x: classifier_two_sample(x, x[:3]), "at least 5 in each"),
        (lambda x: classifier_two_sample(x, x, folds=1), "2 or more"),
        (lambda x: label_shift_prevalence([1, 1], [0.1, 0.2], [1, 2], [0.3], [1]), "the same"),
        (lambda x: label_shift_prevalence([0, 1], [0.1, 0.2], [1, 2], [], []), "no scores"),
    ],
)
def test_what_cannot_be_tested_is_said(call, words):
    with pytest.raises(InputError, match=words):
        call(np.random.default_rng(0).normal(size=(20, 3)))


def test_rows_that_are_all_alike_are_no_evidence():
    assert mmd(np.zeros((5, 2)), np.zeros((6, 2))).p_value == 1.0


def test_the_prevalence_is_that_of_the_mixture_exactly():
    """Scores of 0.2 and 0.8 by label: a share q of positives has the mean 0.2 + 0.6 q."""
    y = np.array([0, 0, 0, 1])
    new = np.array([0.8] * 3 + [0.2] * 2)
    found = label_shift_prevalence(y, np.where(y, 0.8, 0.2), range(4), new, range(5), n_boot=0)
    assert (found.reference, found.prevalence) == (0.25, pytest.approx(0.6))
    assert found.change == pytest.approx(0.35) and found.ci is None
    beyond = label_shift_prevalence(y, np.where(y, 0.8, 0.2), range(4), [0.99], [1], n_boot=0)
    assert beyond.prevalence == 1.0


def sample(rng, n, prevalence, images=3):
    who = np.repeat(np.arange(n), rng.integers(1, images + 1, n))
    y = (rng.random(n) < prevalence)[who]
    logit = 1.5 * (2 * y - 1) + rng.normal(size=n)[who] + rng.normal(size=len(who))
    return y, 1 / (1 + np.exp(-logit)), who


def test_two_cohorts_of_one_size_are_not_resampled_alike():
    """Patients in the order of their scores would rise and fall together, and cancel."""
    rng = np.random.default_rng(0)
    y, s, _ = sample(rng, 300, 0.3, images=1)
    _, new, _ = sample(rng, 300, 0.3, images=1)
    who = np.arange(300)
    ends = []
    for order, other in ((np.argsort(s), np.argsort(new)), (who, who)):
        found = label_shift_prevalence(y[order], s[order], who, new[other], who, n_boot=400)
        ends.append(found.change_ci[1] - found.change_ci[0])
    assert ends[0] == pytest.approx(ends[1], rel=0.2)


@pytest.mark.simulation
def test_intervals_of_the_prevalence_cover_and_its_test_keeps_its_level():
    """100 pairs of cohorts with several images per patient; 95 are wanted."""
    inside = false = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        y, s, who = sample(rng, 150, 0.3)
        _, new, other = sample(rng, 150, 0.55)
        found = label_shift_prevalence(y, s, who, new, other, n_boot=200, seed=seed)
        inside += found.ci[0] <= 0.55 <= found.ci[1]
        _, new, other = sample(rng, 150, 0.3)
        false += label_shift_prevalence(y, s, who, new, other, n_boot=200).p_value <= 0.05
    assert inside >= 88 and false <= 12
