"""Chapters on embeddings, the method and methods: what their sentences may and may not claim."""

import json
import re

import numpy as np
import pytest
from conftest import ROOT

from fairthesis import study
from fairthesis.training import validation_leakage

NAMES = ("leakage", "method", "foundation_models", "methods")


def cells(name):
    return json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def prose(name):
    return "\n".join("".join(c["source"]) for c in cells(name) if c["cell_type"] == "markdown")


def captions(name):
    figures = [c["metadata"].get("mystnb", {}).get("figure") for c in cells(name)]
    return {figure["name"]: figure["caption"] for figure in figures if figure}


@pytest.mark.parametrize("name", NAMES)
def test_no_result_is_typed(name):
    text = prose(name)
    assert not re.findall(r"(?<![\d.])0?\.\d{3}\b", text)
    assert not re.search(r"\b(beats|none of them|comes nearest|outperforms)\b", text)


@pytest.mark.parametrize("name", NAMES)
def test_figures_and_tables_are_numbered_and_referred_to(name):
    text = prose(name)
    for label in captions(name):
        assert label.startswith(("fig-", "tab-")) and f"{{numref}}`{label}`" in text


@pytest.mark.parametrize("name", NAMES)
def test_chapters_begin_and_end_alike(name):
    text = prose(name)
    assert ":::{admonition} In this chapter" in text and "**Know before:**" in text
    assert text.count(":::{exercise}") == text.count(":::{solution}") >= 2
    assert "## Exercises" in text and "## Summary" in text and "**What's next.**" in text


def test_the_method_is_not_said_to_hide():
    title = prose("method").splitlines()[0]
    assert title.startswith("# ") and "hid" not in title.lower()


def test_the_literal_scheme_stands_beside_plain_training_of_its_own_width():
    variants = study.plan("synthetic-cxr-epochs", "quick").variants
    assert variants["erm_128"] == {**variants["literal"], "method": "erm"}
    assert "same wide embedding" in captions("method")["fig-method-literal"]


def test_the_floor_of_the_logged_probe_is_said():
    rng = np.random.default_rng(0)
    y, a = rng.integers(0, 2, (60, 1)) * 1.0, rng.integers(0, 2, (60, 1))
    found = [
        validation_leakage(rng.normal(size=(60, 2)), y, a, np.arange(60), k)["val_leakage"]
        for k in range(20)
    ]
    assert min(found) == 0.5
    told = captions("method")
    assert all("logged as 0.5" in told[f] for f in ("fig-method-hsic", "fig-method-literal"))
    assert "one seed" in prose("method") and "min_leakage" in prose("method")
