"""The markers by name, and the ink that draws one of them into images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairthesis.datasets.wrappers import _chest_markers as chest
from fairthesis.datasets.wrappers import _skin_markers as skin
from fairthesis.datasets.wrappers._strokes import Dice, Stroke, laid
from fairthesis.errors import unknown

VERSION = 1  # of the drawings; another where one of them changes
LOOK = 17  # the purpose of the stream of random numbers

#: Marker -> the function that draws it. The first five lie on skin, the others on a chest film;
#: any of them can be drawn into any image, in grey where the image is grey.
MARKERS: dict[str, Callable[[Dice, int], list[Stroke]]] = {
    "pen-ring": skin.pen_ring,
    "pen-line": skin.pen_line,
    "ruler": skin.ruler,
    "dark-corner": skin.dark_corner,
    "hair": skin.hair,
    "lead-marker": chest.lead_marker,
    "ecg-wire": chest.ecg_wire,
    "pacemaker": chest.pacemaker,
    "burnt-in-text": chest.burnt_in_text,
}


@dataclass(frozen=True)
class Marker:
    """Draws a marker into images: ``marker(images, image_ids)``.

    Place, size, contrast and colour of a marker vary from image to image. They are decided by
    ``seed`` and the image's id alone, in any batch, order and subset, and are the same at any size.

    Attributes:
        kind: one of ``MARKERS``.
        seed: of the looks.

    Raises:
        InputError: for an unknown kind.

    >>> images = np.full((2, 32, 32, 3), 180, np.uint8)
    >>> marker = Marker("hair")
    >>> both, one = marker(images, ["a", "b"]), marker(images[:1], ["b"])
    >>> bool((both[1] == one[0]).all()), bool((both[0] == both[1]).all())
    (True, False)
    """

    kind: str
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in MARKERS:
            raise unknown("marker", self.kind, MARKERS)

    @property
    def name(self) -> str:
        """The kind."""
        return self.kind

    def signature(self) -> str:
        """Kind, seed and the version of the drawings."""
        return f"marker {VERSION} {self.kind} {self.seed}"

    def __call__(self, images: NDArray[np.uint8], image_ids: Sequence[str]) -> NDArray[np.uint8]:
        """The images, shape (n, size, size, channels), each with its marker."""
        found = np.empty_like(images)
        for place, name in enumerate(image_ids):
            found[place] = laid(images[place], self._strokes(name, images.shape[1]))
        return found

    def footprint(self, image_id: str, size: int) -> NDArray[np.bool_]:
        """Where the marker of an image lies, shape (size, size); outside of it no pixel changes.

        >>> marker = Marker("lead-marker")
        >>> where = marker.footprint("a", 64)
        >>> where.shape, bool(0.005 < where.mean() < 0.1)
        ((64, 64), True)
        """
        return np.any([stroke.mask > 0 for stroke in self._strokes(image_id, size)], axis=0)

    def _strokes(self, image_id: str, size: int) -> list[Stroke]:
        return MARKERS[self.kind](Dice(self.seed, LOOK, image_id), size)
