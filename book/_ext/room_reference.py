"""A room's page of the reference: every name in its ``__all__``, so that none can be missing."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

PACKAGE = "fairthesis"
# What every network of torch has, a method's options, which have an entry of their own, and what
# scikit-learn gives every estimator.
HIDDEN = "train, forward, Options, set_fit_request, set_partial_fit_request, set_predict_request, "
HIDDEN += "set_transform_request"


def homes(room: str) -> dict[str, list[str]]:
    """The files of a room, in the order of their names, and what is offered of each."""
    module = importlib.import_module(f"{PACKAGE}.{room}")
    stub = Path(str(module.__file__)).with_suffix(".pyi").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for node in ast.parse(stub).body:
        if isinstance(node, ast.ImportFrom):
            file = f"{PACKAGE}.{room}.{node.module}"
            found.setdefault(file, []).extend(alias.name for alias in node.names)
    return found


def described(file: str, name: str) -> str:
    """What the ``#:`` comment above a constant says."""
    docs = ModuleAnalyzer.for_module(file).find_attr_docs()
    return " ".join(docs.get(("", name), [])).strip()


def entry(room: str, file: str, name: str) -> list[str]:
    """The directive that documents one name."""
    value = getattr(importlib.import_module(f"{PACKAGE}.{room}"), name)
    full = f"{PACKAGE}.{room}.{name}"
    if inspect.isclass(value):
        if issubclass(value, BaseException):
            return [f".. autoexception:: {full}", ""]
        lines = [f".. autoclass:: {full}", "   :members:", f"   :exclude-members: {HIDDEN}", ""]
        options = getattr(value, "Options", None)
        if inspect.isclass(options):
            lines += [f"   Options: :py:class:`{PACKAGE}.{room}.{options.__name__}`", ""]
        return lines
    if callable(value) and hasattr(value, "__code__"):
        return [f".. autofunction:: {full}", ""]
    lines = [f".. py:data:: {name}", f"   :module: {PACKAGE}.{room}"]
    shown = repr(value)
    if len(shown) <= 60 and "<" not in shown:
        lines.append(f"   :value: {shown}")
    return [*lines, "", f"   {described(file, name)}", ""]


class RoomDirective(SphinxDirective):
    """``{room} metrics``: what the room is for, and everything that it offers."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        room = self.arguments[0]
        module = importlib.import_module(f"{PACKAGE}.{room}")
        lines = [str(module.__doc__), "", "```{eval-rst}"]
        for file, names in homes(room).items():
            about = (importlib.import_module(file).__doc__ or "").split("\n\n")[0]
            title = " ".join(about.split()).replace("*", r"\*")
            self.env.note_dependency(str(importlib.import_module(file).__file__))
            lines += [f".. rubric:: {title}", ""]
            for name in names:
                lines += entry(room, file, name)
        lines.append("```")
        node = nodes.container()
        self.state.nested_parse(StringList(lines, source=f"{PACKAGE}.{room}"), 0, node)
        return node.children


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("room", RoomDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
