"""What a release is made of: one version, honest metadata, workflows that say what is promised."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml
from conftest import ROOT

import fairthesis


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["project"])


@pytest.fixture(scope="module")
def workflows() -> dict[str, Any]:
    folder = ROOT / ".github" / "workflows"
    if not folder.is_dir():
        pytest.skip("a release from its sdist has no workflows")
    files = sorted(folder.glob("*.yml"))
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == fairthesis.__version__
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert heads[0] == fairthesis.__version__


def test_every_python_that_is_promised_is_tested(
    project: dict[str, Any], workflows: dict[str, Any]
) -> None:
    named = [one.split(" :: ")[-1] for one in project["classifiers"] if "Python :: 3." in one]
    matrix = workflows["tests"]["jobs"]["table-half"]["strategy"]["matrix"]
    assert matrix["python"] == named
    assert named[0] == project["requires-python"].removeprefix(">=")
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "windows", "macos"}


def test_a_release_is_tested_before_it_is_published(workflows: dict[str, Any]) -> None:
    jobs = workflows["release"]["jobs"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}  # no token in the repository
    steps = " ".join(str(step.get("run", "")) for step in jobs["build"]["steps"])
    for word in ("build", "twine check", "CITATION.cff", "pytest"):
        assert word in steps
    assert all(one["permissions"] == {"contents": "read"} for one in workflows.values())


def test_the_extras_are_whole(project: dict[str, Any]) -> None:
    """What an extra names of this package is an extra of it."""
    extras = project["optional-dependencies"]
    for needs in extras.values():
        for own in (re.fullmatch(r"fairthesis\[(.*)\]", one) for one in needs):
            assert own is None or set(own.group(1).split(",")) <= set(extras)


def test_the_image_is_made_of_what_is_there() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"FROM python:{(ROOT / '.binder' / 'runtime.txt').read_text().strip()[7:]}-slim" in text
    assert "-r .binder/requirements.txt" in text  # the versions of the book
    assert "\nUSER reader\n" in text and text.index("USER reader") < text.index("ENTRYPOINT")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "build"} <= set(ignored)
    assert not {"results", "notebooks", "fairthesis", ".binder"} & set(ignored)
