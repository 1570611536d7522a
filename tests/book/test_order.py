"""The chapters' order: the same in the contents, the pipeline and at the end of each chapter."""

import json
import re

import pytest
import yaml
from conftest import ROOT

PARTS = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))["parts"]
ORDER = [page["file"] for part in PARTS for page in part["chapters"]]
NUMBERED = [page["file"] for part in PARTS if "numbered" in part for page in part["chapters"]]


def text(page):
    if not page.startswith("executed/"):
        return (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    notebook = ROOT / "notebooks" / f"{page.removeprefix('executed/')}.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def test_every_notebook_is_a_page_and_is_made_by_the_pipeline():
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {
        page.removeprefix("executed/") for page in ORDER if page.startswith("executed/")
    } == names
    pipeline = (ROOT / "workflow" / "Snakefile").read_text(encoding="utf-8")
    made = re.search(r"CHAPTERS = \{(.*?)\n\}", pipeline, re.DOTALL)[1]
    assert set(re.findall(r'^    "(\w+)":', made, re.MULTILINE)) == names


@pytest.mark.parametrize("page", [p for p in NUMBERED if p not in ("guidelines", "checklist")])
def test_a_chapter_leads_to_the_next_one(page):
    said = text(page).rpartition("**What's next.**")[2]
    following = ORDER[ORDER.index(page) + 1].removeprefix("executed/")
    assert re.search(rf"\((?:\.\./|executed/)?{following}\.(?:md|ipynb)\)", said), said


@pytest.mark.parametrize("page", [p for p in NUMBERED if p not in ("guidelines", "checklist")])
def test_a_chapter_says_what_it_teaches_and_what_to_know(page):
    said = text(page)
    assert said.startswith("# ") and ":::{admonition} In this chapter" in said
    assert "**You will be able to**" in said and "**Know before:**" in said
    if page.startswith("executed/"):
        labels = re.findall(r"^:label: (\S+)$", said, re.MULTILINE)
        assert len(labels) >= 2 and "## Exercises" in said and "## Summary" in said
        solved = re.findall(r"^:::\{solution\} (\S+)$", said, re.MULTILINE)
        assert sorted(solved) == sorted(labels)


@pytest.mark.parametrize("page", NUMBERED)
def test_figures_and_tables_are_named_in_the_text(page):
    if not page.startswith("executed/"):
        return
    notebook = ROOT / "notebooks" / f"{page.removeprefix('executed/')}.ipynb"
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    names = [c["metadata"]["mystnb"]["figure"]["name"] for c in cells if "mystnb" in c["metadata"]]
    assert all(name.startswith(("fig-", "tab-")) for name in names)
    assert [name for name in names if f"{{numref}}`{name}`" not in text(page)] == []
