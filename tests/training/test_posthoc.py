"""Post-hoc methods: nothing is fitted on test rows, and the result is a run like any."""

import dataclasses
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from support.batches import many_sided_cohort

import fairthesis
from fairthesis import study
from fairthesis.cli import main
from fairthesis.embeddings import WholeSpaceWarning
from fairthesis.errors import InputError
from fairthesis.inputs import check_predictions
from fairthesis.postprocessing import (
    DRAWN,
    POSTHOC,
    RunTables,
    leace,
    mean_differences,
    orthogonalised,
)
from fairthesis.study import OF_RUN
from fairthesis.training._config import TrainConfig
from fairthesis.training._posthoc import CODE, apply_posthoc, read_run
from fairthesis.training._train import train


def made(n=3000, d=8, seed=0, targets=1):
    """Embeddings with the target in one direction and the group in another; 5 % unknown."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, targets)).astype(float)
    a = np.where(rng.random(n) < 0.7, y[:, 0], 1 - y[:, 0]).astype(int)
    z = rng.normal(size=(n, d))
    z[:, 0] += 2 * y[:, 0]
    z[:, 1] += 2 * a
    z[:, 2] += 1.5 * y[:, 0] + a
    logit = z[:, :1] + z[:, 1:2] - 2 + 0 * y
    group = np.array(["f", "m"], object)[a]
    group[rng.random(n) < 0.05] = None
    y[rng.random((n, targets)) < 0.05] = np.nan
    keys = pd.DataFrame({"image_id": [f"i{i}" for i in range(n)]})
    keys["patient_id"] = keys["image_id"]
    keys["split"] = np.resize(["train", "train", "val", "test"], n)
    names = tuple(f"t{i}" for i in range(targets))
    return RunTables(keys, z, y, 1 / (1 + np.exp(-logit)), group, names, 0)


def read_by_line(z, group, rows):
    """In-sample AUROC of a linear probe, which is above that of an honest one."""
    a = group[rows] == "m"
    probe = LogisticRegression(C=1e6, max_iter=5000).fit(z[rows], a)
    return roc_auc_score(a, probe.predict_proba(z[rows])[:, 1])


def equalized_odds(run, part="test", cut=0.5):
    rows = run.known(part) & ~np.isnan(run.y_true[:, 0])
    y, a, called = run.y_true[rows, 0], run.group[rows], run.y_score[rows, 0] >= cut
    rates = [[called[(y == c) & (a == g)].mean() for g in ("f", "m")] for c in (0, 1)]
    return max(abs(x - y) for x, y in rates)


def test_leace_leaves_nothing_to_a_linear_probe_and_the_disease_to_the_head():
    run = made()
    rows = run.known("train")
    assert read_by_line(run.z, run.group, rows) > 0.9
    erased = leace(run)
    means = [erased.z[rows & (run.group == g)].mean(0) for g in ("f", "m")]
    np.testing.assert_allclose(means[0], means[1], atol=1e-9)
    assert read_by_line(erased.z, run.group, rows) < 0.52
    test = run.part("test") & ~np.isnan(run.y_true[:, 0])
    assert roc_auc_score(run.y_true[test, 0], erased.y_score[test, 0]) > 0.7


def test_orthogonalised_has_one_mean_per_class_and_keeps_the_targets_own_direction():
    run = made()
    cleaned = orthogonalised(run)
    rows = run.known("train")
    for c in (0, 1):
        inside = rows & (run.y_true[:, 0] == c)
        assert read_by_line(run.z, run.group, inside) > 0.85
        means = [cleaned.z[inside & (run.group == g)].mean(0) for g in ("f", "m")]
        np.testing.assert_allclose(means[0], means[1], atol=1e-9)
        assert read_by_line(cleaned.z, run.group, inside) < 0.56
    # A projection: applied again it changes nothing, and only two directions are gone.
    again = orthogonalised(dataclasses.replace(run, z=cleaned.z))
    np.testing.assert_allclose(again.z, cleaned.z, atol=1e-9)
    assert np.linalg.matrix_rank(run.z - cleaned.z, tol=1e-6) == 2
    # Marginal erasure takes more of what the target tells than erasure given the target does.
    test = run.part("test") & ~np.isnan(run.y_true[:, 0])
    areas = [roc_auc_score(run.y_true[test, 0], r.y_score[test, 0]) for r in (cleaned, leace(run))]
    assert areas[0] > areas[1]


@pytest.mark.parametrize("name", ["leace", "orthogonalised"])
@pytest.mark.parametrize("seed", range(6))
def test_of_an_embedding_erased_whole_no_head_recovers_the_disease(name, seed):
    """Five groups differ in as many directions as four numbers have; rounding is no signal."""
    rng = np.random.default_rng(seed)
    run = made(1500)
    z = rng.normal(size=(1500, 4)) + np.nan_to_num(run.y_true, nan=0.5) * 3
    group = rng.choice(["a", "b", "c", "d", "e"], 1500).astype(object)
    with pytest.warns(WholeSpaceWarning, match="little is left"):
        erased = POSTHOC[name](dataclasses.replace(run, z=z, group=group))
    np.testing.assert_allclose(erased.y_score, erased.y_score[0, 0], atol=1e-9)
    train = run.part("train")
    assert (np.ptp(erased.z, axis=0) < 1e-9).all() and z[train].std() > 1


def test_mean_differences_are_those_of_every_class_of_every_target():
    run = made(targets=2)
    rows = run.known("train")
    found = mean_differences(run.z[rows], run.group[rows], run.y_true[rows])
    assert found.shape == (8, 8)
    inside = rows & (run.y_true[:, 1] == 1)
    expected = run.z[inside & (run.group == "m")].mean(0) - run.z[inside].mean(0)
    np.testing.assert_allclose(found[-1], expected)


def test_thresholds_by_group_bring_the_odds_together():
    run = made(6000)
    assert equalized_odds(run) > 0.25
    decided = POSTHOC["threshold_optimizer"](run)
    assert equalized_odds(decided) < 0.07
    known = np.array([g is not None for g in run.group])
    assert set(np.unique(decided.y_score[known])) == {0.0, 1.0}
    assert np.isnan(decided.y_score[~known]).all()
    again = POSTHOC["threshold_optimizer"](run)
    np.testing.assert_array_equal(decided.y_score, again.y_score)


def test_a_group_of_one_class_gets_no_threshold_and_the_others_do():
    run = made(6000)
    few = np.flatnonzero(run.known("val") & (run.y_true[:, 0] == 0))[:5]
    elsewhere = np.flatnonzero(run.known("test"))[:5]
    group = run.group.copy()
    group[few] = group[elsewhere] = "x"
    decided = POSTHOC["threshold_optimizer"](dataclasses.replace(run, group=group))
    assert np.isnan(decided.y_score[group == "x"]).all()
    rest = np.array([g in ("f", "m") for g in group])
    assert set(np.unique(decided.y_score[rest])) == {0.0, 1.0}
    alone = np.where(run.y_true[:, 0] == 1, "a", "b").astype(object)
    with pytest.raises(InputError, match="No group has both classes of 't0'"):
        POSTHOC["threshold_optimizer"](dataclasses.replace(run, group=alone))
    alone[::2] = "a"  # then one group has both
    with pytest.raises(InputError, match=r"1 group has both classes.*two groups or more"):
        POSTHOC["threshold_optimizer"](dataclasses.replace(run, group=alone))


def test_exponentiated_gradient_lowers_the_odds_difference_of_logistic_regression():
    run = made(6000)
    plain = dataclasses.replace(run, y_score=leace(run).y_score)
    rows = run.known("train") & ~np.isnan(run.y_true[:, 0])
    fitted = LogisticRegression().fit(run.z[rows], run.y_true[rows, 0])
    plain = dataclasses.replace(run, y_score=fitted.predict_proba(run.z)[:, 1:])
    reduced = POSTHOC["exponentiated_gradient"](run)
    assert set(np.unique(reduced.y_score)) == {0.0, 1.0}
    assert equalized_odds(reduced) < 0.6 * equalized_odds(plain)
    np.testing.assert_array_equal(reduced.z, run.z)


@pytest.mark.filterwarnings("ignore")  # fairlearn's own use of pandas
def test_the_reductions_decisions_are_fairlearns():
    from fairlearn.reductions import EqualizedOdds, ExponentiatedGradient

    run = made(1500)
    rows = run.known("train") & ~np.isnan(run.y_true[:, 0])
    z = (run.z - run.z[rows].mean(0)) / run.z[rows].std(0)
    theirs = ExponentiatedGradient(
        LogisticRegression(C=1.0, max_iter=1000), EqualizedOdds(), eps=0.01
    ).fit(z[rows], run.y_true[rows, 0].astype(int), sensitive_features=run.group[rows].astype(str))
    found = POSTHOC["exponentiated_gradient"](run).y_score[:, 0]
    np.testing.assert_array_equal(found, theirs.predict(z, random_state=run.seed))


def test_the_reduction_takes_a_train_part_without_a_case_among_the_known():
    """A mixture of constant classifiers, which has no probability of the other class."""
    run = made(1500)
    y = run.y_true.copy()
    y[run.known("train")] = 0
    found = POSTHOC["exponentiated_gradient"](dataclasses.replace(run, y_true=y))
    assert not found.y_score.any()


@pytest.mark.parametrize("name", POSTHOC)
def test_nothing_is_fitted_on_test_rows(name):
    """Test rows with other labels and groups change nothing for train and val rows."""
    run = made(1200)
    test = run.part("test")
    y, group, z = run.y_true.copy(), run.group.copy(), run.z.copy()
    y[test] = 1 - y[test]
    group[test] = [{"m": "f", "f": "m"}.get(value) for value in group[test]]
    z[test] *= -3
    other = POSTHOC[name](dataclasses.replace(run, y_true=y, group=group, z=z))
    plain = POSTHOC[name](run)
    np.testing.assert_array_equal(plain.y_score[~test], other.y_score[~test])
    np.testing.assert_array_equal(plain.z[~test], other.z[~test])


SMALL = TrainConfig(
    targets=("disease", "other"),
    attributes=("site", "device"),
    backbone="small",
    size=24,
    epochs=1,
    batch_size=64,
    disease_dim=32,  # `orthogonalised` takes 20 directions: 6 joint groups, 2 targets
    sensitive_dim=8,
    threads=1,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "erm-0"
    return train(SMALL, out, cohort=many_sided_cohort(900), progress=False)


@pytest.mark.parametrize("name", POSTHOC)
def test_the_result_is_a_run_with_the_parents_rows(name, trained, tmp_path):
    out = apply_posthoc(name, trained, tmp_path / "r")
    files = {"config.json", "predictions.parquet", "embeddings.parquet", "log.jsonl"}
    assert {file.name for file in out.iterdir()} == files | {"provenance.json", "DONE"}
    frame = check_predictions(pd.read_parquet(out / "predictions.parquet"))
    old = pd.read_parquet(trained / "predictions.parquet")
    pd.testing.assert_frame_equal(frame.drop(columns="y_score"), old.drop(columns="y_score"))
    assert frame["y_score"].dtype == old["y_score"].dtype
    for target, rows in frame.groupby("target"):
        before = old[old["target"] == target]["y_score"]
        assert (rows["y_score"] - before).abs().max() > 1e-3
    new, old = (pd.read_parquet(f / "embeddings.parquet") for f in (out, trained))
    assert list(new) == list(old) and (new.dtypes == old.dtypes).all()
    disease = [c for c in new if c.startswith("disease_")]
    assert (new[disease].std() > 0.01 * old[disease].std()).any()  # not all is gone
    pd.testing.assert_frame_equal(new.drop(columns=disease), old.drop(columns=disease))
    moved = (new[disease] - old[disease]).abs().to_numpy().max() > 1e-3
    assert moved == (name in ("leace", "orthogonalised", "kernel"))
    config = json.loads((out / "config.json").read_text())
    assert config["posthoc"] == name and config["parent"]["run"] == "erm-0"
    assert config["parent"]["config"] == json.loads((trained / "config.json").read_text())
    origin = json.loads((out / "provenance.json").read_text())
    assert set(OF_RUN) <= set(origin) and origin["parent"] == "erm-0"
    line = json.loads((out / "log.jsonl").read_text())
    for name, value in line.items():  # its own, not the parent's
        np.testing.assert_equal(origin[f"selected_{name}"], value)


def test_scores_and_embeddings_are_written_for_the_right_image_and_target(trained, tmp_path):
    run, *_ = read_run(trained)
    made_run = leace(run)
    out = apply_posthoc("leace", trained, tmp_path / "r")
    back, *_ = read_run(out)
    np.testing.assert_allclose(back.z, made_run.z, atol=1e-5)
    np.testing.assert_allclose(back.y_score, made_run.y_score, atol=1e-5)
    frame = pd.read_parquet(trained / "predictions.parquet")
    row = frame[frame["target"] == "other"].iloc[17]
    place = list(run.keys["image_id"]).index(row["image_id"])
    assert run.y_score[place, 1] == row["y_score"]
    missing = frame[["site", "device"]].isna().any(axis=1)[: len(run.group)]
    assert ((run.group == None) == missing.to_numpy()).all()  # noqa: E711


def test_a_finished_result_is_left_and_another_is_refused(trained, tmp_path):
    out = apply_posthoc("leace", trained, tmp_path / "r")
    before = (out / "predictions.parquet").stat().st_mtime_ns
    apply_posthoc("leace", trained, out)
    assert (out / "predictions.parquet").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="holds another run"):
        apply_posthoc("orthogonalised", trained, out)
    apply_posthoc("orthogonalised", trained, out, overwrite=True)
    assert json.loads((out / "config.json").read_text())["posthoc"] == "orthogonalised"
    (out / "DONE").unlink()  # killed before its end: made again
    apply_posthoc("orthogonalised", trained, out)
    assert (out / "DONE").exists()


def test_the_code_that_decides_a_result_is_there():
    for name in CODE:  # ``code_fingerprint`` passes over a file that has moved
        assert (Path(fairthesis.__file__).parent / name).is_file(), name


def test_what_cannot_be_used_is_named(trained, tmp_path):
    with pytest.raises(InputError, match=r"Unknown post-hoc method 'laece'.*Did you mean 'leace'"):
        apply_posthoc("laece", trained, tmp_path / "r")
    with pytest.raises(InputError, match="No finished run in"):
        apply_posthoc("leace", tmp_path, tmp_path / "r")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").write_text("years of work")
    with pytest.raises(InputError, match="holds no run"):
        apply_posthoc("leace", trained, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.docx").exists()


TINY = {
    "dataset_options": {"n_train": 300, "n_val": 150, "n_test": 400},
    "targets": ["opacity"],
    "attributes": ["sex"],
    "backbone": "small",
    "size": 24,
    "epochs": 1,
    "threads": 1,
    "dataset": "synthetic-cxr",
}


def plan_of(variants):
    return study.Plan("synthetic-cxr", "quick", TINY, variants, (0,), n_boot=50, n_permutations=50)


def test_an_experiment_holds_post_hoc_variants_beside_trained_ones(tmp_path):
    after = {name: {"posthoc": name, "of": "erm"} for name in POSTHOC}
    plan = plan_of(after | {"erm": {"method": "erm"}})  # the parent last: it is trained first
    results = study.run_experiment(plan, tmp_path, progress=False)
    for table in (results.metrics, results.disparities, results.curves):
        assert set(table["variant"]) == {"erm", *POSTHOC}
    # Twins of what erases; a drawn decision would differ by its draw.
    assert set(results.twins["variant"]) == {"erm", *POSTHOC} - DRAWN
    keys = ["change", "group", "measure"]
    wide = results.twins.pivot_table("value", keys, "variant")
    assert (wide.nunique(axis=1) > 1).any()
    assert plan.config("leace", 3) == plan.config("erm", 3)
    probed = study.probe_run(plan, tmp_path, 0, n_boot=0, n_shuffles=0)
    read_from = probed[(probed["source"] == "encoder") & (probed["probe"] == "logistic")]
    assert set(read_from["variant"]) == {"erm", *POSTHOC}
    files = sorted(tmp_path.glob("runs/*/predictions.parquet"))
    before = [file.stat().st_mtime_ns for file in files]
    study.run_experiment(plan, tmp_path, progress=False)
    assert [file.stat().st_mtime_ns for file in files] == before


@pytest.mark.parametrize("of", ["emr", "leace", None])
def test_a_post_hoc_variant_needs_a_trained_parent(of, tmp_path):
    plan = plan_of({"erm": {}, "leace": {"posthoc": "leace", "of": of}})
    with pytest.raises(InputError, match="Unknown trained variant, which leace is to be of"):
        study.train_run(plan, "leace", 0, tmp_path, False)


def test_a_run_chosen_on_test_labels_is_shouted_about_and_never_collected(tmp_path):
    variants = {"oracle": {"selection": "oracle"}, "leace": {"posthoc": "leace", "of": "oracle"}}
    plan = plan_of(variants)
    for variant in variants:
        study.train_run(plan, variant, 0, tmp_path, False)
        with pytest.warns(UserWarning, match=f"{variant}-0: the epoch was chosen on TEST LABELS"):
            study.audit_run(plan, variant, 0, tmp_path)
    words = ["audit", str(tmp_path / "runs/oracle-0/predictions.parquet"), "--group", "sex"]
    words += ["--n-boot", "20", "--n-permutations", "20", "--quiet", "--out", str(tmp_path / "a")]
    with pytest.warns(UserWarning, match="TEST LABELS"), pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0
    with pytest.raises(InputError, match="oracle-0 was selected on test labels"):
        study.collect(plan, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        only = plan_of({"erm": {}})
        study.run_experiment(only, tmp_path / "honest", progress=False)
