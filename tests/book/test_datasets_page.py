"""The book's page on data sets says what the loaders say."""

from __future__ import annotations

import re

import pytest
from conftest import ROOT

from fairthesis import datasets
from fairthesis.datasets import SOURCES

PAGE = (ROOT / "book" / "datasets.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    part = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
    found = re.findall(r"^\| `([a-z0-9-]+)` \|(.*)\|$", part, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in found}


WHAT, HOW = rows("What can be loaded"), rows("Getting them, and how far each was tried")


def test_both_tables_list_every_data_set_in_order() -> None:
    assert list(WHAT) == list(HOW) == list(datasets.DATASETS)


@pytest.mark.parametrize("name", [n for n in datasets.DATASETS if datasets.needs_root(n)])
def test_numbers_and_licences_agree_with_the_loaders(name: str) -> None:
    if name in ("csv", "embeddings"):
        return
    about = " ".join(datasets.about(name).split())
    images, patients = WHAT[name][:2]
    for number in re.findall(r"\d+(?:,\d{3})*", f"{images} {patients}"):
        assert number in about, number
    licence = HOW[name][1]
    short = re.match(r"CC [A-Z-]+ [\d.]+|PhysioNet|PadChest|Stanford|no restrictions", licence)
    assert short and short[0].lower() in about.lower()
    assert ("`fetch`" in HOW[name][0]) == (name in SOURCES)
    if HOW[name][2].startswith(("not", "partly")):
        assert "nverified" in about or "partly verified" in about or "not run" in about


def test_groups_are_the_attributes_of_the_synthetic_cohorts() -> None:
    for name in ("synthetic-cxr", "synthetic-derm"):
        cohort = datasets.load(name, n_train=4, n_val=1, n_test=1)
        words = [word.removesuffix("_group").replace("_", " ") for word in cohort.attributes]
        assert WHAT[name][3] == ", ".join(words)
