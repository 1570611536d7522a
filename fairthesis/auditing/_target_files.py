"""The files of several targets' audits: their names, and which of them an older audit left."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from fairthesis.storage import table_writer, text_writer, without_formulas

SCHEMA = "fairthesis.audits/1"
# Names of devices on Windows, which are no names of folders there.
DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{k}" for d in ("com", "lpt") for k in range(1, 10))}
LONGEST = 60


def file_writers(
    tables: Mapping[str, pd.DataFrame], texts: Mapping[str, Callable[[], str]]
) -> dict[str, Callable[[Path], object]]:
    """File name to what writes it; pages are made one by one, when they are written."""

    def later(text: Callable[[], str]) -> Callable[[Path], object]:
        return lambda to: text_writer(text())(to)

    files = {name: later(text) for name, text in texts.items()}
    for name, table in tables.items():
        files[f"{name}.csv"] = table_writer(without_formulas(table), f"{name}.csv")
    return files


def written_before(directory: Path) -> list[str]:
    """The files that older audits of several targets wrote into a directory, by its audit.json.

    Only names that such a writing gives: nothing else in the directory is touched.
    """
    try:
        found = json.loads((directory / "audit.json").read_text(encoding="utf-8"))
        folders = list(found["folders"].values()) if found["schema"] == SCHEMA else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    if folders is None:
        return []
    tables = ("overall", "groups", "disparities", "further")
    single = ["audit.json", "audit.html", *(f"{name}.csv" for name in tables)]
    names = [f"{name}.csv" for name in (*tables, "macro", "decisions", "confusion")]
    safe = [f for f in folders if isinstance(f, str) and re.fullmatch(r"[\w-]+", f, re.ASCII)]
    return names + [f"{folder}/{file}" for folder in safe for file in single]


def folder_names(names: Iterable[str]) -> dict[str, str]:
    """Names of folders that every system takes and tells apart, for names of any kind.

    Letters of ASCII, digits, ``-`` and ``_``; at most 60; no device of Windows; different ones
    also where case does not count.

    >>> folder_names(["Pleural Effusion", "a/b", "a?b", "nul", "胸水"])["a?b"]
    'a_b-2'
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", plain).strip("_-")[:LONGEST] or "target"
        if base.lower() in DEVICES:
            base = f"{base}-target"
        own, k = base, 1
        while own.lower() in taken:
            k += 1
            own = f"{base}-{k}"
        taken.add(own.lower())
        found[name] = own
    return found
