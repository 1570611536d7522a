"""Sentences on the methods compared: every number in them is one of the tables'."""

import dataclasses
import re

import pytest

from fairthesis import study
from fairthesis.study import (
    against_sentence,
    best_probes,
    edge_sentence,
    fooled_sentence,
    headline_numbers,
    oracle_sentence,
    share_of_oracle_distance,
    significance_tests,
    tuned_settings,
    tuning_sentence,
)

SHARE = "share of ERM–oracle distance"


@pytest.fixture(scope="module")
def methods():
    return study.load_archived("synthetic-cxr-methods")


@pytest.fixture(scope="module")
def tuned():
    return study.load_profile("synthetic-cxr-methods", "tuned")


@pytest.mark.parametrize("least", [0.3, 0.5, 0.9])
def test_methods_near_the_oracle_are_those_of_the_table(methods, least):
    wide = share_of_oracle_distance({"": methods})[SHARE].droplevel(0).unstack("number")
    table = headline_numbers(methods).query("number == 'AUROC'")
    auroc = table.groupby("variant")["value"].mean()
    near = wide[(wide >= least).all(axis=1)]
    text = oracle_sentence(methods, least)
    kept, _, dear = text.partition("; of those that lose more, ")
    for name in near.index:
        within = auroc[name] - auroc["erm"] >= -0.02
        assert (f"`{name}` (" in kept) == within
        assert (f"`{name}` (" in dear) == (not within)
        assert f"`{name}` ({100 * near.loc[name].min():.0f} %, " in text
    assert f"{len(wide) - len(near)} of {len(wide)} methods cover less" in text
    assert text.count("`") == 2 * len(near)


def test_tuning_names_the_methods_whose_outcome_changes(methods, tuned):
    text = tuning_sentence(methods, tuned)
    moved = re.findall(r"^- `(\w+)`", text, re.MULTILINE)
    before, after = (
        significance_tests({"": results}).set_index(["variant", "number"])["outcome"]
        for results in (methods, tuned)
    )
    for name in ("groupdro", "leace", "projection", "alternating", "jtt"):  # one value alone
        changed = any(before[name, gap] != after[name, gap] for gap in before[name].index)
        assert (name in moved) == changed
    assert f"for {len(moved)} methods" in text
    line = next((row for row in text.splitlines() if row.startswith("- `leace`")), "the same runs")
    assert "the same runs" in line
    assert tuning_sentence(methods, methods).startswith("The outcome is another") and "- " not in (
        tuning_sentence(methods, methods)
    )


def test_the_comparison_with_one_method_counts_every_other_once(tuned):
    text = against_sentence(tuned, "adversarial_0.1")
    table = significance_tests({"": tuned}, base="adversarial_0.1")
    for gap, part in table.groupby("number"):
        line = next(row for row in text.splitlines() if row.startswith(f"- **{gap}**"))
        clear = part[part["p_holm"] < 0.05]
        counts = [int((clear["change"] < 0).sum()), int((clear["change"] > 0).sum())]
        found = re.search(r"for (\d+) of (\d+) methods.*larger for (\d+)", line)
        assert [int(found[1]), int(found[3])] == counts and int(found[2]) == len(part)
        assert f"significant for {len(part) - sum(counts)}:" in line
        assert all(f"`{name}`" in line for name in part["variant"])


def test_a_fooled_adversary_is_told_with_the_probe(methods):
    text = fooled_sentence(methods)
    table = study.adversaries_and_probes(methods)
    plain = best_probes({"": methods}).droplevel(0).loc["erm", "auroc"]
    assert f"plain training's embedding ({plain:.3f})" in text
    for name, (own, fresh) in table.iterrows():
        assert (f"`{name}` ({own:.3f} and {fresh:.3f})" in text) == (own <= 0.6 and fresh > plain)


def test_chosen_ends_are_of_the_tuning_run():
    trials = study.load_profile("synthetic-cxr-methods", "tuning")
    text = edge_sentence(trials)
    chosen = tuned_settings(trials).query("chosen").reset_index()
    for method, variant in chosen[["method", "variant"]].itertuples(index=False):
        assert (f"`{method}` (" in text) == ("_" in variant.removeprefix(method))


def test_nothing_is_said_of_what_is_missing_or_of_one_seed(methods):
    for text in (
        oracle_sentence(None),
        tuning_sentence(None, methods),
        against_sentence(None, "erm"),
        fooled_sentence(None),
        edge_sentence(None),
    ):
        assert "not been archived" in text
    one = dataclasses.replace(
        methods,
        **{
            name: getattr(methods, name).query("seed == 0")
            for name in ("metrics", "disparities", "leakage")
        },
    )
    assert "One seed" in against_sentence(one, "erm") and "One seed" in tuning_sentence(one, one)
