"""Shifts that were planted are named, by group as well; what cannot be told is not claimed."""

from collections import Counter

import numpy as np
import pytest

from fairthesis.auditing import SHIFTS, Sample, Shift, name_shifts, shift_between
from fairthesis.auditing._shift import APPEARANCE, NO_SHIFT, PREVALENCE, TOO_FEW, UNNAMED, _thinned
from fairthesis.stats import LabelShift

QUICK = {"n_permutations": 99, "n_boot": 100}


def cohort(rng, n, prevalence, look=0.0, width=6):
    """One column of the embedding goes with the label and makes the score, one is the look."""
    who = np.repeat(np.arange(n), rng.integers(1, 3, n))
    y = (rng.random(n) < prevalence)[who].astype(float)
    z = rng.normal(size=(n, width))[who] + 0.3 * rng.normal(size=(len(who), width))
    z[:, 0] += 2 * y
    z[:, 1] += look
    return Sample(1 / (1 + np.exp(2 - 2 * z[:, 0] - look)), who, y, z)


def verdicts(prevalence, look, times=16, embeddings=True, n=350):
    found = Counter()
    for seed in range(times):
        rng = np.random.default_rng(seed)
        pair = [cohort(rng, n, 0.3), cohort(rng, n, prevalence, look)]
        if not embeddings:
            pair = [Sample(s.s, s.patient, s.y) for s in pair]
        found[name_shifts([shift_between(*pair, seed=seed, **QUICK)])[0].verdict] += 1
    return found


@pytest.mark.simulation
def test_the_four_shifts_are_named():
    assert verdicts(0.3, 0.0)[NO_SHIFT] >= 14
    assert verdicts(0.6, 0.0)[PREVALENCE] >= 13
    assert verdicts(0.3, 0.6)[APPEARANCE] >= 15
    assert verdicts(0.6, 0.6)[APPEARANCE] >= 15


@pytest.mark.simulation
def test_a_prevalence_is_not_taken_for_an_appearance_more_often_than_stated():
    found = verdicts(0.6, 0.0, times=40)
    assert found[APPEARANCE] <= 6


def test_without_embeddings_a_shift_in_the_scores_is_still_seen():
    found = verdicts(0.6, 0.0, embeddings=False)
    assert found[PREVALENCE] >= 13


def test_the_labels_of_the_external_cohort_are_not_looked_at():
    rng = np.random.default_rng(0)
    here, there = cohort(rng, 100, 0.3), cohort(rng, 100, 0.5)
    blind = Sample(there.s, there.patient, None, there.z)
    assert shift_between(here, there, seed=1, **QUICK) == shift_between(
        here, blind, seed=1, **QUICK
    )


def test_groups_are_corrected_together_and_only_the_one_with_a_shift_is_named():
    rng = np.random.default_rng(3)
    draws = {**QUICK, "n_permutations": 299, "seed": 1}  # 3 tests in 3 groups: 9 / 300 at least
    found = [
        shift_between(cohort(rng, 300, 0.3), cohort(rng, 300, 0.3, look), **draws)
        for look in (0.0, 0.8, 0.0)
    ]
    named = name_shifts(found)
    assert [shift.verdict for shift in named] == [NO_SHIFT, APPEARANCE, NO_SHIFT]
    assert named[1].p_any == pytest.approx(min(1, 3 * found[1].p_any))


def label_shift(p):
    return LabelShift(0.3, 0.5, (0.4, 0.6), 0.2, (0.1, 0.3), p)


@pytest.mark.parametrize(
    ("p", "change", "verdict"),
    [
        ((0.2, 0.01, 0.01), 0.01, NO_SHIFT),
        ((0.01, 0.01, 0.01), 0.01, APPEARANCE),
        ((0.01, 0.01, 0.5), 0.01, PREVALENCE),
        ((0.01, 0.01, 0.5), 0.5, UNNAMED),  # the prevalence did not change
        ((0.01, 0.5, 0.5), 0.01, UNNAMED),  # too few are left
        ((0.01, np.nan, np.nan), 0.01, UNNAMED),
        ((np.nan, np.nan, np.nan), 0.01, TOO_FEW),
    ],
)
def test_a_verdict_is_what_the_tests_say(p, change, verdict):
    shift = Shift(90, 90, label_shift(change), {}, {}, {}, *p)
    assert name_shifts([shift])[0].verdict == verdict
    assert verdict in SHIFTS


def test_a_few_patients_are_not_tested():
    rng = np.random.default_rng(0)
    found = shift_between(cohort(rng, 100, 0.3), cohort(rng, 19, 0.3), seed=0, **QUICK)
    assert name_shifts([found])[0].verdict == TOO_FEW and found.n_external == 19


@pytest.mark.parametrize("prevalence", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_thinned_patients_have_the_prevalence(prevalence):
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.4).astype(float)
    kept = _thinned(Sample(rng.random(400), np.arange(400), y), prevalence, 0)
    assert y[kept].mean() == pytest.approx(prevalence, abs=0.005)
    assert len(set(kept.tolist())) == len(kept) >= 100
    whole = min(
        (y == k).sum() / max(share, 1e-9) for k, share in ((1, prevalence), (0, 1 - prevalence))
    )
    assert len(kept) == pytest.approx(whole, abs=1)
