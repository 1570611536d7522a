"""Overlays: rows of two arrays, read as one array of images would be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.planted import pictures

from fairthesis.data import OverlaidImages, cache_folder, overlay_of, prepared_images


@pytest.fixture
def images() -> OverlaidImages:
    plain = np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1)
    rows = np.array([5, 0, 3, 3])
    return OverlaidImages(plain, plain + 100, rows, np.array([True, False, False, True]))


@pytest.mark.parametrize(
    "index",
    [
        0,
        3,
        -1,
        slice(None),
        slice(1, 3),
        [2, 0, 0],
        np.array([3, 1]),
        np.arange(0),
        np.arange(4) > 1,
    ],
)
def test_any_index_reads_what_an_array_would(images: OverlaidImages, index: Any) -> None:
    whole = np.stack(
        [images.plain[5] + 100, images.plain[0], images.plain[3], images.plain[3] + 100]
    )
    found, expected = images[index], whole[index]
    assert found.shape == expected.shape and found.dtype == np.uint8
    assert (found == expected).all()


def test_an_array_in_full(images: OverlaidImages) -> None:
    assert images.shape == (4, 2, 2, 1) and len(images) == 4 and images.dtype == np.uint8
    assert (np.asarray(images) == images[:]).all()
    assert (images.both()[images.places()] == images[:]).all()


def test_what_is_read_can_be_changed_without_harm(images: OverlaidImages) -> None:
    images[[0, 1]][:] = 0
    images[1][:] = 0
    assert images.plain.max() == 23 and images.plain[0, 0, 0, 0] == 0 and images[1].max() == 3


def test_views_of_views_share_their_pictures(tmp_path: Path) -> None:
    inner = pictures(tmp_path / "files")
    view = overlay_of(inner)
    assert overlay_of(inner.take(np.arange(4))).pictures.fingerprint() != (
        view.pictures.fingerprint()
    )
    part = view.some(np.array([4, 2, 7])).some(np.array([2, 0]))
    assert part.rows.tolist() == [7, 4] and part.pictures is view.pictures
    plain, _ = prepared_images(inner, 16, tmp_path / "cache")
    found, ok = part.images(16, tmp_path / "cache")
    assert ok.all() and (found[:] == plain[[7, 4]]).all()
    assert view.pictures.frame["split"].eq("test").all()  # no split: every one shares them
    assert cache_folder(view.pictures, 16, tmp_path).name.startswith("few-")
