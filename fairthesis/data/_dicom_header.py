"""The header of a DICOM file: only the elements that are named are read, and none is quoted."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO

from fairthesis.data._image_opening import open_file
from fairthesis.errors import InputError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SUFFIXES = (".dcm", ".dicom")
DEFLATED = "1.2.840.10008.1.2.1.99"
_FILTERS = threading.Lock()
_LOGGER = logging.getLogger("pydicom")
_inside, _before, _passed_on = 0, warnings.catch_warnings(), True


class Refused(Exception):  # noqa: N818  said to the user as it stands
    """Why a file is no image that is read."""


def is_dicom(handle: BinaryIO) -> bool:
    """Whether an open file says of itself that it is DICOM; it is at its start afterwards."""
    handle.seek(128)
    found = handle.read(4) == b"DICM"
    handle.seek(0)
    return found


def named_dicom(name: str) -> bool:
    """Whether a file's name is that of a DICOM file, which may lack its first 132 bytes."""
    return PurePath(name).suffix.lower() in SUFFIXES


def pydicom_here() -> None:
    """``InputError`` where pydicom is not installed.

    It is none of the reasons why one image is left out: those are remembered, and all would be.
    """
    try:
        import pydicom.pixels  # noqa: F401
    except ImportError as error:
        raise InputError(
            "There are DICOM files, and pydicom, which reads them, is not installed: "
            "pip install 'fairthesis[dicom]'."
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings and no log of the packages that read DICOM: they quote what stands in a header.

    Filters and loggers are the process's: the first thread in sets them, the last one out resets.
    """
    global _inside, _before, _passed_on
    with _FILTERS:
        if _inside == 0:
            _before = warnings.catch_warnings()
            _before.__enter__()
            warnings.filterwarnings("ignore", module=r"(pydicom|pylibjpeg|libjpeg|openjpeg)\b")
            _passed_on, _LOGGER.propagate = _LOGGER.propagate, False
        _inside += 1
    try:
        yield
    finally:
        with _FILTERS:
            _inside -= 1
            if _inside == 0:
                _LOGGER.propagate = _passed_on
                _before.__exit__(None, None, None)


def read_header(
    handle: BinaryIO, elements: Sequence[str], *, pixels: bool = False, sniffed: bool = True
) -> Dataset:
    """The named elements of an open DICOM file, and its pixels as they are coded.

    ``sniffed``: it has the 132 bytes at its start that say that it is one.

    Raises:
        Refused: for a deflated one, which could grow to any size when it is read.
    """
    import pydicom
    from pydicom.filereader import data_element_generator
    from pydicom.tag import Tag

    handle.seek(132 if sniffed else 0)
    for item in data_element_generator(
        handle, False, True, lambda tag, vr, length: tag >> 16 != 2, specific_tags=[0x00020010]
    ):
        if DEFLATED in str(item.value):
            raise Refused("a deflated DICOM file: save it in another transfer syntax")
    handle.seek(0)
    tags = [Tag(name) for name in (*elements, *(("PixelData",) if pixels else ()))]
    return pydicom.dcmread(
        handle, force=not sniffed, stop_before_pixels=not pixels, specific_tags=list(tags)
    )


def dicom_elements(path: str | Path, names: Sequence[str]) -> dict[str, str] | None:
    """The named elements of a DICOM file's header; no other element is read.

    Args:
        path: the file.
        names: the elements by DICOM's keywords, as ``PatientSex``.

    Returns:
        Name to stripped text, several values joined by a backslash, for the elements that the file
        has and that are not empty; none at all where its header cannot be read. None for a file
        that is no DICOM.

    Raises:
        InputError: where pydicom is not installed (the extra ``dicom``).
        OSError: where the file cannot be opened.

    >>> import tempfile
    >>> from pydicom.dataset import Dataset
    >>> header = Dataset()
    >>> header.PatientName, header.PatientSex = "Doe^Jane", "F"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "1.dcm"
    ...     header.save_as(file, implicit_vr=False, little_endian=True)
    ...     dicom_elements(file, ["PatientSex", "PatientAge"])
    {'PatientSex': 'F'}
    """
    with open_file(path) as handle:
        sniffed = is_dicom(handle)
        if not sniffed and not named_dicom(str(path)):
            return None
        pydicom_here()
        found: dict[str, str] = {}
        with quiet():
            try:
                header = read_header(handle, names, sniffed=sniffed)
            except Exception:  # whatever is called DICOM; what it says may name a patient
                return found
            for name in names:
                try:
                    value = header.get(name)
                except Exception:
                    continue
                text = value if isinstance(value, str) else _joined(value)
                if text.strip(" \0"):
                    found[name] = text.strip(" \0")
    return found


def _joined(value: object) -> str:
    if value is None:
        return ""
    several = value if isinstance(value, Sequence) else [value]
    return "\\".join(str(item) for item in several)
