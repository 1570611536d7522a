"""``fairthesis audit`` on the command line: what it writes, prints and refuses."""

import json

import numpy as np
import pandas as pd
import pytest
from support.predictions import table

from fairthesis import cli

QUICK = ["--n-boot", "40", "--n-permutations", "40"]


def run(capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(["audit", *map(str, argv)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_writes_and_summarises(tmp_path, capsys, suffix):
    frame = table()
    file = tmp_path / f"p.{suffix}"
    frame.to_csv(file) if suffix == "csv" else frame.to_parquet(file)
    out = tmp_path / "out"
    code, text, err = run(
        capsys, file, "--group", "sex", "--group", "sex*age_group", "--patient", "patient_id",
        "--out", out, "--threshold", "fpr=0.2", *QUICK,
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads((out / "audit.json").read_text())
    assert found["threshold"]["rule"] == "fpr=0.2"
    assert (out / "audit.html").stat().st_size > 1000
    for words in ("auroc_gap", "95 % interval", "equal", "F * <40", "audit.html", "corrected"):
        assert words in text


def test_other_column_names_and_quiet(tmp_path, capsys):
    names = {"y_true": "disease", "y_score": "p", "patient_id": "subject", "split": "part"}
    file = tmp_path / "p.csv"
    table().drop(columns="target").rename(columns=names).to_csv(file, index=False)
    code, text, _ = run(
        capsys, file, "--label", "disease", "--score", "p", "--group", "sex", "--quiet",
        "--patient", "subject", "--out", tmp_path / "o", *QUICK,
    )  # fmt: skip
    assert code == 0
    assert len(text.splitlines()) == 6


def test_help_shows_examples(capsys):
    code, text, _ = run(capsys, "--help")
    assert code == 0
    assert "fairthesis audit predictions.csv --group sex" in text


def bad_tables():
    good = table(200)
    yield "column", good, ["--group", "sexx"], "Did you mean 'sex'"
    yield "label", good.assign(y_true="ill"), [], "expected 0"
    yield "score", good.assign(y_score=-2.5), [], "logistic"
    yield "one-class", good.assign(y_true=0), [], "positive and negative"
    yield "one-group", good.assign(sex="F"), [], "at least two groups"
    yield "no-rows", good.iloc[:0], [], "No rows"
    yield "rule", good, ["--threshold", "best"], "Unknown threshold"
    yield "no-val", good.assign(split="test"), ["--threshold", "youden"], "split == 'val'"
    yield "patient", good, ["--patient", "patient"], "Did you mean 'patient_id'"
    yield "split", good.assign(split="train"), [], "--split"
    two = pd.concat([good, good.assign(target="edema")])
    yield "targets", two, ["--target", "edma"], "Did you mean 'edema'"


@pytest.mark.parametrize("case", list(bad_tables()), ids=lambda case: case[0])
def test_bad_tables_end_with_one_message(tmp_path, capsys, case):
    _, frame, argv, message = case
    file = tmp_path / "p.csv"
    frame.to_csv(file, index=False)
    out = tmp_path / "out"
    code, text, err = run(capsys, file, "--group", "sex", "--out", out, *QUICK, *argv)
    assert code == 2
    assert message in err and err.startswith("fairthesis: ") and "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert text == "" and not out.exists()


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("missing.csv", None, "No file"),
        ("empty.csv", b"", "is empty"),
        ("picture.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "no text"),
        ("broken.parquet", b"not parquet", "Cannot read"),
        ("binary.csv", b"\xff\xfe\x00a,b\n", "Cannot read"),
    ],
)
def test_bad_files_end_with_one_message(tmp_path, capsys, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, _, err = run(capsys, tmp_path / name, "--group", "sex", "--out", tmp_path / "out")
    assert code == 2
    assert message in err and len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_missing_file_with_a_near_name(tmp_path, capsys):
    table(200).to_csv(tmp_path / "predictions.csv")
    _, _, err = run(capsys, tmp_path / "prediction.csv", "--group", "sex", "--out", tmp_path / "o")
    assert "Did you mean 'predictions.csv'" in err


def test_constant_scores_are_a_warning(tmp_path, capsys):
    table(300).assign(y_score=np.float64(0.5)).to_csv(tmp_path / "p.csv")
    code, text, _ = run(
        capsys, tmp_path / "p.csv", "--group", "sex", "--out", tmp_path / "o", *QUICK
    )
    assert code == 0
    assert "Warning: All scores are 0.5" in text


@pytest.mark.parametrize("command", ["compare", "power", "probe"])
def test_a_target_given_twice_is_refused_in_words(command, tmp_path, capsys):
    table().to_csv(tmp_path / "p.csv", index=False)
    files = ["p.csv", "p.csv"] if command == "compare" else ["p.csv"]
    words = [command, *(str(tmp_path / f) for f in files), "--target", "a", "--target", "b"]
    words += {"probe": ["--labels", str(tmp_path / "p.csv"), "--attribute", "sex"]}.get(
        command, ["--group", "sex"]
    )
    words += [] if command == "power" else ["--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "--target is given 2 times (a, b): expected one" in capsys.readouterr().err
