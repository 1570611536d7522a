"""The worked examples in CONTRIBUTING.md."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from conftest import ROOT


def examples() -> dict[str, str]:
    """The code below each **bold** paragraph, by what it adds."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.findall(r"^\*\*(A \w+(?: \w+)?)\*\*.*?```python\n(.*?)```", text, re.M | re.S)
    return dict(found)


def run(code: str) -> dict[str, Any]:
    module = ModuleType("example")
    exec(compile(code, "CONTRIBUTING.md", "exec"), vars(module))
    return vars(module)


def values() -> str:
    """The list of values that goes with the data set."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.search(r"```text\n(column,value.*?)```", text, re.S)[1]
