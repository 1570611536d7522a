"""A number and its unit stay on one line of the book."""

import sys

import pytest
from conftest import ROOT

core = pytest.importorskip("docutils.core")
pytest.importorskip("sphinx")
sys.path.insert(0, str(ROOT / "book" / "_ext"))


def test_a_number_keeps_its_unit_and_code_is_as_typed() -> None:
    from book_chapters import _keep_units

    source = (
        "A 95 % interval, *4 GB* of 390 px, in 5 percent.\n\n``95 %`` :math:`95 %`\n\n::\n\n  5 %\n"
    )
    tree = core.publish_doctree(source)
    _keep_units(None, tree, "page")  # type: ignore[arg-type]
    assert tree.astext() == (
        "A 95\xa0% interval, 4\xa0GB of 390\xa0px, in 5 percent.\n\n95 % 95 %\n\n5 %"
    )
