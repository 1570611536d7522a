"""Images of which some are shown with something drawn into them, and views of some images.

The images as they are lie in the cache once, and once more with the drawing in every one of them.
Which of the two is shown is looked up row by row: all plans, splits, twins and oracles that differ
only in *which* images are drawn into share these two arrays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairthesis.data._cohort import Cohort
from fairthesis.data._decoding import Pixels


class Ink(Protocol):
    """What is drawn into an image: ``ink(images, image_ids)`` gives the images with it.

    What an image gets depends on its id alone, and its pixels outside of what is drawn stay.

    >>> from fairthesis import datasets
    >>> ink = datasets.Marker("pen-ring", seed=1)
    >>> ink.name, ink(np.zeros((1, 64, 64, 3), np.uint8), ["a"]).shape
    ('pen-ring', (1, 64, 64, 3))
    """

    @property
    def name(self) -> str:
        """Of the thing, for folders and messages."""
        ...

    def signature(self) -> str:
        """Text that says all that the drawing depends on."""
        ...

    def __call__(self, images: Pixels, image_ids: Sequence[str]) -> Pixels:
        """The images, uint8 of shape (n, size, size, channels), drawn into."""
        ...


@dataclass(frozen=True)
class Overlay:
    """The ``render`` of a cohort that shows images of another one, some of them drawn into.

    Attributes:
        pictures: the images as they are, all of one part.
        rows: the place of each row of the cohort in ``pictures``, shape (n,).
        ink: what is drawn; None where nothing ever is, as in a selection of images.
        shown: which rows of the cohort are shown with it, shape (n,).
        opened: arrays that were opened in this process, by size; shared by views of one another.

    >>> from fairthesis import datasets
    >>> inner = datasets.load("synthetic-derm", n_train=4, n_val=2, n_test=2)
    >>> view = overlay_of(inner)
    >>> len(view.rows), bool((view([3], 16) == inner.render([3], 16)).all())
    (8, True)
    """

    pictures: Cohort
    rows: NDArray[np.intp]
    ink: Ink | None
    shown: NDArray[np.bool_]
    opened: dict[tuple[int, bool], tuple[Pixels, Pixels]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def __call__(self, rows: ArrayLike, size: int) -> Pixels:
        """Images of shape (len(rows), size, size, channels), by way of the cache."""
        key = size, bool(self.shown.any())
        if key not in self.opened:
            found = self.images(size)[0]
            self.opened[key] = found.plain, found.drawn
        plain, drawn = self.opened[key]
        return OverlaidImages(plain, drawn, self.rows, self.shown)[np.asarray(rows, np.intp)]

    def some(self, rows: NDArray[np.intp]) -> Self:
        """That of some rows, in their order."""
        return replace(self, rows=self.rows[rows], shown=self.shown[rows])

    def signature(self) -> str:
        """SHA-256 of what is shown of the pictures' table, and of the drawing's settings.

        The content of image files is not part of it: ``images_fingerprint`` adds it.
        """
        ink = self.ink.signature() if self.ink and self.shown.any() else "nothing"
        digest = hashlib.sha256(f"{self.pictures.fingerprint()} {ink}".encode())
        digest.update(self.rows.astype("<i8").tobytes() + self.shown.tobytes())
        return digest.hexdigest()

    def content(self, size: int, cache_dir: str | Path | None = None) -> str:
        """What all images are made of, as they are and drawn into; not which of them are shown."""
        from fairthesis.data._images import images_fingerprint

        ink = self.ink.signature() if self.ink else "nothing"
        return f"{images_fingerprint(self.pictures, size, cache_dir)} {ink}"

    def images(
        self, size: int, cache_dir: str | Path | None = None, **how: Any
    ) -> tuple[OverlaidImages, NDArray[np.bool_]]:
        """As ``prepared_images`` gives them, which has the arguments too."""
        from fairthesis.data._images import prepared_images

        found, ok = prepared_images(self.pictures, size, cache_dir, **how)
        plain = drawn = cast(Pixels, found)  # the pictures are no overlay
        if self.ink is not None and self.shown.any():
            ids = self.pictures.frame["image_id"].to_numpy(object)
            content = self.content(size, cache_dir)
            everywhere = replace(
                self.pictures,
                name=f"{self.pictures.name}-{self.ink.name}",
                render=_Everywhere(plain, ids, self.ink, content),
            )
            drawn = cast(Pixels, prepared_images(everywhere, size, cache_dir, **how)[0])
        return OverlaidImages(plain, drawn, self.rows, self.shown), ok[self.rows]


def overlay_of(cohort: Cohort) -> Overlay:
    """The images of a cohort, into which nothing is drawn yet, as an ``Overlay``.

    Its pictures know neither labels nor split: cohorts of the same images share one cache.

    >>> from fairthesis import datasets
    >>> small = {"n_train": 4, "n_val": 2, "n_test": 2}
    >>> overlay_of(datasets.load("synthetic-cxr", **small)).pictures.targets
    ()
    """
    if isinstance(cohort.render, Overlay):
        return cohort.render
    names = [name for name in ("image_id", "patient_id", "path") if name in cohort.frame]
    pictures = replace(
        cohort,
        frame=cohort.frame[names].assign(split="test"),
        targets=(),
        attributes=(),
        left_out={},
    )
    return Overlay(pictures, np.arange(len(cohort)), None, np.zeros(len(cohort), bool))


@dataclass(frozen=True)
class OverlaidImages:
    """Images as ``prepared_images`` gives them, read from two arrays row by row.

    ``images[rows]`` reads the given rows, uint8 of shape (len(rows), size, size, channels).

    Attributes:
        plain: the images as they are, memory-mapped.
        drawn: the same images, all drawn into.
        rows: the place of each row in these arrays, shape (n,).
        shown: which rows are read from ``drawn``, shape (n,).

    >>> plain = np.zeros((3, 1, 1, 1), np.uint8)
    >>> images = OverlaidImages(plain, plain + 9, np.array([2, 0]), np.array([False, True]))
    >>> len(images), images.shape, images[[1, 0]].ravel().tolist(), images[0].shape
    (2, (2, 1, 1, 1), [9, 0], (1, 1, 1))
    >>> images.both()[images.places()].ravel().tolist()
    [0, 9]
    """

    plain: Pixels
    drawn: Pixels
    rows: NDArray[np.intp]
    shown: NDArray[np.bool_]

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, size, size, channels)."""
        return (len(self.rows), *self.plain.shape[1:])

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """uint8."""
        return self.plain.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Pixels:
        places, shown = np.atleast_1d(self.rows[index]), np.atleast_1d(self.shown[index])
        found = np.array(self.plain[places])
        found[shown] = self.drawn[places[shown]]
        return found[0] if np.ndim(self.rows[index]) == 0 else found

    def both(self) -> OverlaidImages:
        """All images as they are, and behind them all of them drawn into: twice as many rows."""
        n = len(self.plain)
        return OverlaidImages(
            self.plain, self.drawn, np.tile(np.arange(n), 2), np.repeat([False, True], n)
        )

    def places(self) -> NDArray[np.intp]:
        """The place of each row in ``both``, shape (n,)."""
        return self.rows + len(self.plain) * self.shown

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class _Everywhere:
    """The drawing into every one of ``plain``; ``content`` says what they and it depend on."""

    plain: Pixels
    image_ids: NDArray[np.object_]
    ink: Ink
    content: str

    def __call__(self, rows: NDArray[np.intp], size: int) -> Pixels:
        return self.ink(np.array(self.plain[rows]), self.image_ids[rows].tolist())

    def signature(self) -> str:
        return self.content
