"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
import pkgutil

import pytest

import fairthesis

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(fairthesis.__path__, "fairthesis.")
    if not module.name.endswith("__main__")
)
# Their examples read or train a run, and load torch when they run.
TRAINS = ("fairthesis.study._experiment", "fairthesis.study._plans", "fairthesis.training._posthoc")
CASES = [pytest.param(n, marks=pytest.mark.needs("torch")) if n in TRAINS else n for n in MODULES]


@pytest.mark.parametrize("name", CASES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
