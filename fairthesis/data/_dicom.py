"""A DICOM file -> one picture of 8 bits, or the reason in words why it is none."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fairthesis.data._dicom_frames import JPEG_2000, JPEG_BASELINE, coded_bytes, frame_shape
from fairthesis.data._dicom_grey import Codes, colour_table, grey_table, in_strips
from fairthesis.data._dicom_header import Refused, pydicom_here, quiet, read_header
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
# All that is read of a header for its pixels: no element that could say who the patient is.
ELEMENTS = (
    *("SOPClassUID", "Modality", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("NumberOfFrames", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio", "SharedFunctionalGroupsSequence"),
    *(f"{c}PaletteColorLookupTable{end}" for c in ("Red", "Green", "Blue")
      for end in ("Descriptor", "Data")),
    *(f"Segmented{c}PaletteColorLookupTableData" for c in ("Red", "Green", "Blue")),
)  # fmt: skip


class DicomFile:
    """An open DICOM file with one image of 1 to 16 bits, grey or colour.

    Raises:
        Refused: for a file that holds no such image; the reason is in words.
    """

    def __init__(self, handle: BinaryIO, *, sniffed: bool = True) -> None:
        pydicom_here()
        self.handle, self.sniffed = handle, sniffed
        self.coded = handle.seek(0, io.SEEK_END)
        with quiet():
            header = read_header(handle, ELEMENTS, sniffed=sniffed)
            self.rows, self.columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
            self.samples = int(header.get("SamplesPerPixel") or 1)
            self.kind = str(header.get("PhotometricInterpretation") or "")
            self.allocated = int(header.get("BitsAllocated") or 0)
            self.stored = int(header.get("BitsStored") or self.allocated)
            self.frames = int(header.get("NumberOfFrames") or 1)
            self.enhanced = "SharedFunctionalGroupsSequence" in header
            self.modality = f"of the modality {header.get('Modality') or 'unknown'}"
            self.aspect = _aspect(header)
            self.syntax = _syntax(header)
            self.compressed = _is_compressed(self.syntax)
        self._check()

    def _check(self) -> None:
        if not self.rows or not self.columns:
            raise Refused(f"a DICOM file {self.modality} without an image, or cut short before it")
        if self.frames > 1:
            raise Refused(
                f"a DICOM file of {self.frames} frames, and which one is meant is not said: export "
                "those that you need as single files, a row of the table each"
            )
        if self.enhanced:
            raise Refused(
                "an enhanced DICOM file, which keeps windows and units by frame: export the frame "
                "as a file of the classic kind"
            )
        if self.allocated not in (1, 8, 16) or not 1 <= self.stored <= self.allocated:
            raise Refused(
                f"a DICOM file with {self.stored} of {self.allocated} bits a value: expected 1 to "
                "16 bits"
            )
        samples = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1}
        known = samples | dict.fromkeys(COLOURS, 3)
        if known.get(self.kind) != self.samples:
            raise Refused(
                f"a DICOM file with pixels of the kind {self.kind!r} in {self.samples} samples: "
                f"expected one of {', '.join(known)}"
            )

    @property
    def needed(self) -> int:
        """Bytes that decoding takes."""
        pixels = self.rows * self.columns
        decoded = self.samples * (2 if self.allocated == 16 else 1)
        # Beside the coded values twice and the decoded ones: what the decoder holds, the picture.
        each = 2 * decoded + (4 if self.samples > 1 or self.kind == "PALETTE COLOR" else 1)
        if self.compressed:
            each += 16 if self.syntax in JPEG_2000 else 8
        return 2 * self.coded + pixels * each

    def picture(self, window: str, most: int) -> Image.Image:
        """The image in 8 bits, L or RGB; coded pixels that unpack to more than ``most`` are none.

        Raises:
            Refused: where the pixels are missing or are not what the header says.
            InputError: where the package that decodes them is not installed.
        """
        with quiet():
            header = read_header(self.handle, ELEMENTS, pixels=True, sniffed=self.sniffed)
            values, kind = self._values(header, most)
            if values.shape[:2] != (self.rows, self.columns):
                raise Refused(f"a DICOM file whose pixels are {values.shape}, against its header")
            if self.samples == 3:
                return Image.fromarray(in_strips(values, partial(self._colour, kind=kind), (3,)))
            codes = Codes(header, values.dtype.itemsize, not self.compressed)
            if self.kind == "PALETTE COLOR":
                table = colour_table(header, codes.n)
            else:
                table = grey_table(header, window, values, codes)
        return Image.fromarray(in_strips(values, lambda part: table[codes(part)], table.shape[1:]))

    def _colour(self, part: NDArray[Any], kind: str) -> NDArray[np.uint8]:
        """Red, green and blue of 8 bits; from YBR by strips, since that takes 40 bytes a pixel."""
        from pydicom.pixels.processing import convert_color_space

        if kind in ("YBR_FULL", "YBR_FULL_422"):
            part = convert_color_space(part.copy(), "YBR_FULL", "RGB")
        return (part >> max(self.stored - 8, 0)).astype(np.uint8)

    def _values(self, header: Dataset, most: int) -> tuple[NDArray[Any], str]:
        """The stored values, (rows, columns) or (rows, columns, 3), and of which kind they are."""
        from pydicom.encaps import get_frame
        from pydicom.uid import UID

        if not header.get("PixelData"):
            raise Refused(
                f"a DICOM file {self.modality} without pixels, or cut short before their end"
            )
        syntax = header.file_meta.TransferSyntaxUID = UID(self.syntax)
        if not self.compressed:
            # Which bits count is decided here, by HighBit as well.
            return _decoded(header, view_only=True, correct_unused_bits=False)
        frame = get_frame(header.PixelData, 0, number_of_frames=1)
        shape = frame_shape(frame)
        if shape is not None and shape != (self.rows, self.columns, self.samples):
            raise Refused(f"a DICOM file whose coded pixels are {shape}, against its header")
        if coded_bytes(syntax, frame) > most:
            raise Refused(f"a DICOM file whose pixels take more than {most / 1e6:.0f} MB unpacked")
        try:
            # Pillow's OpenJPEG is the one that the project's floors look after, and its JPEG gives
            # its memory back.
            plugin = "pillow" if syntax in (*JPEG_2000, JPEG_BASELINE) else ""
            return _decoded(header, decoding_plugin=plugin)
        except RuntimeError as error:
            if "missing dependencies" in str(error):
                raise InputError(
                    f"There are DICOM files in {syntax.name}, and no package that decodes it is "
                    "installed: pip install 'fairthesis[dicom]'."
                ) from error
            raise


def _decoded(header: Dataset, **options: Any) -> tuple[NDArray[Any], str]:
    """The stored values as they are, and of which kind they are then."""
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import as_pixel_options

    decoder = get_decoder(header.file_meta.TransferSyntaxUID)
    more = as_pixel_options(header, **options)
    found, told = decoder.as_array(header, index=0, raw=True, **more)
    return found, str(told["photometric_interpretation"])


def _syntax(header: Dataset) -> str:
    """How the file is coded; where it does not say so, how it was read."""
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    found = header.file_meta.get("TransferSyntaxUID")
    implicit, _ = header.original_encoding
    return str(found or (ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian))


def _is_compressed(syntax: str) -> bool:
    """Whether pixels are coded; ``ValueError`` for what is no transfer syntax."""
    from pydicom.uid import UID

    return bool(UID(syntax).is_encapsulated)


def _aspect(header: Dataset) -> float:
    """A pixel's height over its width; 1 where it is not stated or cannot be."""
    for name in ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio"):
        found = header.get(name)
        if found is not None and not isinstance(found, str) and len(found) == 2:
            high, wide = float(found[0]), float(found[1])
            ratio = high / wide if high > 0 and wide > 0 else 1.0
            return ratio if 0.2 <= ratio <= 5 and abs(ratio - 1) > 0.01 else 1.0
    return 1.0
