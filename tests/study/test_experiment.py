"""Experiments and the archive: run once, compared by key, verified within the stated tolerance."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from fairthesis import provenance, study
from fairthesis.datasets import DATASETS
from fairthesis.errors import InputError
from fairthesis.inputs import check_predictions
from fairthesis.methods import METHODS
from fairthesis.models import AVERAGING
from fairthesis.postprocessing import POSTHOC
from fairthesis.study import _experiment as experiment
from fairthesis.study import _run_audit, _variants
from fairthesis.study._across_cohorts import best_probes
from fairthesis.study._archive import compare_results, load_results
from fairthesis.study._kept import archived_embeddings
from fairthesis.study._summaries import (
    ablation_table,
    gap_conclusions,
    group_levelling,
    headline_numbers,
    levelling_table,
    provenance_note,
    summary_table,
)
from fairthesis.study._twins import twin_table
from fairthesis.study._use import use_table, used_anew

TINY = {
    "dataset_options": {"n_train": 300, "n_val": 150, "n_test": 400},
    "targets": ["opacity"],
    "attributes": ["sex"],
    "backbone": "small",
    "size": 24,
    "epochs": 3,
    "threads": 1,
    "dataset": "synthetic-cxr",
}
PROFILES = ("quick", "quick-grid", "full", "grid", "tuning", "tuned")
VARIANTS = {
    "erm": {"method": "erm"},
    "adversarial": {
        "method": "adversarial",
        "method_options": {"warmup_epochs": 1, "ramp_epochs": 1},
    },
}


@pytest.fixture(scope="module")
def plan():
    return experiment.Plan(
        "synthetic-cxr", "quick", TINY, VARIANTS, (0, 1), n_boot=100, n_permutations=100
    )


@pytest.fixture(scope="module")
def out(plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    experiment.run_experiment(plan, folder, progress=False)
    return folder


def test_the_list_of_experiments_has_no_lists_of_merges():
    """PyYAML 6.0.4 takes the last of them where YAML says the first."""
    text = (ROOT / "fairthesis" / "study" / "experiments.yml").read_text(encoding="utf-8")
    assert not re.search(r"<<:\s*(\[|\n\s*-)", text)


def test_every_listed_experiment_can_be_planned():
    for dataset, profiles in experiment.experiments().items():
        assert {"quick", "full"} <= set(profiles) <= {*PROFILES}
        # every method is compared on the cohorts; other experiments ask about some of them
        compared = dataset.removesuffix("-age").removesuffix("-sex") in DATASETS
        assert ("grid" in profiles) == compared
        for profile in profiles:
            plan = experiment.plan(dataset, profile)
            # forms of one sensitive head beside one disease half: there is nothing to compare
            assert "erm" in plan.variants or dataset.endswith("-disentangled")
            least = 2 if dataset.endswith(("-ablation", "-epochs")) else 5
            assert len(plan.seeds) >= (least if profile in ("full", "grid") else 1)
            for variant, seed in plan.runs:
                assert plan.config(variant, seed).seed == seed


def test_settings_are_crossed_with_every_variant():
    plan = experiment.plan("ham10000-planted", "full")
    names = ["erm", "reweighted", "hsic", "critics", "oracle", "oracle_hsic"]
    others = ("one_group", "same", "marks_group", "none", "reference")
    assert list(plan.variants) == names + [f"{n}_{other}" for other in others for n in names]
    assert len(plan.seeds) == 10 and plan.settings[:2] == ("reversed", "one-group")
    first, last = plan.config("oracle", 300), plan.config("oracle_reference", 300)
    base = {"of": "ham10000", "marker": "pen-ring", "attribute": "sex"}
    assert first.dataset_options == {**base, "setting": "reversed", "oracle": True}
    assert last.dataset_options == {**base, "setting": "reference", "oracle": True}
    mine, control = plan.config("hsic_same", 300), plan.config("critics_same", 300)
    assert mine.dataset_options == control.dataset_options == {**base, "setting": "same"}
    variants = {"erm": {"method": "erm"}, "leace": {"posthoc": "leace", "of": "erm"}}
    found = _variants.crossed(variants, ["none", "one-group"], {})
    assert found["leace_one_group"] == {"posthoc": "leace", "of": "erm_one_group"}
    own = {"n_test": 5, "anatomy": 0.1}
    named = _variants.crossed({"erm": {}}, {"none": {}, "seen-more": {"anatomy": 0.6}}, own)
    assert named["erm"]["dataset_options"] == own
    assert named["erm_seen_more"]["dataset_options"] == {"n_test": 5, "anatomy": 0.6}


GRIDS = [name for name, profiles in experiment.experiments().items() if "grid" in profiles]


@pytest.mark.parametrize("dataset", GRIDS)
def test_the_grid_holds_every_method_and_the_runs_of_full(dataset):
    full, grid = (experiment.plan(dataset, profile) for profile in ("full", "grid"))
    assert (full.base, full.seeds) == (grid.base, grid.seeds)
    assert {name: grid.variants[name] for name in full.variants} == full.variants
    assert set(METHODS) <= set(grid.variants)
    for name in METHODS:
        config = grid.config(name, 0)
        assert (config.method, config.method_options) == (name, {})
        if name not in full.variants:  # of the others, none is averaged and another is not
            assert config.averaging == grid.base.get("averaging", "none")
    applied = [v["posthoc"] for v in grid.variants.values() if "posthoc" in v]
    assert sorted(applied) == sorted(POSTHOC)
    averaged = {v["averaging"] for v in grid.variants.values() if "averaging" in v} - {"none"}
    assert averaged == {*AVERAGING} - {"none"}
    assert ("oracle" in grid.variants) == dataset.startswith("synthetic")


def test_the_grid_has_each_method_at_more_than_one_strength():
    plan = experiment.plan("synthetic-cxr", "grid")
    settings = [json.dumps(changes, sort_keys=True) for changes in plan.variants.values()]
    assert len(set(settings)) == len(settings)
    for name, kind in METHODS.items():
        runs = [plan.config(v, 0) for v in plan.variants if v.startswith(f"{name}_")]
        runs = [run for run in runs if run.method == name and run.averaging == "none"]
        strengths = {getattr(run.options(), kind.strength) for run in runs if kind.strength}
        if kind.strength is None:
            assert not runs
        else:
            assert strengths and not strengths & {0, getattr(kind.Options(), kind.strength)}
    assert plan.config("adversarial_3", 0).method_options == {"adversary_weight": 3}
    assert plan.config("mmd_3", 0).method_options == {"weight": 3}


def test_tuning_gives_every_method_as_many_settings_on_a_cohort_that_is_not_claimed():
    tuning = experiment.plan("synthetic-cxr-methods", "tuning")
    full = experiment.plan("synthetic-cxr-methods", "full")
    assert tuning.base == full.base and not set(tuning.seeds) & set(full.seeds)
    assert experiment.plan("synthetic-cxr-methods", "tuning", seed=7).seeds == (7,)
    for name, kind in METHODS.items():
        trained = [v for v in tuning.variants if tuning.parent(v) is None]
        configs = [tuning.config(v, 100) for v in trained]
        mine = [c.options() for c in configs if c.method == name]
        # a power of 1 weighs or draws all cells alike, and there is no more
        many = 3 if kind.strength in ("weight", "adversary_weight") else 2 if kind.strength else 1
        assert len(mine) == many and kind.Options() in mine
        assert len({getattr(o, kind.strength) for o in mine if kind.strength}) in (0, many)


def test_tuned_runs_are_those_that_the_archived_tuning_chooses():
    from fairthesis.study import _significance
    from fairthesis.study._across_cohorts import load_profile

    trials = _significance.tuned_settings(load_profile("synthetic-cxr-methods", "tuning"))
    chosen = list(trials[trials["chosen"]].index.get_level_values("variant"))
    tuned, full = (experiment.plan("synthetic-cxr-methods", p) for p in ("tuned", "full"))
    assert list(tuned.variants) == [chosen[0], "oracle", *chosen[1:]]
    assert (tuned.base, tuned.seeds, tuned.probes) == (full.base, full.seeds, full.probes)
    own = {name for name in full.variants if name in tuned.variants}
    assert all(tuned.config(v, 0) == full.config(v, 0) for v in own)


def test_an_unknown_variant_in_only_is_named(monkeypatch):
    from fairthesis.study import _plans as plans

    entry = experiment.experiments()["synthetic-cxr"]["quick"] | {"only": ["erm", "mmd_5"]}
    monkeypatch.setattr(plans, "experiments", lambda: {"synthetic-cxr": {"quick": entry}})
    with pytest.raises(
        InputError, match="Unknown variant in `only` of synthetic-cxr quick 'mmd_5'"
    ):
        plans.plan("synthetic-cxr")


@pytest.mark.parametrize("profile", ["quick", "full"])
def test_an_ablation_changes_one_thing_at_a_time(profile):
    plan = experiment.plan("synthetic-cxr-ablation", profile)
    default = plan.config("adversarial", 0).to_dict()
    assert (default["method"], default["method_options"]) == ("adversarial", {})
    for variant in set(plan.variants) - {"erm", "oracle", "adversarial"}:
        config = plan.config(variant, 0)
        changed = {k for k, v in config.to_dict().items() if v != default[k]}
        assert len(changed) == 1 and len(config.method_options) <= 1
        own = plan.config("adversarial", 0).options()
        assert changed != {"method_options"} or config.options() != own


def test_the_grids_small_part_runs_every_method():
    plan = experiment.plan("synthetic-cxr", "quick-grid")
    assert {plan.config(v, 0).method for v in plan.variants} == set(METHODS)


def test_tables_hold_every_run_and_the_audits_numbers(plan, out):
    results = load_results(out)
    for table in (results.metrics, results.disparities, results.curves):
        assert set(zip(table["variant"], table["seed"], strict=True)) == set(plan.runs)
    report = json.loads((out / "runs/erm-0/audit/opacity/audit.json").read_text())
    rows = results.metrics.query("variant == 'erm' and seed == 0 and metric == 'auroc'")
    overall = rows[rows["group"].isna()]["value"].item()
    assert overall == pytest.approx(report["overall"]["auroc"]["value"], abs=1e-6)
    gap = results.disparities.query("variant == 'erm' and seed == 0 and name == 'auroc_gap'")
    assert gap["value"].item() == pytest.approx(
        report["disparities"]["sex"]["auroc_gap"]["value"], abs=1e-6
    )


def test_finished_runs_and_audits_are_used_again(plan, out):
    files = [
        out / "runs/erm-0/predictions.parquet",
        out / "runs/erm-0/audit/opacity/audit.json",
    ]
    before = [file.stat().st_mtime_ns for file in files]
    experiment.run_experiment(plan, out, progress=False)
    assert [file.stat().st_mtime_ns for file in files] == before


def test_tables_of_some_variants_can_be_gathered_from_a_folder_with_more(plan, out, tmp_path):
    fewer = replace(plan, variants={"erm": VARIANTS["erm"]})
    gathered = experiment.collect(fewer, tmp_path, out)
    assert set(gathered.metrics["variant"]) == {"erm"}
    rows = load_results(out).metrics.query("variant == 'erm'").reset_index(drop=True)
    pd.testing.assert_frame_equal(gathered.metrics, rows)


def test_an_audit_is_made_again_when_its_settings_change(plan, out):
    file = out / "runs/erm-0/audit/opacity/audit.json"
    other = replace(plan, threshold="0.5")
    experiment.audit_run(other, "erm", 0, out)
    assert json.loads(file.read_text())["threshold"]["value"] == 0.5
    experiment.audit_run(plan, "erm", 0, out)


def test_compare_joins_by_key_and_not_by_position(out):
    results = load_results(out)
    shuffled = replace(
        results,
        metrics=results.metrics.sample(frac=1, random_state=0),
        disparities=results.disparities.sample(frac=1, random_state=0),
    )
    table = compare_results(results, shuffled)
    assert table["agrees"].all()
    assert (table["difference"].fillna(0) == 0).all()


def test_compare_finds_a_moved_a_missing_and_a_new_number(out):
    results = load_results(out)
    row = results.metrics.query("metric == 'auroc'").index[0]
    moved = results.metrics.copy()
    moved.loc[row, "value"] += 0.2
    table = compare_results(results, replace(results, metrics=moved))
    assert (~table["agrees"]).sum() == 1
    table = compare_results(results, replace(results, metrics=results.metrics.drop(index=row)))
    assert (~table["agrees"]).sum() == 1
    table = compare_results(replace(results, metrics=results.metrics.drop(index=row)), results)
    assert (~table["agrees"]).sum() == 1
    counted = results.metrics.copy()
    first = counted.query("metric == 'n'").index[0]
    counted.loc[first, "value"] += 1
    assert (~compare_results(results, replace(results, metrics=counted))["agrees"]).sum() == 1


def test_twins_of_every_run_are_gathered_and_stand_in_the_results_tables(plan, out):
    results = load_results(out)
    table = results.twins
    assert set(zip(table["variant"], table["seed"], strict=True)) == set(plan.runs)
    assert set(table["change"]) == {
        *("sex", "device_removed", "device_added", "disease_removed", "disease_added")
    }
    text = summary_table(results)
    shown = text.loc[("decisions flipped: device removed", "all")]
    flips = table.query("measure == 'flips' and attribute == 'all' and change == 'device_removed'")
    of_erm = flips.query("variant == 'erm'")["value"]
    assert shown["erm"].startswith(f"{of_erm.mean():.3f} (") and shown["by chance: erm"] == ""
    assert twin_table(results).loc["erm", "device removed"] == shown["erm"]
    runs = ablation_table(results)
    worst = table.query("measure == 'flips' and attribute == 'all'")
    worst = worst[~worst["change"].str.startswith("disease")].groupby(["variant", "seed"])["value"]
    for row in runs.to_dict("records"):
        expected = worst.max()[(row["variant"], row["seed"])]
        assert row["most decisions flipped"] == pytest.approx(expected)
    with pytest.raises(InputError, match="Unknown measure of twins 'flip'"):
        twin_table(results, "flip")


def test_twins_of_a_run_are_those_of_the_command_on_its_first_images(plan, out):
    from fairthesis.training import load_run, twins_of_run

    few = replace(plan, twins=20, seeds=(0,), variants={"erm": VARIANTS["erm"]})
    experiment.audit_run(few, "erm", 0, out)
    kept = pd.read_csv(out / "runs/erm-0/audit/twins.csv")
    run = load_run(out / "runs/erm-0")
    report, _ = twins_of_run(run, most=20, n_boot=100, progress=False)
    pd.testing.assert_frame_equal(kept, report.effects, check_exact=False, rtol=1e-6)
    assert kept.query("attribute == 'all' and change == 'sex'")["n"].unique().tolist() == [40]
    experiment.audit_run(plan, "erm", 0, out)


def test_twins_can_be_left_out_and_are_then_not_compared(plan, out, tmp_path):
    without = replace(plan, twins=0, seeds=(0,))
    for variant, seed in without.runs:
        experiment.audit_run(without, variant, seed, out)
        assert not (out / f"runs/{variant}-{seed}/audit/twins.csv").exists()
    gathered = experiment.collect(without, tmp_path, out)
    assert gathered.twins.empty and "twins" not in gathered.provenance["tolerance"]
    assert not any("flipped" in name for name, _ in summary_table(gathered).index)
    assert "most decisions flipped" not in ablation_table(gathered)
    assert compare_results(gathered, gathered)["agrees"].all()
    for variant, seed in without.runs:
        experiment.audit_run(plan, variant, seed, out)


def test_archives_without_twins_are_read_and_compared(out, tmp_path):
    old = load_results(ROOT / "results" / "synthetic-cxr-quick")
    assert old.twins.empty or "twins" in old.provenance["tolerance"]
    folder = shutil.copytree(out, tmp_path / "old", ignore=shutil.ignore_patterns("runs"))
    (folder / "twins.csv").unlink()
    described = json.loads((folder / "provenance.json").read_text())
    del described["tolerance"]["twins"], described["experiment"]["twins"]
    (folder / "provenance.json").write_text(json.dumps(described))
    older, new = load_results(folder), load_results(out)
    assert older.twins.empty and len(new.twins)
    assert compare_results(older, new)["agrees"].all()  # as `verify` does
    assert set(compare_results(new, new)["table"]) == {"metrics", "disparities", "twins"}
    moved = replace(new, twins=new.twins.assign(value=new.twins["value"] + 1))
    table = compare_results(new, moved)
    assert not table.loc[(table["table"] == "twins") & table["archived"].notna(), "agrees"].any()


def test_summary_shows_every_seed_and_chance(out):
    results = load_results(out)
    table = headline_numbers(results)
    assert len(table.query("number == 'AUROC'")) == 4
    text = summary_table(results)
    variants = ["erm", "adversarial"]
    assert list(text.columns) == [*variants, *(f"by chance: {name}" for name in variants)]
    chance = table.query("number == 'AUROC gap'").groupby("variant")["null_mean"].mean()
    for name in variants:
        assert text.loc[("AUROC gap", "sex"), f"by chance: {name}"] == f"{chance[name]:.3f}"
    values = table.query("number == 'AUROC' and variant == 'erm'")["value"]
    assert text.loc[("AUROC", "all"), "erm"].startswith(f"{values.mean():.3f} (")
    assert "2 variants × 2 seeds" in provenance_note(results)


def test_gap_conclusions_count_the_seeds_in_which_a_gap_is_beyond_chance(out):
    results = load_results(out)
    rows = results.disparities.query("name == 'auroc_gap' and variant == 'erm'")
    beyond = (rows["p_value"] < 0.05).sum()
    line = gap_conclusions(results).splitlines()[0]
    assert f"in {beyond} of 2 seeds" in line and f"{rows['value'].mean():.3f}" in line
    with pytest.raises(InputError, match="Unknown disparity 'gap'"):
        gap_conclusions(results, "gap")


def levels(before, after, positives=None, of=group_levelling):
    positives = positives or dict.fromkeys(before, 50)
    rows = []
    for variant, values in (("erm", before), ("ours", after)):
        for group, value in values.items():
            key = {"variant": variant, "seed": 0, "target": "t", "attribute": "sex", "group": group}
            rows += [key | {"metric": "auroc", "value": value, "lo": 0, "hi": 1}]
            for count, size in (("n", 100), ("n_positive", positives[group]), ("n_negative", 50)):
                rows += [key | {"metric": count, "value": size, "lo": None, "hi": None}]
    empty = pd.DataFrame()
    from fairthesis.study._archive import Results

    return of(Results(pd.DataFrame(rows), empty, empty, empty, {}, "made"))


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ({"F": 0.7, "M": 0.9}, {"F": 0.85, "M": 0.88}, False),  # the worse group rose
        ({"F": 0.7, "M": 0.9}, {"F": 0.7, "M": 0.75}, True),  # only the better group fell
        ({"F": 0.7, "M": 0.9}, {"F": 0.6, "M": 0.7}, True),  # both fell
        ({"F": 0.7, "M": 0.9}, {"F": 0.6, "M": 0.9}, False),  # the gap grew
    ],
)
def test_levelling_down_is_named(before, after, named):
    table = levels(before, after)
    assert set(table["levelled_down"]) == {named}
    np.testing.assert_allclose(
        table.set_index("group")["change"], [after[g] - before[g] for g in ("F", "M")]
    )


def test_a_group_too_small_for_a_gap_does_not_decide_who_was_levelled_down():
    before, after = {"A": 0.6, "F": 0.7, "M": 0.9}, {"A": 0.4, "F": 0.7, "M": 0.75}
    few = {"A": 8, "F": 50, "M": 50}
    assert levels(before, after, few)["levelled_down"].all()
    assert not levels(before, after)["levelled_down"].any()


def test_levelling_of_every_variant_in_a_row():
    before, after = {"A": 0.6, "F": 0.7, "M": 0.9}, {"A": 0.4, "F": 0.7, "M": 0.75}
    few = {"A": 8, "F": 50, "M": 50}
    row = levels(before, after, few, levelling_table).loc[("sex", "ours")]
    assert list(row.index) == ["F (0.700)", "M (0.900)", "levelled_down"]
    np.testing.assert_allclose(row[:2].to_list(), [0.0, -0.15])
    assert row["levelled_down"]
    wide = levels(before, after, of=levelling_table).loc[("sex", "ours")]
    assert "A (0.600)" in wide.index and not wide["levelled_down"]


def test_unknown_names_are_refused(out, tmp_path):
    with pytest.raises(InputError, match="Unknown data set with an experiment 'chexpert'"):
        experiment.plan("chexpert")
    with pytest.raises(InputError, match="Unknown profile of ham10000 'fast'"):
        experiment.plan("ham10000", "fast")
    with pytest.raises(InputError, match="No results in"):
        load_results(tmp_path)
    with pytest.raises(InputError, match="Unknown baseline variant"):
        group_levelling(load_results(out), baseline="groupdro")


@pytest.mark.parametrize(
    "folder",
    sorted(p.parent for p in (ROOT / "results").glob("*/metrics.csv")),
    ids=lambda p: p.name,
)
def test_the_archive_is_whole(folder):
    results = load_results(folder)
    described = results.provenance
    assert described["git_commit"] and described["packages"]["torch"]
    asked = described["experiment"]
    runs = {(v, s) for s in asked["seeds"] for v in asked["variants"]}
    for table in (results.metrics, results.disparities, results.curves):
        assert set(zip(table["variant"], table["seed"], strict=True)) == runs
        assert table["value"].dtype == float
    assert {f"{asked['dataset']}-{asked['profile']}"} == {folder.name}
    twins = {"twins"} if len(results.twins) else set()
    assert set(described["tolerance"]) == {"metrics", "disparities"} | twins


def test_archived_predictions_are_whole():
    folders = sorted((ROOT / "results").glob("*-predictions"))
    assert folders
    for folder in folders:
        file = folder / "predictions.parquet"
        frame = check_predictions(pd.read_parquet(file), str(file))
        assert file.stat().st_size < 300_000
        assert frame.groupby("patient_id")["split"].nunique().max() == 1
        described = json.loads((folder / "provenance.json").read_text())
        assert described["git_commit"] and described["made_by"].startswith("fairthesis train")
        assert described["rows"] == frame["split"].value_counts().to_dict()
        assert set(described["config"]["attributes"]) < set(frame.columns)


def test_verify_says_whether_numbers_agree(plan, out, tmp_path, capsys, monkeypatch):
    from fairthesis.cli import main

    archive = tmp_path / "results" / "synthetic-cxr-quick"
    archive.mkdir(parents=True)
    for file in [*out.glob("*.csv"), out / "provenance.json"]:
        (archive / file.name).write_bytes(file.read_bytes())
    # As the command finds it, whether or not somebody has looked it up before.
    monkeypatch.setattr(study, "plan", lambda *a, **k: plan)
    words = ["verify", "--quiet", "--results", str(archive.parent)]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0, capsys.readouterr()
    assert "numbers agree" in capsys.readouterr().out
    metrics = pd.read_csv(archive / "metrics.csv")
    metrics.loc[0, "value"] += 0.3
    metrics.to_csv(archive / "metrics.csv", index=False)
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 1
    said = capsys.readouterr().out
    assert "archived" in said and "tolerance" in said
    with pytest.raises(SystemExit) as end:
        main([*words, "synthetic-xcr-quick"])
    assert end.value.code == 2
    assert "Did you mean 'synthetic-cxr-quick'?" in capsys.readouterr().err


def test_leakage_is_probed_once_per_run_and_kept(plan, out):
    table = _run_audit.probe_run(plan, out, 0, n_boot=20, n_shuffles=1)
    read = table[table["source"] == "encoder"]
    assert set(read["variant"]) == {"erm", "adversarial"}
    assert read["auroc"].between(0, 1).all()
    kept = sorted(out.glob("runs/*-0/leakage-*.csv"))
    before = [file.stat().st_mtime_ns for file in kept]
    assert len(kept) == 2
    again = _run_audit.probe_run(plan, out, 0, n_boot=20, n_shuffles=1)
    pd.testing.assert_frame_equal(table, again)
    assert [file.stat().st_mtime_ns for file in kept] == before


def test_what_probes_read_is_gathered_where_a_plan_asks_for_it(plan, out, tmp_path):
    assert load_results(out).leakage.empty
    asked = replace(plan, seeds=(0,), probes={"n_boot": 20, "n_shuffles": 1}, disentanglement=1)
    for variant, seed in asked.runs:
        experiment.audit_run(asked, variant, seed, out)
    results = experiment.collect(asked, tmp_path, out)
    for table, rows in ((results.use, 6), (results.disentanglement, 8)):
        assert (table.groupby(["variant", "seed"]).size() == rows).all()
        assert set(table["variant"]) == set(plan.variants)
    assert results.of("erm").use["variant"].unique().tolist() == ["erm"]
    both = archived_embeddings(tmp_path, "erm", 0)
    assert both.filter(like="sensitive_").shape == (len(both), 64)
    anew = used_anew(tmp_path).set_index(["variant", "scope", "metric"])
    old = results.use.set_index(["variant", "scope", "metric"]).loc[anew.index]
    auroc = anew.index.get_level_values("metric") == "auroc"  # no threshold among few scores
    assert (anew["kept"] - old["kept"])[auroc].abs().max() < 0.005  # half precision
    gathered = results.leakage
    read = gathered[gathered["source"] == "encoder"]
    assert set(zip(read["variant"], read["seed"], strict=True)) == set(asked.runs)
    for source in ("logit", "features"):
        assert set(gathered[gathered["source"] == source]["variant"]) == set(plan.variants)
    alone = experiment.probed(out / "runs" / "erm-0", 0, None, 20, 1)
    for row in alone.itertuples():
        same = gathered.query(
            "variant == 'erm' and source == @row.source and probe == @row.probe"
            " and scope == @row.scope"
        )
        assert same["auroc"].item() == pytest.approx(row.auroc, abs=1e-6)
    for variant, seed in asked.runs:  # the other tests' audits have no probes
        experiment.audit_run(plan, variant, seed, out)
    without = experiment.collect(plan, tmp_path, out)
    assert without.leakage.empty and without.use.empty and without.disentanglement.empty


def test_every_attribute_of_a_run_is_probed_and_erased(tmp_path):
    few = TINY | {"attributes": ["sex", "age_group"], "epochs": 1}
    few["dataset_options"] = {"n_train": 300, "n_val": 500, "n_test": 700}  # cases of all ages
    asked = experiment.Plan(
        *("synthetic-cxr", "quick", few, {"erm": {"method": "erm"}}, (0,)),
        **{"n_boot": 20, "n_permutations": 20, "probes": {"n_boot": 20, "n_shuffles": 1}},
    )
    found = experiment.run_experiment(asked, tmp_path, progress=False)
    for table in (found.leakage, found.use):
        assert table["attribute"].unique().tolist() == ["sex", "age_group"]
        keys = [c for c in ("attribute", "source", "probe", "scope", "metric") if c in table]
        assert not table[keys].duplicated().any()
    # A second attribute's probes are its own, and the tables show the first unless they are asked.
    read = found.leakage.query("source == 'encoder' and scope == 'given the target'")
    best = read.groupby("attribute")["auroc"].max()
    shown = [ablation_table(found, name) for name in (None, "sex", "age_group")]
    named = [table["best probe given the target"].item() for table in shown]
    assert named == [best["sex"], best["sex"], best["age_group"]] and best.nunique() == 2
    probes = best_probes({"": found}, attribute="age_group")
    assert probes["auroc"].item() == pytest.approx(best["age_group"])
    assert not use_table(found).equals(use_table(found, attribute="age_group"))
    with pytest.raises(InputError, match=r"Unknown probed attribute 'age'.*sex.*age_group"):
        use_table(found, attribute="age")
    assert used_anew(tmp_path)["attribute"].unique().tolist() == ["sex", "age_group"]


def test_a_finished_run_outlives_a_better_explanation_but_not_other_code(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_ROOT", tmp_path)
    file = tmp_path / "a.py"

    def fingerprint(source):
        file.write_text(source)
        return provenance.code_fingerprint(("a.py",))

    first = fingerprint('"""Old."""\ndef f(x):\n    """Old."""\n    return x + 1  # why\n')
    assert fingerprint('"""New."""\n\n\ndef f(x):\n    return (x + 1)\n') == first
    assert fingerprint("def f(x):\n    return x + 2\n") != first
    assert fingerprint("def f(x):\n    return x + 1\nY = '''text'''\n") != first


# What the newest Pythons print of f-strings that hold a quote, and of a width without a text.
F_STRINGS = [
    "print(f'{x[\"a\"]:>{width}}', f\"it's {x!r}\", f'{1}' 'and' f'{2}{{')",
    "print('x')",
]


def test_code_has_one_fingerprint_under_every_python(tmp_path):
    """Other interpreters of this machine say the same; without one it is skipped in words."""
    source = "import ast, functools\n" + "\n".join(
        inspect.getsource(part) for part in (provenance._Alike, provenance._statements.__wrapped__)
    )
    code = f"{source}\nfor text in {F_STRINGS!r}: print(_statements(text))"
    here = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    printed = [provenance._statements(text) for text in F_STRINGS]
    assert here.stdout.splitlines() == printed
    assert printed[0].startswith("print(f(shown(x['a'], -1, f('>', shown(width, -1)))), ")
    beside = Path(sys.base_prefix).parent.glob("*/bin/python3")  # as pyenv and others keep them
    others = {}
    for name in [*map(shutil.which, ("python3.12", "python3.13", "python3.14")), *map(str, beside)]:
        asked = [str(name), "-c", "import sys; print(*sys.version_info[:2])"]
        there = name and subprocess.run(asked, capture_output=True, text=True, check=False)
        if there and there.stdout.strip() in ("3 11", "3 12", "3 13", "3 14"):
            others[there.stdout] = str(name)
    others.pop(f"3 {sys.version_info[1]}\n", None)
    if not others:
        pytest.skip("no other Python from 3.11 to 3.14 answers on this machine")
    for name in others.values():
        told = subprocess.run([name, "-c", code], capture_output=True, text=True, check=True)
        assert told.stdout == here.stdout, name
