"""Faults of what is read: damaged tables, images, vectors and models; code in a pickle."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import trying
from made import FEW, TRAIN, copied, fresh, same_run, table, unbroken
from PIL import Image
from trying import Row, call

TEXT = table().to_csv(index=False)
CUT = "CSV cut before a score"
READ = ("UTF-16 without its mark", "UTF-32")
Make = Callable[[], bytes]
BOMB_LIMIT = {"limit": trying.limits(AS=6 << 30)}  # a fault must not take the whole machine


def parquet() -> bytes:
    """The table as Parquet."""
    to = io.BytesIO()
    table().to_parquet(to, index=False)
    return to.getvalue()


def workbook() -> bytes:
    """The table as a workbook."""
    to = io.BytesIO()
    table().to_excel(to, index=False)
    return to.getvalue()


def changed(content: bytes, at: float = 0.5, n: int = 16) -> bytes:
    """``n`` bytes in the midst turned over."""
    place = int(len(content) * at)
    return (
        content[:place] + bytes(b ^ 0x55 for b in content[place : place + n]) + content[place + n :]
    )


def broken_xml() -> bytes:
    """A workbook whose sheet ends in the middle of a cell."""
    to = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook())) as whole, zipfile.ZipFile(to, "w") as made:
        for name in whole.namelist():
            content = whole.read(name)
            made.writestr(name, content[: len(content) // 2] if "sheet1" in name else content)
    return to.getvalue()


class Runs:
    """A pickle that makes a file where it is opened."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


# name of the file, what was done to it, its content
DAMAGED: tuple[tuple[str, str, Make], ...] = (
    ("t.csv", "CSV of no bytes", lambda: b""),
    ("t.csv", "CSV with a header and no row", lambda: TEXT.split("\n")[0].encode()),
    ("t.csv", CUT, lambda: TEXT[: TEXT.rindex(",") - 6].encode()),
    (
        "t.csv",
        "CSV with NUL bytes at its end (a disk that was full)",
        lambda: TEXT.encode() + bytes(4096),
    ),
    ("t.csv", "CSV with a NUL byte in a number", lambda: TEXT.replace("0.", "0\0.", 1).encode()),
    ("t.csv", "CSV with an open quote", lambda: TEXT.replace("i7,", '"i7,').encode()),
    ("t.csv", "CSV with a row that is too long", lambda: TEXT.replace("i7,", "i7,x,y,").encode()),
    ("t.csv", "half of UTF-16", lambda: TEXT.encode("utf-16")[:-1]),
    ("t.csv", "UTF-16 without its mark", lambda: TEXT.encode("utf-16-le")),
    ("t.csv", "UTF-32", lambda: TEXT.encode("utf-32")),
    ("t.csv", "EBCDIC", lambda: TEXT.encode("cp500")),
    ("t.csv", "random bytes", lambda: np.random.default_rng(0).bytes(5000)),
    ("t.csv", "a score of 1e999", lambda: TEXT.replace("0.", "1e999", 1).encode()),
    ("t.csv", "a column named twice", lambda: TEXT.replace("image_id", "sex", 1).encode()),
    ("t.csv.gz", "gzip, cut", lambda: gzip.compress(TEXT.encode(), mtime=0)[:-300]),
    ("t.csv.gz", "gzip, bytes changed", lambda: changed(gzip.compress(TEXT.encode(), mtime=0))),
    ("t.csv.gz", "gzip of nothing, cut", lambda: b"\x1f\x8b\x08"),
    ("t.parquet", "Parquet, cut to half", lambda: parquet()[: len(parquet()) // 2]),
    ("t.parquet", "Parquet without its last byte", lambda: parquet()[:-1]),
    ("t.parquet", "Parquet, bytes of a column changed", lambda: changed(parquet(), 0.1, 64)),
    ("t.parquet", "Parquet, bytes of its footer changed", lambda: changed(parquet(), 0.9)),
    (
        "t.parquet",
        "Parquet, footer of 2 GB",
        lambda: parquet()[:-8] + b"\xff" * 3 + b"\x7fPAR1",
    ),
    ("t.xlsx", "a workbook, cut to half", lambda: workbook()[: len(workbook()) // 2]),
    ("t.xlsx", "a workbook, bytes changed", lambda: changed(workbook(), 0.3)),
    ("t.xlsx", "a workbook whose sheet ends in a cell", broken_xml),
    ("t.csv", "a pickle that runs a command", lambda: pickle.dumps(Runs())),
    ("t.parquet", "the same, named as Parquet", lambda: pickle.dumps(Runs(), 0)),
)


def damaged_table(name: str, what: str, make: Make) -> Row:
    """A table that is none, given to an audit."""
    with fresh() as at:
        (at / name).write_bytes(make())
        words = ["audit", name, "--group", "sex", "--patient", "patient_id", *FEW]
        ended = call(at, *words, "--quiet", "--out", "audit")
        written = (at / "audit").exists()
        if what == CUT:
            told = (at / "audit" / "audit.html").read_text("utf-8") if written else ""
            right = ended.code == 0 and "1 of 120 rows have no y_score" in told
        elif what in READ:
            same = call(at, "audit", "table.csv", *words[2:], "--quiet", "--out", "plain")
            rows = [(at / of / "groups.csv").read_bytes() for of in ("audit", "plain") if written]
            right = ended.code == same.code == 0 and written and rows[0] == rows[1]
        else:
            right = ended.refused() and not written
        return Row(
            what,
            "`audit`",
            {CUT: "read, but for the row; its page says that one is left out"}.get(
                what,
                "read as what it is: the same numbers"
                if what in READ
                else "refused with exit 2; nothing written or run",
            ),
            ended.message,
            right and not (at / "executed").exists(),
        )


def damaged_tables() -> Iterator[Row]:
    """All of them."""
    yield from (damaged_table(*one) for one in DAMAGED)


def picture(size: tuple[int, int] = (32, 32)) -> bytes:
    """A PNG of noise."""
    to = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(noise).save(to, "png")
    return to.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 60,000 pixels wide and high."""
    whole = bytearray(picture())
    whole[16:24] = (60_000).to_bytes(4, "big") * 2
    chunk = bytes(whole[12:29])
    whole[29:33] = zlib.crc32(chunk).to_bytes(4, "big")
    return bytes(whole)


def damaged_images() -> Row:
    """Pictures of a user's own that cannot be read, among 24 that can."""
    odd = {
        "cut.png": picture()[:900],
        "changed.png": changed(picture(), 0.6),
        "empty.png": b"",
        "page.png": b"<!DOCTYPE html><html></html>",
        "bomb.png": bomb(),
        "pickle.png": pickle.dumps(Runs()),
    }
    with fresh() as at:
        rows = ["path,patient,cancer,sex"]
        for k in range(24):
            (at / f"{k}.png").write_bytes(picture())
            rows.append(f"{k}.png,p{k},{k % 2},{'FM'[k // 2 % 2]}")
        for k, (name, content) in enumerate(odd.items()):
            (at / name).write_bytes(content)
            rows.append(f"{name},q{k},{k % 2},F")
        (at / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
        words = ["datasets", "prepare", "csv", "--data-root", ".", "--size", "16", "--quiet"]
        for option in ("table=labels.csv", "patient=patient", "targets=cancer", "attributes=sex"):
            words += ["--option", option]
        ended = call(at, *words, **BOMB_LIMIT)
        named = [name for name in odd if name in ended.said + ended.printed]
        return Row(
            "6 of 30 pictures cut, changed, empty, a web page, a bomb of 60,000 pixels square, "
            "a pickle",
            "`datasets prepare csv`",
            "the others decoded; how many cannot be read, and why, is said; nothing is run",
            ended.message,
            ended.code == 0
            and ended.in_words
            and ("6" in ended.said + ended.printed or len(named) == 6)
            and not (at / "executed").exists(),
        )


def arrays(how: str) -> bytes:
    """Vectors in a ``.npz`` file, damaged."""
    to = io.BytesIO()
    ids = np.array([f"i{k}" for k in range(40)])
    if how == "pickle":
        np.savez(to, X=np.array([[Runs()]], dtype=object), image_id=ids)
        return to.getvalue()
    np.savez_compressed(to, X=np.random.default_rng(0).normal(size=(40, 8)), image_id=ids)
    whole = to.getvalue()
    return whole[: len(whole) // 2] if how == "cut" else changed(whole, 0.3)


def damaged_vectors() -> Iterator[Row]:
    """Vectors of a user's own."""
    for how in ("cut", "bytes changed", "pickle"):
        with fresh() as at:
            (at / "vectors.npz").write_bytes(arrays(how))
            labels = ["image_id,patient,cancer,sex"]
            labels += [f"i{k},p{k},{k % 2},{'FM'[k // 2 % 2]}" for k in range(40)]
            (at / "labels.csv").write_text("\n".join(labels), encoding="utf-8")
            words = ["datasets", "describe", "embeddings", "--data-root", "."]
            for option in (
                *("table=labels.csv", "vectors=vectors.npz", "patient=patient"),
                *("targets=cancer", "attributes=sex"),
            ):
                words += ["--option", option]
            ended = call(at, *words)
            yield Row(
                f"vectors in .npz, {how if how != 'pickle' else 'a pickle in an array'}",
                "`datasets describe embeddings`",
                "refused with exit 2; nothing is run",
                ended.message,
                ended.refused("vectors.npz") and not (at / "executed").exists(),
            )


def hostile_weights() -> Iterator[Row]:
    """Weights that are a pickle with a command, or cut; a state of a run that is a pickle."""
    for name, content in (
        ("weights.pt", pickle.dumps(Runs())),
        ("weights.safetensors", b"\xff" * 8 + b"{}"),
        ("weights.pth", b"PK\x03\x04" + bytes(100)),
    ):
        with copied(unbroken()) as at:
            (at / name).write_bytes(content)
            words = (*TRAIN, "--epochs", "1", "--backbone", "resnet18", "--weights", name)
            ended = call(at, *words, "--out", "new")
            yield Row(
                f"`{name}`: " + ("a pickle that runs a command" if b"touch" in content else "cut"),
                "`train --weights`",
                "refused with exit 2; nothing is run, no run begun",
                ended.message,
                ended.refused("weights")
                and not (at / "executed").exists()
                and not (at / "new").exists(),
            )
    with copied(unbroken()) as at:
        (at / "run" / "DONE").unlink()
        (at / "run" / "state.pt").write_bytes(pickle.dumps(Runs()))
        ended = call(at, *TRAIN, "--epochs", "3", "--out", "run")
        yield Row(
            "`state.pt` of an unfinished run replaced by a pickle that runs a command",
            "`train`",
            "said, and begun anew; nothing is run",
            ended.message,
            ended.code == 0
            and "begins anew" in ended.said
            and same_run(at / "run", unbroken() / "run")
            and not (at / "executed").exists(),
        )


FAULTS = (damaged_tables, damaged_images, damaged_vectors, hostile_weights)
