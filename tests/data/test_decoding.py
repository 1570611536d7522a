"""Hostile and odd image files: a reason in words, in bounded memory, and no other program."""

from __future__ import annotations

import io
import os
import stat
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from support.images import NEEDS_PROC, peak_of_eight

from fairthesis.data import _decoding as decoding
from fairthesis.data._decoding import FORMATS, decode

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n%%EndComments\nshowpage\n"
NOISE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)


def test_postscript_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/STARTED'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for name in ("a.png", "a.eps"):
        (tmp_path / name).write_bytes(POSTSCRIPT)
        assert "cannot identify" in str(decode(tmp_path / name, 16, 1))
    assert not (tmp_path / "STARTED").exists()


def test_other_kinds_than_those_listed_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.init()
    # Before Pillow 13 the writer of SPIDER takes the ending .png for its own from then on.
    monkeypatch.setattr(Image, "EXTENSION", dict(Image.EXTENSION))
    known = {"MPO": "JPEG"}  # what begins as one of them
    tried = 0
    for kind in sorted(set(Image.SAVE) - set(FORMATS) - set(known)):
        path, file = tmp_path / "a.png", io.BytesIO()
        try:  # not to the path: Pillow's SPIDER would take .png for its own ending from then on
            Image.fromarray(NOISE).resize((32, 32)).save(file, format=kind)
        except Exception:
            continue  # needs another mode, or a program that is not here
        path.write_bytes(file.getvalue())
        tried += 1
        assert "cannot identify" in str(decode(path, 16, 3)), kind
    assert tried >= 8


@pytest.mark.parametrize("kind", FORMATS)
def test_the_listed_kinds_are_read_whatever_the_file_is_called(tmp_path: Path, kind: str) -> None:
    if kind == "WEBP" and not features.check("webp"):
        pytest.skip("Pillow is built without WebP here")
    path = tmp_path / "a.png"
    Image.fromarray(NOISE).save(path, format=kind)
    result = decode(path, 16, 3)
    assert not isinstance(result, str), result


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I;16B", "I", "F", "CMYK"]


def saved(path: Path, mode: str) -> Path:
    deep = {"I;16": np.uint16, "I;16B": ">u2", "I": np.int32, "F": np.float32}
    wide = np.random.default_rng(1).integers(0, 60_000, (70, 50))
    if mode in deep:
        image = Image.fromarray(wide.astype(deep[mode]))
    else:
        image = Image.fromarray(NOISE).convert("RGBA" if mode in ("LA", "RGBA") else "RGB")
        if mode in ("LA", "RGBA"):
            image.putalpha(Image.fromarray(NOISE[:, :, 0]))
        image = image.convert(mode)
    path = path.with_suffix(".tif" if mode in ("I;16B", "I", "F", "CMYK") else ".png")
    image.save(path, format="TIFF" if path.suffix == ".tif" else "PNG")
    return path


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("piece", [37, 400])
def test_pieces_give_the_pixels_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, piece: int
) -> None:
    path = saved(tmp_path / "a", mode)
    for channels in (1, 3):
        monkeypatch.setattr(decoding, "PIECE", 10**9)
        whole = decode(path, 16, channels)
        monkeypatch.setattr(decoding, "PIECE", piece)
        assert not isinstance(whole, str)
        assert (decode(path, 16, channels) == whole).all()


def bomb(path: Path, wide: int, high: int, depth: int, colour: int, each: int) -> None:
    """A small PNG of one colour and very many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    packer, row = zlib.compressobj(9), b"\0" + bytes(each * wide)
    data = b"".join(packer.compress(row) for _ in range(high)) + packer.flush()
    head = struct.pack(">IIBBBBB", wide, high, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


@NEEDS_PROC
@pytest.mark.parametrize(
    ("depth", "colour", "each"), [(16, 0, 2), (8, 2, 3), (8, 6, 4)], ids=["deep", "RGB", "RGBA"]
)
def test_a_small_file_of_many_pixels_takes_bounded_memory_with_any_workers(
    tmp_path: Path, depth: int, colour: int, each: int
) -> None:
    bomb(tmp_path / "a.png", 5000, 5000, depth, colour, each)
    assert (tmp_path / "a.png").stat().st_size < 2**18
    peak, result = peak_of_eight(tmp_path / "a.png")
    assert peak < 600
    assert result == "(64, 64, 3)"


def test_what_would_take_more_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb(tmp_path / "a.png", 400, 400, 8, 6, 4)
    monkeypatch.setattr(decoding, "MAX_BYTES", 1_000_000)
    assert "400 x 400 pixels of RGBA in PNG take 1 MB" in str(decode(tmp_path / "a.png", 16, 3))


def test_large_images_are_decoded_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "TOGETHER", 100)
    held, most, lock = [0], [0], threading.Lock()

    def take(needed: int) -> None:
        with decoding._room(needed):
            with lock:
                held[0] += needed
                most[0] = max(most[0], held[0])
            threading.Event().wait(0.002)
            with lock:
                held[0] -= needed

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(take, [60, 30, 100, 10, 50] * 8))
    assert most[0] == 100
    assert decoding._taken == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_pipes_devices_and_folders_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "zero.png", "folder.png"):
        result = decode(tmp_path / name, 16, 1)
        assert isinstance(result, str) and "Error" in result
        assert str(tmp_path) not in result


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "PPM"])
def test_cut_and_flipped_files_give_pixels_or_a_reason(tmp_path: Path, kind: str) -> None:
    rng, path = np.random.default_rng(2), tmp_path / "a.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"exif": exif} if kind in ("PNG", "JPEG", "WEBP", "TIFF") else {}
    Image.fromarray(NOISE).save(path, format=kind, **more)
    data = path.read_bytes()
    for trial in range(150):
        broken = bytearray(data)
        if trial % 3 == 0:
            del broken[int(rng.integers(1, len(data))) :]
        else:  # the head holds sizes, tags and tables
            top = min(len(data), 300) if trial % 3 == 1 else len(data)
            for at in rng.integers(4, top, 3):
                broken[at] = int(rng.integers(256))
        path.write_bytes(broken)
        result = decode(path, 16, 3)
        assert isinstance(result, str) or result.shape == (16, 16, 3)
