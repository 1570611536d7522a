"""A user's own metrics have value, interval, chance level and gap, as the built-in ones have."""

from __future__ import annotations

import json
import warnings

import jsonschema
import numpy as np
import pytest
from conftest import ROOT
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score
from support.predictions import run, table

import fairthesis
from fairthesis.errors import InputError

SCHEMA = json.loads((ROOT / "fairthesis/auditing/audit.schema.json").read_text(encoding="utf-8"))


def twins(**options):
    """An audit in which a metric of the user's is one that is built in."""
    own = {"own_auroc": roc_auc_score, "own_brier": brier_score_loss}
    return run(table(), extra_metrics=own, **options)


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_a_function_gets_what_the_built_in_metric_gets(interval):
    report = twins(interval=interval)
    parts = [report.overall, *(g.metrics for g in report.groups["sex"].values())]
    for name, gap in (("auroc", "auroc_gap"), ("brier", "brier_gap")):
        for part in parts:
            assert part[f"own_{name}"].value == pytest.approx(part[name].value, abs=1e-12)
            assert part[f"own_{name}"].ci == pytest.approx(
                part[name].ci, abs=2e-6 if name == "auroc" else 0.01
            )
        ours = report.disparities["sex"][gap]
        own = report.disparities["sex"][f"own_{name}_difference"]
        assert own.value == pytest.approx(ours.value, abs=1e-9)
        # AUROC's interval knows of the rarer class, as a user's does; Brier's counts all rows.
        assert own.ci == pytest.approx(ours.ci, abs=2e-6 if name == "auroc" else 0.01)
        # Equal groups are made of resamples in place of permutations: as far apart, on average.
        assert own.null_mean == pytest.approx(ours.null_mean, rel=0.5)
        assert own.p_value == pytest.approx(ours.p_value, abs=0.15)


def test_the_built_in_numbers_stay_but_for_the_larger_correction():
    plain, more = run(table()).to_dict(), twins().to_dict()
    assert more["overall"].items() >= plain["overall"].items()
    for name, gap in plain["disparities"]["sex"].items():
        own = more["disparities"]["sex"][name]
        assert {k: v for k, v in own.items() if k != "p_value_corrected"} == {
            k: v for k, v in gap.items() if k != "p_value_corrected"
        }
        assert own["p_value_corrected"] >= gap["p_value_corrected"]


def test_it_is_in_the_files_and_on_the_page(tmp_path):
    def f1(y_true, y_score, threshold):
        return f1_score(y_true, y_score >= threshold)

    report = run(table(), threshold=0.3, extra_metrics={"my f1": f1})
    found = json.loads(report.to_json())
    jsonschema.validate(found, SCHEMA)
    audited = table()[table()["split"] == "test"]
    expected = f1_score(audited["y_true"], audited["y_score"] >= 0.3)
    assert found["overall"]["my f1"]["value"] == pytest.approx(expected)
    assert found["disparities"]["sex"]["my f1_difference"]["p_value"] > 0
    report.write(tmp_path)
    assert "my f1" in (tmp_path / "groups.csv").read_text()
    page = (tmp_path / "audit.html").read_text()
    assert "Metrics of your own" in page and "my f1 difference" in page
    assert "Metrics of your own" not in run(table()).to_html()


def test_a_replicate_in_which_it_is_not_known_is_passed_over():
    calls = []

    def fragile(y_true, y_score):
        calls.append(len(y_true))
        if y_score.max() < 0.97:
            raise ValueError("no score is high enough")
        warnings.warn("a warning in every call", stacklevel=2)
        return float(y_score.max())

    with pytest.warns(UserWarning, match="in every call") as said:
        report = run(table(), extra_metrics={"fragile": fragile})
    assert len(said) < 5 < len(calls)
    assert report.overall["fragile"].value > 0.97


def test_without_resamples_there_are_values_only():
    report = twins(n_boot=0, n_permutations=0)
    assert report.overall["own_auroc"].ci is None
    gap = report.disparities["sex"]["own_auroc_difference"]
    assert gap.value > 0 and np.isnan(gap.p_value) and gap.ci is None


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"auroc": roc_auc_score}, "'auroc', which is built in"),
        ({"tpr": roc_auc_score}, "'tpr', which is built in"),
        ({"net_benefit": roc_auc_score}, "'net_benefit', which is built in"),
        ({"": roc_auc_score}, "expected a word for each"),
        ({"f": 3}, "is 3: expected a function of y_true and y_score"),
        ({"f": lambda y: 1.0}, "cannot be computed on the .* audited rows: TypeError"),
        ({"f": lambda y, s: "high"}, "cannot be computed on the .* audited rows: ValueError"),
        ({"f": lambda y, s: float("nan")}, "gives nan on the .* audited rows"),
    ],
)
def test_what_is_no_metric_is_refused_in_words(extra, words):
    with pytest.raises(InputError, match=words):
        run(table(), extra_metrics=extra)


def test_it_is_asked_of_the_audited_rows_alone():
    seen = []
    frame = table()
    fairthesis.audit(
        frame, groups=["sex"], n_boot=0, n_permutations=0,
        extra_metrics={"size": lambda y, s: seen.append(len(y)) or float(len(y))},
    )  # fmt: skip
    test = frame[frame["split"] == "test"]
    assert set(seen) == {len(test), *test["sex"].value_counts()}
