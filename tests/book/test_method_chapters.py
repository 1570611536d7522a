"""Chapters on embeddings, the method and methods: what their sentences may and may not claim."""

import json

import numpy as np
from conftest import ROOT

from fairthesis import study
from fairthesis.training import validation_leakage


def cells(name):
    return json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def prose(name):
    return "\n".join("".join(c["source"]) for c in cells(name) if c["cell_type"] == "markdown")


def captions(name):
    figures = [c["metadata"].get("mystnb", {}).get("figure") for c in cells(name)]
    return {figure["name"]: figure["caption"] for figure in figures if figure}


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
