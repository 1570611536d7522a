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
TRAINS = ("fairthesis.study._experiment", "fairthesis.study._plans", "fairthesis.study._vectors")
TRAINS = (*TRAINS, "fairthesis.study._variants", "fairthesis.training._posthoc")
DICOM = ("fairthesis.data._dicom_header", "fairthesis.datasets._dicom_table")
NEEDS = dict.fromkeys(TRAINS, "torch") | dict.fromkeys(DICOM, "pydicom")
CASES = [pytest.param(n, marks=pytest.mark.needs(NEEDS[n])) if n in NEEDS else n for n in MODULES]


@pytest.mark.parametrize("name", CASES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
