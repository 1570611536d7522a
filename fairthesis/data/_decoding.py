"""An image file -> uint8 pixels of one size, in bounded memory; or the reason why it is none."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fairthesis.data._dicom import DicomFile
from fairthesis.data._dicom_header import Refused, is_dicom, named_dicom
from fairthesis.data._image_opening import open_file, words
from fairthesis.data._other_files import HEAD, what_it_is
from fairthesis.data._windows import EQUALISED, OWN, equalised, window_ends
from fairthesis.errors import InputError

Pixels = NDArray[np.uint8]
# Pillow knows some forty kinds by their content, whatever the file is called; for PostScript it
# starts another program. These are what images are kept in, and none of them does.
FORMATS = ("PNG", "JPEG", "JPEG2000", "TIFF", "BMP", "GIF", "WEBP", "PPM")
NONE = f"none of {', '.join(FORMATS)}, DICOM"
MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs
MAX_BYTES = 600_000_000  # that one image may take while it is decoded
TOGETHER = 500_000_000  # that all workers' images may take, unless one alone takes more
PIECE = 1_000_000  # pixels of a larger image that are converted at a time
EXIF_ORIENTATION = 0x0112
BITS, SAMPLE_FORMAT = 258, 339  # TIFF's tags of a value's bits, and of its sign
# Bytes a pixel that a decoder takes for itself, beside the image that it gives.
_DECODERS = {"JPEG2000": 16, "WEBP": 4}
_PROGRESSIVE = 6  # of JPEG: all coefficients are held until the last scan
# What a thread frees in blocks of up to 32 MiB glibc may keep for that thread, and Pillow parts an
# image into blocks, the last of any size. In one block each, large images go back to the system.
if "PILLOW_BLOCK_SIZE" not in os.environ:
    Image.core.set_block_size(1 << 30)  # type: ignore[attr-defined]


def _give_back() -> None:
    """Have glibc return what this thread freed: arrays are not in blocks as Pillow's images are."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


def decode(path: Path, size: int, channels: int, window: str = OWN) -> Pixels | str:
    """An image file as uint8 of shape (size, size, channels), or the reason why it is not one."""
    try:
        with open_file(path) as handle:
            return decode_open(handle, size, channels, window, path.name)
    except OSError as error:
        return words(error)


def decode_open(
    handle: BinaryIO, size: int, channels: int, window: str = OWN, name: str = ""
) -> Pixels | str:
    """As ``decode``, for an open file at its start.

    Raises:
        InputError: where a package that reads such files is not installed.
    """
    if window == EQUALISED:  # of what is shown of the file: at its size, after its own window
        pixels = decode_open(handle, size, channels, OWN, name)
        return pixels if isinstance(pixels, str) else _equalised(pixels)
    try:
        if is_dicom(handle):
            fitted = _of_dicom(DicomFile(handle), size, window)
        else:
            fitted = _of_picture(handle, size, channels, window)
    except UnidentifiedImageError:
        return _unidentified(handle, size, channels, window, name)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, Refused) as error:
        return str(error)
    except InputError:
        raise
    except Exception as error:  # decoders and EXIF readers end in errors of any kind
        said = str(error).replace(str(Path(getattr(handle, "name", "")).parent), "")
        return " ".join(f"{type(error).__name__}: {said}".split())
    return _laid_out(fitted, size, channels)


def _equalised(pixels: Pixels) -> Pixels:
    """Grey spread evenly; of colour the luma, hue and saturation as they were (YCbCr)."""
    if pixels.shape[-1] == 1:
        return equalised(pixels)
    luma, *colour = Image.fromarray(pixels).convert("YCbCr").split()
    even = Image.fromarray(equalised(np.asarray(luma)))
    return np.asarray(Image.merge("YCbCr", (even, *colour)).convert("RGB"), dtype=np.uint8)


def _unidentified(
    handle: BinaryIO, size: int, channels: int, window: str, name: str
) -> Pixels | str:
    """What Pillow does not know: DICOM without its first part, by its name; else a reason."""
    handle.seek(0)
    what = what_it_is(handle.read(HEAD))
    if what is None and named_dicom(name):
        try:
            file = DicomFile(handle, sniffed=False)
            return _laid_out(_of_dicom(file, size, window), size, channels)
        except InputError:
            raise
        except Refused as error:
            what = f"called DICOM, and is {error}"
        except Exception:  # anything may be called .dcm
            what = "called DICOM, and cannot be read as that"
    return f"cannot identify image file: it is {what or NONE}"


def _laid_out(fitted: Image.Image, size: int, channels: int) -> Pixels:
    if fitted.mode != ("L" if channels == 1 else "RGB"):
        fitted = fitted.convert("L" if channels == 1 else "RGB")
    return np.asarray(fitted, dtype=np.uint8).reshape(size, size, channels)


def _of_picture(handle: BinaryIO, size: int, channels: int, window: str) -> Image.Image:
    with Image.open(handle, formats=FORMATS) as image:
        _check_pixels(image.width, image.height)
        full = image.width * image.height
        # JPEG can be decoded at a half, quarter or eighth: much faster, and enough for 2x size.
        image.draft(None, (2 * size, 2 * size))
        mode = "L" if channels == 1 or image.mode in ("1", "L") or _is_deep(image) else "RGB"
        needed = _bytes(image, full, mode)
        _check_bytes(needed, f"{image.width} x {image.height} pixels of {image.mode}", image.format)
        with _room(needed):
            ImageOps.exif_transpose(image, in_place=True)  # no copy of what is upright
            edges = (size, size)
            plain = _plain(image, mode, window)
            fitted = ImageOps.fit(plain, edges, Image.Resampling.BICUBIC)
            image.close()  # frees its pixels, before another takes their room
    return fitted


def _of_dicom(file: DicomFile, size: int, window: str) -> Image.Image:
    wide, high = file.columns, file.rows
    _check_pixels(wide, high)
    _check_bytes(file.needed, f"{wide} x {high} pixels of {file.kind}", "DICOM")
    with _room(file.needed):
        fitted = _fitted(file.picture(window, MAX_BYTES), file.aspect, size)
        if wide * high > PIECE:
            _give_back()
    return fitted


def _fitted(image: Image.Image, aspect: float, size: int) -> Image.Image:
    """The square at the centre; ``aspect`` is a pixel's height over its width."""
    if aspect == 1:
        return ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC)
    # Of the body it is a square, whatever its pixels are.
    edge = min(image.width, image.height * aspect)
    left, upper = (image.width - edge) / 2, (image.height - edge / aspect) / 2
    box = (left, upper, image.width - left, image.height - upper)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)


def _check_pixels(wide: int, high: int) -> None:
    if wide * high > MAX_PIXELS:
        raise Refused(f"{wide} x {high} pixels, more than {MAX_PIXELS}")


def _check_bytes(needed: int, what: str, kind: str | None) -> None:
    if needed > MAX_BYTES:
        raise Refused(
            f"{what} in {kind} take {needed / 1e6:.0f} MB, more than {MAX_BYTES / 1e6:.0f} MB"
        )


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


def _plain(image: Image.Image, mode: str, window: str) -> Image.Image:
    """The image in ``mode``, 8 bits per channel; a large one is converted piece by piece.

    Whole copies at 32 bits would take many times the image's own memory.
    """
    span, (wide, high) = _span(image, window), image.size
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


def _span(image: Image.Image, window: str) -> tuple[float, float]:
    """The values of deep grey that are black and white; else (0, 0)."""
    if not _is_deep(image):
        return 0.0, 0.0
    ends = window_ends(window)
    if ends is None and window != OWN:
        return _whole_range(image)
    if ends is not None and image.mode != "F":
        return ends
    pieces = (np.asarray(image.crop(box), np.float32) for box in _pieces(*image.size))
    found = [(float(piece.min()), float(piece.max())) for piece in pieces]
    low, top = float(np.min(found)), float(np.max(found))
    if not np.isfinite(low) or not np.isfinite(top):
        raise ValueError("pixels that are not finite")
    return ends or (low, top)


def _whole_range(image: Image.Image) -> tuple[float, float]:
    """The least and the largest value that the depth of a grey image allows."""
    if image.mode == "F":
        raise ValueError("floating point has no full range: name a window LOW,HIGH")
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    bits, signed = int(tags.get(BITS, (16,))[0]), tags.get(SAMPLE_FORMAT, (1,))[0] == 2
    if signed or bits > 16:  # Pillow keeps 32 bits with a sign
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


def _eight_bits(image: Image.Image, span: tuple[float, float], mode: str) -> Image.Image:
    """8 bits per channel, palettes resolved, deeper grey stretched from black to white."""
    if _is_deep(image):
        low, high = span
        deep = np.asarray(image, dtype=np.float32)
        scaled = (deep - low) * (255 / (high - low) if high > low else 0)
        image = Image.fromarray(np.clip(np.round(scaled), 0, 255).astype(np.uint8))
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image if image.mode == mode else image.convert(mode)
