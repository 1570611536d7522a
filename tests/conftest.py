"""What several test files share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("support")

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from fairthesis.study import Results

ROOT = Path(__file__).parent.parent
NOT_TRACKED = {
    *(".venv", "_build", ".snakemake", "build", "runs", "__pycache__", ".pytest_cache"),
    *(".mypy_cache", ".ruff_cache", ".hypothesis", ".import_linter_cache", "shared"),
}
DATA = ROOT.parent / "shared" / "data"
QUICK = ROOT / "results" / "synthetic-cxr-quick"


# What only the extras of pyproject.toml bring. `make lowest` runs without these, and leaves out,
# one by one and by name, the files and tests that ask for them.
EXTRAS = {
    *("torch", "torchvision", "torchmetrics", "beartype"),
    *("nbformat", "papermill", "snakemake", "jupyter_book", "grimp"),
    *("playwright", "axe_playwright_python"),
    *("pydicom", "pylibjpeg"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "skip what needs more than the dependencies that every installation has"
    parser.addoption("--table-half", action="store_true", help=words)


class _Skipping(MetaPathFinder):
    """Whoever imports an extra is skipped: a whole file where it does so at its top."""

    def find_spec(self, name: str, *_: object) -> None:
        extra = name.partition(".")[0]
        if extra in EXTRAS:
            pytest.skip(f"no part of the table half: needs {extra}", allow_module_level=True)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.getoption("--table-half"):
        for mark in item.iter_markers("needs"):
            pytest.skip(f"no part of the table half: needs {mark.args[0]}")
        if item.get_closest_marker("simulation"):
            pytest.skip("a promise over many data sets does not hang on versions")


# Folders with the longest tests: begun first, so that no worker is left alone with one at the end.
LONGEST = ("workflow", "study", "training", "methods", "embeddings", "book")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        room = item.path.relative_to(ROOT / "tests").parts[0]
        return LONGEST.index(room) if room in LONGEST else len(LONGEST)

    items.sort(key=rank)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--table-half"):
        sys.meta_path.insert(0, _Skipping())


def copy_checkout(to: Path) -> Path:
    """A copy of what git knows of the checkout or, in an unpacked sdist, of all that is there."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard"]
    if (ROOT / ".git").exists():
        names = subprocess.run(listed, check=True, capture_output=True).stdout.decode().split("\0")
        files = [ROOT / name for name in names if (ROOT / name).is_file()]
    else:
        made = ("PKG-INFO", "setup.cfg")  # by the sdist
        files = [file for file in ROOT.rglob("*") if file.is_file() and file.name not in made]
    for file in files:
        place = file.relative_to(ROOT)
        if not NOT_TRACKED & set(place.parts) and "egg-info" not in str(place):
            (to / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, to / place)
    return to


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Decoded images go to a folder of this session, never to the user's cache."""
    import os

    os.environ["FAIRTHESIS_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def quick() -> Results:
    """The archived quick experiment on synthetic chest X-rays."""
    from fairthesis.study import load_results

    return load_results(QUICK)


# Of a module, not of the session: playwright's loop would be in the way of other tests' loops.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, or a skip that says what is missing."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here: install it to open the pages")
    with sync_api.sync_playwright() as play:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = play.chromium.launch(executable_path=chromium, args=flags)
        yield browser
        browser.close()
