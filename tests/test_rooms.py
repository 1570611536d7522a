"""The house: what each room offers, who may enter by which door, and what stays light."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT

import fairthesis

PACKAGE = ROOT / "fairthesis"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.pyi"))
TORCH = ("methods", "models", "training")
# What trains or reads a training run's configuration loads torch through `training`.
TRAINS = {
    "study": {"Plan", "collect", "data_run", "experiments", "plan", "results", "run_experiment"}
    | {"train_run"},
}


def fresh(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def offered(room: str) -> list[str]:
    return list(importlib.import_module(f"fairthesis.{room}").__all__)


def test_about_thirteen_rooms_and_few_files_at_the_top():
    files = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert files == {
        *("__init__.py", "__init__.pyi", "__main__.py", "py.typed"),
        *("errors.py", "machine.py", "provenance.py"),
    }
    assert len(ROOMS) == 14  # and the command line
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == {*ROOMS, "cli"}


@pytest.mark.parametrize("room", [*ROOMS, "cli"])
def test_a_room_says_in_a_sentence_what_it_is_for(room):
    said = importlib.import_module(f"fairthesis.{room}").__doc__
    assert said and said.count("\n") == 0 and said.endswith(".")
    assert len(list((PACKAGE / room).rglob("*.py"))) > 2, "a room with one file is none"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_offers_what_it_says(room):
    module = importlib.import_module(f"fairthesis.{room}")
    names = module.__all__
    assert names == sorted(set(names)) and dir(module) == names
    assert all(not name.startswith("_") for name in names)
    for name in names:
        assert getattr(module, name) is not None, name
    # A file and a name of it that are called the same hide one another.
    modules = {p.stem for p in (PACKAGE / room).iterdir() if p.suffix == ".py" or p.is_dir()}
    assert not modules & set(names)


def test_what_the_top_offers():
    expected = {"audit", "compare", "probe", "power", "train", "FairEncoder", "TrainConfig"}
    expected |= {"load_run"}
    expected |= {"Cohort", "datasets", "InputError", "FairnessReport"}
    assert {*fairthesis.__all__} - {*ROOMS} == expected - {"datasets"}
    assert all(getattr(fairthesis, name) is not None for name in fairthesis.__all__)
    with pytest.raises(AttributeError, match="fairthesis attribute adit"):
        _ = fairthesis.adit


@pytest.mark.parametrize("name", ["audit", "compare", "probe", "power", "train"])
def test_what_users_call_is_a_plain_function(name):
    function = getattr(fairthesis, name)
    assert inspect.isfunction(function)
    assert function.__doc__ and len(inspect.signature(function).parameters) > 1
    assert pickle.loads(pickle.dumps(function)) is function


def imports(code: str) -> set[str]:
    """The dotted names of the package that code imports, and those of which it takes a part."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    found |= set(re.findall(r"\bfairthesis(?:\.\w+)+", code))
    return {name for name in found if name.split(".")[0] == "fairthesis"}


def private(name: str, room: str | None) -> bool:
    """Whether a dotted name leads into another room's files."""
    parts = name.split(".")[1:]
    if len(parts) > 1 and parts[0] == room:
        return False
    return any(part.startswith("_") and not part.startswith("__") for part in parts)


def codes() -> list[tuple[str, str, str | None]]:
    """All code of the project: a file, its text, and the room that it lies in."""
    found = []
    for path in sorted(ROOT.glob("fairthesis/**/*.py")):
        parts = path.relative_to(PACKAGE).parts
        found.append((path, path.read_text(encoding="utf-8"), parts[0] if len(parts) > 1 else None))
    for path in sorted(ROOT.glob("tests/**/*.py")):
        parts = path.relative_to(ROOT / "tests").parts
        room = parts[0] if len(parts) > 1 else None
        found.append((path, path.read_text(encoding="utf-8"), room))
    for pattern in ("benchmarks/**/*.py", "workflow/*.py", "book/_ext/*.py", ".binder/*"):
        found += [(p, p.read_text(encoding="utf-8"), None) for p in sorted(ROOT.glob(pattern))]
    for path in sorted(ROOT.glob("notebooks/*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
        found.append((path, text, None))
    return [(p.relative_to(ROOT).as_posix(), text, room) for p, text, room in found]


def entered(code: str, room: str | None) -> list[str]:
    try:
        names = imports(code)
    except SyntaxError:  # a shell script
        names = set(re.findall(r"\bfairthesis(?:\.\w+)+", code))
    return sorted(name for name in names if private(name, room))


def test_nobody_enters_a_room_but_by_what_it_offers():
    # Tests that are about the house as a whole name files of it.
    house = {f"tests/{name}.py" for name in ("test_rooms", "test_floors", "test_doctests")}
    house |= {"tests/workflow/test_workflow.py", "workflow/dependencies.py"}
    found = {
        file: entered(code, room)
        for file, code, room in codes()
        if file not in house and "tests/support" not in file
    }
    assert {file: names for file, names in found.items() if names} == {}


def test_whoever_enters_by_the_window_is_seen():
    assert entered("from fairthesis.stats._delong import delong", "auditing")
    assert entered("from fairthesis.stats import _delong", None)
    assert entered("import fairthesis.stats._delong as d", None)
    assert entered("monkeypatch.setattr('fairthesis.stats._delong.x', 1)", "cli")
    assert not entered("from fairthesis.stats._delong import delong", "stats")
    assert not entered("from fairthesis.stats import delong", "auditing")


def test_every_room_has_its_layer_and_torch_its_three_rooms():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers, torch = contracts["tool"]["importlinter"]["contracts"]
    placed = [name for line in layers["layers"] for name in line.split(" : ")]
    assert sorted(placed) == sorted([*ROOMS, "cli", "errors", "machine", "provenance"])
    assert len(layers["layers"]) <= 13
    barred = {name.split(".")[1] for name in torch["source_modules"]}
    assert barred == set(placed) - set(TORCH)


# A chapter is run with the book's packages.
TABLES = [
    pytest.param(r, marks=pytest.mark.needs("nbformat")) if r == "study" else r for r in ROOMS
]


@pytest.mark.parametrize("room", [room for room in TABLES if room not in TORCH])
def test_tables_load_no_torch(room):
    names = [name for name in offered(room) if name not in TRAINS.get(room, ())]
    code = f"import sys; from fairthesis.{room} import {', '.join(names)}\n"
    assert fresh(code + "print('torch' in sys.modules)") == "False"


def test_an_import_is_light():
    heavy = "{'torch', 'pandas', 'sklearn', 'matplotlib', 'numpy', 'scipy'}"
    code = f"import sys, fairthesis; print(sorted({heavy} & set(sys.modules)))"
    assert fresh(code) == "[]"
    rooms = ", ".join(f"fairthesis.{room}" for room in ROOMS)
    assert fresh(code.replace("fairthesis;", f"fairthesis, {rooms};")) == "[]"


def test_stubs_go_with_the_package():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "**/*.pyi" in built["tool"]["setuptools"]["package-data"]["fairthesis"]
    assert (PACKAGE / "py.typed").exists()


def test_a_type_checker_sees_what_a_user_calls(tmp_path: Path):
    pytest.importorskip("mypy")
    (tmp_path / "use.py").write_text(
        "import fairthesis as ft\nreveal_type(ft.audit)\nreveal_type(ft.stats.delong)\n"
        "ft.audit(1)\nft.nothing\n"
    )
    words = ["--config-file=", "--cache-dir", str(ROOT / ".mypy_cache"), str(tmp_path / "use.py")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "def (frame: " in done.stdout and "FairnessReport" in done.stdout, done.stdout
    assert "y_true: " in done.stdout
    assert 'Module has no attribute "nothing"' in done.stdout


def test_no_two_test_files_have_one_name():
    """pytest takes modules by their base name: a second one is an error of the whole suite."""
    names = [file.name for file in sorted((ROOT / "tests").rglob("test_*.py"))]
    assert not {name for name in names if names.count(name) > 1}
