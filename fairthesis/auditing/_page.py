"""What the smaller pages share with the audit's: its style, its template engine, round ticks."""

from __future__ import annotations

import math
import platform
import re
from importlib import resources
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup

from fairthesis import __version__


def render_page(name: str, **values: Any) -> str:
    """The page ``name``, a file of this room, with the audit's style as ``style``."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    found = re.search(r"<style>\n(.*?)</style>", _text("report.html"), re.DOTALL)
    if found is None:
        raise RuntimeError("report.html has no style: the other pages take theirs from it.")
    versions = {
        "fairthesis": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pandas": pd.__version__,
    }
    page = environment.from_string(_text(name))
    return page.render(style=Markup(found[1]), versions=versions, **values)


def _text(name: str) -> str:
    return resources.files("fairthesis.auditing").joinpath(name).read_text(encoding="utf-8")


def round_ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """Round values from low to high, at most about ``most``, each with its text."""
    span = max(high - low, 1e-9)
    step = 10 ** math.floor(math.log10(span / most))
    step *= next(k for k in (1, 2, 5, 10) if span / (k * step) <= most)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    minus = "\N{MINUS SIGN}"
    return [
        (k * step, f"{k * step:.{digits}f}".replace("-", minus)) for k in range(first, last + 1)
    ]
