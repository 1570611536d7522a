"""No result is typed: a number in prose comes from a cell, or is a definition named here."""

import json
import re

import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOT_PROSE = re.compile(
    r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$|\{\w+\}|\]\([^)]*\)|^:\w+:.*$",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(
    r"(?<![\w.])[-+\N{MINUS SIGN}]?\d?\.\d{2,}(?!\d)"  # an AUROC, a gap, a change
    r"|\b(?:\d+|one|two|three|four|five|six|seven|none|all) (?:out )?of (?:\d+|the \d+)\b"
    r"|(?<![\w.])\d+(?:\.\d+)? (?:%|per cent)"
)
VERDICT = re.compile(
    r"\b(?:beats?|outperforms?|surpasses|comes? (?:near|nearest|close)|significantly"
    r"|in the archived runs?|no method (?:has|can|is|of)|none of the (?:other )?methods"
    r"|(?:loses|gains|recovers?|removes?|leaks?) (?:more|less|fewer|most|least) (?:than|of)"
    r"|(?:smaller|larger|lower|higher|better|worse) (?:gap|AUROC|difference)s? than"
    r"|does not reduce|was not beaten)\b",
    re.IGNORECASE,
)
# Thresholds, levels and margins that were set before any run, and what a metric is at chance.
SET = {"0.02", "0.05", ".05", "0.04", "0.5", "95 %"}
# What is no result of this book, by chapter: settings, levels of power, an exercise's own numbers.
NAMED: dict[str, tuple[str, ...]] = {
    "ablations": ("0.004", "-0.010", "0.018", "0.028"),
    "audit": ("95 of 100",),
    "bias": ("15 %", "40 %"),
    "chest_xray": ("000 of the 112",),
    "data": ("000 of 112", "775 of 2"),
    "gallery": ("15 %", "40 %"),
    "leakage": ("0.55",),
    "measuring": ("0.85", "0.75", "80 of 100"),
    "method": ("one of 128", "0.01"),
    "methods": ("0.01",),
    "real_gaps": ("5 %",),
}


def typed(chapter, text):
    prose = NOT_PROSE.sub(" ", text)
    found = [m.group().strip() for m in (*NUMBER.finditer(prose), *VERDICT.finditer(prose))]
    named = NAMED.get(chapter, ())
    return [said for said in found if said.lstrip("+-") not in SET and said not in named]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_results_in_prose_are_computed(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    found = [(text.splitlines()[0][:60], typed(path.stem, text)) for text in prose]
    assert [(start, said) for start, said in found if said] == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The gap falls to .017.",
        "AUROC rises from 0.842 to 0.851.",
        "It helps in 8 of 23 settings.",
        "In the archived runs no method has a smaller gap.",
        "CDANN beats plain training.",
        "The encoder removes less than LEACE.",
        "It flips 56 % of decisions.",
    ],
)
def test_a_typed_result_is_found(sentence):
    assert typed("results", sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "A price of 0.02 of AUROC, the thesis's own, counts as cheap.",
        "With a 95 % interval, `0.842` in code, and $\\alpha = 0.123$ in a formula.",
        "Read [the chapter](a_0.123.ipynb).",
    ],
)
def test_definitions_are_none(sentence):
    assert not typed("results", sentence)
