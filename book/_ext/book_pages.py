"""What holds for every page: what the theme leaves to be mended, and how the book is built."""

from __future__ import annotations

import gc
import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring

_EXECUTED = re.compile(r"tree/(?:book/)?executed/")


def _launch_notebooks(value: Any) -> Any:
    """Links to executed copies, which the repository does not hold, lead to ``notebooks/``."""
    if isinstance(value, str):
        return _EXECUTED.sub("tree/notebooks/", value)
    if isinstance(value, list):
        return [_launch_notebooks(item) for item in value]
    if isinstance(value, dict):
        return {key: _launch_notebooks(item) for key, item in value.items()}
    return value


def _mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if "header_buttons" in context:
        context["header_buttons"] = _launch_notebooks(context["header_buttons"])
    # sphinx-thebe is loaded by Jupyter Book but no page uses it; its scripts declare the same
    # constant twice, which a browser reports as an error.
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if "thebe" not in str(getattr(script, "filename", script)).lower()
        and "THEBE" not in str(getattr(script, "attributes", {}).get("body", ""))
    ]


def _link_short_names(app: Sphinx, env: Any, node: Any, text: Any) -> Any:
    """Docstrings name the package's exceptions without their room: link them all the same."""
    if node.get("reftype") != "exc" or "." in node["reftarget"]:
        return None
    domain = env.get_domain("py")
    for name, found in domain.objects.items():
        if name.endswith(f".{node['reftarget']}") and found.objtype == "exception":
            return domain.resolve_xref(env, node["refdoc"], app.builder, "exc", name, node, text)
    return None


def _returns_prose(self: GoogleDocstring, preprocess_types: bool = False) -> list[Any]:
    """What is returned is said in prose here, in which a colon does not end a type."""
    lines = self._dedent(self._consume_to_next_section())
    return [("", "", lines)] if lines else []


def setup(app: Sphinx) -> dict[str, bool]:
    # The trees of all pages live until the end: to look through them for garbage again and again
    # took a tenth of the time.
    gc.set_threshold(100_000, 50, 100)
    GoogleDocstring._consume_returns_section = _returns_prose  # type: ignore[method-assign]
    app.connect("html-page-context", _mend, priority=900)
    app.connect("missing-reference", _link_short_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
