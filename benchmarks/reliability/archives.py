"""Faults of packed files: whatever the package unpacks, packed by somebody who means harm.

It unpacks the archives of ``datasets fetch``; a workbook (.xlsx), gzipped text, .npz, Parquet and
pictures are packed as well, and are read where they are.
"""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import trying
from made import FEW, files, fresh, table
from tables import workbook
from trying import Row, call

ZIP = ("pad-ufes-20", "zr7vgbcyr2-1.zip")
TAR = ("nih-cxr14", "images_001.tar.gz")
MEGA = 1 << 20
Entry = tuple[str, bytes | str]  # a file's content, or where a link points


def zipped(entries: list[Entry], again: int = 1) -> bytes:
    """A zip file; a ``str`` is a symbolic link to it."""
    to = io.BytesIO()
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name, what in entries * again:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if isinstance(what, str):
                info.external_attr, info.create_system = (stat.S_IFLNK | 0o777) << 16, 3
                what = what.encode()
            made.writestr(info, what)
    return to.getvalue()


def tarred(entries: list[Entry], hard: bool = False) -> bytes:
    """A gzipped tar file; a ``str`` is a link to it, or a device where it is empty."""
    to = io.BytesIO()
    with tarfile.open(fileobj=to, mode="w:gz") as made:
        for name, what in entries:
            info = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size = len(what)
                made.addfile(info, io.BytesIO(what))
                continue
            info.type = tarfile.LNKTYPE if hard else tarfile.SYMTYPE if what else tarfile.CHRTYPE
            info.linkname = what
            made.addfile(info)
    return to.getvalue()


def nested(depth: int) -> bytes:
    """A zip file in a zip file, and so on."""
    inner = zipped([("a.png", b"a")])
    for _ in range(depth):
        inner = zipped([("inner.zip", inner)])
    return inner


ZEROS = bytes(300 * MEGA)
HOSTILE: tuple[tuple[str, tuple[str, str], Callable[[], bytes]], ...] = (
    ("`../` in a name", ZIP, lambda: zipped([("../out.txt", b"out")])),
    ("`../` in a name", TAR, lambda: tarred([("../out.txt", b"out")])),
    ("`..\\` in a name", ZIP, lambda: zipped([("..\\out.txt", b"out")])),
    ("an absolute name", ZIP, lambda: zipped([("/tmp/fairthesis-out.txt", b"out")])),
    ("an absolute name", TAR, lambda: tarred([("/tmp/fairthesis-out.txt", b"out")])),
    ("a link out of the folder, and a file through it", ZIP,
     lambda: zipped([("l", "../"), ("l/out.txt", b"out")])),
    ("a link out of the folder, and a file through it", TAR,
     lambda: tarred([("l", "../"), ("l/out.txt", b"out")])),
    ("a hard link to /etc/passwd", TAR, lambda: tarred([("l", "/etc/passwd")], hard=True)),
    ("a device", TAR, lambda: tarred([("d", "")])),
    ("a name twice", ZIP, lambda: zipped([("a.png", b"a")], again=2)),
    ("a member that replaces the archive's own mark", ZIP,
     lambda: zipped([("zr7vgbcyr2-1.zip.unpacked", b"")])),
    ("a newline and an escape code in a name", ZIP, lambda: zipped([("a\n\x1b[2Jb", b"a")])),
    ("300 MB in 300 kB (a bomb)", ZIP, lambda: zipped([("a.png", ZEROS)])),
    ("300 MB in 300 kB (a bomb)", TAR, lambda: tarred([("a.png", ZEROS)])),
    ("zip files in zip files, 6 deep", ZIP, lambda: nested(6)),
    ("cut to half", ZIP, lambda: zipped([("a.png", b"a" * 999)])[:60]),
    ("cut to half", TAR, lambda: tarred([("a.png", b"a" * 999)])[:60]),
)  # fmt: skip


def hostile_archive(what: str, of: tuple[str, str], make: Callable[[], bytes]) -> Row:
    """An archive laid where ``datasets fetch`` finds it, so that nothing is downloaded."""
    name, file = of
    with fresh() as at:
        (at / "data").mkdir()
        (at / "data" / file).write_bytes(make())
        before = files(at.parent)
        ended = call(at, "datasets", "fetch", name, "--out", "data", "--quiet")
        new = sorted(set(files(at.parent)) - set(before))
        inner = [n for n in new if n.endswith("inner.zip") or n.endswith(".sha256")]
        outside = Path("/tmp/fairthesis-out.txt").exists()
        return Row(
            f"{what}, in a {'zip' if of == ZIP else 'tar'} file",
            "`datasets fetch`",
            "refused with exit 2; nothing of it is written, inside the folder or outside",
            f"{ended.message}; {'nothing new' if new == inner else ', '.join(new)}",
            ended.refused() and new == inner and not outside,
        )


def hostile_archives() -> Iterator[Row]:
    """All of them."""
    yield from (hostile_archive(*one) for one in HOSTILE)


def packed_bombs() -> Iterator[Row]:
    """Packed tables that unpack to far more than the memory that a command may have."""

    def sheet() -> bytes:
        to = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(workbook())) as whole,
            zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as made,
        ):
            for name in whole.namelist():
                content = whole.read(name)
                if "sheet1" in name:
                    rows = b'<row><c t="n"><v>1</v></c></row>' * (20 * MEGA)
                    content = content.replace(b"</sheetData>", rows + b"</sheetData>")
                made.writestr(name, content)
        return to.getvalue()

    head = table().to_csv(index=False).encode()
    bombs: tuple[tuple[str, str, Callable[[], bytes]], ...] = (
        ("t.csv.gz", "2 GB of one value in 2 MB of gzip", lambda: _zeros(head, b"0", 2048)),
        ("t.csv.gz", "100 MB of empty lines in 0.1 MB of gzip", lambda: _zeros(head, b"\n", 100)),
        ("t.xlsx", "a workbook of 2 MB with 20 million rows", sheet),
    )
    for name, what, make in bombs:
        with fresh() as at:
            (at / name).write_bytes(make())
            words = ["audit", name, "--group", "sex", "--patient", "patient_id", *FEW, "--quiet"]
            ended = call(at, *words, "--out", "audit", limit=trying.limits(AS=3 << 30))
            whole = ended.code == 0 and (at / "audit" / "audit.json").exists()
            yield Row(
                f"{what}, with 3 GB of memory",
                "`audit`",
                "read, or exit 2 in words; no half of a report",
                ended.message,
                whole or (ended.refused() and not (at / "audit").exists()),
            )


def _zeros(head: bytes, letter: bytes, megabytes: int) -> bytes:
    to = io.BytesIO()
    with gzip.GzipFile(fileobj=to, mode="wb", mtime=0, compresslevel=1) as made:
        made.write(head)
        for _ in range(megabytes):
            made.write(letter * MEGA)
    return to.getvalue()


FAULTS = (hostile_archives, packed_bombs)
