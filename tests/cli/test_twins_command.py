"""``fairthesis twins`` on a small run: its own scores, its own threshold, files, and refusals."""

import json

import numpy as np
import pandas as pd
import pytest

from fairthesis import cli, datasets
from fairthesis.errors import InputError
from fairthesis.training import TrainConfig, load_run, predict_twins, train, twins_of_run

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
