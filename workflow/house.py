"""The map of the rooms in CONTRIBUTING.md, drawn from the import contract and the imports.

Run it after a change of the layers or of what a room imports: ``python workflow/house.py``.
"""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "CONTRIBUTING.md"
START, END = "<!-- map: workflow/house.py -->", "<!-- end of the map -->"


def layers() -> list[list[str]]:
    """The lines of the import contract, from the top; rooms of a line do not import each other."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contract = tomllib.loads(text)["tool"]["importlinter"]["contracts"][0]
    return [line.split(" : ") for line in contract["layers"]]


def imports() -> dict[str, set[str]]:
    """Which rooms each room imports from."""
    graph = grimp.build_graph("fairthesis", cache_dir=None, exclude_type_checking_imports=True)
    found: dict[str, set[str]] = {room: set() for line in layers() for room in line}
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            pair = [name.split(".")[1] for name in (module, other) if "." in name]
            if len(pair) == 2 and pair[0] != pair[1] and pair[0] in found:
                found[pair[0]].add(pair[1])
    return found


def arrows(found: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The imports that no way through a third room stands for already."""

    def reached(room: str) -> set[str]:
        return found[room].union(*(reached(other) for other in found[room]))

    return [
        (room, other)
        for room in found
        for other in sorted(found[room])
        if not any(other in reached(third) for third in found[room] - {other})
    ]


def purpose(room: str) -> str:
    """The room's sentence."""
    return str(importlib.import_module(f"fairthesis.{room}").__doc__).split("\n\n")[0]


def drawn() -> str:
    """The map as a Mermaid chart, and a line for each room."""
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"  {room} --> {other}" for room, other in arrows(imports())]
    lines += ["```", "", "| room | what it is for |", "|---|---|"]
    lines += [f"| `{room}` | {purpose(room)} |" for line in layers() for room in line]
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the map as it is now."""
    before, rest = text.split(START)
    after = rest.split(END)[1]
    return f"{before}{START}\n{drawn()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
