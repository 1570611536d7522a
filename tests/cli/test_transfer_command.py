"""``fairthesis transfer``: runs in another cohort, end to end; what is refused."""

import json

import pandas as pd
import pytest

from fairthesis import cli
from fairthesis.training import TrainConfig, train

FEW = {"n_train": 160, "n_val": 120, "n_test": 200, "setting": "clean"}
QUICK = ("--n-boot", 50, "--n-permutations", 0, "--n-shift", 99)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    at = tmp_path_factory.mktemp("runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("FAIRTHESIS_CACHE", str(at / "cache"))
    small = {"backbone": "small", "size": 16, "batch_size": 16, "threads": 1}
    made = [
        train(
            TrainConfig(dataset_options=FEW, attributes=("sex",), epochs=epochs, **small),
            at / name,
            progress=False,
        )
        for name, epochs in (("erm", 1), ("again", 2))
    ]
    yield made
    patch.undo()


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return ended.value.code or 0


def test_two_runs_in_a_noisier_cohort_then_again_from_their_predictions(runs, tmp_path, capsys):
    there = ("--dataset-option", "noise=0.3", "--group", "sex", *QUICK)
    assert command("transfer", *runs, *there, "--out", tmp_path / "a") == 0
    said = capsys.readouterr().out
    assert "The shift is one of appearance" in said and "transfer.html" in said
    found = json.loads((tmp_path / "a" / "transfer.json").read_text(encoding="utf-8"))
    assert list(found["models"]) == ["erm", "again"] and found["labelled"]
    assert found["settings"]["embeddings"] and len(found["comparisons"]) == 2
    for name in ("erm-in-distribution", "again-external"):
        assert (tmp_path / "a" / "audits" / name / "audit.html").exists()
    predicted = [tmp_path / "a" / "predictions" / name for name in ("erm", "again")]
    rows = pd.read_parquet(predicted[0] / "predictions.parquet")
    assert len(rows) == found["models"]["erm"]["external"]["n_rows"] == 480
    given = [word for folder in predicted for word in ("--predictions", folder)]
    once_more = ("--group", "sex", *QUICK, "--out", tmp_path / "b", "--quiet")
    assert command("transfer", *runs, *given, *once_more) == 0
    for name in ("transfer.json", "transfer.csv", "shifts.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    # A second call finds the predictions, and predicts nothing anew.
    before = (predicted[0] / "predictions.parquet").stat().st_mtime_ns
    assert command("transfer", *runs, *there, "--out", tmp_path / "a", "--quiet") == 0
    assert (predicted[0] / "predictions.parquet").stat().st_mtime_ns == before
    # The predictions of one run are not taken for another's.
    swapped = ("--predictions", predicted[1], "--predictions", predicted[0])
    out = ("--group", "sex", "--out", tmp_path / "c")
    capsys.readouterr()
    assert command("transfer", *runs, *swapped, *out) == 2
    assert "were made by the run 'again', and not by" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


BAD = {
    "nothing": ((), "No other cohort is given"),
    "both": (("--predictions", "x", "--dataset", "synthetic-cxr"), "expected one of them"),
    "too few": (("--predictions", "x", "--predictions", "y"), "2 --predictions for 1 runs"),
    "not made": (("--predictions", "x"), "No finished run in 'x'"),
    "kind": (("--dataset", "synthetic-derm"), "has no attribute 'sex'"),
    "group": (("--dataset", "synthetic-cxr", "--group", "shoe"), "has no attribute 'shoe'"),
    "names": (("--name", "a", "--name", "b", "--dataset-option", "noise=0.2"), "2 names for 1"),
    "option": (("--dataset-option", "nois=0.2"), "nois"),
    "target": (
        ("--dataset", "synthetic-cxr", "--rename", "opacity=shade"),
        "has no target opacity",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_done_is_said_and_nothing_is_written(case, runs, tmp_path, capsys):
    arguments, words = BAD[case]
    out = ("--group", "sex", "--out", tmp_path / "out")
    assert command("transfer", runs[0], *arguments, *out) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_no_run_is_said(tmp_path, capsys):
    out = ("--dataset", "synthetic-cxr", "--group", "sex", "--out", tmp_path / "out")
    assert command("transfer", tmp_path / "none", *out) == 2
    assert "No finished run" in capsys.readouterr().err
