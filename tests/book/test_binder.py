"""A Binder session opens the notebooks ready to run, as far as can be told without Docker."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, copy_checkout


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory):
    """What repo2docker would build from the tracked files (and no virtual environment)."""
    clone = copy_checkout(tmp_path_factory.mktemp("binder") / "clone")

    tool = Path(sys.executable).with_name("jupyter-repo2docker")
    done = subprocess.run(
        [str(tool), "--no-build", "--debug", str(clone)], capture_output=True, text=True, check=True
    )
    return done.stdout + done.stderr


@pytest.mark.needs("repo2docker")
def test_repo2docker_finds_the_set_up(dockerfile):
    assert '-r ".binder/requirements.txt"' in dockerfile
    assert "./.binder/postBuild" in dockerfile
    assert re.search(r"py-?3\.11|python-3\.11|3\.11", dockerfile)


@pytest.mark.needs("repo2docker")
def test_whole_repository_is_there_before_the_requirements_are_installed(dockerfile):
    # .binder/requirements.txt reads ../requirements.txt, postBuild installs the package.
    assert dockerfile.index("COPY --chown=0:0 src/ ") < dockerfile.index(
        '.binder/requirements.txt"'
    )


def test_binder_takes_the_cpu_build_of_the_pinned_torch():
    pinned = dict(
        line.split("==") for line in (ROOT / "requirements.txt").read_text().split() if "==" in line
    )
    binder = (ROOT / ".binder" / "requirements.txt").read_text()
    for name in ("torch", "torchvision"):
        assert f"{name}=={pinned[name]}+cpu" in binder
    assert "-c ../requirements.txt" in binder
    assert not (ROOT / "binder").exists()


def test_binder_has_what_chapters_need_and_not_what_builds_the_pages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = project["dependencies"] + extras["chapters"] + extras["lite"]
    names = {re.split(r"[<>=\[]", one)[0] for one in needed} - {"fairthesis"}
    lines = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()
    binder = {line for line in lines if line and line[0] not in "#-" and "==" not in line}
    assert binder == names | {"setuptools"}  # which builds the package itself
    assert not binder & {"jupyter-book", "snakemake"}


@pytest.mark.needs("torch")
def test_post_build_is_a_script_that_runs():
    script = ROOT / ".binder" / "postBuild"
    assert script.stat().st_mode & 0o111
    assert script.read_text().startswith("#!")
    subprocess.run(["bash", "-n", str(script)], check=True)
    command = re.search(r'python -c "(.*)"', script.read_text())
    assert command is not None

    subprocess.run([sys.executable, "-W", "ignore", "-c", command.group(1)], check=True)


@pytest.mark.needs("papermill")
def test_the_notebook_for_colab_clones_runs_a_chapter_and_shows_it(tmp_path, monkeypatch):
    """All but the installation itself, which would change the environment of the tests."""
    import papermill

    notebook = ROOT / ".binder" / "colab.ipynb"
    checkout = copy_checkout(tmp_path / "origin")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        own = ["-c", "user.name=a", "-c", "user.email=a@b"] if command[0] == "commit" else []
        subprocess.run(["git", *own, *command], cwd=checkout, check=True, capture_output=True)
    folder = tmp_path / "book"
    monkeypatch.setenv("PYTHONPATH", str(folder))
    done = papermill.execute_notebook(
        notebook, tmp_path / "out.ipynb", kernel_name="python3", progress_bar=False,
        parameters={"chapter": "filled_example", "source": str(checkout), "folder": str(folder),
                    "install": False},
    )  # fmt: skip
    shown = done.cells[-1]["outputs"]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert {"text/markdown", "text/html"} <= kinds and "checklist" in str(shown)
    assert (folder / "chapter.ipynb").is_file()


def test_the_notebook_for_colab_offers_the_chapters_that_need_no_data():
    cells = json.loads((ROOT / ".binder" / "colab.ipynb").read_text(encoding="utf-8"))["cells"]
    line = next(line for cell in cells for line in cell["source"] if line.startswith("chapter ="))
    offered = set(re.findall(r'"([a-z_]+)"', line))
    assert offered <= {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert {"train", "chapters"} <= set(extras)  # what it installs
    assert all(not cell.get("outputs") for cell in cells)
