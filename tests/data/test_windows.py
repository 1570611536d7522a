"""Deep grey through a named window, the cohort's for all of its images; and what is no image."""

from __future__ import annotations

import gzip
import io
import re
import struct
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.images import files

from fairthesis import data
from fairthesis.data._decoding import decode
from fairthesis.data._windows import equalised, window_text
from fairthesis.errors import InputError

DEEP = (np.arange(64 * 64).reshape(64, 64) % 3000 + 500).astype(np.uint16)


def grey(path: Path, window: str) -> np.ndarray:
    found = decode(path, 64, 1, window)
    assert not isinstance(found, str), found
    return found[:, :, 0].astype(float)


@pytest.mark.parametrize("ending", ["png", "tif", "jp2", "pgm"])
def test_the_window_says_what_is_black_and_white(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"1.{ending}"
    Image.fromarray(DEEP).save(path)
    x = DEEP.astype(float)
    for window, low, high in [
        ("own", 500, 3499),
        ("full", 0, 65535),
        ("1000,2000", 1000, 2000),
        ("-1000,4095", -1000, 4095),
    ]:
        expected = np.round(np.clip((x - low) / (high - low) * 255, 0, 255))
        assert np.abs(grey(path, window) - expected).max() <= (1 if ending == "jp2" else 0), window


def test_full_is_the_range_that_the_depth_allows(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.int16, np.int32, np.uint16):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        values = np.linspace(low / 2, high / 2, 4096).astype(dtype).reshape(64, 64)
        if dtype == np.int16:  # which Pillow reads and does not write
            tags = [(256, 64), (257, 64), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1),
                    (278, 64), (279, 8192), (339, 2)]  # fmt: skip
            content = (
                b"II*\0"
                + struct.pack("<I", 8 + 8192)
                + values.tobytes()
                + struct.pack("<H", len(tags))
            )
            content += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
            (tmp_path / "1.tif").write_bytes(content + struct.pack("<I", 0))
        else:
            Image.fromarray(values).save(tmp_path / "1.tif")
        expected = np.round((values.astype(float) - low) / (float(high) - low) * 255)
        assert np.abs(grey(tmp_path / "1.tif", "full") - expected).max() <= 1, dtype
    Image.fromarray(DEEP.astype(np.float32)).save(tmp_path / "2.tif")
    assert "no full range" in str(decode(tmp_path / "2.tif", 64, 1, "full"))
    assert (grey(tmp_path / "2.tif", "0,4000") == np.round(DEEP / 4000 * 255)).all()
    Image.fromarray(np.full((64, 64), np.nan, np.float32)).save(tmp_path / "3.tif")
    assert "not finite" in str(decode(tmp_path / "3.tif", 64, 1, "0,4000"))


@pytest.mark.parametrize("window", ["own", "full", "100,120"])
def test_eight_bits_and_colour_stay_as_they_are(tmp_path: Path, window: str) -> None:
    values = (DEEP % 100 + 50).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "1.png")
    assert (grey(tmp_path / "1.png", window) == values).all()
    colour = np.stack([values, values // 2, values // 3], axis=-1)
    Image.fromarray(colour).save(tmp_path / "2.png")
    found = decode(tmp_path / "2.png", 64, 3, window)
    assert not isinstance(found, str) and (found == colour).all()


def test_equalised_grey_is_spread_evenly_at_the_size_that_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = np.round(90 + 20 * rng.normal(size=(64, 64))).clip(0, 255).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "1.png")
    found = grey(tmp_path / "1.png", "equalised")
    order = np.argsort(values, axis=None, kind="stable")
    assert (np.diff(found.ravel()[order].astype(int)) >= 0).all()  # no two levels change places
    assert found.min() == 0 and found.max() == 255
    share = [(found <= level).mean() for level in range(0, 256, 16)]
    assert np.abs(np.array(share) - np.arange(0, 256, 16) / 255).max() < 0.05
    # Any rule that keeps the order of the levels makes the same picture.
    Image.fromarray((values // 2 + 100).astype(np.uint8)).save(tmp_path / "2.png")
    Image.fromarray(values // 2 * 2).save(tmp_path / "3.png")
    one, other = (grey(tmp_path / f"{k}.png", "equalised") for k in (2, 3))
    assert (one == other).all()
    flat = np.full((64, 64), 7, np.uint8)
    Image.fromarray(flat).save(tmp_path / "4.png")
    assert (grey(tmp_path / "4.png", "equalised") == flat).all()
    Image.fromarray(values).resize((128, 128)).save(tmp_path / "5.png")
    own, even = (decode(tmp_path / "5.png", 32, 1, w) for w in ("own", "equalised"))
    assert not isinstance(own, str) and not isinstance(even, str)
    assert (even == equalised(own)).all() and (even != own).any()


def test_of_colour_the_luma_is_equalised(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    colour = rng.integers(100, 140, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(colour).save(tmp_path / "1.png")
    found = decode(tmp_path / "1.png", 64, 3, "equalised")
    assert not isinstance(found, str)
    luma = np.asarray(Image.fromarray(found).convert("L"), int)
    assert luma.std() > 60 > 30 > np.asarray(Image.fromarray(colour).convert("L"), int).std()
    red, green = (one[..., 0].astype(int) - one[..., 1] for one in (colour, found))
    inner = (luma > 40) & (luma < 215)  # what is not cut at black or white keeps its hue
    assert np.abs(red - green)[inner].max() <= 4


def test_a_window_has_one_spelling() -> None:
    assert window_text("Equalised") == "equalised"
    assert window_text("FULL ") == "full"
    assert window_text((0, 4095)) == window_text("0,4095") == window_text("0.0, 4.095e3")
    for wrong in ("", "auto", "5", "5,5", "9,1", "1,2,3", "a,b", "nan,1", (1,), (1, None), "0,inf"):
        with pytest.raises(InputError, match="Expected window to be own, full, equalised or"):
            window_text(wrong)  # type: ignore[arg-type]


def test_another_window_is_another_cohort_and_another_cache(tmp_path: Path) -> None:
    Image.fromarray(DEEP).save(tmp_path / "1.png")
    own = files(tmp_path, ["1.png"])
    shown, cohorts = [], [own, replace(own, window="full"), replace(own, window="500,1000")]
    for cohort in cohorts:
        shown.append(data.prepared_images(cohort, 64, tmp_path / "cache")[0][0].copy())
    assert len({one.tobytes() for one in shown}) == 3
    for what in (
        lambda cohort: cohort.fingerprint(),
        lambda cohort: data.cache_folder(cohort, 64, tmp_path / "cache"),
        lambda cohort: data.images_fingerprint(cohort, 64, tmp_path / "cache"),
    ):
        assert len({what(cohort) for cohort in cohorts}) == 3
    same = replace(own, window="5e2, 1000.0")
    assert same.fingerprint() == cohorts[2].fingerprint()
    with pytest.raises(InputError, match="window"):
        replace(own, window="bright")


def nifti(magic: bytes = b"n+1\0", order: str = "<") -> bytes:
    return struct.pack(f"{order}i", 348) + bytes(340) + magic + bytes(100)


ARRAY, ZIP = io.BytesIO(), io.BytesIO()
np.save(ARRAY, DEEP)
with zipfile.ZipFile(ZIP, "w") as archive:
    archive.writestr("a", "b")
OTHERS = {
    "NIfTI.*export the slices": nifti(),
    "a NIfTI file": nifti(order=">"),
    "NIfTI file, a volume": gzip.compress(nifti()),
    "NIfTI": struct.pack("<i", 540) + b"n+2\0" + bytes(600),
    r"\.npy": ARRAY.getvalue(),
    "zip": ZIP.getvalue(),
    "gzip": gzip.compress(b"anything else"),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "sign-in page": b"<!DOCTYPE html><html>",
    "none of PNG, .*DICOM": bytes(1000),
}


@pytest.mark.parametrize("words", OTHERS)
def test_what_is_no_image_is_named_with_what_to_do(tmp_path: Path, words: str) -> None:
    (tmp_path / "1.png").write_bytes(OTHERS[words])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, ok = data.prepared_images(files(tmp_path, ["1.png"]), 16, tmp_path / "cache")
    assert not ok.any()
    assert re.search(f"cannot identify image file: it is .*{words}", str(caught[0].message))
