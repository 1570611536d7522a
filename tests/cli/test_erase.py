"""``erase`` and ``postprocess fit`` and ``apply`` from end to end, and what they refuse."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from support.predictions import table

from fairthesis import cli
from fairthesis.postprocessing import erase_attribute, load_fitted


def run(*argv):
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in argv])
    return ended.value.code


@pytest.fixture
def tables(tmp_path):
    """Embeddings of 8 numbers of which sex shifts some, two rows a patient, and their labels."""
    rng = np.random.default_rng(0)
    n, d = 600, 8
    patient = np.arange(n) // 2
    sex = rng.choice(["F", "M"], n // 2)[patient]
    y = rng.integers(0, 2, n)
    split = np.array(["train", "val", "test"])[patient % 3]
    x = (
        rng.normal(size=(n, d))
        + np.outer(sex == "F", rng.normal(size=d))
        + np.outer(y, np.eye(d)[0])
    )
    keys = pd.DataFrame(
        {"image_id": [f"i{k}" for k in range(n)], "patient_id": patient, "split": split}
    )
    columns = pd.DataFrame(x.astype(np.float32), columns=[f"disease_{k:03d}" for k in range(d)])
    embeddings = pd.concat([keys, columns, columns.add_prefix("other_")], axis=1)
    labels = keys.assign(target="edema", y_true=y, y_score=0.5, sex=sex)
    embeddings.to_parquet(tmp_path / "e.parquet")
    labels.to_parquet(tmp_path / "l.parquet")
    return embeddings, labels


QUICK = ("--probe", "logistic", "--n-boot", 20, "--n-shuffles", 1)


def test_an_eraser_is_fitted_measured_kept_and_applied(tables, tmp_path, capsys):
    embeddings, labels = tables
    fit = ("erase", "fit", tmp_path / "e.parquet", "--labels", tmp_path / "l.parquet")
    assert run(*fit, "--group", "sex", *QUICK, "--out", tmp_path / "eraser") == 0
    said = capsys.readouterr().out
    assert "leace: fitted on 400 rows of 200 patients, train and val; sex: F " in said
    assert "On new patients (eraser fitted on 200 rows, fresh probes)" in said
    assert "sex, logistic" in said and "target, logistic" in said
    card = json.loads((tmp_path / "eraser" / "fitted.json").read_text())
    about = card["fitted_on"]
    assert (about["n_rows"], about["n_patients"], about["n_left_out"]) == (400, 200, 200)
    assert about["splits"] == ["train", "val"] and about["target"] == "edema"
    assert sum(about["groups"].values()) == 400 and len(about["fingerprint"]) == 16
    assert [r["of"] for r in card["measured"]["readings"]] == ["attribute", "target"]
    out = tmp_path / "erased.parquet"
    assert run("erase", "apply", tmp_path / "eraser", tmp_path / "e.parquet", "--out", out) == 0
    assert "600 rows written" in capsys.readouterr().out
    found = pd.read_parquet(out)
    pd.testing.assert_frame_equal(found, erase_attribute(embeddings, labels, group="sex"))
    assert (found.dtypes == embeddings.dtypes).all()


def test_whole_numbers_become_floats(tables, tmp_path):
    embeddings, _ = tables
    whole = embeddings.assign(disease_001=(10 * embeddings["disease_001"]).round().astype(int))
    whole.to_parquet(tmp_path / "e.parquet")
    fit = ("erase", "fit", tmp_path / "e.parquet", "--labels", tmp_path / "l.parquet")
    run(*fit, "--group", "sex", *QUICK, "--out", tmp_path / "eraser")
    out = tmp_path / "out.parquet"
    assert run("erase", "apply", tmp_path / "eraser", tmp_path / "e.parquet", "--out", out) == 0
    assert pd.read_parquet(out)["disease_001"].dtype == np.float64
    assert pq.read_schema(out).names == list(whole.columns)


@pytest.mark.parametrize("method", ["mean_differences", "splince", "kernel"])
def test_every_method(method, tables, tmp_path):
    fit = ("erase", "fit", tmp_path / "e.parquet", "--labels", tmp_path / "l.parquet")
    argv = ("--group", "sex", "--method", method, *QUICK, "--out", tmp_path / "eraser")
    assert run(*fit, *argv, "--seed", 3) == 0
    eraser = load_fitted(tmp_path / "eraser")
    assert type(eraser).__name__.lower().startswith(method[:4])
    assert getattr(eraser, "seed", 3) == 3


def test_directions_are_chosen_on_held_out_patients(tables, tmp_path, capsys):
    fit = ("erase", "fit", tmp_path / "e.parquet", "--labels", tmp_path / "l.parquet")
    argv = ("--group", "sex", "--directions", "auto", *QUICK, "--out", tmp_path / "eraser")
    assert run(*fit, *argv) == 0
    assert "AUROC of the attribute by directions: 2: " in capsys.readouterr().out
    card = json.loads((tmp_path / "eraser" / "fitted.json").read_text())
    assert [t["directions"] for t in card["fitted_on"]["directions"]] == [2, 4, 8]


def test_few_patients_are_fitted_on_and_not_measured(tables, tmp_path, capsys):
    embeddings, _ = tables
    embeddings[:24].to_parquet(tmp_path / "e.parquet")
    fit = ("erase", "fit", tmp_path / "e.parquet", "--labels", tmp_path / "l.parquet")
    assert run(*fit, "--group", "sex", *QUICK, "--out", tmp_path / "eraser") == 0
    assert "Not measured: " in capsys.readouterr().out
    card = json.loads((tmp_path / "eraser" / "fitted.json").read_text())
    assert card["measured"] is None and "expected 10 or more" in card["fitted_on"]["not_measured"]


def test_what_cannot_be_erased_is_refused_and_nothing_is_written(tables, tmp_path, capsys):
    embeddings, labels = tables
    hole = embeddings["disease_002"].mask(embeddings["image_id"] == "i5")
    twice = pd.concat([embeddings, embeddings[:1]])
    both = embeddings.assign(patient_id=np.arange(600) // 4)
    cases = [
        (embeddings, labels, ("--group", "sx"), "Did you mean 'sex'"),
        (embeddings, labels.drop(columns="sex"), ("--group", "sex"), "Unknown column"),
        (embeddings, labels.assign(sex="F"), ("--group", "sex"), "sex is 'F' in all 400 rows"),
        (embeddings, labels.assign(sex=None), ("--group", "sex"), "has a known sex"),
        (embeddings.assign(disease_002=hole), labels, ("--group", "sex"), "not finite"),
        (twice, labels, ("--group", "sex"), "Image 'i0' stands twice"),
        (both, labels, ("--group", "sex"), "in more than one split"),
        (embeddings, labels, ("--group", "sex", "--target", "edemo"), "Did you mean 'edema'"),
        (
            embeddings,
            labels.drop(columns=["y_true", "target"]),
            ("--group", "sex", "--method", "splince"),
            "splince needs a target",
        ),
        (embeddings, labels, ("--group", "sex", "--shrinkage", "2"), "shrinkage is 2"),
        (
            embeddings,
            labels,
            ("--group", "sex", "--shrinkage", "lots"),
            "expected a number, or auto",
        ),
        (embeddings, labels, ("--group", "sex", "--directions", "99"), "from 1 to the width, 8"),
        (embeddings, labels, ("--group", "sex", "--probe", "line"), "Unknown probe 'line'"),
        (
            embeddings,
            labels,
            ("--group", "sex", "--method", "kernel", "--directions", "4"),
            "--directions is for leace and splince",
        ),
    ]
    for frame, told, argv, words in cases:
        frame.to_parquet(tmp_path / "bad.parquet")
        told.to_parquet(tmp_path / "told.parquet")
        start = ("erase", "fit", tmp_path / "bad.parquet", "--labels", tmp_path / "told.parquet")
        assert run(*start, *argv, "--out", tmp_path / "eraser") == 2, words
        error = capsys.readouterr().err
        assert words in error and "Traceback" not in error
        assert len(error.splitlines()) == 1
        assert not (tmp_path / "eraser").exists()


def test_another_table_is_refused_and_nothing_is_written(tables, tmp_path, capsys):
    embeddings, _ = tables
    fit = ("erase", "fit", tmp_path / "e.parquet", "--labels", tmp_path / "l.parquet")
    run(*fit, "--group", "sex", *QUICK, "--out", tmp_path / "eraser")
    capsys.readouterr()
    hole = embeddings["disease_002"].mask(embeddings["image_id"] == "i599")
    wider = embeddings.assign(disease_008=0.0)
    out = tmp_path / "out.parquet"
    for frame, words in (
        (
            embeddings.drop(columns="disease_003"),
            "7 numbered columns, and the eraser was fitted on 8",
        ),
        (wider, "the first that differs is 'disease_008'"),
        (embeddings.assign(disease_002=hole), "not finite"),
    ):
        frame.to_parquet(tmp_path / "bad.parquet", row_group_size=100)
        assert (
            run("erase", "apply", tmp_path / "eraser", tmp_path / "bad.parquet", "--out", out) == 2
        )
        assert words in capsys.readouterr().err
        assert not out.exists() and not list(tmp_path.glob(".out*"))
    assert run("erase", "apply", tmp_path / "no", tmp_path / "e.parquet", "--out", out) == 2
    assert "No fitted.json" in capsys.readouterr().err


def test_thresholds_are_kept_and_applied_to_tomorrows_table(tmp_path, capsys):
    frame = table(3000)
    frame.to_parquet(tmp_path / "p.parquet")
    test = frame[frame["split"] == "test"].drop(columns=["y_true", "split"])
    test.to_csv(tmp_path / "new.csv", index=False)
    for method in ("level_up", "equalized_odds", "isotonic"):
        kept, out = tmp_path / method, tmp_path / f"{method}.parquet"
        fit = ("postprocess", "fit", tmp_path / "p.parquet", "--group", "sex", "--method", method)
        assert run(*fit, "--out", kept) == 0
        said = capsys.readouterr().out
        assert "fitted on" in said and "(val); sex: F " in said
        assert run("postprocess", "apply", kept, tmp_path / "new.csv", "--out", out) == 0
        assert f"{len(test)} rows written" in capsys.readouterr().out
        plain = tmp_path / "plain.parquet"
        argv = ("postprocess", tmp_path / "p.parquet", "--group", "sex", "--method", method)
        assert run(*argv, "--out", plain) == 0
        column = "y_score" if method == "isotonic" else "y_pred"
        np.testing.assert_array_equal(pd.read_parquet(out)[column], pd.read_parquet(plain)[column])
        capsys.readouterr()
    strange = test.assign(sex="X")
    strange.to_csv(tmp_path / "new.csv", index=False)
    out = tmp_path / "none.csv"
    assert (
        run("postprocess", "apply", tmp_path / "level_up", tmp_path / "new.csv", "--out", out) == 2
    )
    assert "Unknown sex 'X': this was fitted for F, M" in capsys.readouterr().err
    assert not out.exists()


def test_eraser_and_thresholds_are_not_taken_for_each_other(tables, tmp_path, capsys):
    table(600).to_parquet(tmp_path / "p.parquet")
    argv = ("--group", "sex", "--method", "level_up", "--out", tmp_path / "kept")
    run("postprocess", "fit", tmp_path / "p.parquet", *argv)
    fit = ("erase", "fit", tmp_path / "e.parquet", "--labels", tmp_path / "l.parquet")
    run(*fit, "--group", "sex", *QUICK, "--out", tmp_path / "eraser")
    capsys.readouterr()
    out = tmp_path / "x.parquet"
    assert run("erase", "apply", tmp_path / "kept", tmp_path / "e.parquet", "--out", out) == 2
    assert "use postprocess apply" in capsys.readouterr().err
    assert (
        run("postprocess", "apply", tmp_path / "eraser", tmp_path / "p.parquet", "--out", out) == 2
    )
    assert "use erase apply" in capsys.readouterr().err
    assert not out.exists()


def test_the_old_form_of_postprocess_stands_beside_the_new(tmp_path, capsys):
    """Options may come first, and a file called fit is reached by its path."""
    table(600).to_csv(tmp_path / "fit", index=False)
    out = tmp_path / "o.csv"
    argv = ("--group", "sex", "--method", "level_up", "--out", out)
    assert run("postprocess", *argv, tmp_path / "fit") == 0
    assert "test rows written" in capsys.readouterr().out
    assert run("postprocess", "fit", "--help") == 0
    assert "keep them in a folder" in capsys.readouterr().out
    assert run("postprocess", "--help") == 0
    shown = capsys.readouterr().out
    assert "FILE" in shown and "apply" in shown.partition("Commands:")[2]
