"""Links that leave the data folder are followed, and reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.layouts import LAYOUTS

from fairthesis import datasets
from fairthesis.datasets.loaders._links import REASON


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_linked_folder_of_images_is_followed_and_counted(name: str, tmp_path: Path) -> None:
    root = LAYOUTS[name](tmp_path / "release")
    before = datasets.load(name, root)
    assert REASON not in before.left_out
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for place in [p for p in root.iterdir() if p.is_dir()]:
        shutil.move(place, moved / place.name)
        place.symlink_to(moved / place.name)
    after = datasets.load(name, root)
    assert after.fingerprint() == before.fingerprint()
    in_folders = sum("/" in path for path in after.frame["path"])
    assert after.left_out.get(REASON, 0) == in_folders


@pytest.mark.parametrize("name", ["ddi", "ham10000", "mimic-cxr-jpg", "fitzpatrick17k"])
def test_a_linked_file_is_counted_and_a_link_inside_is_not(name: str, tmp_path: Path) -> None:
    root = LAYOUTS[name](tmp_path / "release")
    paths = datasets.load(name, root).frame["path"].tolist()
    for path, place in ((paths[0], tmp_path / "out"), (paths[1], root / "kept")):
        place.mkdir()
        shutil.move(root / path, place / "image")
        (root / path).symlink_to(place / "image")
    assert datasets.load(name, root).left_out[REASON] == 1
    linked = tmp_path / "link"
    linked.symlink_to(root)  # the folder itself may be a link
    assert datasets.load(name, linked).left_out[REASON] == 1
