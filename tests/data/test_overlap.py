from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from support.cli import run

from fairthesis import datasets
from fairthesis.data._overlap import _near_pairs, near_duplicates, shared_values
from fairthesis.errors import InputError


def test_shared_patients_and_lesions_are_found_and_null_shares_nothing() -> None:
    frame = pd.DataFrame(
        {
            "pid": ["a", "a", "b", "c", None, None],
            "lesion": ["1", "2", "3", "3", "4", "5"],
            "split": ["train", "train", "val", "test", "train", "test"],
        }
    )
    found = shared_values(frame, ["pid", "lesion"])
    assert found.to_numpy().tolist() == [["lesion", "3", "test+val", 2]]


def pictures(root: Path) -> list[Path]:
    """Twelve synthetic X-rays, a smaller JPEG copy of the first, and a flat picture."""
    cohort = datasets.load("synthetic-cxr", n_train=12, n_val=1, n_test=1, noise=0.02)
    assert cohort.render is not None
    drawn = cohort.render(np.arange(12), 128)[..., 0]
    paths = [root / f"{i}.png" for i in range(12)]
    for path, pixels in zip(paths, drawn, strict=True):
        Image.fromarray(pixels).save(path)
    Image.fromarray(drawn[0]).resize((100, 100)).save(root / "copy.jpg", quality=90)
    Image.new("L", (64, 64), 9).save(root / "flat.png")
    return [*paths, root / "copy.jpg", root / "flat.png"]


def test_a_copy_at_another_size_is_found_and_nothing_else(tmp_path: Path) -> None:
    paths = pictures(tmp_path)
    splits = ["train"] * 12 + ["test"] * 2
    found, skipped = near_duplicates(paths, splits)
    assert found["value"].tolist() == ["0.png ~ copy.jpg"]
    assert skipped == 1
    assert len(near_duplicates(paths, ["train"] * 14)[0]) == 0
    with pytest.raises(InputError, match="distance"):
        near_duplicates(paths, splits, 200)


def test_blocks_find_the_same_pairs() -> None:
    rng = np.random.default_rng(0)
    signs = np.where(rng.random((70, 256)) < 0.5, -1, 1).astype(np.float32)
    signs[65] = signs[3]
    signs[65, :5] *= -1
    for block in (7, 70, 2048):
        assert list(_near_pairs(signs, 12, block)) == [(3, 65, 5)]


def test_the_command_reports_the_overlap(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    paths = pictures(tmp_path)
    frame = pd.DataFrame({"path": [path.name for path in paths]})
    frame["patient_id"] = [str(i) for i in range(14)]
    frame["split"] = ["train"] * 12 + ["test"] * 2
    frame.to_csv(tmp_path / "t.csv", index=False)
    code, out, _ = run(capsys, "check-leaks", tmp_path / "t.csv")
    assert (code, "no overlap" in out) == (0, True)
    code, out, _ = run(
        capsys, "check-leaks", tmp_path / "t.csv", "--image", "path", "--out", tmp_path / "l.csv"
    )
    assert code == 1
    assert "overlap: 1 near-duplicate" in out
    assert "0.png ~ copy.jpg in test+train" in out
    assert len(pd.read_csv(tmp_path / "l.csv")) == 1
    frame["patient_id"] = "same"
    frame.to_parquet(tmp_path / "t.parquet")
    code, out, _ = run(capsys, "check-leaks", tmp_path / "t.parquet")
    assert code == 1
    assert "overlap: 1 patient_id" in out
    for words in (["none.csv"], ["t.csv", "--split", "part"], ["t.csv", "--key", "pid"]):
        code, _, err = run(capsys, "check-leaks", tmp_path / words[0], *words[1:])
        assert code == 2
        assert "Traceback" not in err


@pytest.mark.parametrize(
    ("head", "options", "code", "words"),
    [
        ("Image Index,Patient ID,split", [], 1, "Patient ID: 3 in test+train"),
        ("image_id,person,split", [], 2, "No column of patients was found"),
        ("image_id,person,split", ["--key", "person"], 1, "person: 3 in test+train"),
        ("image_id,person,split", ["--key", "image_id"], 0, "no overlap"),
        ("image_id,patient_id,fold", [], 2, "split"),
        ("image_id,patient_id,fold", ["--split", "fold"], 1, "3 in test+train"),
    ],
)
def test_a_check_that_checks_nothing_is_none(tmp_path, capsys, head, options, code, words):
    rows = [f"{k}.png,{k % 4}.0,{'train' if k < 8 else 'test'}" for k in range(12)]
    (tmp_path / "t.csv").write_text("\n".join([head, *rows]))
    found = run(capsys, "check-leaks", tmp_path / "t.csv", *options)
    assert found[0] == code
    assert words in found[1] + found[2]


def test_one_part_and_empty_keys_are_nothing_to_check(tmp_path, capsys):
    file = tmp_path / "t.csv"
    file.write_text("patient_id,split\n1,train\n2,train\n")
    code, _, err = run(capsys, "check-leaks", file)
    assert code == 2 and "only 'train'" in err
    file.write_text("patient_id,split\n,train\n,test\n")
    code, _, err = run(capsys, "check-leaks", file)
    assert code == 2 and "patient_id is empty" in err
    file.write_text("patient_id,split\n1,train\n2,test\n3,\n,test\n")
    code, out, _ = run(capsys, "check-leaks", file)
    assert code == 0 and "1 rows have no split" in out and "patient_id (1 empty)" in out


def test_images_that_cannot_be_compared_are_no_check(tmp_path, capsys):
    file = tmp_path / "t.csv"
    file.write_text("path,split\na.png,train\nb.png,test\n")
    code, _, err = run(capsys, "check-leaks", file, "--image", "path")
    assert code == 2 and "None of the 2 images could be compared" in err
