from __future__ import annotations

import multiprocessing
import os
import signal
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.images import files, made_old
from support.layouts import ham10000, picture

from fairthesis import datasets
from fairthesis.data import _image_files as image_files
from fairthesis.data import _preparing as preparing
from fairthesis.data._decoding import decode
from fairthesis.data._image_cache import cache_folder
from fairthesis.data._images import UnreadableImageWarning, prepared_images, unreadable_images
from fairthesis.data._pixel_file import PixelFile, shutil
from fairthesis.errors import InputError


def one(path: Path, channels: int = 1, size: int = 16) -> np.ndarray:
    result = decode(path, size, channels)
    assert isinstance(result, np.ndarray), result
    assert result.shape == (size, size, channels)
    return result


def reason(path: Path) -> str:
    result = decode(path, 16, 1)
    assert isinstance(result, str)
    return result


def test_drawn_images_come_back_from_the_cache_as_they_were_drawn(tmp_path: Path) -> None:
    cohort = datasets.load("synthetic-cxr", n_train=30, n_val=10, n_test=10)
    assert cohort.render is not None
    first, ok = prepared_images(cohort, 32, tmp_path)
    assert first.dtype == np.uint8
    assert first.shape == (50, 32, 32, 1)
    assert ok.all()
    assert (first == cohort.render(np.arange(50), 32)).all()
    again, _ = prepared_images(cohort, 32, tmp_path, workers=3)
    assert isinstance(again, np.memmap)
    assert (again == first).all()
    again[:] = 0  # copy on write: the file is as it was
    assert (prepared_images(cohort, 32, tmp_path)[0] == first).all()


def test_files_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cohort = datasets.load("ham10000", ham10000(tmp_path / "ham"))
    first, ok = prepared_images(cohort, 24, tmp_path / "cache")
    assert first.shape == (29, 24, 24, 3)
    assert ok.all()
    monkeypatch.setattr(image_files, "decode_open", None)
    assert (prepared_images(cohort, 24, tmp_path / "cache")[0] == first).all()
    with pytest.raises(TypeError):
        prepared_images(cohort, 25, tmp_path / "cache")


@pytest.mark.parametrize("workers", [1, 4])
def test_unreadable_images_are_named_and_left_out(tmp_path: Path, workers: int) -> None:
    names = ["good.png", "missing.png", "cut.png", "text.png", "good2.png"]
    for name in ("good.png", "cut.png", "good2.png"):
        picture(tmp_path / name)
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-400])
    (tmp_path / "text.png").write_text("no picture")
    cohort = files(tmp_path, names)
    with pytest.warns(UnreadableImageWarning, match=r"3 of 5 .*missing\.png"):
        pixels, ok = prepared_images(cohort, 16, tmp_path / "cache", workers=workers)
    assert ok.tolist() == [True, False, False, False, True]
    assert (pixels[~ok] == 0).all()
    listed = unreadable_images(cohort, 16, tmp_path / "cache")
    assert listed["path"].tolist() == names[1:4]
    with pytest.raises(InputError, match=r"missing\.png"):
        prepared_images(cohort, 16, tmp_path / "cache", strict=True)


def test_a_repaired_file_is_read_again(tmp_path: Path) -> None:
    cohort = files(tmp_path, ["a.png"])
    with pytest.warns(UnreadableImageWarning):
        prepared_images(cohort, 16, tmp_path / "cache")
    picture(tmp_path / "a.png")
    assert prepared_images(cohort, 16, tmp_path / "cache")[1].all()


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "x/../../a.png", "C:\\a.png", "..\\a"])
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="leaves the data set's folder"):
        prepared_images(files(tmp_path, [name]), 16, tmp_path / "cache")


def test_orientation_follows_the_exif_tag(tmp_path: Path) -> None:
    flat = np.zeros((32, 32), dtype=np.uint8)
    flat[:16] = 200
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(flat).save(tmp_path / "a.jpg", exif=exif, quality=95)
    pixels = one(tmp_path / "a.jpg")
    assert pixels[:6].max() < 30 < 180 < pixels[-6:].min()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F", "CMYK"])
def test_every_mode_gives_eight_bits(tmp_path: Path, mode: str) -> None:
    ramp = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    path = tmp_path / ("a.tif" if mode in ("F", "CMYK", "I") else "a.png")
    if mode == "I;16":
        Image.fromarray(ramp.astype(np.uint16) * 16).save(path)  # 12 of 16 bits used
    else:
        Image.fromarray(ramp).convert("RGB" if mode == "CMYK" else "L").convert(mode).save(path)
    for channels in (1, 3):
        pixels = one(path, channels, 32)
        assert pixels.min() < 40
        assert pixels.max() > 200
        assert (np.diff(pixels[16, :, 0].astype(int)) >= -1).mean() > (0.4 if mode == "1" else 0.9)


def test_transparency_keeps_the_colour_below(tmp_path: Path) -> None:
    Image.new("RGBA", (32, 32), (10, 200, 30, 0)).save(tmp_path / "a.png")
    assert one(tmp_path / "a.png", 3)[8, 8].tolist() == [10, 200, 30]


def test_short_side_fits_and_the_centre_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((20, 60), dtype=np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert one(tmp_path / "a.png", size=20).min() > 200


def test_a_decompression_bomb_is_refused_unread(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    for edge, name in ((60_000, "a.png"), (10_000, "b.png")):
        header = edge.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
        body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        assert "pixels" in reason(tmp_path / name)


def test_infinite_pixels_are_a_reason(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), np.inf, dtype=np.float32)).save(tmp_path / "a.tif")
    assert "finite" in reason(tmp_path / "a.tif")


def _slow(home: Path, cache: Path) -> None:
    plain = image_files.decode_open

    def slowly(*args: Any) -> Any:
        time.sleep(0.02)
        return plain(*args)

    image_files.decode_open = slowly
    preparing.RUN = 4
    prepared_images(datasets.load("ham10000", home), 16, cache, workers=1)


def test_a_killed_call_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, cache = ham10000(tmp_path / "ham"), tmp_path / "cache"
    made_old(home)
    cohort = datasets.load("ham10000", home)
    folder = cache_folder(cohort, 16, cache)
    part = PixelFile(folder / "partial.npy", (29, 16, 16, 3))
    process = multiprocessing.get_context("spawn").Process(target=_slow, args=(home, cache))
    process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if part.path.exists() and (part.records()["state"] == image_files.READY).sum() >= 8:
            break
        time.sleep(0.005)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not list(folder.glob("images*.npy"))
    calls: list[str] = []
    plain = image_files.read
    monkeypatch.setattr(preparing, "read", lambda *a: (calls.append(a[0]), plain(*a))[1])
    pixels, ok = prepared_images(cohort, 16, cache)
    assert ok.all()
    assert len(calls) <= 29 - 8
    assert (pixels == prepared_images(cohort, 16, tmp_path / "other")[0]).all()


def test_two_at_once_give_one_cache(tmp_path: Path) -> None:
    cohort = datasets.load("synthetic-cxr", n_train=200, n_val=10, n_test=10)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        done = pool.starmap(_ready, [(tmp_path,), (tmp_path,)])
    assert done == [220, 220]
    assert len(list(tmp_path.iterdir())) == 1
    assert prepared_images(cohort, 24, tmp_path)[1].all()


def _ready(cache: Path) -> int:
    cohort = datasets.load("synthetic-cxr", n_train=200, n_val=10, n_test=10)
    return int(prepared_images(cohort, 24, cache)[1].sum())


@pytest.mark.parametrize(("size", "workers"), [(4, 1), (16.5, 1), (True, 1), (16, 0)])
def test_sizes_and_workers_are_checked(tmp_path: Path, size: Any, workers: int) -> None:
    cohort = datasets.load("synthetic-cxr", n_train=2, n_val=1, n_test=1)
    with pytest.raises(InputError, match="Expected"):
        prepared_images(cohort, size, tmp_path, workers=workers)


def test_a_full_disk_is_reported_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 100})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    cohort = datasets.load("synthetic-cxr", n_train=2, n_val=1, n_test=1)
    with pytest.raises(InputError, match="B are free"):
        prepared_images(cohort, 16, tmp_path)


def test_the_cache_folder_can_be_set_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIRTHESIS_CACHE", str(tmp_path / "there"))
    cohort = datasets.load("synthetic-cxr", n_train=2, n_val=1, n_test=1)
    prepared_images(cohort, 16)
    assert cache_folder(cohort, 16).parent == tmp_path / "there"
    assert len(list((tmp_path / "there").iterdir())) == 1
