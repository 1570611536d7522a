"""Who has a smaller gap than plain training: every change and p value found again with scipy."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.results import gap, real, renamed

from fairthesis.stats import Ranks, holm
from fairthesis.study import _significance as significance
from fairthesis.study._across_cohorts import seed_interval


def moved(results, variant, *, gaps=0.0, auroc=0.0, apart=0.001):
    """The results with a variant whose gaps and AUROC lie so far from plain training's."""
    made = renamed(results, **{variant: "erm"})
    for table, change, rows in (
        (made.disparities, gaps, made.disparities["name"].str.contains("gap|odds")),
        (made.metrics, auroc, made.metrics["metric"] == "auroc"),
    ):
        rows = rows & (table["variant"] == variant)
        table.loc[rows, "value"] += change + apart * table.loc[rows, "seed"] * np.sign(change)
    return made


@pytest.fixture
def five(quick):
    """The quick results with five seeds, the last three made from the first two."""

    def of(table):
        parts = [table, *(table[table["seed"] == s % 2].assign(seed=s) for s in (2, 3, 4))]
        out = pd.concat(parts, ignore_index=True)
        return out.assign(value=out["value"] + 0.001 * (out["seed"] // 2))

    kept = {name: of(getattr(quick, name)) for name in ("metrics", "disparities")}
    return dataclasses.replace(quick, **kept)


def test_the_paired_test_is_scipys(five):
    table = significance.significance_tests({"a": five}).set_index(["variant", "number"])
    change = gap(five, "adversarial") - gap(five, "erm")
    row = table.loc[("adversarial", "AUROC gap")]
    assert row["change"] == pytest.approx(change.mean())
    assert row["erm"] == pytest.approx(gap(five, "erm").mean())
    p = [
        stats.ttest_rel(gap(five, "adversarial", name), gap(five, "erm", name)).pvalue
        for name in ("auroc_gap", "equalized_odds_difference")
    ]
    found = table.loc["adversarial"]["p_holm"].reindex(significance.GAPS).to_list()
    np.testing.assert_allclose(found, holm(p))


def test_methods_against_another_than_plain_training(five):
    both = moved(five, "other", gaps=-0.08, auroc=-0.01)
    table = significance.significance_tests({"a": both}, base="adversarial").set_index(
        ["variant", "number"]
    )
    assert set(table.index.unique("variant")) == {"erm", "other"}
    change = gap(both, "other") - gap(both, "adversarial")
    row = table.loc[("other", "AUROC gap")]
    assert row["change"] == pytest.approx(change.mean())
    assert row["adversarial"] == pytest.approx(gap(both, "adversarial").mean())
    turned = significance.significance_tests({"a": both}).set_index(["variant", "number"])
    assert table.loc[("erm", "AUROC gap"), "change"] == pytest.approx(
        -turned.loc[("adversarial", "AUROC gap"), "change"]
    )


def test_the_table_for_a_page_says_what_the_tests_found(five, quick):
    table = significance.significance_tests({"a": moved(five, "other", gaps=-0.08, auroc=-0.01)})
    table.loc[0, "outcome"] = "not told apart"
    shown = significance.tests_for_reading(table)
    assert {"smaller", "·"} <= set(shown["outcome"])
    for row, (gap_name, variant) in zip(table.itertuples(), shown.index, strict=True):
        assert (row.variant, f"{row.number} ({row.erm:.3f})") == (variant, gap_name)
        texts = shown.loc[(gap_name, variant)].str.replace("\N{MINUS SIGN}", "-")
        texts = texts.str.replace("\N{NO-BREAK SPACE}", " ")
        assert texts["change"] == f"{row.change:+.3f} ({row.lo:+.3f} to {row.hi:+.3f})"
        assert texts["outcome"] == ("·" if row.outcome == "not told apart" else row.outcome)
        assert texts["p"] == ("< 0.001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}")
    metrics, disparities = (t[t["seed"] == 0] for t in (quick.metrics, quick.disparities))
    one = dataclasses.replace(quick, metrics=metrics, disparities=disparities)
    both = significance.tests_for_reading(significance.significance_tests({"a": one, "b": five}))
    assert both.index.names == ["cohort", "gap", "variant"]
    assert set(both.loc["a"]["p"]) == {"–"} and not both.loc["a"]["change"].str.contains("to").any()


def test_outcomes_are_counted(five):
    both = moved(five, "other", gaps=-0.08, auroc=-0.01)
    table = significance.significance_tests({"a": both})
    said = significance.outcome_sentence(both)
    assert said.startswith("2 methods against plain training, 4 comparisons of a gap: ")
    for outcome, number in table["outcome"].value_counts().items():
        assert outcome in significance.OUTCOMES and f"*{outcome}* {number}" in said


def test_splits_of_the_same_patients_make_a_test_milder(five):
    made, split = (significance.significance_tests({"a": r}) for r in (five, real(five)))
    assert (split["p_holm"] > made["p_holm"]).all()
    assert (split["hi"] - split["lo"] > made["hi"] - made["lo"]).all()


@pytest.mark.parametrize(
    ("gaps", "auroc", "outcome"),
    [(-0.08, -0.01, "smaller"), (-0.08, -0.05, "smaller, paid for"), (0.05, 0.0, "larger")],
)
def test_a_method_is_called_what_it_did(five, gaps, auroc, outcome):
    table = significance.significance_tests({"a": moved(five, "other", gaps=gaps, auroc=auroc)})
    assert set(table[table["variant"] == "other"]["outcome"]) == {outcome}


def test_what_is_within_chance_is_not_told_apart_and_one_seed_says_nothing(five):
    same = moved(five, "other", gaps=1e-9, apart=1e-3)
    rows = same.disparities["variant"] == "other"
    wobble = np.where(same.disparities["seed"] % 2 == 0, 0.01, -0.01)
    same.disparities.loc[rows, "value"] += wobble[rows]
    table = significance.significance_tests({"a": same})
    assert set(table[table["variant"] == "other"]["outcome"]) == {"not told apart"}
    one = dataclasses.replace(
        five,
        metrics=five.metrics.query("seed == 0"),
        disparities=five.disparities.query("seed == 0"),
    )
    assert set(significance.significance_tests({"a": one})["outcome"]) == {"not known"}


def test_many_methods_are_corrected_for(five):
    few = significance.significance_tests({"a": five}).set_index(["variant", "number"])["p_holm"]
    many = renamed(five, **{f"copy_{i}": "adversarial" for i in range(9)})
    more = significance.significance_tests({"a": many}).set_index(["variant", "number"])["p_holm"]
    assert (more["adversarial"] >= few["adversarial"]).all()
    assert (more["adversarial"] > few["adversarial"]).any()


def test_the_oracle_takes_no_part_and_the_table_has_every_method_and_cohort(five):
    made = renamed(five, oracle="adversarial", other="erm")
    assert "oracle" not in set(significance.significance_tests({"a": made})["variant"])
    table = significance.significance_tests({"a": made, "b": five}).set_index(
        ["number", "cohort", "variant"]
    )
    for gap_name in significance.GAPS:
        wide = significance.significance_table({"b": five, "a": made}, gap_name)
        assert list(wide.columns) == ["b", "a"]
        assert wide.loc["other", "b"] == "–"
        said = table.loc[(gap_name, "a", "adversarial"), "outcome"]
        assert wide.loc["adversarial", "a"] == ("·" if said == "not told apart" else said)


def test_the_setting_nearest_to_the_ideal_is_chosen_for_each_method(five):
    moves = {"mmd": 0.2, "mmd_3": 0.1, "mmd_9": 0.3, "dann": 0.1, "dann_3": 0.1, "leace": 0}
    made = renamed(five, **dict.fromkeys(moves, "erm"))
    for name, move in moves.items():
        made.disparities.loc[made.disparities["variant"] == name, "value"] += move
    names = dict.fromkeys(made.metrics["variant"])
    asked = {name: {"method": name.split("_")[0]} for name in names}
    asked["leace"] = {"posthoc": "leace", "of": "erm"}
    made = dataclasses.replace(made, provenance={"experiment": {"variants": asked}})
    table = significance.tuned_settings(made)
    chosen = table[table["chosen"]].reset_index("variant")["variant"].to_dict()
    assert chosen == {n: n for n in ("erm", "adversarial", "dann", "leace")} | {"mmd": "mmd_3"}
    row = table.loc[("mmd", "mmd_9")]
    own = [gap(made, "mmd_9", "equalized_odds_difference").mean(), row["AUROC"]]
    assert row["distance"] == pytest.approx(np.hypot(own[0], 1 - own[1]))
    nothing = significance.tuned_settings(None)
    assert nothing.empty and list(nothing.columns) == [*table.columns]


def test_changes_are_less_plain_trainings(five):
    change = significance.paired_differences(five)
    np.testing.assert_allclose(
        change["AUROC gap", "adversarial"], gap(five, "adversarial") - gap(five, "erm")
    )
    mean, lo, hi = seed_interval(change["AUROC", "adversarial"].tolist())
    assert lo < mean < hi


def test_ranks_take_three_cohorts_and_three_methods(quick):
    assert "0 cohorts and 2 such methods" in significance.rank_methods({"a": quick})
    more = renamed(quick, other="erm")
    more.disparities.loc[more.disparities["variant"] == "other", "value"] += 0.05
    ranks = significance.rank_methods({"a": more, "b": more, "c": more})
    assert isinstance(ranks, Ranks)
    assert ranks.mean.index[-1] == "other" and ranks.mean["other"] == 3
    many = renamed(more, **dict.fromkeys("pqrst", "erm"))
    assert len(significance.rank_methods({"a": many, "b": many, "c": many, "few": more}).mean) == 7


def test_a_smaller_gap_at_a_price_is_not_called_better(quick):
    def told(cost, narrower):
        metrics, gaps = quick.metrics.copy(), quick.disparities.copy()
        for table, name, change in ((metrics, "auroc", -cost), (gaps, "auroc_gap", -narrower)):
            key = "metric" if "metric" in table else "name"
            both = table.query(f"{key} == @name")
            base = both[both["variant"] == "erm"]
            base = base[base["group"].isna()] if key == "metric" else base
            rows = (table["variant"] == "adversarial") & (table[key] == name)
            seeds = table.loc[rows, "seed"]
            table.loc[rows, "value"] = seeds.map(base.set_index("seed")["value"]) + change * (
                1 + seeds / 100
            )
        made = dataclasses.replace(quick, metrics=metrics, disparities=gaps)
        return significance.comparison_sentences({"a": made})

    cheap, dear, open_ = told(0.001, 0.1), told(0.1, 0.1), told(0.02, 0.1)
    assert all(": smaller AUROC gap " in one for one in (cheap, dear, open_))
    assert "the price is below 0.02" in cheap and "paid for with more than 0.02" in dear
    assert "whether the price is below 0.02 of AUROC cannot be told" in open_
    assert "smaller AUROC gap" not in told(0.0, -0.1)
    one = dataclasses.replace(
        quick,
        metrics=quick.metrics.query("seed == 0"),
        disparities=quick.disparities.query("seed == 0"),
    )
    assert "one seed says nothing about chance" in significance.comparison_sentences({"a": one})


def test_a_control_can_stand_for_plain_training(five):
    made = moved(five, "control", gaps=-0.2)
    told = significance.comparison_sentences({"a": made}, base="control")
    change = gap(made, "adversarial") - gap(made, "control")
    assert f"AUROC gap {change.mean():+.3f}" in told
    assert "no smaller gap than `control`" in told and "plain training" not in told
    assert "`control` was not run" in significance.comparison_sentences({"a": five}, base="control")
