"""Stored values of a DICOM image -> grey or colour of 8 bits, by one table for all values.

There are at most 65,536 stored values, so each step (modality, window, inversion) is computed once
per value in double precision, and not once per pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairthesis.data._windows import (
    OWN,
    Values,
    between,
    linear,
    linear_exact,
    looked_up,
    sigmoid,
    window_ends,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

STRIP = 1_000_000  # pixels that are looked up at a time: each takes 8 bytes as a place in a table
FUNCTIONS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


def strips(values: NDArray[Any]) -> Iterator[slice]:
    """Rows of an image, some at a time."""
    down = max(1, STRIP // max(1, values.shape[1]))
    for upper in range(0, len(values), down):
        yield slice(upper, upper + down)


def in_strips(
    values: NDArray[Any], work: Callable[[NDArray[Any]], NDArray[Any]], more: tuple[int, ...]
) -> NDArray[np.uint8]:
    """What ``work`` makes of an image: its rows and columns, and ``more`` behind them."""
    found = np.empty((*values.shape[:2], *more), np.uint8)
    for rows in strips(values):
        found[rows] = work(values[rows])
    return found


class Codes:
    """Decoded values, numbered from 0 on: of the bits that are allocated, those that are stored.

    The others once held overlays. ``itemsize`` is that of a decoded value; of ``native`` values,
    which no decoder made, the bits that are stored may lie higher.
    """

    def __init__(self, header: Dataset, itemsize: int, native: bool) -> None:
        bits = int(header.get("BitsStored") or header.BitsAllocated)
        high = int(header.get("HighBit") or bits - 1)
        self.kind, self.n = np.dtype(f"u{itemsize}"), 2**bits
        self.shift = max(high + 1 - bits, 0) if native else 0

    def __call__(self, part: NDArray[Any]) -> NDArray[Any]:
        kind = self.kind.type
        return (part.astype(self.kind, copy=False) >> kind(self.shift)) & kind(self.n - 1)


def grey_table(
    header: Dataset, window: str, values: NDArray[Any], codes: Codes
) -> NDArray[np.uint8]:
    """The grey of each stored value, shape (n,): modality LUT, window, inversion, padding."""
    n = codes.n
    stored = np.arange(n, dtype=np.int64)
    if header.get("PixelRepresentation"):
        stored[n // 2 :] -= n
    x = _modality(header, stored)
    padding = _padding(header, stored)
    shown = _own(header, x) if window == OWN else None
    if shown is None:
        if window == OWN:
            used = _present(values, codes) & ~padding
            low, high = (x[used].min(), x[used].max()) if used.any() else (0.0, 0.0)
        else:
            low, high = window_ends(window) or (x.min(), x.max())
        shown = between(x, float(low), float(high))
    if header.PhotometricInterpretation == "MONOCHROME1":
        shown = 255 - shown
    shown[padding] = 0
    return np.round(shown).astype(np.uint8)


def colour_table(header: Dataset, n: int) -> NDArray[np.uint8]:
    """The colour of each stored value of a palette, shape (n, 3)."""
    from pydicom.pixels.processing import apply_color_lut

    found = apply_color_lut(np.arange(n, dtype=np.uint16), header)
    return (found >> (8 * (found.dtype.itemsize - 1))).astype(np.uint8)


def _modality(header: Dataset, stored: NDArray[np.int64]) -> Values:
    """Stored values in the units that a window is given in."""
    if header.get("ModalityLUTSequence"):
        first, entries, _ = _lut(header.ModalityLUTSequence[0])
        return looked_up(stored.astype(np.float64), first, entries)
    slope, intercept = (_number(header.get(f"Rescale{name}")) for name in ("Slope", "Intercept"))
    found = stored * (1.0 if slope is None else slope) + (intercept or 0.0)
    return np.asarray(found, dtype=np.float64)


def _own(header: Dataset, x: Values) -> Values | None:
    """What the file itself says is shown, from 0 to 255: a table before a window; None for none."""
    if header.get("VOILUTSequence"):
        first, entries, bits = _lut(header.VOILUTSequence[0])
        return np.clip(looked_up(x, first, entries) * (255 / (2**bits - 1)), 0, 255)
    centre, width = (_number(header.get(f"Window{name}")) for name in ("Center", "Width"))
    name = str(header.get("VOILUTFunction") or "LINEAR")
    if centre is None or width is None or width <= 0 or name not in FUNCTIONS:
        return None
    return FUNCTIONS[name](x, centre, width)


def _number(given: Any) -> float | None:
    """A number, or the first of several; None where none is stated."""
    if given is not None and not isinstance(given, str | int | float) and hasattr(given, "__len__"):
        given = given[0] if len(given) else None
    if given is None or given == "":
        return None
    found = float(given)
    return found if np.isfinite(found) else None


def _lut(item: Dataset) -> tuple[int, NDArray[np.integer], int]:
    """A lookup table: what its first entry is for, its entries and the bits of each."""
    n, first, bits = (int(number) for number in item.LUTDescriptor)
    n = n % 2**16 or 2**16
    data = item.LUTData
    if not isinstance(data, bytes):
        entries = np.atleast_1d(np.asarray(data, dtype=np.int64))
    else:
        entries = np.frombuffer(data, "<u2" if len(data) >= 2 * n else "u1")
    if not 1 <= bits <= 16 or len(entries) < n:
        raise ValueError(f"a lookup table of {len(entries)} entries of {bits} bits instead of {n}")
    return first, entries[:n].astype(np.int64) & (2**16 - 1), bits


def _padding(header: Dataset, stored: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which stored values stand for no pixel."""
    value = _number(header.get("PixelPaddingValue"))
    if value is None:
        return np.zeros(len(stored), dtype=np.bool_)
    limit = _number(header.get("PixelPaddingRangeLimit"))
    ends = [stored[int(end) % len(stored)] for end in (value, value if limit is None else limit)]
    return (stored >= min(ends)) & (stored <= max(ends))


def _present(values: NDArray[Any], codes: Codes) -> NDArray[np.bool_]:
    """Which stored values an image has."""
    found = np.zeros(codes.n, dtype=np.bool_)
    for rows in strips(values):
        found[codes(values[rows])] = True
    return found
