"""DICOM files -> the picture that DICOM's own formulae say, or a reason in words."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian
from support import dicom
from support.dicom import IDENTIFYING, RAMP, write, write_coded
from support.images import NEEDS_PROC, files, peak_of_eight

from fairthesis import data
from fairthesis.data import _decoding as decoding
from fairthesis.data._decoding import decode
from fairthesis.data._dicom import ELEMENTS
from fairthesis.data._dicom_frames import RLE, coded_bytes
from fairthesis.data._dicom_header import read_header
from fairthesis.errors import InputError

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def grey(path: Path, window: str = "own") -> NDArray[np.float64]:
    """All 64 x 64 pixels of a file, which no resampling changed."""
    found = decode(path, 64, 1, window)
    assert not isinstance(found, str), found
    return found[:, :, 0].astype(np.float64)


def rounded(x: NDArray[Any]) -> NDArray[np.float64]:
    return np.round(np.clip(x, 0, 255))


# The windows of PS3.3, C.11.2.1.2 and C.11.2.1.3, as they are written there.
def linear(x: NDArray[Any], c: float, w: float) -> NDArray[np.float64]:
    inside = ((x - (c - 0.5)) / (w - 1) + 0.5) * 255
    return np.select([x <= c - 0.5 - (w - 1) / 2, x > c - 0.5 + (w - 1) / 2], [0, 255], inside)


def linear_exact(x: NDArray[Any], c: float, w: float) -> NDArray[np.float64]:
    inside = ((x - c) / w + 0.5) * 255
    return np.select([x <= c - w / 2, x > c + w / 2], [0, 255], inside)


def sigmoid(x: NDArray[Any], c: float, w: float) -> NDArray[np.float64]:
    return 255 / (1 + np.exp(-4 * (x - c) / w))


@pytest.mark.parametrize(
    ("function", "formula"),
    [(None, linear), ("LINEAR", linear), ("LINEAR_EXACT", linear_exact), ("SIGMOID", sigmoid)],
)
@pytest.mark.parametrize("invert", [False, True])
def test_a_window_is_that_of_the_standard(
    tmp_path: Path, function: str | None, formula: Any, invert: bool
) -> None:
    kind = "MONOCHROME1" if invert else "MONOCHROME2"
    more = {"VOILUTFunction": function, "RescaleSlope": 0.5, "RescaleIntercept": -300}
    path = write(
        tmp_path / "1", RAMP, WindowCenter=[600, 1], WindowWidth=[800, 2], BitsStored=12,
        PhotometricInterpretation=kind, **more,
    )  # fmt: skip
    expected = formula(RAMP * 0.5 - 300, 600.0, 800.0)
    expected = 255 - expected if invert else expected
    assert np.abs(grey(path) - np.round(expected)).max() == 0
    header = pydicom.dcmread(path)
    theirs = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header)
    low, high = (-300.0, 4095 * 0.5 - 300)  # the range that pydicom spreads the window over
    theirs = (theirs - low) / (high - low) * 255
    assert np.abs(grey(path) - (255 - theirs if invert else theirs)).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("big", [False, True])
def test_signed_and_unsigned_values_of_8_and_16_bits(
    tmp_path: Path, dtype: type, big: bool
) -> None:
    kind = np.iinfo(dtype)
    values = np.linspace(kind.min, kind.max, 4096).round().astype(dtype).reshape(64, 64)
    path = write(tmp_path / "1", values)
    if big and values.itemsize == 2:
        header = dicom.dataset(values)
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
        header.PixelData = values.astype(values.dtype.newbyteorder(">")).tobytes()
        header.save_as(path, enforce_file_format=True)
    expected = (values.astype(float) - kind.min) / (kind.max - kind.min) * 255
    assert (grey(path) == np.round(expected)).all()
    assert (grey(path, "full") == np.round(expected)).all()


@pytest.mark.parametrize("signed", [False, True])
def test_twelve_bits_in_sixteen_do_not_see_what_lies_above(tmp_path: Path, signed: bool) -> None:
    values = RAMP.astype(np.int64) - (2048 if signed else 0)
    overlay = (RAMP % 7 == 0).astype(np.int64) << 13
    words = ((values & 0xFFF) | overlay).astype(np.uint16)
    path = write(tmp_path / "1", words, BitsStored=12, PixelRepresentation=int(signed))
    expected = np.round((values - values.min()) / 4095 * 255)
    assert (grey(path) == expected).all()
    # Values at the upper end of their word, as old files have them.
    path = write(tmp_path / "2", (words << 4).astype(np.uint16), BitsStored=12, HighBit=15,
                 PixelRepresentation=int(signed))  # fmt: skip
    assert (grey(path) == expected).all()


@pytest.mark.parametrize("window", ["own", "full", "0,4095", "1000,2000"])
def test_the_cohorts_window_takes_the_place_of_the_files(tmp_path: Path, window: str) -> None:
    values = (RAMP // 2 + 100).astype(np.uint16)
    path = write(tmp_path / "1", values, BitsStored=12, WindowCenter=500, WindowWidth=100)
    expected = {
        "own": linear(values, 500, 100),
        "full": values / 4095 * 255,
        "0,4095": values / 4095 * 255,
        "1000,2000": (values - 1000.0) / 1000 * 255,
    }[window]
    assert (grey(path, window) == rounded(expected)).all()
    # In rescaled units, as Hounsfield's.
    path = write(tmp_path / "2", values, RescaleSlope=2, RescaleIntercept=-1024)
    assert (grey(path, "-500,500") == rounded((values * 2.0 - 1024 + 500) / 1000 * 255)).all()


def lut(first: int, entries: NDArray[Any], bits: int, *, packed: bool = False) -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item.LUTData = entries.astype("<u1" if packed else "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return Sequence([item])


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_tables_of_values_of_interest(tmp_path: Path, bits: int) -> None:
    entries = np.round((np.arange(2000) / 1999) ** 2 * (2**bits - 1)).astype(np.int64)
    path = write(
        tmp_path / "1", RAMP, BitsStored=12, VOILUTSequence=lut(1000, entries, bits),
        WindowCenter=5, WindowWidth=10,
    )  # fmt: skip
    place = np.clip(RAMP.astype(int) - 1000, 0, 1999)
    assert (grey(path) == np.round(entries[place] / (2**bits - 1) * 255)).all()
    if bits > 8:  # pydicom's places wrap where its entries have 8 bits
        header = pydicom.dcmread(path)
        theirs = apply_voi_lut(header.pixel_array, header) / (2**bits - 1) * 255
        assert (grey(path) == np.round(theirs)).all()
    else:
        path = write(tmp_path / "2", RAMP, VOILUTSequence=lut(1000, entries, bits, packed=True))
        assert (grey(path) == np.round(entries[place] / 255 * 255)).all()


def test_a_table_of_modality_comes_before_the_window(tmp_path: Path) -> None:
    entries = np.arange(4096)[::-1].copy()
    path = write(
        tmp_path / "1", RAMP, BitsStored=12, ModalityLUTSequence=lut(0, entries, 16),
        WindowCenter=1000, WindowWidth=1000,
    )  # fmt: skip
    assert (grey(path) == np.round(linear(4095.0 - RAMP, 1000, 1000))).all()
    header = pydicom.dcmread(path)
    assert (apply_modality_lut(header.pixel_array, header) == 4095 - RAMP).all()


@pytest.mark.parametrize(
    ("centre", "width", "function"),
    [(100, 0, None), (100, -5, "SIGMOID"), (None, None, None), (100, 50, "CUBIC")],
)
def test_without_a_window_that_can_be_one_the_images_own_range_is_shown(
    tmp_path: Path, centre: Any, width: Any, function: Any
) -> None:
    path = write(
        tmp_path / "1", RAMP + 17, WindowCenter=centre, WindowWidth=width, VOILUTFunction=function
    )
    assert (grey(path) == np.round(RAMP / 4095 * 255)).all()


@pytest.mark.parametrize("invert", [False, True])
def test_padding_is_black_and_moves_no_window(tmp_path: Path, invert: bool) -> None:
    values = (RAMP % 1000).astype(np.int16)
    values[:8] = -2000
    values[8] = -1990
    path = write(
        tmp_path / "1", values, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990,
        PhotometricInterpretation="MONOCHROME1" if invert else "MONOCHROME2",
    )  # fmt: skip
    expected = values / 999 * 255
    expected = np.round(255 - expected if invert else expected)
    expected[:9] = 0
    assert (grey(path) == expected).all()


def test_one_bit_and_one_value_are_pictures(tmp_path: Path) -> None:
    mask = np.packbits(RAMP % 2, bitorder="little").reshape(64, 8)
    path = write(tmp_path / "1", mask, Columns=64, BitsAllocated=1, BitsStored=1)
    assert (grey(path) == RAMP % 2 * 255).all()
    assert (grey(write(tmp_path / "2", np.full((64, 64), 7, np.uint16))) == 0).all()


def colour(path: Path) -> NDArray[np.int64]:
    found = decode(path, 64, 3)
    assert not isinstance(found, str), found
    return found.astype(np.int64)


def test_colour_in_its_four_kinds(tmp_path: Path) -> None:
    assert (colour(write(tmp_path / "rgb", NOISE)) == NOISE).all()
    planes = np.ascontiguousarray(NOISE.transpose(2, 0, 1))
    found = dicom.dataset(NOISE, PlanarConfiguration=1)
    found.PixelData = planes.tobytes()
    found.save_as(tmp_path / "planes", enforce_file_format=True)
    assert (colour(tmp_path / "planes") == NOISE).all()
    ycc = np.asarray(Image.fromarray(NOISE).convert("YCbCr"))
    path = write(tmp_path / "ybr", ycc, PhotometricInterpretation="YBR_FULL")
    assert np.abs(colour(path) - np.asarray(Image.fromarray(ycc, "YCbCr").convert("RGB"))).max() < 3
    deep = NOISE.astype(np.uint16) * 16
    assert (colour(write(tmp_path / "deep", deep, BitsStored=12)) == NOISE).all()
    # In one channel, the same as any picture's.
    grey_of = np.asarray(Image.fromarray(NOISE).convert("L"))
    assert (grey(tmp_path / "rgb") == grey_of).all()


def test_a_palette(tmp_path: Path) -> None:
    tables = np.random.default_rng(1).integers(0, 256, (3, 256))
    more: dict[str, Any] = {}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        more[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        more[f"{name}PaletteColorLookupTableData"] = (table << 8).astype("<u2").tobytes()
    values = (RAMP % 256).astype(np.uint8)
    path = write(tmp_path / "1", values, PhotometricInterpretation="PALETTE COLOR", **more)
    assert (colour(path) == tables.T[values]).all()


@pytest.mark.parametrize("kind", ["rle", "jpeg2000", "lossless"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_coded_without_loss_are_those_of_the_file_without(
    tmp_path: Path, kind: str, dtype: type
) -> None:
    values = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (64, 64)).astype(dtype)
    plain = write(tmp_path / "plain", values, WindowCenter=90, WindowWidth=120)
    coded = write_coded(tmp_path / "coded", values, kind, WindowCenter=90, WindowWidth=120)
    assert (grey(coded) == grey(plain)).all()
    assert (grey(coded, "full") == np.round(values / np.iinfo(dtype).max * 255)).all()


@pytest.mark.parametrize("kind", ["rle", "jpeg2000", "jpeg"])
def test_coded_colour(tmp_path: Path, kind: str) -> None:
    smooth = np.asarray(Image.fromarray(NOISE).resize((8, 8)).resize((64, 64)))
    photometric = {"rle": "RGB", "jpeg2000": "YBR_RCT", "jpeg": "YBR_FULL_422"}[kind]
    path = write_coded(tmp_path / "1", smooth, kind, PhotometricInterpretation=photometric)
    assert np.abs(colour(path) - smooth).mean() < (3 if kind == "jpeg" else 0.01)


def test_grey_as_jpeg(tmp_path: Path) -> None:
    values = (RAMP // 16).astype(np.uint8)
    path = write_coded(tmp_path / "1", values, "jpeg")
    assert np.abs(grey(path, "full") - values).max() < 6


@pytest.mark.parametrize("element", ["PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"])
def test_pixels_that_are_no_squares_show_a_square_of_the_body(tmp_path: Path, element: str) -> None:
    y, x = np.mgrid[:128, :64]  # a disc, sampled twice as finely from top to bottom
    disc = ((((y - 63.5) / 2) ** 2 + (x - 31.5) ** 2) < 20**2).astype(np.uint8) * 200
    path = write(tmp_path / "1", disc, **{element: [1, 2]})
    found = grey(path) > 100
    wide, high = found.any(axis=0).sum(), found.any(axis=1).sum()
    assert abs(int(wide) - 40) <= 1 and abs(int(high) - 40) <= 1
    for strange in ([1, 1], [1, 900], [0, 1], [1000, 1001]):
        assert (grey(write(tmp_path / "2", disc, **{element: strange})) == grey(
            write(tmp_path / "3", disc))).all()  # fmt: skip


def test_a_file_without_its_first_part_is_known_by_its_name(tmp_path: Path) -> None:
    for implicit in (True, False):
        header = dicom.dataset(RAMP, BitsStored=12)
        del header.file_meta
        header.save_as(tmp_path / "1.DCM", implicit_vr=implicit, little_endian=True)
        assert (tmp_path / "1.DCM").read_bytes()[128:132] != b"DICM"
        assert (grey(tmp_path / "1.DCM") == np.round(RAMP / 4095 * 255)).all()
    (tmp_path / "1.DCM").rename(tmp_path / "1.img")
    assert "cannot identify" in str(decode(tmp_path / "1.img", 16, 1))
    Image.fromarray(NOISE).save(tmp_path / "2.dcm", "PNG")  # whatever it is called
    assert (colour(tmp_path / "2.dcm") == NOISE).all()
    for content in (b"", b"nothing at all", bytes(range(256)) * 50):
        (tmp_path / "3.dcm").write_bytes(content)
        assert "cannot identify" in str(decode(tmp_path / "3.dcm", 16, 1))


def made_enhanced(path: Path) -> None:
    write(path, SharedFunctionalGroupsSequence=Sequence([Dataset()]))


def deflated(path: Path) -> None:
    header = dicom.dataset(np.zeros((4000, 4000), np.uint16))
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)
    assert path.stat().st_size < 10**5


def shorter(path: Path) -> None:
    content = write(path).read_bytes()
    path.write_bytes(content[:-1000])


def shorter_header(path: Path) -> None:
    path.write_bytes(write(path).read_bytes()[:300])


def without_pixels(path: Path) -> None:
    header = dicom.dataset(RAMP)
    del header.PixelData
    header.save_as(path, enforce_file_format=True)


def other_size(path: Path, kind: str = "jpeg") -> None:
    header = dicom.dataset(RAMP.astype(np.uint8))
    frame = dicom.pillow_coded(np.zeros((3000, 3000), np.uint8), "JPEG")
    header.file_meta.TransferSyntaxUID = pydicom.uid.JPEGBaseline8Bit
    header.PixelData = encapsulate([frame])
    header["PixelData"].VR = "OB"
    header["PixelData"].is_undefined_length = True
    header.save_as(path, enforce_file_format=True)


def cut_jpeg(path: Path) -> None:
    content = write_coded(path, RAMP, "lossless").read_bytes()
    path.write_bytes(content[: len(content) // 2])


REFUSED = {
    "30 frames.*export": lambda p: write(p, np.zeros((30 * 8, 8), np.uint8), Rows=8,
                                         NumberOfFrames=30),
    "enhanced": made_enhanced,
    "deflated": deflated,
    "pixel data": shorter,
    "without an image": shorter_header,
    "without pixels": without_pixels,
    "modality SR without an image": lambda p: write(p, Rows=None, Columns=None, Modality="SR"),
    "32 of 32 bits": lambda p: write(p, np.zeros((8, 8), np.uint32)),
    "kind 'HSV'": lambda p: write(p, NOISE, PhotometricInterpretation="HSV"),
    "kind 'RGB' in 1": lambda p: write(p, RAMP, PhotometricInterpretation="RGB"),
    "65000 x 60000 pixels": lambda p: write(p, RAMP, Rows=60000, Columns=65000),
    "against its header": other_size,
    "cut short before their end": cut_jpeg,
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_no_single_image_is_refused_in_words(tmp_path: Path, words: str) -> None:
    REFUSED[words](tmp_path / "1.dcm")
    found = decode(tmp_path / "1.dcm", 16, 1)
    assert isinstance(found, str)
    assert re.search(words, found), found


def test_what_would_take_too_much_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 10_000)
    assert "64 x 64 pixels of MONOCHROME2 in DICOM take" in str(decode(write(tmp_path / "1"), 8, 1))


@NEEDS_PROC
@pytest.mark.parametrize("kind", ["native", "jpeg", "ybr"])
def test_large_files_take_bounded_memory_with_eight_workers(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "1.dcm"
    if kind == "native":
        write(path, np.tile(np.arange(5000, dtype=np.uint16), (5000, 1)))
    elif kind == "jpeg":
        pixels = np.zeros((5000, 5000), np.uint8)
        pixels[::7] = 225
        write_coded(path, pixels, "jpeg")
    else:
        pixels = np.zeros((3500, 3500, 3), np.uint8)
        write(path, pixels, PhotometricInterpretation="YBR_FULL")
    peak, found = peak_of_eight(path)
    assert found == "(64, 64, 3)"
    assert peak < 500


def test_runs_that_unpack_to_much_are_counted_first(tmp_path: Path) -> None:
    runs = b"\x81\x07" * 600_000  # of 128 each
    frame = np.array([1, 64, *[0] * 14], "<u4").tobytes() + runs
    assert coded_bytes(RLE, frame) == 128 * 600_000
    literal = (b"\x7f" + bytes(128)) * 10_000
    frame = np.array([2, 64, 64 + len(literal), *[0] * 13], "<u4").tobytes() + literal + runs
    assert coded_bytes(RLE, frame) == 128 * 610_000
    header = dicom.dataset(RAMP.astype(np.uint8))
    header.file_meta.TransferSyntaxUID = pydicom.uid.RLELossless
    header.PixelData = encapsulate([frame * 12])
    header["PixelData"].VR, header["PixelData"].is_undefined_length = "OB", True
    header.save_as(tmp_path / "1", enforce_file_format=True)
    file = np.array([1, 64, *[0] * 14], "<u4").tobytes() + runs * 9
    header.PixelData = encapsulate([file])
    header.save_as(tmp_path / "1", enforce_file_format=True)
    assert "unpacked" in str(decode(tmp_path / "1", 16, 1))


def test_cut_and_flipped_files_give_pixels_or_a_reason(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(3), tmp_path / "a.dcm"
    for kind in ("native", "rle", "jpeg2000", "lossless"):
        (write if kind == "native" else write_coded)(
            path, RAMP, **({} if kind == "native" else {"kind": kind}), WindowCenter=5,
            WindowWidth=9,
        )  # fmt: skip
        whole = path.read_bytes()
        for trial in range(120):
            broken = bytearray(whole)
            if trial % 3 == 0:
                del broken[int(rng.integers(1, len(whole))) :]
            else:
                top = min(len(whole), 900) if trial % 3 == 1 else len(whole)
                for at in rng.integers(132, top, 3):
                    broken[at] = int(rng.integers(256))
            path.write_bytes(broken)
            found = decode(path, 16, 1)
            assert isinstance(found, str) or found.shape == (16, 16, 1)


def test_no_reason_and_no_warning_quotes_the_header(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    more = dict(IDENTIFYING) | {"PatientAge": "SECRETIVE AGE", "PatientID": "SECRET\\ID" * 20}
    path = write(tmp_path / "1.dcm", WindowCenter=None, **more)
    assert "SECRETIVE AGE" in path.read_bytes().decode("latin-1")
    more_pixels = dicom.dataset(RAMP)  # of which pydicom warns, and writes a log
    more_pixels.PixelData += bytes(128)
    more_pixels.save_as(tmp_path / "2.dcm", enforce_file_format=True)
    caplog.clear()
    content = path.read_bytes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert not isinstance(decode(tmp_path / "2.dcm", 16, 1), str)
        for end in range(200, len(content), 37):
            path.write_bytes(content[:end])
            found = str(decode(path, 16, 1))
            data.dicom_elements(path, ["PatientAge", "PatientID", "PatientBirthDate"])
            assert not any(value in found for value in more.values()), found
    assert caught == []
    assert capfd.readouterr().err == "" == caplog.text
    with pytest.warns(UserWarning, match="excess padding"):
        _ = pydicom.dcmread(tmp_path / "2.dcm").pixel_array
    assert "excess padding" in caplog.text  # both are as they were before


def test_what_pixels_are_read_with_holds_no_word_of_who_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "1.dcm", **IDENTIFYING)
    with path.open("rb") as handle:
        header = read_header(handle, ELEMENTS, pixels=True)
    assert not set(IDENTIFYING) & {element.keyword for element in header}
    assert not any(value in str(header) for value in IDENTIFYING.values())
    assert all(value.encode() in path.read_bytes() for value in IDENTIFYING.values())


def test_without_pydicom_the_message_names_the_extra_and_nothing_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "1.dcm")
    cohort = files(tmp_path, ["1.dcm"])
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "pydicom", None)
        patched.setitem(sys.modules, "pydicom.pixels", None)
        with pytest.raises(InputError, match=r"pip install 'fairthesis\[dicom\]'"):
            data.prepared_images(cohort, 16, tmp_path / "cache")
    assert data.prepared_images(cohort, 16, tmp_path / "cache")[1].all()


def test_without_a_decoder_the_message_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydicom.pixels import get_decoder

    path = write_coded(tmp_path / "1.dcm", RAMP, "lossless")
    decoder = get_decoder(pydicom.uid.JPEGLosslessSV1)
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(InputError, match=r"JPEG Lossless.*pip install 'fairthesis\[dicom\]'"):
        decode(path, 16, 1)


SAMPLES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="pydicom comes without its sample files here")
def test_files_of_many_makers_are_as_pydicom_shows_them() -> None:
    compared = 0
    for path in sorted(SAMPLES.glob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                header = pydicom.dcmread(path)
                x = apply_modality_lut(header.pixel_array, header)
                x = np.asarray(apply_voi_lut(x, header), dtype=np.float64)
            except Exception:
                continue
            kind = header.PhotometricInterpretation
        if (
            kind not in ("MONOCHROME1", "MONOCHROME2")
            or "PixelPaddingValue" in header
            or x.ndim > 2
        ):
            continue
        if min(x.shape) < 16:
            continue
        found = decode(path, min(x.shape), 1)
        if isinstance(found, str):
            assert "enhanced" in found or "deflated" in found, (path.name, found)
            continue
        ours = found[:, :, 0].astype(np.float64).ravel()
        top, left = ((n - min(x.shape)) // 2 for n in x.shape)
        theirs = x[top : top + min(x.shape), left : left + min(x.shape)].ravel()
        sign = -1 if kind == "MONOCHROME1" else 1
        if x.max() > x.min():
            assert sign * np.corrcoef(ours, theirs)[0, 1] > 0.99, path.name
        compared += 1
    assert compared >= 10


def test_near_duplicates_cache_and_reasons_know_dicom(tmp_path: Path) -> None:
    smooth = np.asarray(Image.fromarray(NOISE[:, :, 0]).resize((9, 9)).resize((64, 64)))
    write(tmp_path / "a.dcm", smooth)
    Image.fromarray(smooth).save(tmp_path / "b.png")
    write(tmp_path / "c.dcm", np.rot90(smooth).copy())
    found, skipped = data.near_duplicates(
        [tmp_path / name for name in ("a.dcm", "b.png", "c.dcm")], ["train", "test", "test"]
    )
    assert found["value"].tolist() == ["a.dcm ~ b.png"] and skipped == 0
    write(tmp_path / "d.dcm", np.zeros((30 * 8, 8), np.uint8), Rows=8, NumberOfFrames=30)
    cohort = files(tmp_path, ["a.dcm", "b.png", "d.dcm"])
    with pytest.warns(data.UnreadableImageWarning, match=r"'d\.dcm' \(a DICOM file of 30 frames"):
        _, ok = data.prepared_images(cohort, 16, tmp_path / "cache")
    assert ok.tolist() == [True, True, False]
    assert data.unreadable_images(cohort, 16, tmp_path / "cache")["path"].tolist() == ["d.dcm"]
