"""Whether a file is what its name says: a sign-in page saved as ``images.zip`` is not."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
GZIP = (b"\x1f\x8b",)
# ending -> (what it is, how it starts)
STARTS: dict[str, tuple[str, tuple[bytes, ...]]] = {
    ".zip": ("zip file", ZIP),
    ".xlsx": ("workbook", ZIP),
    ".gz": ("gzip file", GZIP),
    ".tgz": ("gzip file", GZIP),
    ".png": ("PNG image", (b"\x89PNG\r\n\x1a\n",)),
    ".jpg": ("JPEG image", (b"\xff\xd8\xff",)),
    ".jpeg": ("JPEG image", (b"\xff\xd8\xff",)),
    ".parquet": ("Parquet table", (b"PAR1",)),
}
UTF16 = (b"\xff\xfe", b"\xfe\xff")
TEXTS = (".csv", ".tab", ".tsv", ".txt")
PAGE = re.compile(
    rb"<\s*(!doctype|html|head|body|\?xml|error|script|title|meta|!--)", re.IGNORECASE
)


def mismatch(path: Path, name: str, content_type: str = "") -> str | None:
    """What a file is instead of what ``name`` promises, in words; None where it may be that.

    Where a kind of file starts with a mark of its own the mark decides; text is refused where it is
    a web page, an answer of a program (JSON) or no text, or where the server called it a page.
    """
    ending = Path(name).suffix.lower()
    with path.open("rb") as handle:
        start = handle.read(4096)
    if not start:
        return "empty"
    plain = start[2:].replace(b"\0", b"") if start[:2] in UTF16 else start
    page = bool(PAGE.match(plain.removeprefix(b"\xef\xbb\xbf").lstrip()))
    shown = (
        "a web page (HTML): a sign-in or an error page?" if page else f"starts with {start[:8]!r}"
    )
    if ending in STARTS:
        kind, marks = STARTS[ending]
        if not start.startswith(marks):
            return f"no {kind}, but {shown}"
        if ending in (".zip", ".xlsx") and not zipfile.is_zipfile(path):
            return f"no whole {kind}: its end is missing"
        return None
    if ending == ".tar" and not page:
        return None if tarfile.is_tarfile(path) else f"no tar file, but {shown}"
    html = ending in (".html", ".htm", ".xml")
    if page and not html:
        return shown
    if ending in TEXTS:
        if start.startswith((*ZIP, *GZIP)) or (b"\0" in start and start[:2] not in UTF16):
            return f"no text, but {shown}"
        if plain.lstrip()[:1] in (b"{", b"["):
            return "no table, but an answer of a program (JSON)"
    if "text/html" in content_type.lower() and not html:
        return "a web page, as the server says (text/html)"
    return None
