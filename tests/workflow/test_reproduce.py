"""`make reproduce`: an empty plan says so, and what a caller gives is never a shell's code."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from fairthesis.errors import InputError
from fairthesis.study import experiments

sys.path.insert(0, str(ROOT / "workflow"))
import chosen as module
from chosen import chosen

HOSTILE = [
    *("St Mary's", "$(touch PWNED)", "`touch PWNED`", "a; touch PWNED", "two words", 'a"b', "-x"),
    *("# 2", "a: b", "*", "{x}", "$HOME", "é日", "line\nbreak", "1e3", "x\\y", "~", "%s", "a&b|c"),
]


@pytest.mark.parametrize("name", experiments())
@pytest.mark.parametrize("profile", module.PROFILES)
def test_what_is_asked_for_by_name_is_rebuilt_or_refused(name: str, profile: str) -> None:
    own = [one for one in module.PROFILES[profile] if one in experiments()[name]]
    if own and module.dataset_of(name).startswith("synthetic"):
        assert chosen(profile, name, "nowhere") == [(name, one) for one in own]
    else:
        with pytest.raises(InputError, match=name):
            chosen(profile, name, "nowhere")


def test_a_name_without_such_a_profile_is_told_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = {"a": {"full": {"base": {"dataset": "synthetic-cxr"}}}}
    monkeypatch.setattr(module, "experiments", lambda: listed)
    with pytest.raises(InputError, match=r"a has nothing .*PROFILE=quick: it has full.*none"):
        chosen("quick", "a", "")
    with pytest.raises(InputError, match="Nothing is left to rebuild in PROFILE=quick"):
        chosen("quick", "", "")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"only": "nih-cxr14"}, r"there is no folder .*nih-cxr14\*: give DATA_ROOT"),
        ({"only": "synthetic-cxr nih-cxr14"}, "nih-cxr14 cannot be rebuilt"),
        ({"only": "synthetic-cxx"}, "Unknown experiment .*Did you mean 'synthetic-cxr'"),
        ({"only": " , "}, "ONLY is ' , '"),
        ({"profile": "quik"}, "Unknown profile .*Did you mean 'quick'"),
    ],
)
def test_what_cannot_be_rebuilt_says_why(asked: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        chosen(**{"profile": "quick", "only": "", "data_root": str(tmp_path)} | asked)


def test_nobody_asked_for_is_left_out_with_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ham10000-mine").mkdir()
    names = {name for name, _ in chosen("quick", "", str(tmp_path))}
    assert names == {"synthetic-cxr", "synthetic-derm", "ham10000"}
    assert "left out: nih-cxr14, since there is no folder" in capsys.readouterr().err


def copied(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("workflow", "fairthesis"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "Makefile", folder)
    return folder


@pytest.mark.needs("snakemake")
def test_an_empty_plan_ends_with_an_error(tmp_path: Path) -> None:
    folder = copied(tmp_path / "p")
    command = [sys.executable, "workflow/build.py", "--target", "reproduce", "--set"]
    done = subprocess.run(
        [*command, "profile=quick", "only=nih-cxr14", "data_root=my data #2: it's"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no folder my data #2: it's/nih-cxr14*: give DATA_ROOT" in done.stderr, done.stderr
    assert "Nothing changed" not in done.stdout


@pytest.mark.needs("snakemake")
def test_snakemake_without_a_profile_does_not_say_that_all_was_done(tmp_path: Path) -> None:
    folder = copied(tmp_path / "p")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "snakemake", "--snakefile", "workflow/Snakefile", "--cores"]
    done = subprocess.run(
        [*command, "1", "--dry-run", "reproduce"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Nothing is asked for" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose python only writes down the words that it is called with."""
    folder = copied(tmp_path_factory.mktemp("make") / "p")
    tools = folder / ".venv" / "bin"
    tools.mkdir(parents=True)
    code = "import json, sys; print('WORDS', json.dumps(sys.argv[1:]))"
    (tools / "python").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    (tools / "python").chmod(0o755)
    for name in ("requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    text = (ROOT / "requirements.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    (folder / ".venv" / "installed").write_text(text)
    return folder


@pytest.mark.parametrize("way", ["word", "environment"])
@pytest.mark.parametrize("value", HOSTILE)
def test_make_hands_over_values_letter_for_letter(made: Path, value: str, way: str) -> None:
    given = dict.fromkeys(("DATA_ROOT", "ONLY", "ON", "PROFILE", "CORES", "ARGS"), value)
    words = [f"{name}={text}" for name, text in given.items()] if way == "word" else []
    env = os.environ | (given if way == "environment" else {})
    command = ["make", "--no-print-directory", "reproduce", *words]
    done = subprocess.run(command, cwd=made, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [line] = [line for line in done.stdout.splitlines() if line.startswith("WORDS")]
    expected = ["workflow/build.py", f"--cores={value}", f"--on={value}", f"--args={value}"]
    expected += [
        "--target",
        "reproduce",
        "--set",
        f"profile={value}",
        f"data_root={value}",
        f"only={value}",
    ]
    assert json.loads(line.removeprefix("WORDS")) == expected
    assert not (made / "PWNED").exists()


@pytest.mark.parametrize("value", HOSTILE)
def test_a_folder_of_data_is_one_word_of_the_command(value: str, tmp_path: Path) -> None:
    """What grid.smk's `asked` makes, split by a shell."""
    root = tmp_path / value
    (root / f"ham10000{value}").mkdir(parents=True)
    folder = module.data_folder("ham10000", str(root))
    assert folder is not None
    line = shlex.join([f"--data-root={folder}"])
    said = subprocess.run(["sh", "-c", f"printf %s {line}"], capture_output=True, check=True)
    assert said.stdout.decode() == f"--data-root={folder}"


def test_unknown_machines_and_settings_are_refused() -> None:
    for words in (["--on", "../x"], ["--set", "profile"]):
        command = [sys.executable, "workflow/build.py", *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "expected" in done.stderr


def test_the_readmes_picture_is_drawn_from_the_archive(tmp_path: Path) -> None:
    import matplotlib as mpl
    import readme_picture

    with mpl.rc_context():  # its style is for a process of its own
        readme_picture.main(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5000
