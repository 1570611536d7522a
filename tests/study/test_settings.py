"""An experiment in many settings: which run belongs where, and what is said of a method there."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel

from fairthesis.errors import InputError
from fairthesis.study import (
    load_results,
    settings_audits,
    settings_changes,
    settings_map,
    settings_numbers,
)
from fairthesis.study._archive import archive_results
from fairthesis.study._settings import FLIPS, GAP, PROBE, outcome, variants_by_setting

SEEDS = range(5)
GROUPS = ("F", "M")
# gap, AUROC of F and of M, flips: what `adversarial` changes in each setting, told by construction
MOVED = {
    "none": (0.0, 0.0, 0.0, 0.0),
    "reversed": (-0.1, 0.05, 0.02, -0.1),
    "one-group": (-0.1, 0.05, -0.04, -0.1),
    "contrast-tenth": (-0.05, -0.02, -0.07, 0.0),
    "same": (0.0, -0.03, -0.03, 0.0),
}
NOISE = np.array([-0.004, 0.003, 0.0, 0.002, -0.001])


def _rows(table, name, seed, **asked):
    base = table[(table["variant"] == "erm") & (table["seed"] == 0)]
    return base.assign(variant=name, seed=seed, **asked)


@pytest.fixture(scope="module")
def results():
    found = load_results(archive_results() / "synthetic-cxr-quick")
    provenance = copy.deepcopy(found.provenance)
    variants = {}
    tables = {name: [] for name in ("metrics", "disparities", "leakage", "twins")}
    for setting, (gap, f, m, flips) in MOVED.items():
        behind = "" if setting == "none" else "_" + setting.replace("-", "_")
        for variant in ("erm", "adversarial"):
            variants[variant + behind] = {
                "method": variant,
                "dataset_options": {"setting": setting, "oracle": variant == "erm"},
            }
            for seed in SEEDS:
                on = variant == "adversarial"
                part = {
                    name: _rows(getattr(found, name), variant + behind, seed) for name in tables
                }
                metrics, gaps, twins = part["metrics"], part["disparities"], part["twins"]
                for group, change in (("F", f), ("M", m)):
                    rows = (metrics["group"] == group) & (metrics["metric"] == "auroc")
                    metrics.loc[rows, "value"] = 0.8 + on * (change + NOISE[seed])
                rows = gaps["name"] == "auroc_gap"
                gaps.loc[rows, "value"] = 0.2 + on * (gap + NOISE[seed])
                rows = (twins["change"] == "device_removed") & (twins["measure"] == "flips")
                twins.loc[rows, "value"] = 0.2 + on * (flips + NOISE[seed])
                for name, rows in part.items():
                    tables[name].append(rows)
    provenance["experiment"]["variants"] = variants
    joined = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}
    return dataclasses.replace(found, provenance=provenance, **joined)


def test_a_variant_belongs_to_the_setting_behind_its_name(results):
    found = variants_by_setting(results)
    assert list(found) == list(MOVED)
    assert found["none"] == {"erm": "erm", "adversarial": "adversarial"}
    listed = copy.deepcopy(results.provenance)
    listed["experiment"]["settings"] = ["nothing-planted", *list(MOVED)[1:]]
    again = variants_by_setting(dataclasses.replace(results, provenance=listed))
    assert list(again) == listed["experiment"]["settings"]
    assert found["contrast-tenth"]["adversarial"] == "adversarial_contrast_tenth"


def test_the_longest_name_wins_and_a_name_of_no_variant_is_refused(results):
    provenance = copy.deepcopy(results.provenance)
    options = {"setting": "none"}
    provenance["experiment"]["variants"] = {
        "oracle": {"dataset_options": {**options, "oracle": True}},
        "oracle_adversarial": {"dataset_options": options},
        "oracle_adversarial_same": {"dataset_options": {"setting": "same"}},
        "leace": {"posthoc": "leace", "of": "oracle"},
    }
    found = dataclasses.replace(results, provenance=provenance)
    assert variants_by_setting(found) == {
        "none": {"oracle": "oracle", "oracle_adversarial": "oracle_adversarial"},
        "same": {"oracle_adversarial": "oracle_adversarial_same"},
    }
    provenance["experiment"]["variants"]["stranger"] = {"dataset_options": {"setting": "same"}}
    with pytest.raises(InputError, match="'stranger' has other dataset_options than 'oracle'"):
        variants_by_setting(found)


def test_changes_are_paired_within_a_setting(results):
    table = settings_changes(results, numbers=[GAP]).set_index("setting")
    known = ttest_rel(0.1 + NOISE, np.full(5, 0.2)).confidence_interval(0.95)
    row = table.loc["reversed"]
    assert row["difference"] == pytest.approx(-0.1 + NOISE.mean())
    assert (row["lo"], row["hi"]) == pytest.approx((known.low, known.high))
    assert (row["before"], row["after"]) == pytest.approx((0.2, 0.1 + NOISE.mean()))
    assert table["verdict"].to_dict() == {
        "none": "nothing",
        "reversed": "lower",
        "one-group": "lower",
        "contrast-tenth": "lower",
        "same": "nothing",
    }
    with pytest.raises(InputError, match="Unknown variant 'adversary'"):
        settings_changes(results, "adversary")


def test_the_map_says_where_a_method_helps_and_where_it_harms(results):
    found = settings_map(results)
    assert found["outcome"].to_dict() == {
        "none": "nothing",
        "reversed": "helps",
        "one-group": "helps, at a price",
        "contrast-tenth": "levels down",
        "same": "harms",
    }
    assert found.loc["one-group", "AUROC, M"] == pytest.approx(-0.04 + NOISE.mean())
    assert found.loc["reversed", "gap before"] == pytest.approx(0.2)
    assert found.loc["reversed", FLIPS] == pytest.approx(-0.1 + NOISE.mean())
    narrower = settings_map(results, narrow=0.001)  # than any interval
    assert narrower.loc["none", "outcome"] == "cannot be told"


def test_a_gap_that_rises_is_harm_and_one_doubt_is_doubt():
    assert outcome("higher", ["nothing", "higher"]) == "harms"
    assert outcome("cannot be told", ["nothing", "nothing"]) == "cannot be told"
    assert outcome("lower", ["higher", "cannot be told"]) == "helps"


def test_what_an_audit_finds_is_counted_by_seed(results):
    table = results.disparities.copy()
    rows = (table["variant"] == "erm_reversed") & (table["name"] == "auroc_gap")
    table.loc[rows, "p_value"] = [0.01, 0.05, 0.06, 0.5, 0.04]
    found = settings_audits(dataclasses.replace(results, disparities=table), "erm")
    assert found.loc["reversed", "AUROC gap found"] == "3 of 5"
    assert found.loc["reversed", GAP] == pytest.approx(0.2)
    assert found.loc["same", FLIPS] == pytest.approx(0.2)
    assert list(found.index) == list(MOVED)
    with pytest.raises(InputError, match="Unknown variant 'mine'"):
        settings_audits(results, "mine")


def test_every_number_of_every_run_is_there(results):
    table = settings_numbers(results)
    counts = table.groupby("number")["value"].size()
    assert (counts.drop(PROBE, errors="ignore") == len(MOVED) * 2 * len(SEEDS)).all()
    assert {"AUROC", "AUROC, F", "AUROC, M", GAP, FLIPS} <= set(counts.index)
