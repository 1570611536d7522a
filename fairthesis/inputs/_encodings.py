"""Text in UTF-8, UTF-16 or, where it is neither, Windows' Latin-1; gzipped or not."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TypeVar, cast

import numpy as np

from fairthesis.errors import InputError

T = TypeVar("T")

HEAD = 1_000_000  # bytes from which encoding and dialect are found
LATIN_1 = "cp1252"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(path: Path, read: Callable[..., T]) -> tuple[T, str]:
    """What ``read(encoding, errors)`` gives in the first encoding that fits, and which that is."""
    try:
        encoding = find_encoding(path)
        return read(encoding, "strict"), encoding
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise InputError(
                f"Cannot read {str(path)!r} as a table: it begins as {encoding} text and is none: "
                f"{error}."
            ) from error
    except (OSError, EOFError, zlib.error) as error:  # a broken gzip file
        raise InputError(f"Cannot read {str(path)!r} as a table: {error}") from error
    if _some_utf8(path):
        raise InputError(
            f"Cannot read {str(path)!r} as a table: a part of it is UTF-8 text, and some bytes are "
            "not. Were files of two encodings joined? Save it as UTF-8 throughout."
        )
    return read(LATIN_1, "backslashreplace"), LATIN_1


def _some_utf8(path: Path) -> bool:
    """Whether letters beyond ASCII stand there as UTF-8: then Latin-1 would garble them."""
    with _binary(path) as file:
        head = file.read(HEAD).decode("utf-8", "surrogateescape")
    return any(ord(sign) > 127 and not 0xDC80 <= ord(sign) <= 0xDCFF for sign in head)


def _binary(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")


def open_text(path: Path, encoding: str, errors: str) -> IO[str]:
    """The file as text, its line ends as they are."""
    return io.TextIOWrapper(_binary(path), encoding=encoding, errors=errors, newline="")


def find_encoding(path: Path) -> str:
    """``utf-8`` where nothing says otherwise; refuses bytes that are no text."""
    with _binary(path) as file:
        head = file.read(HEAD)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    sample = np.frombuffer(head[: len(head) // 2 * 2], np.uint8)
    zero = [float((sample[k::2] == 0).mean()) if len(sample) else 0.0 for k in (0, 1)]
    if max(zero) > 0.4 and min(zero) < 0.1:  # a letter of a Western language and a zero, in turn
        return "utf-16-le" if zero[1] > zero[0] else "utf-16-be"
    if b"\0" in head:
        raise InputError(
            f"Cannot read {str(path)!r} as a table: expected text with a header line, but it "
            "holds bytes that are no text."
        )
    if len(head) == HEAD and b"\n" not in head and b"\r" not in head:
        raise InputError(
            f"Cannot read {str(path)!r} as a table: expected text with a header line, but it has "
            "no line ends."
        )
    return "utf-8"
