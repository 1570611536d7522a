"""The archive read as one: every number found again by hand, nothing left out in silence."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from conftest import QUICK
from scipy import stats
from support.results import gap, real, renamed

from fairthesis import plots
from fairthesis.errors import InputError
from fairthesis.study import _across_cohorts
from fairthesis.study._archive import LEAKAGE
from fairthesis.study._summaries import ablation_table, adversaries_and_probes, changed_settings


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_what_is_not_archived_is_called_missing():
    names = ("synthetic-cxr", "no-such-experiment")
    found = _across_cohorts.load_all(names)
    assert list(found) == ["synthetic-cxr"]
    table = _across_cohorts.archive_inventory(found, names)
    assert table.loc["no-such-experiment", "archived"] == "missing"
    assert table.loc["synthetic-cxr", "archived"] in _across_cohorts.PROFILES
    nothing = _across_cohorts.load_archived("no-such-experiment")
    assert nothing is None
    assert found["synthetic-cxr"].source == "archived in results/synthetic-cxr-full"
    assert "has not been archived" in _across_cohorts.introduction(nothing, "no-such-experiment")
    assert ablation_table(nothing).empty and changed_settings(nothing).empty
    assert not plots.all_variants(nothing).axes[0].lines


def test_one_seed_can_be_read_and_another_is_refused():
    found = _across_cohorts.load_archived("synthetic-cxr", seed=1)
    assert set(found.metrics["seed"]) == {1}
    with pytest.raises(InputError, match="No run of seed 99"):
        _across_cohorts.load_archived("synthetic-cxr", seed=99)


def test_the_profile_asked_for_comes_first(tmp_path, monkeypatch, quick):
    import shutil

    for profile in _across_cohorts.PROFILES:
        shutil.copytree(QUICK, tmp_path / f"synthetic-cxr-{profile}")
    root = str(tmp_path)
    assert _across_cohorts.load_archived("synthetic-cxr", root=root).source.endswith("-full")
    assert _across_cohorts.load_archived("synthetic-cxr", "quick", root=root).source.endswith(
        "-quick"
    )
    shutil.rmtree(tmp_path / "synthetic-cxr-full")
    assert _across_cohorts.load_archived("synthetic-cxr", root=root).source.endswith("-quick")


def test_a_profile_is_read_and_nothing_stands_in_for_it(tmp_path, quick):
    import shutil

    shutil.copytree(QUICK, tmp_path / "synthetic-cxr-full")
    assert _across_cohorts.load_profile("synthetic-cxr", "tuning", root=str(tmp_path)) is None
    shutil.copytree(QUICK, tmp_path / "synthetic-cxr-tuning")
    found = _across_cohorts.load_profile("synthetic-cxr", "tuning", root=str(tmp_path))
    assert found is not None and found.source.endswith("synthetic-cxr-tuning")
    pd.testing.assert_frame_equal(found.metrics, quick.metrics)


def test_the_interval_over_seeds_is_students():
    values = [0.1, 0.2, 0.4, float("nan")]
    mean, lo, hi = _across_cohorts.seed_interval(values)
    expected = stats.ttest_1samp(values[:3], 0).confidence_interval(0.95)
    np.testing.assert_allclose([mean, lo, hi], [np.mean(values[:3]), *expected])
    assert np.isnan(_across_cohorts.seed_interval([0.3])[1])
    shared = 200 / 600  # splits of the same patients: the error of 3 is that of 1 / (1/3 + 1/3)
    _, lo, hi = _across_cohorts.seed_interval(values, shared=shared)
    half = stats.t.ppf(0.975, 2) * np.std(values[:3], ddof=1) * np.sqrt(1 / 3 + shared)
    np.testing.assert_allclose(hi - lo, 2 * half)
    assert np.isnan(_across_cohorts.seed_interval([])).all()


def test_only_splits_of_the_same_patients_overlap(quick):
    assert _across_cohorts.test_train_ratio(quick) == 0
    assert _across_cohorts.test_train_ratio(real(quick)) == pytest.approx(4000 / 8000)


def test_points_and_the_thesis_table_hold_the_means(quick):
    found = {"a": quick}
    table = _across_cohorts.thesis_table(found)
    assert table.loc[("thesis", "baseline"), "AUROC gap"] == 0.12
    for variant in ("erm", "adversarial"):
        mean = gap(quick, variant).mean()
        assert table.loc[("a", variant), "AUROC gap"] == pytest.approx(mean)


def test_changes_are_paired_by_seed_and_a_loss_is_named(quick):
    table = _across_cohorts.group_changes(quick, ["auroc"]).set_index("group")
    rows = quick.metrics.query("metric == 'auroc' and group == 'M'")
    wide = rows.pivot(index="seed", columns="variant", values="value")
    paired = (wide["adversarial"] - wide["erm"]).to_numpy()
    assert table.loc["M", "change"] == pytest.approx(paired.mean())
    worse = quick.metrics.copy()
    rows = (worse["variant"] == "adversarial") & (worse["group"] == "M")
    rows &= worse["metric"] == "auroc"
    base = worse[(worse["variant"] == "erm") & (worse["group"] == "M")]
    base = base[base["metric"] == "auroc"].set_index("seed")["value"]
    worse.loc[rows, "value"] = (
        worse.loc[rows, "seed"].map(base) - 0.1 - worse.loc[rows, "seed"] / 99
    )
    fell = _across_cohorts.group_changes(dataclasses.replace(quick, metrics=worse), ["auroc"])
    assert fell.set_index("group").loc["M", "worse"] == "yes"
    assert (
        _across_cohorts.groups_that_lost({"a": quick})
        .index.get_level_values("group")
        .isin(["F", "M"])
        .all()
    )


def test_the_share_is_of_the_distance_to_the_oracle(quick):
    made = renamed(quick, oracle="adversarial", half="adversarial")
    rows = made.disparities["variant"] == "half"
    both = made.disparities
    for name in ("auroc_gap", "equalized_odds_difference"):
        middle = (gap(quick, "erm", name) + gap(quick, "adversarial", name)) / 2
        both.loc[rows & (both["name"] == name), "value"] = middle
    share = _across_cohorts.share_of_oracle_distance({"a": made})["share of ERM–oracle distance"]
    assert share.loc["a", "AUROC gap", "half"] == pytest.approx(0.5)
    assert share.loc["a", "AUROC gap", "adversarial"] == pytest.approx(1)
    assert _across_cohorts.share_of_oracle_distance({"a": quick}).empty  # no oracle


def test_the_best_probe_stands_beside_its_floors(quick):
    rows = [
        {"variant": "erm", "seed": s, "attribute": "sex", "source": source, "probe": p,
         "scope": "given the target", "auroc": a + s / 100, "ci_low": 0, "ci_high": 1,
         "shuffled_mean": 0.5, "shuffled_q95": 0.53}
        for s in (0, 1)
        for source, p, a in (("encoder", "logistic", 0.6), ("encoder", "mlp", 0.7),
                             ("target alone", "logistic", 0.5))
    ]  # fmt: skip
    table = pd.DataFrame(rows)[list(LEAKAGE)]

    def found(refits):
        asked = quick.provenance["experiment"] | {"probes": {"n_boot": 9, "n_shuffles": refits}}
        provenance = quick.provenance | {"experiment": asked}
        made = dataclasses.replace(quick, leakage=table, provenance=provenance)
        return _across_cohorts.best_probes({"a": made}).loc[("a", "erm")]

    row = found(20)
    assert row["best probe"] == "mlp" and row["auroc"] == pytest.approx(0.705)
    assert row["target alone"] == pytest.approx(0.505) and row["shuffled"] == 0.53
    assert np.isnan(found(2)["shuffled"])  # what two refits give is no 95 % point
    assert _across_cohorts.best_probes({"a": quick}).empty  # nothing was probed


def test_some_variants_can_be_taken_out(quick):
    one = quick.of("adversarial")
    for name in ("metrics", "disparities", "curves"):
        assert set(getattr(one, name)["variant"]) == {"adversarial"}
    pd.testing.assert_frame_equal(quick.of("erm", "adversarial").metrics, quick.metrics)
    with pytest.raises(InputError, match="Unknown variant 'oracle'"):
        quick.of("oracle")


def test_a_quick_archive_is_warned_of(quick):
    assert "The full archive is missing" in _across_cohorts.introduction(quick, "a")
    experiment = quick.provenance["experiment"] | {"profile": "full"}
    full = dataclasses.replace(quick, provenance=quick.provenance | {"experiment": experiment})
    assert "missing" not in _across_cohorts.introduction(full, "a")
    table = changed_settings(quick)["changed in the default"]
    assert dict(table) == {"erm": "method = erm", "adversarial": "method = adversarial"}
    changes = [{}, {"method_options": {"adversary_weight": 0.1}}, {"disease_norm": "batch"}]
    variants = dict(zip("abc", changes, strict=True))
    asked = quick.provenance["experiment"] | {"variants": variants}
    parts = dataclasses.replace(quick, provenance=quick.provenance | {"experiment": asked})
    told = ["nothing", "adversary_weight = 0.1", "disease_norm = batch"]
    assert changed_settings(parts)["changed in the default"].tolist() == told


def test_the_trade_off_shows_every_seed_of_every_cohort(quick):
    figure = plots.pareto({"a": quick, "b": quick})
    assert [axes.get_title() for axes in figure.axes] == ["a (quick)", "b (quick)"]
    dots = [line for line in figure.axes[0].lines if line.get_markersize() == 3]
    assert [len(line.get_xdata()) for line in dots] == [2, 2]


def test_a_crowd_is_drawn_without_its_seeds(quick):
    crowd = renamed(quick, **{f"copy_{i}": "erm" for i in range(9)})
    rows = crowd.disparities["variant"].str.startswith("copy")
    crowd.disparities.loc[rows, "value"] += 0.1  # none of them is on the line
    axes = plots.pareto({"a": crowd}).axes[0]
    marks = [line for line in axes.lines if line.get_marker() in "Ds^vPX*"]
    assert len(marks) == 11
    assert len([line for line in axes.lines if line.get_markersize() == 3]) == 2


def test_an_ablation_shows_every_variant_and_seed(quick):
    figure = plots.all_variants(quick)
    assert len(figure.axes) == 3  # nothing was probed: no fourth panel
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in dots] == [2, 2]


def test_opponents_are_drawn_beside_the_fresh_probe(quick):
    rows = [
        {"variant": v, "seed": 0, "epoch": e, "name": n, "value": 0.5}
        for v, names in (
            ("erm", ["val_leakage"]),
            ("literal", ["val_leakage", "adversary_auroc"]),
            ("alternating", ["val_leakage", "adversary_auroc"]),
            ("adversarial", ["val_leakage", "critic_auroc"]),
        )
        for n in names
        for e in range(3)
    ]
    figure = plots.adversary_and_probe(dataclasses.replace(quick, curves=pd.DataFrame(rows)))
    for axes in figure.axes:
        assert len([line for line in axes.lines if len(line.get_xdata()) == 3]) == 3


def test_adversaries_stand_beside_fresh_probes():
    results = _across_cohorts.load_archived("synthetic-cxr-ablation")
    table = adversaries_and_probes(results)
    assert "erm" not in table.index and "adversarial" in table.index
    own = results.curves.query("variant == 'adversarial' and name == 'critic_auroc'")
    own = own[own["epoch"] == own["epoch"].max()]["value"]
    read = results.leakage.query(
        "variant == 'adversarial' and source == 'encoder' and scope == 'given the target'"
    )
    best = read.groupby("seed")["auroc"].max()
    assert table.loc["adversarial"].to_list() == pytest.approx([own.mean(), best.mean()])
    assert adversaries_and_probes(None).empty
