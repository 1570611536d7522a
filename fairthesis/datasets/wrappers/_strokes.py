"""What markers are drawn with: numbers that belong to an image's id, and smooth masks.

Coordinates run from 0 to 1, x to the right and y downwards, so that a marker is the same thing at
every size. Pillow draws at several times the size, and the mean of each block is the mask.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fairthesis.datasets.synthetic._counter import streams, uniform

Mask = NDArray[np.float32]
Point = tuple[float, float]
Colour = tuple[float, float, float]
FINE = 768  # pixels that a mask is drawn on at least, whatever the image's size


def id_numbers(ids: Sequence[str]) -> NDArray[np.uint64]:
    """A 64-bit number of each id, the key of its random stream, shape (n,)."""
    found = (hashlib.sha256(str(one).encode()).digest()[:8] for one in ids)
    return np.array([int.from_bytes(one, "little") for one in found], dtype=np.uint64)


def id_uniforms(seed: int, purpose: int, ids: Sequence[str]) -> NDArray[np.float64]:
    """A number in [0, 1) of each id, shape (n,): the same in any order and any subset."""
    return uniform(streams(seed, purpose, id_numbers(ids)), 1)[:, 0]


class Dice:
    """Numbers of one image's stream, in the order in which they are asked for."""

    def __init__(self, seed: int, purpose: int, image_id: str, count: int = 256) -> None:
        self._numbers = uniform(streams(seed, purpose, id_numbers([image_id])), count)[0].tolist()
        self._next = 0

    def __call__(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number from ``low`` to ``high``."""
        value: float = self._numbers[self._next]
        self._next += 1
        return low + (high - low) * value

    def one_of(self, choices: Sequence[Any]) -> Any:
        """One of the choices, each as likely as the others."""
        return choices[int(self() * len(choices))]


@dataclass(frozen=True)
class Stroke:
    """A mask of opacities from 0 to 1, shape (size, size), and the colour that it is laid in.

    Ink (``soaked``) darkens what is below it, as a filter does; paint covers it.
    """

    mask: Mask
    colour: Colour
    soaked: bool = False


def laid(image: NDArray[np.uint8], strokes: Sequence[Stroke]) -> NDArray[np.uint8]:
    """The image, shape (size, size, channels), under the strokes; grey where it has one channel."""
    found = image.astype(np.float32)
    for stroke in strokes:
        colour = np.asarray(stroke.colour, np.float32)
        if image.shape[-1] == 1:
            colour = colour.mean(keepdims=True)
        goal = found * colour / np.float32(255) if stroke.soaked else colour
        found += stroke.mask[:, :, None] * (goal - found)
    return np.clip(np.rint(found), 0, 255).astype(np.uint8)


class Canvas:
    """A mask that is drawn by lines, discs and polygons, with smooth edges.

    >>> canvas = Canvas(16)
    >>> canvas.disc((0.5, 0.5), 0.25)
    >>> mask = canvas.mask(0.5)
    >>> mask.shape, float(mask.max()), float(mask[0, 0])
    ((16, 16), 0.5, 0.0)
    """

    def __init__(self, size: int) -> None:
        self._times = max(2, -(-FINE // size))
        self._edge = size * self._times
        self._image = Image.new("L", (self._edge, self._edge))
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: Sequence[Point], width: float, value: int = 255) -> None:
        """A line with round ends and joints."""
        at = [(x * self._edge, y * self._edge) for x, y in points]
        wide = max(1, round(width * self._edge))
        self._draw.line(at, fill=value, width=wide, joint="curve")
        for x, y in (at[0], at[-1]):
            r = wide / 2
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=value)

    def disc(self, centre: Point, radius: float, value: int = 255) -> None:
        x, y, r = (v * self._edge for v in (*centre, radius))
        self._draw.ellipse((x - r, y - r, x + r, y + r), fill=value)

    def polygon(self, points: Sequence[Point], value: int = 255) -> None:
        self._draw.polygon([(x * self._edge, y * self._edge) for x, y in points], fill=value)

    def mask(self, opacity: float) -> Mask:
        small = self._image.reduce(self._times)
        return np.asarray(small, np.float32) * np.float32(opacity / 255)


def curve(a: Point, b: Point, c: Point, d: Point, steps: int = 40) -> list[Point]:
    """Points of a cubic Bézier curve from ``a`` to ``d``."""
    found = []
    for k in range(steps + 1):
        t = k / steps
        p, q, r, s = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        found.append(tuple(p * w + q * x + r * y + s * z for w, x, y, z in zip(a, b, c, d)))  # noqa: B905
    return [(x, y) for x, y in found]


def turned(centre: Point, angle: float) -> Callable[[float, float], Point]:
    """A function that puts offsets (x, y) from ``centre`` where a turn by ``angle`` brings them."""
    cos, sin = math.cos(angle), math.sin(angle)

    def put(x: float, y: float) -> Point:
        return centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y

    return put
