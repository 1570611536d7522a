"""DICOM files, built element by element; and a JPEG coder of lossless 16-bit grey."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    generate_uid,
)

DIGITAL_XRAY = "1.2.840.10008.5.1.4.1.1.1.1"
# What no table, report or message may hold: each is found by its bytes.
IDENTIFYING = {
    "PatientName": "Identifia^Nomen",
    "PatientBirthDate": "19510203",
    "AccessionNumber": "ACC-77-SECRET",
    "InstitutionName": "St-Secret-Hospital",
    "InstitutionAddress": "1 Hidden Lane",
    "ReferringPhysicianName": "Medicus^Arcanus",
    "OperatorsName": "Operator^Arcanus",
    "PatientAddress": "2 Hidden Lane",
    "OtherPatientIDs": "OTHER-ID-99",
    "StationName": "STATION-HIDDEN",
    "DeviceSerialNumber": "SERIAL-HIDDEN",
    "StudyDate": "20210304",
    "StudyDescription": "Secretive study",
    "PatientComments": "Comment secretive",
}
RAMP = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)


def dataset(pixels: NDArray[Any], **elements: Any) -> Dataset:
    """A header and native pixels; an element that is None is left out, and any value is taken."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Invalid value|The value length")
        return _dataset(pixels, elements)


def _dataset(pixels: NDArray[Any], elements: dict[str, Any]) -> Dataset:
    found = Dataset()
    found.file_meta = FileMetaDataset()
    found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    found.file_meta.MediaStorageSOPClassUID = found.SOPClassUID = DIGITAL_XRAY
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID = generate_uid()
    bits = 8 * pixels.dtype.itemsize
    values: dict[str, Any] = {
        "PatientID": "P1",
        "Modality": "DX",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1 if pixels.ndim == 2 else 3,
        "PhotometricInterpretation": "MONOCHROME2" if pixels.ndim == 2 else "RGB",
        "PlanarConfiguration": None if pixels.ndim == 2 else 0,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    values |= elements
    for name, value in values.items():
        if value is not None:
            setattr(found, name, value)
    if "HighBit" not in elements:
        found.HighBit = found.BitsStored - 1
    data = pixels.tobytes()
    found.PixelData = data + b"\0" * (len(data) % 2)
    found["PixelData"].VR = "OW" if bits > 8 else "OB"
    return found


def write(path: Path, pixels: NDArray[Any] = RAMP, **elements: Any) -> Path:
    """A DICOM file of native pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset(pixels, **elements).save_as(path, enforce_file_format=True)
    return path


def write_coded(path: Path, pixels: NDArray[Any], kind: str, **elements: Any) -> Path:
    """A DICOM file of coded pixels: ``jpeg``, ``jpeg2000``, ``lossless`` or ``rle``."""
    found = dataset(pixels, **elements)
    if kind == "rle":
        found.compress(pydicom.uid.RLELossless)
    else:
        syntax, coded = {
            "jpeg": (JPEGBaseline8Bit, pillow_coded(pixels, "JPEG", quality=95)),
            "jpeg2000": (JPEG2000Lossless, pillow_coded(pixels, "JPEG2000", no_jp2=True)),
            "lossless": (JPEGLosslessSV1, lossless_jpeg(pixels) if pixels.ndim == 2 else b""),
        }[kind]
        found.file_meta.TransferSyntaxUID = syntax
        found.PixelData = encapsulate([coded])
        found["PixelData"].VR = "OB"
    found["PixelData"].is_undefined_length = True
    found.save_as(path, enforce_file_format=True)
    return path


def pillow_coded(pixels: NDArray[Any], kind: str, **options: Any) -> bytes:
    """A frame as Pillow codes it; nothing where it cannot."""
    file = io.BytesIO()
    if kind == "JPEG" and pixels.dtype != np.uint8:
        return b""
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def lossless_jpeg(pixels: NDArray[Any]) -> bytes:
    """Grey as lossless JPEG (ITU-T T.81, annex H): differences from the left neighbour.

    All categories of differences have codes of five bits.
    """
    rows, columns = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    frame = struct.pack(">BHHBBBB", bits, rows, columns, 1, 1, 0x11, 0)
    lengths = bytes([0, 0, 0, 0, 17, *[0] * 11])
    out = b"\xff\xd8\xff\xc3" + struct.pack(">H", len(frame) + 2) + frame
    table = b"\0" + lengths + bytes(range(17))
    out += b"\xff\xc4" + struct.pack(">H", len(table) + 2) + table
    scan = bytes([1, 1, 0, 1, 0, 0])  # predictor 1
    out += b"\xff\xda" + struct.pack(">H", len(scan) + 2) + scan
    values = pixels.astype(np.int64)
    before = np.empty_like(values)
    before[:, 1:] = values[:, :-1]
    before[1:, 0] = values[:-1, 0]
    before[0, 0] = 1 << (bits - 1)
    text = []
    for difference in ((values - before + 2**15) % 2**16 - 2**15).ravel().tolist():
        size = abs(difference).bit_length()
        text.append(f"{size:05b}")
        if 0 < size < 16:
            code = difference if difference > 0 else difference + (1 << size) - 1
            text.append(f"{code:0{size}b}")
    joined = "".join(text)
    joined += "1" * (-len(joined) % 8)
    data = int(joined, 2).to_bytes(len(joined) // 8, "big")
    return out + data.replace(b"\xff", b"\xff\0") + b"\xff\xd9"
