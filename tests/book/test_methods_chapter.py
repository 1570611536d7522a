"""Methods compared: every method that is registered has its paragraph, and it says what is so."""

import json
import re

import pytest
from conftest import ROOT

from fairthesis.embeddings import ERASERS
from fairthesis.methods import METHODS
from fairthesis.postprocessing import CALIBRATIONS, POSTHOC

NOTEBOOK = ROOT / "notebooks" / "methods.ipynb"
REGISTERED = list(dict.fromkeys([*METHODS, *POSTHOC, *ERASERS, *CALIBRATIONS, "level_up"]))


@pytest.fixture(scope="module")
def paragraphs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    parts = re.split(r"^### (.*)$", text, flags=re.MULTILINE)
    found = {}
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        own = re.split(r"^## ", body, flags=re.MULTILINE)[0]
        found |= dict.fromkeys(re.findall(r"`(\w+)`", heading), own)
    return found


@pytest.mark.parametrize("name", REGISTERED)
def test_every_registered_method_has_its_paragraph(name, paragraphs):
    body = paragraphs[name]
    assert re.search(r"\$[^$]*\\?[a-zA-Z][^$]*\$", body), f"no formula: {name}"
    assert re.search(r"\{cite\}`[a-z]+\d{4}`", body), f"no citation: {name}"
    assert "*In training:*" in body and "*Strength:*" in body
    assert "*In use:*" in body


@pytest.mark.parametrize("name", METHODS)
def test_strength_and_default_are_those_of_the_registry(name, paragraphs):
    told = paragraphs[name].partition("*Strength:*")[2]
    kind = METHODS[name]
    if kind.strength is None:
        assert told.strip().startswith("none")
    else:
        default = getattr(kind.Options(), kind.strength)
        assert told.strip().startswith(f"`{kind.strength}`") and f"default {default:g}." in told
    options = vars(kind.Options())
    for option, value in re.findall(r"`(\w+)`(?: \([^)]*\))? is ([\d.]+\d)", told):
        assert options[option] == float(value)


def test_citations_are_in_the_bibliography(paragraphs):
    known = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "book/references.bib").read_text(), re.M))
    asked = set(re.findall(r"\{cite\}`(\w+)`", NOTEBOOK.read_text(encoding="utf-8")))
    assert asked <= known


def test_what_needs_the_group_in_use_is_what_takes_thresholds_or_maps_by_group(paragraphs):
    need = {name for name in REGISTERED if "*In use:* **group**" in paragraphs[name]}
    assert need == {"threshold_optimizer", "level_up", *CALIBRATIONS}
