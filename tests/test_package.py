"""What `pip install .` gives, what is published, and what `pyproject.toml` promises."""

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, copy_checkout

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The checkout, its wheel, and its sdist unpacked; made without a network."""
    home = tmp_path_factory.mktemp("built")
    source = copy_checkout(home / "source")
    # The wheel last, in a folder of its own: the sdist's list of files would reach into it.
    code = "from setuptools import build_meta as b; b.build_sdist('..'); b.build_wheel('..')"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    with tarfile.open(next(home.glob("fairthesis-*.tar.gz"))) as archive:
        archive.extractall(home / "unpacked", filter="data")
    return {
        "source": copy_checkout(home / "clean"),
        "wheel": next(home.glob("fairthesis-*.whl")),
        "sdist": next((home / "unpacked").iterdir()),
    }


def files_of(folder):
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_wheel_holds_every_file_of_the_package(built):
    names = set(zipfile.ZipFile(built["wheel"]).namelist())
    files = {name for name in files_of(built["source"]) if name.startswith("fairthesis/")}
    assert files <= names, files - names
    assert {name.partition("/")[0] for name in names} == {
        "fairthesis",
        f"{built['wheel'].name.rpartition('-py3')[0]}.dist-info",
    }


def test_sdist_holds_every_file_of_the_checkout(built):
    files = files_of(built["source"])
    made = {"PKG-INFO", "setup.cfg"}
    found = {name for name in files_of(built["sdist"]) if ".egg-info/" not in name} - made
    assert found == files, sorted(found ^ files)


def test_tests_are_found_in_an_unpacked_sdist(built):
    command = [sys.executable, "-m", "pytest", "-q", "--table-half", "-p", "no:cacheprovider"]
    command += [
        "-W",
        "ignore::DeprecationWarning",
        "tests/data/test_cohort.py",
        "tests/datasets/test_ages.py",
    ]
    env = os.environ | {"PYTHONPATH": str(built["sdist"])}
    done = subprocess.run(
        command, cwd=built["sdist"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A function that runs the installed wheel's command in a folder far from the checkout."""
    target = tmp_path_factory.mktemp("installed")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(target), str(built["wheel"])], check=True)
    env = os.environ | {"PYTHONPATH": str(target), "PYTHONNOUSERSITE": "1"}

    def run(home, *words):
        command = [sys.executable, *words]
        done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    found = run(target, "-c", "import fairthesis; print(fairthesis.__file__)")
    assert found.startswith(str(target))
    return run


@pytest.mark.needs("torch")
def test_an_installed_wheel_lists_the_experiments(installed, tmp_path):
    assert "synthetic-cxr" in installed(tmp_path, "-m", "fairthesis", "experiment", "list")


@pytest.mark.needs("torch")
def test_the_experiments_are_listed_in_lines_that_fit(installed, tmp_path):
    whole = installed(tmp_path, "-m", "fairthesis", "experiment", "list").splitlines()
    assert ["synthetic-cxr-mechanisms", "full", "4", "23", "5", "460"] in map(str.split, whole)
    one = ["-m", "fairthesis", "experiment", "list", "synthetic-cxr-mechanisms"]
    told = installed(tmp_path, *one).splitlines()
    assert "synthetic-cxr-mechanisms full: 460 runs" in told
    assert "  variants: erm, reweighted, hsic, critics" in told
    assert "label-noise-tenth" in " ".join(told) and "  seeds:    500 to 504" in told
    assert max(map(len, [*whole, *told])) <= 80


def test_an_installed_wheel_runs_outside_of_a_checkout(installed, tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"y_true": rng.integers(0, 2, 200), "y_score": rng.random(200)})
    table["sex"] = rng.choice(["F", "M"], 200)
    table.to_csv(tmp_path / "p.csv", index=False)
    for words in (
        ["audit", "p.csv", "--group", "sex", "--n-boot", "20", "--out", "audit"],
        ["datasets", "list"],
        ["datasets", "describe", "synthetic-derm"],
    ):
        assert installed(tmp_path, "-m", "fairthesis", *words)
    assert (tmp_path / "audit" / "audit.html").is_file()


def test_core_needs_no_torch_and_extras_are_as_documented():
    core = " ".join(PROJECT["dependencies"])
    assert "torch" not in core
    extras = PROJECT["optional-dependencies"]
    models = {"train", "timm", "xrv", "hf", "onnx"}
    assert set(extras) == models | {"lite", "dicom", "chapters", "book", "cluster", "test"}
    assert any(item.startswith("torch>") for item in extras["train"])
    assert any(item.startswith("pydicom>") for item in extras["dicom"])
    assert PROJECT["scripts"] == {"fairthesis": "fairthesis.cli:main"}


def test_every_dependency_of_the_book_is_pinned():
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8").lower().replace("_", "-")
    names = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["train"]
    names += [n for n in PROJECT["optional-dependencies"]["book"] if "fairthesis" not in n]
    for item in names:
        name = item.split(">")[0].split("<")[0].lower()
        assert f"\n{name}==" in pins, name
    for line in pins.splitlines():
        assert line.startswith("#") or "==" in line, line


def test_every_floor_is_one_that_make_lowest_can_install():
    sys.path.insert(0, str(ROOT / "workflow"))
    try:
        import table_half
    finally:
        sys.path.pop(0)
    floors = table_half.floors()
    # What a dependency excludes besides (one broken release) says nothing of its floor.
    wanted = [item.split(",")[0] for item in PROJECT["dependencies"]]
    assert [f"{name}>={floor}" for name, floor in floors.items()] == wanted
    names, kept = table_half.wanted()
    assert set(names) >= {f"{name}=={floor}" for name, floor in floors.items()}
    assert not {item.partition("==")[0] for item in kept} & set(floors)
    assert not any(item.startswith(("torch", "nvidia")) for item in names)
