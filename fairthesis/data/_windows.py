"""Windows: which values of grey are black and which are white, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairthesis.errors import InputError

OWN, FULL, EQUALISED = "own", "full", "equalised"
_NAMED = (OWN, FULL, EQUALISED)
Values = NDArray[np.float64]
#: The type of a window: ``own``, ``full``, ``equalised``, ``LOW,HIGH`` or a pair of numbers, as of
#: ``Cohort``.
Window = str | tuple[float, float]


def window_text(window: str | Sequence[float]) -> str:
    """A window in its one spelling: ``own``, ``full``, ``equalised`` or ``LOW,HIGH``.

    >>> window_text("Own"), window_text((-1000, 400.0)), window_text(" -1e3, 400 ")
    ('own', '-1000,400', '-1000,400')
    """
    parts = window.split(",") if isinstance(window, str) else list(window)
    if isinstance(window, str) and window.strip().lower() in _NAMED:
        return window.strip().lower()
    try:
        low, high = (float(part) for part in parts)
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return f"{low:.12g},{high:.12g}"
    except (TypeError, ValueError):
        pass
    raise InputError(
        f"Expected window to be own, full, equalised or LOW,HIGH (the values that are black and "
        f"white, the lower first, as -1000,400), but got {window!r}."
    )


def window_ends(window: str) -> tuple[float, float] | None:
    """The two numbers of a window, in its one spelling; None for those with a name."""
    if window in _NAMED:
        return None
    low, high = window.split(",")
    return float(low), float(high)


def between(x: Values, low: float, high: float) -> Values:
    """From 0 at ``low`` to 255 at ``high``; all 0 where both are the same."""
    return np.clip((x - low) * (255 / (high - low) if high > low else 0), 0, 255)


def linear(x: Values, centre: float, width: float) -> Values:
    """DICOM's LINEAR, whose width counts values: from 0 to 255 (PS3.3, C.11.2.1.2.1).

    >>> linear(np.array([0.0, 100.0, 199.0]), 100, 200).round(1).tolist()
    [0.0, 128.1, 255.0]
    """
    if width <= 1:  # a step
        return np.where(x > centre - 0.5, 255.0, 0.0)
    return np.clip(((x - (centre - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def linear_exact(x: Values, centre: float, width: float) -> Values:
    """DICOM's LINEAR_EXACT, whose width is a length: from 0 to 255 (PS3.3, C.11.2.1.3.2).

    >>> linear_exact(np.array([0.0, 100.0, 200.0]), 100, 200).tolist()
    [0.0, 127.5, 255.0]
    """
    return np.clip(((x - centre) / width + 0.5) * 255, 0, 255)


def sigmoid(x: Values, centre: float, width: float) -> Values:
    """DICOM's SIGMOID: from 0 to 255, which are not reached (PS3.3, C.11.2.1.3.1).

    >>> sigmoid(np.array([0.0, 100.0, 200.0]), 100, 200).round(1).tolist()
    [30.4, 127.5, 224.6]
    """
    power = np.clip(-4 * (x - centre) / width, -700, 700)  # beyond them exp has no number
    return 255 / (1 + np.exp(power))


def looked_up(x: Values, first: int, entries: NDArray[np.integer]) -> Values:
    """The entry of a lookup table for each value; ``first`` is what the first entry is for.

    Smaller values get the first entry, larger ones the last (PS3.3, C.11.1.1 and C.11.2.1.1).

    >>> looked_up(np.array([-5.0, 11.0, 99.0]), 10, np.array([7, 8, 9])).tolist()
    [7.0, 8.0, 9.0]
    """
    place = np.clip(np.round(x) - first, 0, len(entries) - 1)
    return entries[place.astype(np.intp)].astype(np.float64)


def equalised(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey levels spread evenly over 0 to 255: histogram equalisation of one image.

    A level v becomes ``255 (F(v) - F(least)) / (n - F(least))``, rounded, for F(v) the number of
    pixels of at most v and n that of all (Gonzalez and Woods 2018, 3.3). The order of the levels
    stays; an image of one level stays as it is.

    Args:
        grey: uint8, any shape.

    >>> equalised(np.array([[10, 10], [20, 90]], np.uint8)).tolist()
    [[0, 0], [128, 255]]
    """
    counts = np.bincount(grey.ravel(), minlength=256)
    below = counts.cumsum()
    least = int(counts[grey.min()])
    if least == grey.size:
        return grey
    levels = np.round(255 * np.maximum(below - least, 0) / (grey.size - least))
    return levels.astype(np.uint8)[grey]
