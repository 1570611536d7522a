"""``fairthesis twins`` on a small run: its own scores, its own threshold, files, and refusals."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairthesis import cli, datasets, metrics
from fairthesis.embeddings import Leace
from fairthesis.errors import InputError
from fairthesis.inputs import probability_column
from fairthesis.storage import DONE, mark_finished
from fairthesis.training import (
    TrainConfig,
    apply_posthoc,
    load_run,
    predict_twins,
    train,
    twins_of_run,
)

FEW = {"n_train": 120, "n_val": 60, "n_test": 80}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    at = tmp_path_factory.mktemp("run")
    patch = pytest.MonkeyPatch()
    patch.setenv("FAIRTHESIS_CACHE", str(at / "cache"))
    config = TrainConfig(
        backbone="small", size=16, epochs=2, batch_size=16, dataset_options=FEW, attributes=("sex",)
    )
    yield train(config, at / "run", progress=False)
    patch.undo()


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return ended.value.code or 0


def test_the_images_have_the_scores_of_the_run_and_twins_those_of_their_pictures(run):
    model = load_run(run)
    pairs = predict_twins(model, progress=False)
    own = pd.read_parquet(run / "predictions.parquet").query("split == 'test'")
    assert pairs["image_id"].tolist() == own["image_id"].tolist()
    np.testing.assert_allclose(pairs["y_score"], own["y_score"], atol=1e-6)
    cohort = datasets.load("synthetic-cxr", **FEW)
    rows = np.flatnonzero(cohort.frame["split"] == "test")
    expected = model.predict(datasets.twin(cohort, rows, "sex"))[:, 0]
    np.testing.assert_allclose(pairs["twin_sex"], expected, atol=1e-6)
    there = (cohort.frame["device"].iloc[rows] == 1).to_numpy()
    assert (pairs["twin_device_removed"].notna() == there).all()
    assert (pairs["twin_device_added"].isna() == there).all()


def test_the_first_images_of_each_group_are_taken(run):
    pairs = predict_twins(load_run(run), changes=["sex"], most=7, progress=False)
    whole = predict_twins(load_run(run), changes=["sex"], progress=False)
    first = whole.groupby("sex").head(7).reset_index(drop=True)
    assert pairs["image_id"].tolist() == first["image_id"].tolist()
    np.testing.assert_allclose(pairs["twin_sex"], first["twin_sex"], atol=1e-6)


def test_the_command_gives_what_python_gives(run, tmp_path, capsys):
    out = tmp_path / "twins"
    assert command("twins", run, "--n-boot", 50, "--out", out) == 0
    said = capsys.readouterr().out
    assert "device removed" in said and "sex F" in said and "youden" in said
    report, pairs = twins_of_run(load_run(run), n_boot=50, progress=False)
    found = json.loads((out / "twins.json").read_text())
    assert found["schema"] == "fairthesis.twins/1"
    assert found["targets"]["opacity"]["threshold"]["value"] == load_run(run).operating_point()
    table = pd.read_csv(out / "twins.csv")
    pd.testing.assert_frame_equal(table, report.effects, check_exact=False, rtol=1e-6)
    pd.testing.assert_frame_equal(pd.read_parquet(out / "pairs.parquet"), pairs, rtol=1e-5)
    assert command("twins", run, "--n-boot", 0, "--change", "sex", "--out", out, "--quiet") == 0
    assert capsys.readouterr().out.split() == [
        str(out / name) for name in ("twins.json", "twins.csv", "pairs.parquet")
    ]
    assert pd.read_csv(out / "twins.csv")["change"].unique().tolist() == ["sex"]


def test_without_a_folder_it_prints_and_writes_nothing(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("twins", run, "--n-boot", 0, "--most", 10) == 0
    assert "20 images" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--change", "devise"], "Unknown change of synthetic-cxr 'devise'"),
        (["--split", "tset"], "tset"),
        (["--most", "0"], "at least 1 image"),
        (["--threshold", "yuoden"], "yuoden"),
        (["--n-boot", "-1"], "--n-boot is -1"),
        (["--dataset", "synthetic-derm"], "takes grey images"),
        (["--dataset", "ham10000"], "ham10000"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    run, arguments, words, tmp_path, capsys
):
    assert command("twins", run, *arguments, "--out", tmp_path / "out", "--quiet") == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_quiet_without_a_folder_and_runs_that_are_none_are_refused(run, tmp_path, capsys):
    assert command("twins", run, "--quiet") == 2
    assert "--out" in capsys.readouterr().err
    assert command("twins", tmp_path / "none") == 2
    assert "No finished run" in capsys.readouterr().err


def test_a_cohort_without_twins_is_told_what_has_some(run):
    from dataclasses import replace

    cohort = datasets.load("synthetic-cxr", **FEW)
    assert cohort.render is not None
    drawing = cohort.render
    plain = replace(cohort, name="films", render=lambda rows, size: drawing(rows, size))
    with pytest.raises(InputError, match=r"films has no twins.*planted markers"):
        predict_twins(load_run(run), plain, progress=False)


@pytest.fixture(scope="module")
def erased(run):
    return apply_posthoc("leace", run, run.with_name("erased"))


def test_twins_after_an_eraser_are_the_erased_vectors_of_their_pictures(run, erased):
    model = load_run(run)
    pairs = predict_twins(model, after=erased, progress=False)
    own = pd.read_parquet(erased / "predictions.parquet").query("split == 'test'")
    np.testing.assert_allclose(pairs["y_score"], own["y_score"], atol=1e-5)
    # By scikit-learn and the eraser alone, from the vectors that the model makes of the pictures.
    cohort = datasets.load("synthetic-cxr", **FEW)
    train_rows, test_rows = (
        np.flatnonzero(cohort.frame["split"] == part) for part in ("train", "test")
    )
    z = model.outputs(cohort.take(train_rows)).disease.astype(np.float64)
    eraser = Leace().fit(z, cohort.group_of("sex").to_numpy(object)[train_rows])
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    head.fit(eraser.transform(z), cohort.frame["opacity"].iloc[train_rows])
    other = model.outputs(datasets.twin(cohort, test_rows, "sex")).disease
    expected = head.predict_proba(eraser.transform(other.astype(np.float64)))[:, 1]
    np.testing.assert_allclose(pairs["twin_sex"], expected, atol=1e-4)
    plain = predict_twins(model, progress=False)
    assert (pairs["twin_sex"] - plain["twin_sex"]).abs().max() > 1e-3
    assert (pairs["twin_device_added"].isna() == plain["twin_device_added"].isna()).all()


def test_the_command_takes_a_posthoc_result_beside_its_run(run, erased, tmp_path, capsys):
    out = tmp_path / "twins"
    assert command("twins", erased, "--n-boot", 0, "--out", out, "--quiet") == 0
    report, _ = twins_of_run(load_run(run), after=erased, n_boot=0, progress=False)
    pd.testing.assert_frame_equal(pd.read_csv(out / "twins.csv"), report.effects, rtol=1e-6)
    point = json.loads((out / "twins.json").read_text())["targets"]["opacity"]["threshold"]["value"]
    held = pd.read_parquet(erased / "predictions.parquet").query("split == 'val'")
    assert point == metrics.choose_threshold(
        held["y_true"].to_numpy(float), probability_column(held, "y_score", "it"), "youden"
    )
    assert point != load_run(run).operating_point()
    capsys.readouterr()
    alone = shutil.copytree(erased, tmp_path / "alone" / "erased")
    assert command("twins", alone) == 2
    said = capsys.readouterr().err
    assert "post-hoc method leace from the run 'run'" in said and "expected it beside" in said
    # Another run of that name stands where the parent should be.
    other = shutil.copytree(run, alone.with_name("run"))
    table = pd.read_parquet(run / "predictions.parquet")
    table.assign(y_score=0.5).to_parquet(other / "predictions.parquet")
    mark_finished(other, "0a1b", [file.name for file in other.iterdir() if file.name != DONE])
    with pytest.raises(InputError, match=r"made from other tables.*Apply the method again"):
        predict_twins(load_run(other), after=alone, progress=False)


@pytest.mark.filterwarnings("ignore")  # fairlearn's own use of pandas
def test_twins_of_drawn_decisions_are_refused(run):
    out = apply_posthoc("threshold_optimizer", run, run.with_name("drawn"))
    with pytest.raises(InputError, match=r"draws its decisions.*leace, orthogonalised, kernel"):
        predict_twins(load_run(run), after=out, progress=False)
