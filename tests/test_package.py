"""What `pip install .` gives: every file of the package, and the extras it promises."""

import subprocess
import sys
import tomllib
import zipfile

from conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_wheel_holds_every_file_of_the_package(tmp_path):
    source = tmp_path / "source"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(source)], check=True)
    (source / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(tmp_path), str(source)], check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("fairthesis-*.whl"))).namelist())
    files = {
        str(file.relative_to(source))
        for file in (source / "fairthesis").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert files <= names, files - names


def test_core_needs_no_torch_and_extras_are_as_documented():
    core = " ".join(PROJECT["dependencies"])
    assert "torch" not in core
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == {"train", "book", "test"}
    assert any(item.startswith("torch>") for item in extras["train"])
    assert PROJECT["scripts"] == {"fairthesis": "fairthesis.cli:main"}


def test_every_dependency_of_the_book_is_pinned():
    pins = (ROOT / "requirements.txt").read_text().lower().replace("_", "-")
    names = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["train"]
    names += [n for n in PROJECT["optional-dependencies"]["book"] if "fairthesis" not in n]
    for item in names:
        name = item.split(">")[0].split("<")[0].lower()
        assert f"\n{name}==" in pins, name
    for line in pins.splitlines():
        assert line.startswith("#") or "==" in line, line
