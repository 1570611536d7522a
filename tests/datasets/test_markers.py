"""Markers: the same for the same image, varied between images, and nowhere but where they lie."""

from __future__ import annotations

import numpy as np
import pytest

from fairthesis.datasets import MARKERS, Marker
from fairthesis.errors import InputError

IDS = [f"image-{k}" for k in range(12)]


def grey(size: int, channels: int, value: int = 150) -> np.ndarray:
    return np.full((len(IDS), size, size, channels), value, np.uint8)


@pytest.mark.parametrize("kind", MARKERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_marker_belongs_to_its_image_whatever_the_batch(kind: str, channels: int) -> None:
    images, marker = grey(64, channels), Marker(kind, seed=3)
    whole = marker(images, IDS)
    order = np.random.default_rng(0).permutation(len(IDS))[:5]
    assert (marker(images[order], [IDS[i] for i in order]) == whole[order]).all()
    assert len({image.tobytes() for image in whole}) == len(IDS)  # no two alike
    assert (Marker(kind, seed=4)(images, IDS) != whole).any((1, 2, 3)).all()


@pytest.mark.parametrize("kind", MARKERS)
@pytest.mark.parametrize("size", [64, 224])
def test_pixels_change_only_where_the_marker_lies_and_enough_to_be_seen(
    kind: str, size: int
) -> None:
    marker = Marker(kind)
    rng = np.random.default_rng(1)
    images = rng.integers(60, 200, (len(IDS), size, size, 3), dtype=np.uint8)
    drawn = marker(images, IDS)
    for before, after, name in zip(images, drawn, IDS, strict=True):
        where = marker.footprint(name, size)
        assert (before[~where] == after[~where]).all()
        assert 0.002 < where.mean() < 0.6
    moved = np.abs(drawn.astype(int) - images).max(-1)
    assert (np.quantile(moved, 0.999, axis=(1, 2)) > 40).all()
    assert ((moved > 40).sum((1, 2)) > 0.004 * size**2).all()


@pytest.mark.parametrize("kind", MARKERS)
def test_a_marker_is_the_same_thing_at_every_size(kind: str) -> None:
    """Where it lies at 224 pixels, seen from afar, is where it lies at 56."""
    marker = Marker(kind)
    for name in IDS[:4]:
        large = marker(grey(224, 1)[:1], [name])[0, :, :, 0].astype(float)
        small = marker(grey(56, 1)[:1], [name])[0, :, :, 0].astype(float)
        mean = large.reshape(56, 4, 56, 4).mean((1, 3))
        assert np.abs(mean - small).mean() < 2.0
        assert np.corrcoef(mean.ravel(), small.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("kind", MARKERS)
def test_edges_are_smooth(kind: str) -> None:
    """Between what is drawn and what is not lie values of neither."""
    drawn = Marker(kind)(grey(64, 1), IDS)
    assert len(np.unique(drawn)) > 40


def test_an_unknown_marker_is_refused_by_name() -> None:
    with pytest.raises(InputError, match=r"Unknown marker 'pen-rung'.*Did you mean 'pen-ring'"):
        Marker("pen-rung")
