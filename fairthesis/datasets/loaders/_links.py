"""Images that lie outside the data folder and are reached by links in it.

Such links are followed: whole folders of images are often linked from another disk on purpose. But
what is read is then not what lies in the folder, so it is counted and reported, once per cohort.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

REASON = "image reached by a link that leads out of the data folder (followed, image kept)"
LISTED = 8  # from so many files of a folder on, it is listed once instead of asked file by file


def count_links_out(home: Path, paths: Iterable[str], left_out: Counter[str]) -> None:
    """Count the images below ``home`` whose file, all links resolved, lies outside of it."""
    inside = os.path.realpath(home)
    by_folder: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.replace("\\", "/").rpartition("/")
        by_folder.setdefault(folder, []).append(name)
    known: dict[str, bool] = {"": False}
    count = 0
    for folder, names in by_folder.items():
        if _leads_out(folder, home, inside, known):
            count += len(names)
        else:
            count += sum(
                _is_out(home / folder / name, inside) for name in _links(home, folder, names)
            )
    if count:
        left_out[REASON] += count


def _leads_out(folder: str, home: Path, inside: str, known: dict[str, bool]) -> bool:
    """Whether a folder, or one above it, is a link out; each folder is looked at once."""
    if folder not in known:
        above = folder.rpartition("/")[0]
        place = home / folder
        known[folder] = _leads_out(above, home, inside, known) or (
            place.is_symlink() and _is_out(place, inside)
        )
    return known[folder]


def _links(home: Path, folder: str, names: list[str]) -> list[str]:
    """Those of ``names`` in a folder that are links."""
    place = home / folder
    if len(names) < LISTED:
        return [name for name in names if (place / name).is_symlink()]
    with os.scandir(place) as entries:
        links = {entry.name for entry in entries if entry.is_symlink()}
    return [name for name in names if name in links]


def _is_out(path: Path, inside: str) -> bool:
    try:
        return os.path.commonpath([inside, os.path.realpath(path)]) != inside
    except ValueError:  # another drive
        return True
