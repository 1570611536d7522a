"""The conda recipe asks for what pyproject.toml asks for, and installs the same command."""

from __future__ import annotations

import importlib
import re
import tomllib
from typing import Any

import pytest
import yaml
from conftest import ROOT

import fairthesis
from fairthesis.cli import main

RECIPE = ROOT / "packaging" / "conda" / "recipe.yaml"
# What conda-forge calls otherwise than the package index does.
CONDA = {"matplotlib": "matplotlib-base", "torch": "pytorch"}


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    """The recipe with what stands in its context filled in."""
    text = RECIPE.read_text(encoding="utf-8")
    context = yaml.safe_load(text)["context"]
    filled = {f"${{{{ {name} }}}}": value for name, value in context.items()}
    filled["${{ name[0] }}"] = context["name"][0]
    for said, value in filled.items():
        text = text.replace(said, value)
    return dict(yaml.safe_load(text))


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def project(pyproject: dict[str, Any]) -> dict[str, Any]:
    return dict(pyproject["project"])


def asked(needs: list[str]) -> dict[str, set[str]]:
    """Conda's name -> bounds, of either file's list."""
    found = {}
    for need in needs:
        split = re.fullmatch(r"([\w.-]+)\s*(\S*)", need)
        assert split is not None, need
        name, bounds = split.groups()
        found[CONDA.get(name.lower(), name.lower())] = set(bounds.split(",")) - {""}
    assert len(found) == len(needs)
    return found


def test_it_has_the_version_and_the_name(recipe: dict[str, Any], project: dict[str, Any]) -> None:
    assert recipe["package"] == {"name": project["name"], "version": fairthesis.__version__}
    file = f"{project['name']}-{fairthesis.__version__}.tar.gz"
    assert recipe["source"]["url"].endswith(f"/f/{project['name']}/{file}")


def test_the_checksum_is_one_or_plainly_none(recipe: dict[str, Any]) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", recipe["source"]["sha256"])
    text = RECIPE.read_text(encoding="utf-8")
    unknown = set(recipe["source"]["sha256"]) == {"0"}
    assert ("# filled in at release" in text) == unknown  # goes when the sum comes


def test_it_asks_for_what_the_package_asks_for(
    recipe: dict[str, Any], pyproject: dict[str, Any], project: dict[str, Any]
) -> None:
    needs = recipe["requirements"]
    wanted = [f"python {project['requires-python']}", *project["dependencies"]]
    assert asked(needs["run"]) == asked(wanted)
    assert asked(needs["run_constraints"]) == asked(project["optional-dependencies"]["train"])
    host = asked(needs["host"])
    (backend,) = asked(pyproject["build-system"]["requires"]).items()
    assert backend in host.items() and "pip" in host


def test_any_platform_and_the_same_command(recipe: dict[str, Any], project: dict[str, Any]) -> None:
    assert recipe["build"]["noarch"] == "python"
    scripts = [f"{name} = {function}" for name, function in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts


def test_its_own_tests_can_pass(recipe: dict[str, Any], project: dict[str, Any]) -> None:
    python, script = recipe["tests"]
    for module in python["python"]["imports"]:
        importlib.import_module(module)
    lowest = project["requires-python"].removeprefix(">=")
    assert python["python"]["python_version"] == f"{lowest}.*"
    assert "fairthesis --help" in script["script"]
    for line in script["script"]:
        command, *words = line.split()
        assert command in project["scripts"]
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0


def test_what_is_said_about_it_is_so(recipe: dict[str, Any], project: dict[str, Any]) -> None:
    about = recipe["about"]
    assert about["summary"] == project["description"]
    assert about["license"] == project["license"]
    assert [about["license_file"]] == project["license-files"]
    assert (ROOT / about["license_file"]).is_file()
    assert about["repository"] == project["urls"]["Source"]
