"""Classes: each against the rest, and the decision for the most probable one."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from support.targets import CLASSES, classes

from fairthesis import stats
from fairthesis.auditing import audit, audit_targets
from fairthesis.errors import InputError

COLUMNS = {c: f"p_{c}" for c in CLASSES}
QUICK = {"groups": ["sex"], "label": "dx", "patient": "patient_id", "n_boot": 200}
QUICK |= {"n_permutations": 0, "classes": COLUMNS}


@pytest.fixture(scope="module")
def found():
    return audit_targets(classes(), **QUICK)


def test_each_class_is_audited_against_the_rest(found):
    table = classes()
    for name, column in COLUMNS.items():
        y = (table["dx"] == name).astype(int)
        report = found.reports[name]
        auroc = sk.roc_auc_score(y, table[column])
        assert report.overall["auroc"].value == pytest.approx(auroc, abs=1e-12)
        for sex, group in report.groups["sex"].items():
            rows = table["sex"] == sex
            recall = sk.recall_score(y[rows], table.loc[rows, column] >= 0.5)
            assert group.metrics["tpr"].value == pytest.approx(recall)
    one = audit(
        table.assign(y=(table["dx"] == "nv").astype(int)), groups=["sex"], label="y",
        score="p_nv", patient="patient_id", n_boot=200, n_permutations=0,
    )  # fmt: skip
    assert found.reports["nv"].to_dict() == one.to_dict()


def test_decisions_are_those_of_scikit_learn(found):
    table = classes()
    decided = np.array(CLASSES)[table[list(COLUMNS.values())].to_numpy().argmax(axis=1)]
    parts = {"": np.ones(len(table), bool)}
    parts |= {s: (table["sex"] == s).to_numpy() for s in ("F", "M")}
    for name, rows in parts.items():
        part = found.decisions.groups["sex"][name] if name else found.decisions.overall
        y, d = table["dx"][rows], decided[rows]
        matrix = sk.confusion_matrix(y, d, labels=CLASSES)
        assert part.confusion.tolist() == matrix.tolist()
        assert part.metrics["accuracy"].value == pytest.approx(sk.accuracy_score(y, d))
        balanced = part.metrics["balanced_accuracy"]
        assert balanced.value == pytest.approx(sk.balanced_accuracy_score(y, d))
        assert balanced.ci[0] < balanced.value < balanced.ci[1]
        assert part.n == rows.sum()
        assert part.n_patients == table["patient_id"][rows].nunique()
    groups = found.decisions.groups["sex"]
    for metric, gap in (("accuracy", "accuracy_gap"), ("balanced_accuracy", None)):
        own = [g.metrics[metric] for g in groups.values()]
        shown = found.decisions.disparities["sex"][gap or f"{metric}_gap"]
        assert shown.value == pytest.approx(abs(own[0].value - own[1].value))
        assert shown.ci == stats.gap_interval([e.value for e in own], [e.ci for e in own])


def test_intervals_are_those_of_resampled_patients():
    table = classes(300)
    found = audit_targets(table, **(QUICK | {"n_boot": 300})).decisions.overall
    right = table["dx"] == np.array(CLASSES)[table[list(COLUMNS.values())].to_numpy().argmax(1)]
    code = pd.factorize(table["patient_id"].astype(str), sort=True)[0]
    who = np.unique(code)
    counts = stats.patient_counts(len(who), range(300))[:, code]
    drawn = counts @ right.to_numpy(float) / counts.sum(axis=1)
    expected = stats.percentile_interval(drawn)
    assert found.metrics["accuracy"].ci == pytest.approx(expected, abs=1e-6)
    recalls = [
        (counts[:, rows] @ right[rows].to_numpy(float)) / counts[:, rows].sum(axis=1)
        for rows in ((table["dx"] == c).to_numpy() for c in CLASSES)
    ]
    expected = stats.percentile_interval(np.mean(recalls, axis=0))
    assert found.metrics["balanced_accuracy"].ci == pytest.approx(expected, abs=1e-6)


def by_hand():
    """Twelve cases: a confusion of [[3, 1], [2, 6]], and by sex [[2, 0], [1, 3]] and the rest."""
    rows = [("a", 0.9, "F")] * 2 + [("b", 0.8, "F")] + [("b", 0.1, "F")] * 3
    rows += [("a", 0.7, "M"), ("a", 0.2, "M"), ("b", 0.6, "M")] + [("b", 0.3, "M")] * 3
    table = pd.DataFrame(rows, columns=["dx", "pa", "sex"])
    return table.assign(pb=1 - table["pa"])


def test_a_confusion_by_hand():
    options = QUICK | {"patient": None, "classes": {"a": "pa", "b": "pb"}, "floor": 2}
    found = audit_targets(by_hand(), **options)
    decisions = found.decisions
    assert decisions.overall.confusion.tolist() == [[3, 1], [2, 6]]
    assert decisions.groups["sex"]["F"].confusion.tolist() == [[2, 0], [1, 3]]
    assert decisions.groups["sex"]["M"].confusion.tolist() == [[1, 1], [1, 3]]
    assert decisions.overall.metrics["accuracy"].value == pytest.approx(9 / 12)
    assert decisions.overall.metrics["balanced_accuracy"].value == pytest.approx(0.75)
    gaps = decisions.disparities["sex"]
    assert gaps["accuracy_gap"].value == pytest.approx(5 / 6 - 4 / 6)
    assert gaps["balanced_accuracy_gap"].value == pytest.approx(0.875 - 0.625)
    # All of a's two women are found, by chance perhaps: the interval is not a point.
    low, high = decisions.groups["sex"]["F"].recalls["a"].ci
    assert low == pytest.approx(0.025**0.5) and high == 1
    counts = found.tables()["confusion"].set_index(["attribute", "group", "true", "decided"])["n"]
    assert counts["sex", "M", "a", "b"] == 1 and counts["", "", "b", "b"] == 6
    page = found.to_html()
    assert "sex = F" in page and "Confusion" in page


def test_ties_and_sums_are_said():
    table = by_hand()
    table.loc[0, ["pa", "pb"]] = 0.5
    table.loc[1, ["pa", "pb"]] = 0.8
    options = QUICK | {"patient": None, "classes": {"b": "pb", "a": "pa"}, "floor": 2}
    found = audit_targets(table, **options)
    told = " ".join(found.warnings)
    assert "In 2 of 12 rows two or more classes share the highest probability" in told
    assert "the first of them in the order b, a" in told
    assert "of 1 of 12 rows do not add up to 1 (sums from 1 to 1.6)" in told
    assert found.decisions.overall.confusion.tolist() == [[6, 2], [3, 1]]  # b first
    # Rounded probabilities add up well enough.
    rounded = classes().round(dict.fromkeys(COLUMNS.values(), 3))
    assert audit_targets(rounded, **(QUICK | {"n_boot": 0})).warnings == ()


def test_a_class_that_a_group_lacks_is_not_a_zero():
    table = classes()
    table = table[~((table["sex"] == "F") & (table["dx"] == "bkl"))]
    found = audit_targets(table, **QUICK)
    part = found.decisions.groups["sex"]["F"]
    assert np.isnan(part.metrics["balanced_accuracy"].value)
    assert part.metrics["accuracy"].value > 0.5
    assert np.isnan(found.decisions.disparities["sex"]["balanced_accuracy_gap"].value)
    assert any("sex = F has no case of bkl" in w for w in found.warnings)
    assert found.to_dict()["decisions"]["groups"]["sex"]["F"]["recalls"]["bkl"]["value"] is None


@pytest.mark.parametrize("patient", [None, "patient_id"])
def test_the_order_of_rows_does_not_count(patient):
    table = classes(300)
    table.loc[table.index[::7], "patient_id"] = np.nan
    mixed = table.sample(frac=1, random_state=3)
    one, two = (audit_targets(t, **(QUICK | {"patient": patient})) for t in (table, mixed))
    assert one.to_dict() == two.to_dict()


def test_only_the_audited_part_is_decided():
    table = classes().assign(split=lambda t: np.where(t.index % 2, "test", "train"))
    table.loc[[1, 2], "p_nv"] = np.nan
    found = audit_targets(table, **QUICK)
    assert found.decisions.overall.n == 249
    assert "1 of 250 rows have no dx or lack" in found.warnings[0]
    assert found.reports["nv"].n_rows == 249


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({}, {"classes": {"mel": "p_mel", "nv": "p_nv"}}, "Unknown class in dx 'bkl'"),
        ({}, {"classes": {"mel": "p_mel"}}, "Got 1 class"),
        ({}, {"classes": COLUMNS | {"x": "p_x"}}, "Unknown column"),
        ({"p_nv": 3.0}, {}, "logistic"),
        ({"sex": "F"}, {}, "at least two groups"),
    ],
)
def test_bad_classes_are_refused_in_words(change, options, words):
    with pytest.raises(InputError, match=words):
        audit_targets(classes().assign(**change), **(QUICK | options))
