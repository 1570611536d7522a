"""Which source files a step depends on, read from the import statements."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fairthesis"
LAZY = ("fairthesis.datasets",)  # imports its modules by name, when they are asked for


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("fairthesis", cache_dir=None)


def _file(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def sources(*modules: str) -> list[str]:
    """The files of the modules and of every module that they import, directly or not.

    The lazy exports of ``fairthesis/__init__.py`` count for no one: who uses them imports more.
    """
    found: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module in found or module == "fairthesis":
            continue
        found.add(module)
        todo += _graph().find_modules_directly_imported_by(module)
        if module in LAZY:
            todo += _graph().find_children(module)
        if _file(module).name == "__init__.py":
            continue
        parent = module.rpartition(".")[0]
        todo.append(parent)
    data = {"fairthesis.plans": ["experiments.yml"], "fairthesis.figures": ["style.mplstyle"]}
    files = {_file(module) for module in found}
    files |= {PACKAGE / name for module in found for name in data.get(module, [])}
    return sorted(str(file.relative_to(ROOT)) for file in files if file.exists())


def notebook_modules(notebook: Path) -> list[str]:
    """The modules of fairthesis that a notebook's code cells import."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    found = set()
    known = _graph().modules
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name in known}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fairthesis"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else str(node.module))
    return sorted(found)


def notebook_sources(notebook: Path) -> list[str]:
    """The source files that a notebook's result depends on."""
    return sources(*notebook_modules(notebook))
