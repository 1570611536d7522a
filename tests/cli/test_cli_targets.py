"""``fairthesis audit`` of several targets, of a wide table and of classes."""

import json

import pytest
from support.targets import CLASSES, TARGETS, classes, long, wide

from fairthesis import cli

QUICK = ["--group", "sex", "--patient", "patient_id", "--n-boot", "40", "--n-permutations", "40"]


def run(capsys, *argv):
    with pytest.raises(SystemExit) as ended:
        cli.main(["audit", *map(str, argv)])
    out, err = capsys.readouterr()
    return ended.value.code, out, err


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "long.csv"
    long(wide()).to_csv(file, index=False)
    return file


def audited(folder):
    return json.loads((folder / "audit.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("asked", [[], ["--target", "all"]])
def test_all_targets_in_one_command(table, tmp_path, capsys, asked):
    out = tmp_path / "out"
    code, text, err = run(capsys, table, *QUICK, "--out", out, *asked)
    assert code == 0
    assert list(audited(out)["targets"]) == list(TARGETS)
    for words in (*TARGETS, "mean over targets", "corrected over the targets", "macro.csv"):
        assert words in text
    assert "targets" in err and "3/3" in err  # progress


def test_several_by_name_and_quiet(table, tmp_path, capsys):
    out = tmp_path / "out"
    names = ["--target", "Mass", "--target", "Edema", "--target", "Mass"]
    code, text, err = run(capsys, table, *QUICK, "--out", out, *names, "--quiet")
    assert (code, err) == (0, "")
    assert list(audited(out)["targets"]) == ["Mass", "Edema"]
    assert all((line.startswith(str(out))) for line in text.splitlines())


def test_one_target_stays_as_it_was(table, tmp_path, capsys):
    for k, asked in enumerate((["--target", "Mass"], ["--target", "Mass", "--target", "Mass"])):
        out = tmp_path / f"out{k}"
        code, _, err = run(capsys, table, *QUICK, "--out", out, *asked)
        assert (code, err) == (0, "")
        assert audited(out)["schema"] == "fairthesis.audit/1"
        assert not [p for p in out.iterdir() if p.is_dir()]
    one = tmp_path / "one.csv"
    long(wide()).query("target == 'Mass'").to_csv(one, index=False)
    run(capsys, one, *QUICK, "--out", tmp_path / "all", "--target", "all")
    assert without_flow(audited(tmp_path / "all")) == without_flow(audited(out))


def without_flow(found):
    """All but how many rows the table had before the target was chosen."""
    for one in found.get("targets", {"": found}).values():
        del one["further"]["flow"]
    return found


def test_a_wide_table_is_its_long_form(table, tmp_path, capsys):
    run(capsys, table, *QUICK, "--out", tmp_path / "long")
    file = tmp_path / "wide.csv"
    wide().to_csv(file, index=False)
    findings = [word for t in TARGETS for word in ("--finding", f"{t}:p_{t}")]
    code, _, _ = run(capsys, file, *QUICK, *findings, "--out", tmp_path / "wide")
    assert code == 0
    assert without_flow(audited(tmp_path / "wide")) == without_flow(audited(tmp_path / "long"))


def test_classes(tmp_path, capsys):
    file = tmp_path / "skin.csv"
    coded = classes().assign(dx=lambda t: t["dx"].map({"mel": "007", "nv": "7", "bkl": "b=c"}))
    coded.to_csv(file, index=False)
    named = [w for c, n in zip(("007", "7", "b=c"), CLASSES, strict=True)
             for w in ("--classes", f"{c}=p_{n}")]  # fmt: skip
    out = tmp_path / "out"
    code, text, _ = run(capsys, file, *QUICK, "--label", "dx", *named, "--out", out)
    assert code == 0
    found = audited(out)
    assert list(found["targets"]) == found["decisions"]["classes"] == ["007", "7", "b=c"]
    assert "balanced accuracy" in text and "confusion.csv" in text
    assert found["decisions"]["overall"]["n"] == 500


def test_a_target_that_fails_is_said_and_all_that_fail_end_it(tmp_path, capsys):
    table = long(wide())
    table.loc[table["target"] == "Mass", "y_true"] = 1.0
    file, out = tmp_path / "p.csv", tmp_path / "out"
    table.to_csv(file, index=False)
    code, text, _ = run(capsys, file, *QUICK, "--out", out)
    assert code == 0 and "Not audited: Mass: All 600 labels" in text
    table.assign(y_true=1.0).to_csv(file, index=False)
    code, text, err = run(capsys, file, *QUICK, "--out", tmp_path / "none", "--quiet")
    assert (code, text) == (2, "") and not (tmp_path / "none").exists()
    assert err.startswith("fairthesis: All 600 labels") and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--target", "Edema", "--target", "Mas"], "Unknown target 'Mas': expected one of Edema"),
        (["--target", "Edema", "--finding", "a:b"], "--target and --finding are given"),
        (["--finding", "a:b", "--classes", "a=b"], "--finding and --classes are given"),
        (["--finding", "Edema"], "expected LABEL:SCORE"),
        (["--finding", "y_true:y_score", "--finding", "y_true:x"], "given twice"),
        (["--finding", "y_true:p"], "Unknown column"),
        (["--classes", "mel"], "expected CLASS=SCORE"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(table, tmp_path, capsys, argv, words):
    code, text, err = run(capsys, table, *QUICK, "--out", tmp_path / "out", "--quiet", *argv)
    assert (code, text) == (2, "") and words in err
    assert len(err.strip().splitlines()) == 1 and not (tmp_path / "out").exists()


def test_no_file_names_a_patient_or_a_folder(tmp_path, capsys):
    home = tmp_path / "jane.doe-of-st-marys"
    home.mkdir()
    table = long(wide())
    for column in ("patient_id", "image_id"):
        table[column] = "MRN-4711-" + table[column]
    table.to_csv(home / "long.csv", index=False)
    code, _, _ = run(capsys, home / "long.csv", *QUICK, "--out", tmp_path / "out")
    assert code == 0
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(files) > 20
    for file in files:
        content = file.read_bytes()
        assert b"MRN-4711" not in content and home.name.encode() not in content, file.name
