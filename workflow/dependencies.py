"""Which source files a step depends on, read from the import statements."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fairthesis"
# Files that a module reads, and modules that it imports by name, when they are asked for.
DATA = {
    "fairthesis.auditing._checklist": [
        *("auditing/checklist.csv", "auditing/checklist_sources.csv", "auditing/checklist.html")
    ],
    "fairthesis.auditing._html": ["auditing/report.html", "auditing/card.html"],
    "fairthesis.datasets.loaders._values": ["datasets/loaders/values/*.csv"],
    "fairthesis.plots._figures": ["plots/style.mplstyle"],
    "fairthesis.study._plans": ["study/experiments.yml"],
}
BY_NAME = {"fairthesis.datasets._registry": ["datasets/loaders/*.py", "datasets/synthetic/*.py"]}


def _file(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    found = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return found if found.is_file() else None


def _module(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _offered(room: str) -> dict[str, str]:
    """What a room offers, and the module that each name comes from."""
    stub = ROOT / Path(*room.split(".")) / "__init__.pyi"
    if not stub.is_file():
        return {}
    found = {}
    for node in ast.parse(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            home = f"{room}.{node.module}" if node.module else room
            found |= {alias.name: home for alias in node.names}
    return found


def home(name: str) -> str:
    """The module that a dotted name is in: ``fairthesis.audit`` is in ``auditing._audit``."""
    while _file(name) is None:
        room, _, last = name.rpartition(".")
        if not room:
            raise ValueError(f"{name} is no name of the package")
        owner = _offered(room).get(last)
        if owner is None:
            return home(room)
        name = f"{owner}.{last}" if _offered(owner).get(last) else owner
    return name


@cache
def imported(code: str) -> frozenset[str]:
    """The modules of the package that code takes something from, each name in its own file."""
    tree = ast.parse(code)
    rooms: dict[str, str] = {}  # local name -> what it stands for, where that is a room
    found: set[str] = set()

    def take(name: str, local: str) -> None:
        where = home(name)
        if where == name and _offered(name):
            rooms[local] = name
        else:
            found.add(where)

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "fairthesis":
                    take(alias.name, alias.asname or alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fairthesis"):
            for alias in node.names:
                take(f"{node.module}.{alias.name}", alias.asname or alias.name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            room = rooms.get(node.value.id)
            if room:
                found.add(home(f"{room}.{node.attr}"))
    return frozenset(found - {"fairthesis"})


@cache  # a build asks for each module many times
def sources(*names: str) -> list[str]:
    """The files that names rest on: their modules, and every module that these import.

    ``sources("fairthesis.audit")`` are the files of an audit. What a room offers counts by name:
    who uses one function of it does not depend on the others' files.
    """
    todo = [home(name) for name in names]
    done: set[str] = set()
    files: set[Path] = set()
    while todo:
        module = todo.pop()
        file = _file(module)
        if module in done or file is None:
            continue
        done.add(module)
        files |= {file, *(f for name in DATA.get(module, []) for f in PACKAGE.glob(name))}
        todo += imported(file.read_text(encoding="utf-8"))
        todo += [_module(f) for name in BY_NAME.get(module, []) for f in PACKAGE.glob(name)]
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def notebook_modules(notebook: Path) -> list[str]:
    """The modules of fairthesis that a notebook's code cells take something from."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    return sorted(imported(code))


def notebook_sources(notebook: Path) -> list[str]:
    """The source files that a notebook's result depends on."""
    return sources(*notebook_modules(notebook))
