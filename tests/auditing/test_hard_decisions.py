"""Decisions of 0 and 1 have rates and their gaps, and no AUROC."""

import json

import jsonschema
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from support.predictions import run, table

from fairthesis.auditing import audit_targets
from fairthesis.errors import InputError
from fairthesis.metrics import RATES

SCHEMA = json.loads((ROOT / "fairthesis/auditing/audit.schema.json").read_text(encoding="utf-8"))


def test_rates_are_those_of_the_scores_at_the_threshold_and_nothing_else_is_given():
    frame = table(1500)
    frame["y_pred"] = (frame["y_score"] >= 0.5).astype(int)
    scored = run(frame, n_permutations=99)
    decided = run(frame.drop(columns="y_score"), decision="y_pred", n_permutations=99)
    for name, estimate in decided.overall.items():
        if name in RATES:
            assert estimate.value == scored.overall[name].value, name
        else:
            assert np.isnan(estimate.value) and estimate.ci is None, name
    gaps = decided.disparities["sex"]
    for name in ("tpr_difference", "fpr_difference", "equalized_odds_difference", "accuracy_gap"):
        assert gaps[name].value == pytest.approx(scored.disparities["sex"][name].value)
        assert gaps[name].p_value == pytest.approx(scored.disparities["sex"][name].p_value)
    for name in ("auroc_gap", "worst_group_auroc", "ece_gap", "brier_gap"):
        assert np.isnan(gaps[name].value) and np.isnan(gaps[name].p_value)
    found = json.loads(decided.to_json())
    jsonschema.validate(found, SCHEMA)
    page = decided.to_html()
    assert "Decisions have no AUROC" in page and "data-explorer" not in page.split("</style>")[1]
    assert {p["metric"] for p in found["further"]["pairs"]["sex"]} == {
        "tpr", "fpr", "selection_rate", "accuracy",
    }  # fmt: skip


def test_what_is_no_decision_is_refused():
    frame = table()
    with pytest.raises(InputError, match="expected decisions of 0 and 1"):
        run(frame, decision="y_score")
    frame["y_pred"] = (frame["y_score"] >= 0.5) * 1
    with pytest.raises(InputError, match="decisions have none"):
        run(frame, decision="y_pred", threshold="youden")


def test_several_targets_of_decisions_have_their_page():
    frames = [table(900, seed).assign(target=name) for seed, name in ((1, "Mass"), (2, "Edema"))]
    frame = pd.concat(frames)
    frame["y_pred"] = (frame["y_score"] >= 0.5) * 1
    found = audit_targets(
        frame.drop(columns="y_score"),
        groups=["sex"],
        score="y_pred",
        decision="y_pred",
        patient="patient_id",
        n_boot=40,
        n_permutations=40,
    )
    assert "mean accuracy is" in found.to_html()
