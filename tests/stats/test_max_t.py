"""The step-down maximum against its definition, and against corrections that it has to beat."""

import numpy as np
import pytest

from fairthesis.errors import InputError
from fairthesis.stats import holm, permutation_p_value, step_down_max_t


def by_definition(observed, null):
    order = sorted(range(len(observed)), key=lambda k: -observed[k])
    p, last = [0.0] * len(observed), 0.0
    for j, k in enumerate(order):
        later = [max(row[i] for i in order[j:]) for row in null]
        last = max(last, (1 + sum(m >= observed[k] for m in later)) / (1 + len(null)))
        p[k] = last
    return p


def test_it_is_what_westfall_and_young_define():
    rng = np.random.default_rng(0)
    observed, null = rng.normal(size=7) + 1, rng.normal(size=(50, 7))
    assert step_down_max_t(observed, null) == pytest.approx(by_definition(observed, null))


def test_one_test_needs_no_correction_and_copies_need_none_either():
    rng = np.random.default_rng(1)
    null = rng.normal(size=(199, 1))
    p = step_down_max_t([2.0], null)[0]
    assert p == permutation_p_value(2.0, null[:, 0])
    copies = step_down_max_t([2.0] * 20, np.repeat(null, 20, axis=1))
    assert copies == pytest.approx(p)
    assert min(holm([p] * 20)) > 5 * p  # what the dependence saves


def test_what_is_not_defined_is_no_test():
    p = step_down_max_t([np.nan, np.inf, 0.5], [[1.0, 2.0, np.nan], [5.0, 1.0, 0.6]])
    assert np.isnan(p[0]) and p[1] == pytest.approx(1 / 3) and p[2] == pytest.approx(2 / 3)
    assert np.isnan(step_down_max_t([np.nan], [[1.0]])).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"\(2,\) and their permutations \(3, 1\)"):
        step_down_max_t([1, 2], [[1], [2], [3]])
