"""Everything public is in the reference, with an example; the house's map is as the house is."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from types import ModuleType

import pytest
import yaml
from conftest import ROOT

sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "workflow")]

ROOMS = sorted(path.parent.name for path in (ROOT / "fairthesis").glob("*/__init__.pyi"))
BUILT = ROOT / "_build" / "html" / "reference"


def room(name: str) -> ModuleType:
    return importlib.import_module(f"fairthesis.{name}")


def public() -> list[tuple[str, str]]:
    return [(name, word) for name in ROOMS for word in room(name).__all__]


def test_every_room_has_a_page():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [c for part in toc["parts"] for c in part["chapters"]]
    pages = [c["file"] for c in chapters if c["file"].startswith("reference/")]
    assert sorted(pages) == [f"reference/{name}" for name in ROOMS]
    for name in ROOMS:
        page = (ROOT / "book" / "reference" / f"{name}.md").read_text(encoding="utf-8")
        assert f"```{{room}} {name}\n" in page


@pytest.mark.parametrize(("name", "word"), public())
def test_a_public_name_is_documented_and_has_an_example(name, word):
    value = getattr(room(name), word)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        reference = pytest.importorskip("room_reference")
        (file,) = [file for file, words in reference.homes(name).items() if word in words]
        assert reference.described(file, word).endswith((".", ")")), f"{word} has no #: comment"
        return
    text = inspect.getdoc(value) or ""
    first = text.split("\n\n")[0]
    assert first.endswith((".", ":", "?")) and len(first) > 15, first
    assert ">>> " in text, f"{word} has no example"


def test_the_pages_are_generated_from_what_rooms_offer():
    reference = pytest.importorskip("room_reference")
    for name in ROOMS:
        words = [word for group in reference.homes(name).values() for word in group]
        assert sorted(words) == sorted(room(name).__all__)
        lines = [
            line
            for file, group in reference.homes(name).items()
            for word in group
            for line in reference.entry(name, file, word)
        ]
        documented = re.findall(
            r"^\.\. [\w:]+:: (?:fairthesis\.\w+\.)?(\w+)$", "\n".join(lines), re.M
        )
        assert sorted(documented) == sorted(words)


@pytest.mark.skipif(not BUILT.is_dir(), reason="the book is not built: run `make book` first")
@pytest.mark.parametrize("name", ROOMS)
def test_nothing_public_is_missing_from_the_built_page(name):
    page = (BUILT / f"{name}.html").read_text(encoding="utf-8")
    anchors = set(re.findall(rf'id="fairthesis\.{name}\.(\w+)"', page))
    assert set(room(name).__all__) - anchors == set()
    assert "&gt;&gt;&gt;" in page


def test_the_map_of_the_rooms_is_as_the_imports_are():
    pytest.importorskip("grimp")
    house = importlib.import_module("house")
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert house.page(text) == text, "draw it anew: python workflow/house.py"
    found = {"a": {"b", "c"}, "b": {"c"}, "c": set()}
    assert house.arrows(found) == [("a", "b"), ("b", "c")]
