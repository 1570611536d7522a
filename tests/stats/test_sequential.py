"""The bet against a limit: fair where the limit is just kept, and quick where it is broken."""

from itertools import product

import numpy as np
import pytest

from fairthesis.errors import InputError
from fairthesis.stats import BETS, drift_evidence


def by_definition(z, period, n_periods, most):
    found = []
    for t in range(n_periods):
        total = 1 / (t + 2)
        for j in range(t + 1):
            mine = z[(period >= j) & (period <= t)]
            capital = np.mean([np.prod(1 + b * mine / most) for b in BETS])
            total += capital / ((j + 1) * (j + 2))
        found.append(np.log(total))
    return found


def test_it_is_the_capital_of_the_formula():
    rng = np.random.default_rng(0)
    period = rng.integers(0, 6, 80)
    z = 0.7 - (rng.random(80) < 0.6)
    assert drift_evidence(z, period, 6, 0.3) == pytest.approx(by_definition(z, period, 6, 0.3))


@pytest.mark.parametrize("m", [0.2, 0.8])
def test_the_bet_is_fair_at_the_limit(m):
    """The capital's mean over all outcomes is 1 after every period: it is a martingale."""
    period = np.array([0, 0, 1, 1, 1, 3, 3, 3])
    mean = np.zeros(4)
    for outcome in product([0, 1], repeat=8):
        x = np.array(outcome)
        chance = np.prod(np.where(x == 1, m, 1 - m))
        mean += chance * np.exp(drift_evidence(m - x, period, 4, 1 - m))
    assert mean == pytest.approx(1.0)


@pytest.mark.simulation
@pytest.mark.parametrize("m", [0.1, 0.8])
def test_it_passes_a_level_at_most_as_often_as_stated_over_all_periods(m):
    rng = np.random.default_rng(1)
    period = np.repeat(np.arange(36), 20)
    hits = 0
    for _ in range(600):
        x = rng.random(len(period)) < m
        hits += drift_evidence(m - x, period, 36, 1 - m).max() >= np.log(1 / 0.1)
    assert hits <= 60  # 0.1 of 600, and by Ville's inequality at most that


def test_a_drop_after_long_good_times_is_seen_soon():
    rng = np.random.default_rng(2)
    period = np.repeat(np.arange(48), 40)
    seen = []
    for _ in range(40):
        x = rng.random(len(period)) < np.where(period < 36, 0.9, 0.6)
        beyond = drift_evidence(0.8 - x, period, 48, 0.2) >= np.log(20)
        assert not beyond[:36].any()
        seen.append(np.argmax(beyond) - 35 if beyond.any() else 99)
    assert np.median(seen) <= 4


def test_what_is_no_bet_is_refused():
    with pytest.raises(InputError, match="above 0"):
        drift_evidence([0.1], [0], 1, 0)
    with pytest.raises(InputError, match=r"-0\.5 or more"):
        drift_evidence([-0.7], [0], 1, 0.5)
    with pytest.raises(InputError, match="out of range"):
        drift_evidence([0.1], [2], 2, 0.5)
    with pytest.raises(InputError, match=r"\(1,\) and their periods \(2,\)"):
        drift_evidence([0.1], [0, 1], 2, 0.5)
    assert drift_evidence([], [], 3, 0.5) == pytest.approx(0.0)
