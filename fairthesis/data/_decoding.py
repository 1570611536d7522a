"""An image file -> uint8 pixels of one size, in bounded memory; or the reason why it is none."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = NDArray[np.uint8]
# Pillow knows some forty kinds by their content, whatever the file is called; for PostScript it
# starts another program. These are what images are kept in, and none of them does.
FORMATS = ("PNG", "JPEG", "JPEG2000", "TIFF", "BMP", "GIF", "WEBP", "PPM")
MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs
MAX_BYTES = 600_000_000  # that one image may take while it is decoded
TOGETHER = 500_000_000  # that all workers' images may take, unless one alone takes more
PIECE = 1_000_000  # pixels of a larger image that are converted at a time
EXIF_ORIENTATION = 0x0112
# Bytes a pixel that a decoder takes for itself, beside the image that it gives.
_DECODERS = {"JPEG2000": 16, "WEBP": 4}
_PROGRESSIVE = 6  # of JPEG: all coefficients are held until the last scan
# What a thread frees in blocks of up to 32 MiB glibc may keep for that thread, and Pillow parts an
# image into blocks, the last of any size. In one block each, large images go back to the system.
if "PILLOW_BLOCK_SIZE" not in os.environ:
    Image.core.set_block_size(1 << 30)  # type: ignore[attr-defined]


def decode(path: Path, size: int, channels: int) -> Pixels | str:
    """An image file as uint8 of shape (size, size, channels), or the reason why it is not one."""
    try:
        with open_file(path) as handle:
            return decode_open(handle, size, channels)
    except OSError as error:
        return words(error)


def open_file(path: str | Path) -> BinaryIO:
    """The file, opened to be read; a pipe or a device, which may never end, is an ``OSError``."""
    handle = open(path, "rb", opener=_not_waiting)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise OSError("not a regular file")
    return handle


def _not_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # for the other end of a pipe


def words(error: OSError) -> str:
    """What is wrong with a file, without the folder that it lies in."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return f"{type(error).__name__}: {error.strerror or error}"


def decode_open(handle: BinaryIO, size: int, channels: int) -> Pixels | str:
    """As ``decode``, for an open file at its start."""
    try:
        with Image.open(handle, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"{image.width} x {image.height} pixels, more than {MAX_PIXELS}"
            full = image.width * image.height
            # JPEG can be decoded at a half, quarter or eighth: much faster, and enough for 2x size.
            image.draft(None, (2 * size, 2 * size))
            mode = "L" if channels == 1 or image.mode in ("1", "L") or _is_deep(image) else "RGB"
            needed = _bytes(image, full, mode)
            if needed > MAX_BYTES:
                return (
                    f"{image.width} x {image.height} pixels of {image.mode} in {image.format} take "
                    f"{needed / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f} MB"
                )
            with _room(needed):
                ImageOps.exif_transpose(image, in_place=True)  # no copy of what is upright
                edges = (size, size)
                fitted = ImageOps.fit(_plain(image, mode), edges, Image.Resampling.BICUBIC)
                image.close()  # frees its pixels, before another takes their room
    except UnidentifiedImageError:
        return f"cannot identify image file: it is none of {', '.join(FORMATS)}"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        return str(error)
    except Exception as error:  # decoders and EXIF readers end in errors of any kind
        said = str(error).replace(str(Path(getattr(handle, "name", "")).parent), "")
        return f"{type(error).__name__}: {said}".strip()
    if channels == 3 and fitted.mode == "L":
        fitted = fitted.convert("RGB")
    return np.asarray(fitted, dtype=np.uint8).reshape(size, size, channels)


def _bytes(image: Image.Image, full: int, mode: str) -> int:
    """Memory that decoding to ``mode`` takes; ``full`` is the number of pixels before ``draft``."""
    each = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode.startswith("I;16") else 4)
    pixels = image.width * image.height
    taken = pixels * (each + _DECODERS.get(image.format or "", 0))
    if image.mode != mode:
        taken += pixels * (1 if mode == "L" else 4)
    if full > PIECE:
        if image.info.get("progressive"):
            taken += full * _PROGRESSIVE
        # Asked for it, PNG decodes all pixels where it has none at its head.
        told = image.format != "PNG" or "exif" in image.info
        if told and image.getexif().get(EXIF_ORIENTATION, 1) != 1:
            taken += pixels * each  # the turned copy
    return taken


_taken = 0
_freed = threading.Condition()


@contextmanager
def _room(needed: int) -> Iterator[None]:
    """Wait until the images in hand leave ``needed`` bytes: large ones are decoded in turn."""
    global _taken
    with _freed:
        _freed.wait_for(lambda: _taken == 0 or _taken + needed <= TOGETHER)
        _taken += needed
    try:
        yield
    finally:
        with _freed:
            _taken -= needed
            _freed.notify_all()


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """The image in ``mode``, 8 bits per channel; a large one is converted piece by piece.

    Whole copies at 32 bits would take many times the image's own memory.
    """
    span, (wide, high) = _span(image), image.size
    if image.mode == mode or wide * high <= PIECE:
        return _eight_bits(image, span, mode)
    whole = Image.new(mode, (wide, high))
    for box in _pieces(wide, high):
        whole.paste(_eight_bits(image.crop(box), span, mode), box[:2])
    return whole


def _pieces(wide: int, high: int) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of at most ``PIECE`` pixels that cover an image: strips, or parts of very long rows."""
    across = min(wide, PIECE)
    down = PIECE // across
    for upper in range(0, high, down):
        for left in range(0, wide, across):
            yield left, upper, min(left + across, wide), min(upper + down, high)


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _span(image: Image.Image) -> tuple[float, float]:
    """The least and the largest value of deep grey, which are black and white; else (0, 0)."""
    if not _is_deep(image):
        return 0.0, 0.0
    pieces = (np.asarray(image.crop(box), np.float32) for box in _pieces(*image.size))
    ends = [(float(piece.min()), float(piece.max())) for piece in pieces]
    low, top = float(np.min(ends)), float(np.max(ends))
    if not np.isfinite(low) or not np.isfinite(top):
        raise ValueError("pixels that are not finite")
    return low, top


def _eight_bits(image: Image.Image, span: tuple[float, float], mode: str) -> Image.Image:
    """8 bits per channel, palettes resolved, deeper grey stretched from its minimum to maximum."""
    if _is_deep(image):
        low, high = span
        deep = np.asarray(image, dtype=np.float32)
        scaled = (deep - low) * (255 / (high - low) if high > low else 0)
        image = Image.fromarray(np.round(scaled).astype(np.uint8))
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image if image.mode == mode else image.convert(mode)
