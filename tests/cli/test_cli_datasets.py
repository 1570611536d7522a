from __future__ import annotations

from pathlib import Path

import pytest
from support.cli import run
from support.layouts import ham10000, nih

from fairthesis import datasets


def test_list_has_a_line_for_each_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(datasets.DATASETS)


def test_describe_counts_rows_groups_and_what_is_left_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = ham10000(tmp_path)
    code, out, _ = run(
        capsys, "describe", "ham10000", "--data-root", root, "--option", "target=mel"
    )
    assert code == 0
    assert "29 images of 20 patients" in out
    assert "1  image file not found" in out
    assert "2  sex is 'unknown' (set to unknown, image kept)" in out
    assert "not stated" in out
    assert "mel=1" in out
    assert datasets.load("ham10000", root, target="mel").fingerprint() in out


def test_describe_draws_the_counts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root, plot = ham10000(tmp_path), tmp_path / "deep" / "counts.png"
    code, out, _ = run(capsys, "describe", "ham10000", "--data-root", root, "--plot", plot)
    assert code == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert str(plot) in out
    assert len({len(line) for line in out.split("\n\n")[1].splitlines()}) == 1  # columns aligned
    words = ["describe", "ham10000", "--plot", plot]
    assert "--data-root" in run(capsys, *words)[2]
    words += ["--data-root", root, "--plot", tmp_path / "counts.doc"]
    code, _, err = run(capsys, *words)
    assert code == 2 and ".png" in err


def test_describe_without_a_folder_says_what_the_data_set_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, "describe", "nih-cxr14")
    assert code == 0
    assert "Licence" in out
    assert "edition" in out


def test_prepare_decodes_and_names_what_it_cannot_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root = nih(tmp_path / "nih")
    (root / "images" / "00000001_000.png").write_bytes(b"not a picture")
    words = ["prepare", "nih-cxr14", "--data-root", root, "--size", 16, "--quiet"]
    code, out, err = run(capsys, *words, "--cache-dir", tmp_path / "cache")
    assert code == 0
    assert "21 of 22 images" in out
    assert "images/00000001_000.png" in err
    code, _, err = run(capsys, *words, "--cache-dir", tmp_path / "cache", "--strict")
    assert code == 2
    assert "00000001_000.png" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["describe", "nih"], "Unknown data set 'nih'"),
        (["describe", "ham10000", "--data-root", "nowhere"], "No such folder"),
        (["describe", "synthetic-cxr", "--option", "setting"], "NAME=VALUE"),
        (["describe", "synthetic-cxr", "--option", "sitting=clean"], "Did you mean 'setting'"),
        (["prepare", "synthetic-cxr", "--option", "n_train=5", "--size", "2"], "size"),
    ],
)
def test_wrong_words_end_with_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    code, _, err = run(capsys, *words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_describe_counts_an_intersection(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    root, plot = ham10000(tmp_path), tmp_path / "counts.png"
    words = ["describe", "ham10000", "--data-root", root, "--attribute", "sex*age_group"]
    code, out, _ = run(capsys, *words, "--plot", plot)
    assert code == 0
    assert "| sex*age_group" in out and "| F * 20-39" in out and "| not stated" in out
    assert "| sex  " not in out  # only what was asked for
    assert plot.read_bytes().startswith(b"\x89PNG")
    code, _, err = run(capsys, *words[:-1], "sex*race")
    assert code == 2 and "'race'" in err


def test_describe_counts_patients_of_both_classes_and_lesions_seen_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, out, _ = run(capsys, "describe", "nih-cxr14", "--data-root", nih(tmp_path / "nih"))
    frame = datasets.load("nih-cxr14", tmp_path / "nih").frame
    both = (frame.groupby("patient_id")["pneumonia"].nunique() == 2).sum()
    assert both > 0
    assert f"patients with pneumonia=0 and pneumonia=1: {both}\n" in out
    _, out, _ = run(capsys, "describe", "ham10000", "--data-root", ham10000(tmp_path / "ham"))
    assert "lesions with several images: 9\n" in out  # ten, and one has lost its second file


def test_a_preparation_of_nothing_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for k in range(4):
        (tmp_path / f"{k}.png").write_text("no picture")
    rows = [f"{k}.png,{k},{k % 2},F" for k in range(4)]
    (tmp_path / "t.csv").write_text("\n".join(["path,pid,y,sex", *rows]))
    options = ("table=t.csv", "patient=pid", "targets=y", "attributes=sex")
    words = [word for option in options for word in ("--option", option)]
    words += ["--size", "16", "--quiet", "--cache-dir", str(tmp_path / "cache")]
    code, _, err = run(capsys, "prepare", "csv", "--data-root", tmp_path, *words)
    assert code == 2
    assert "None of the 4 images of csv can be read" in err and "cannot read 0.png" in err
