"""``fairthesis audit --metric``: what it writes, prints and refuses."""

import json

import numpy as np
import pandas as pd
import pytest

from fairthesis import cli

QUICK = ("--n-boot", "40", "--n-permutations", "40", "--group", "sex", "--patient", "patient_id")


def run(capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(["audit", *map(str, argv)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


def frame(n=240):
    rng = np.random.default_rng(0)
    words = np.array(["none", "mild", "severe"])
    grade = rng.integers(0, 3, n)
    return pd.DataFrame(
        {
            "patient_id": [f"p{k % 90}" for k in range(n)],
            "sex": np.where(np.arange(n) % 90 < 45, "F", "M"),
            "split": np.where(np.arange(n) % 90 < 80, "test", "val"),
            "dice": rng.random(n).round(3),
            "note": "text",
            "grade": words[grade],
            "rated": words[np.clip(grade + rng.integers(-1, 2, n), 0, 2)],
        }
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_writes_and_summarises(tmp_path, capsys, suffix):
    file, out = tmp_path / f"t.{suffix}", tmp_path / "out"
    table = frame()
    table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file)
    code, text, err = run(
        capsys, file, *QUICK, "--out", out, "--metric", "mean:dice:higher", "--metric",
        "kappa:grade,rated", "--order", "none<mild<severe", "--primary", "mean:dice_gap",
    )  # fmt: skip
    assert (code, err) == (0, "")
    found = json.loads((out / "audit.json").read_text(encoding="utf-8"))
    assert found["schema"] == "fairthesis.outcomes/1"
    assert found["n_rows"] == (table["split"] == "test").sum()
    for words in ("mean:dice_gap", "worst_group_kappa:grade,rated", "audit.html", "missing"):
        assert words in text
    code, text, _ = run(
        capsys, file, *QUICK, "--out", out, "--metric", "mean:dice:higher", "--quiet"
    )
    assert code == 0 and len(text.splitlines()) == 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--label", "y"], "--label and --metric are given"),
        (["--threshold", "0.5"], "--threshold and --metric are given"),
        (["--finding", "a:b"], "--finding and --metric are given"),
        (["--no-explorer"], "--no-explorer and --metric are given"),
        (["--target", "a", "--target", "b"], "expected one --target at most"),
        (["--order", "none"], "Cannot read --order 'none'"),
        (["--metric", "mean:dise"], "Did you mean 'dice'"),
    ],
)
def test_refuses_in_words_and_writes_nothing(tmp_path, capsys, options, words):
    file, out = tmp_path / "t.csv", tmp_path / "out"
    frame().to_csv(file, index=False)
    code, _, err = run(
        capsys, file, *QUICK, "--out", out, "--metric", "kappa:grade,rated", *options
    )
    assert code == 2 and words in err and not out.exists()


def test_an_order_without_a_metric_is_refused(tmp_path, capsys):
    file = tmp_path / "t.csv"
    frame().to_csv(file, index=False)
    code, _, err = run(capsys, file, *QUICK, "--out", tmp_path / "o", "--order", "a<b")
    assert code == 2 and "--order is given without --metric" in err
