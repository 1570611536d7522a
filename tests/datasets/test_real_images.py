"""End to end on real images, where they lie beside the project: train, audit, re-run a chapter."""

import json

import nbformat
import pandas as pd
import pytest
from conftest import DATA, ROOT

from fairthesis.cli import main
from fairthesis.inputs import check_predictions
from fairthesis.study import execute_chapter

NIH = DATA / "nih-cxr14-pneumonia-1000"
HAM = DATA / "ham10000-one-per-lesion-224"
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not NIH.is_dir() or not HAM.is_dir(), reason=f"no real images in {DATA}"),
]


def run(*words):
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code


@pytest.mark.parametrize(
    ("dataset", "root", "target", "attribute"),
    [("nih-cxr14", NIH, "pneumonia", "sex"), ("ham10000", HAM, "malignant", "age_group")],
)
def test_train_and_audit_from_the_command_line(dataset, root, target, attribute, tmp_path, capsys):
    words = ["train", "--dataset", dataset, "--data-root", root, "--target", target]
    words += ["--attribute", attribute, "--backbone", "small", "--size", 32, "--epochs", 2]
    assert run(*words, "--threads", 1, "--quiet", "--out", tmp_path / "run") == 0
    frame = check_predictions(pd.read_parquet(tmp_path / "run" / "predictions.parquet"))
    assert set(frame["split"]) == {"train", "val", "test"}
    assert (frame.groupby("patient_id")["split"].nunique() == 1).all()
    words = ["audit", tmp_path / "run" / "predictions.parquet", "--group", attribute]
    words += ["--patient", "patient_id", "--threshold", "youden", "--n-boot", 100]
    assert run(*words, "--n-permutations", 100, "--out", tmp_path / "audit") == 0
    report = json.loads((tmp_path / "audit" / "audit.json").read_text())
    test = frame[(frame["split"] == "test") & frame["y_true"].notna()]
    assert report["n_rows"] == len(test)
    assert report["n_patients"] == test["patient_id"].nunique()
    counts = test.groupby(attribute).size().to_dict()
    assert {name: group["n"] for name, group in report["groups"][attribute].items()} == counts
    capsys.readouterr()


def test_the_chapter_runs_again_on_the_data(tmp_path):
    given = {"data_root": str(NIH), "profile": "quick", "out_dir": str(tmp_path / "runs")}
    out = execute_chapter(ROOT / "notebooks" / "chest_xray.ipynb", tmp_path / "nih.ipynb", given)
    text = json.dumps(nbformat.read(out, as_version=4))
    assert "computed in nih-cxr14-quick" in text
    assert "archived" not in json.loads(text)["cells"][3]["outputs"][-1]["data"]["text/markdown"]
    assert (tmp_path / "runs" / "nih-cxr14-quick" / "runs" / "erm-0" / "DONE").exists()
