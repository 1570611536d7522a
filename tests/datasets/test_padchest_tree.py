"""PadChest's label tree, whole, and the lists of labels that are read by it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.layouts import picture, write_rows

from fairthesis import datasets
from fairthesis.data import Cohort
from fairthesis.datasets.loaders._padchest_tree import read_labels, read_list, with_parents
from fairthesis.datasets.loaders._values import rows, spelling
from fairthesis.datasets.loaders.padchest import TABLES, TARGETS

TREE = rows("padchest-tree")
TERMS = {tree: sorted({row["term"] for row in TREE if row["tree"] == tree}) for tree in
         ("study", "finding", "diagnosis", "localization")}  # fmt: skip

# Each target's children, written out by hand from the published tree: a second look at the table.
CHILDREN = {
    "pneumonia": ["atypical pneumonia"],
    "pleural_effusion": [
        *("loculated pleural effusion", "loculated fissural effusion", "hydropneumothorax"),
        *("empyema", "hemothorax"),
    ],
    "cardiomegaly": [],
    "atelectasis": [
        *("total atelectasis", "lobar atelectasis", "segmental atelectasis"),
        *("laminar atelectasis", "round atelectasis", "atelectasis basal"),
    ],
    "pneumothorax": ["hydropneumothorax"],
    "consolidation": ["air bronchogram"],
    "infiltrates": [
        *("interstitial pattern", "ground glass pattern", "reticular interstitial pattern"),
        *("reticulonodular interstitial pattern", "miliary opacities", "alveolar pattern"),
        *("consolidation", "air bronchogram"),
    ],
    "nodule": ["multiple nodules"],
    "emphysema": [],
    "pulmonary_fibrosis": ["post radiotherapy changes", "asbestosis signs"],
    "copd_signs": [],
}


def read(labels: object) -> dict[str, float]:
    """What one study's ``Labels`` state."""
    column = pd.Series([labels if labels is None else str(labels)], dtype="str")
    values = read_labels(column, TARGETS, pd.Series([True]), Counter())
    return {name: float(value[0]) for name, value in values.items()}


def load(root: Path, lists: list[str]) -> Cohort:
    rows: list[list[object]] = []
    for i, text in enumerate(lists):
        picture(root / "images" / f"{i}.png", seed=i)
        rows.append([f"{i}.png", f"S{i}", f"P{i}", 1950, "F", "PA", 20140305, text])
    header = "ImageID,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,StudyDate_DICOM"
    write_rows(root / TABLES[0], f"{header},Labels", rows)
    return datasets.load("padchest", root)


def test_the_tree_has_the_published_number_of_terms() -> None:
    assert len(TERMS["diagnosis"]) == 19
    # 174 with the words on the study; "lipomatosis" is in use beside "mediastinic lipomatosis"
    assert len({*TERMS["finding"], *TERMS["study"]} - {"lipomatosis"}) == 174
    assert len(TERMS["localization"]) == 106  # of a later tree of the same authors; published: 104


def test_every_parent_is_a_term_of_its_tree() -> None:
    for row in TREE:
        assert row["source"]
        assert row["parent"] in {"", *TERMS[row["tree"]]}
        if row["tree"] in ("finding", "diagnosis"):
            assert spelling(row["parent"]) in {"", *with_parents(spelling(row["term"]))}


@pytest.mark.parametrize("term", [*TERMS["finding"], *TERMS["diagnosis"]])
def test_every_finding_and_diagnosis_counts_for_what_stands_above_it(term: str) -> None:
    expected = {
        name: float(term.casefold() in [TARGETS[name].casefold(), *children])
        for name, children in CHILDREN.items()
    }
    assert read([term]) == {**expected, "normal": 0.0}
    assert read([f" {term.upper()} ", "loc left"]) == {**expected, "normal": 0.0}


@pytest.mark.parametrize(
    "labels",
    [
        *([], [""], ["", " "], None, "", " ", "nan", ["exclude"], ["suboptimal study"]),
        *(["unchanged"], ["unchanged", "suboptimal study", ""], ["loc left"]),
        *(["normal", "exclude"], ["normal", "suboptimal study"]),
        *(["neumonia"], ["pneumonias"], ["no pneumonia"], "pneumonia", "[pneumonia]", "['normal'"),
        *("[['pneumonia']]", "['pneumonia'] x", "{'pneumonia'}", ["loc pneumonia"]),
    ],
)  # fmt: skip
def test_a_list_that_states_nothing_is_never_a_negative(labels: object) -> None:
    assert np.isnan(list(read(labels).values())).all()


def test_words_on_the_study_deny_nothing() -> None:
    for mark in ("exclude", "suboptimal study", "unchanged"):
        found = read([mark, "laminar atelectasis"])
        assert found["atelectasis"] == 1 and found["normal"] == 0
        rest = [v for name, v in found.items() if name not in ("atelectasis", "normal")]
        assert np.isnan(rest).all()


def test_normal_is_all_absent_and_not_stated_beside_a_finding() -> None:
    for labels in (["normal"], ["Normal", "unchanged"], ["normal", "loc cardiac"]):
        assert read(labels) == {name: float(name == "normal") for name in TARGETS}
    both = read(["normal", "cardiomegaly"])
    assert np.isnan(both["normal"]) and both["cardiomegaly"] == 1 and both["pneumonia"] == 0


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("['a', 'b']", ["a", "b"]),
        ("['', 'a', '', 'b']", ["a", "b"]),
        ("['a' 'b' '']", ["a", "b"]),  # as numpy prints an array: Python would join the words
        ("['a'\n 'b']", ["a", "b"]),
        ('["Kerley\'s lines", "b"]', ["kerley's lines", "b"]),
        (r"['Kerley\'s lines']", ["kerley's lines"]),
        ("['say \"b\"']", ['say "b"']),
        ("['a', nan, None]", ["a"]),
        ("['COPD signs ',]", ["copd signs"]),
        ("[]", []),
        ("['a'", None),
        ("a, b", None),
        ("['Kerley's lines', 'b']", None),
        ("['a'] + ['b']", None),
        ("[__import__('os')]", None),
    ],
)
def test_a_list_is_read_as_it_is_written_or_not_at_all(text: str, labels: list[str] | None) -> None:
    assert read_list(text) == labels


@given(st.lists(st.text()))
def test_any_list_that_python_writes_is_read_back(labels: list[str]) -> None:
    assert read_list(repr(labels)) == [s for s in map(spelling, labels) if s]


def test_what_is_not_published_is_counted_by_name(tmp_path: Path) -> None:
    lists = ["['pneumonia', 'neumonia']", "['neumonia', 'loc lef']", "pneumonia", "['normal']"]
    lists.append("['normal', 'goiter']")
    cohort = load(tmp_path, lists)
    assert cohort.left_out == {
        "finding 'neumonia' is not in the published list (ignored)": 2,
        "localisation 'lef' is not in the published list (ignored)": 1,
        "Labels is 'pneumonia' (not a list: not stated, image kept)": 1,
        "'normal' stands beside a finding (normal not stated)": 1,
    }
    label = cohort.frame.set_index("image_id")["pneumonia"]
    np.testing.assert_array_equal(label[[f"{i}.png" for i in range(5)]], [1, *[np.nan] * 2, 0, 0])
