"""What a file is that is no image: a word and what to do, from its first bytes."""

from __future__ import annotations

import struct
import zlib

HEAD = 352  # bytes that are looked at: a NIfTI header says what it is at 344
SLICES = "a volume: export the slices that you need as PNG, TIFF or DICOM, a row of the table each"
# What other files begin with.
_KINDS = {
    b"\x93NUMPY": "a NumPy array (.npy), without a picture's range: save it as PNG or TIFF",
    b"PK\x03\x04": "a zip archive (or .npz): unpack it",
    b"\x1f\x8b": "packed with gzip: unpack it",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"Rar!": "a rar archive: unpack it",
    b"\x89HDF": "an HDF5 file: export the images as PNG or TIFF",
    b"NRRD0": f"an NRRD file, {SLICES}",
    b"ObjectType": f"a MetaImage header (.mhd), {SLICES}",
    b"%PDF": "a PDF",
    b"\x80\x04": "a pickle, which can run code: save it as PNG or TIFF",
    b"<!DOCTYPE": "a web page, perhaps a sign-in page saved in the file's place",
    b"<!doctype": "a web page, perhaps a sign-in page saved in the file's place",
    b"<html": "a web page, perhaps a sign-in page saved in the file's place",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself: fetch it first",
}


def what_it_is(head: bytes) -> str | None:
    """What a file is that begins with ``head``, and what to do; None where it is not known.

    >>> what_it_is(b"PK" + bytes([3, 4]) + bytes(400))
    'a zip archive (or .npz): unpack it'
    """
    if _is_nifti(_unpacked(head)):
        return f"a NIfTI file, {SLICES}"
    return next((words for start, words in _KINDS.items() if head.startswith(start)), None)


def _unpacked(head: bytes) -> bytes:
    """The first bytes of what is packed with gzip; other files' as they are."""
    try:
        return zlib.decompressobj(31).decompress(head, HEAD)
    except zlib.error:
        return head


def _is_nifti(head: bytes) -> bool:
    """Whether it is NIfTI-1 (header of 348 bytes), its older form Analyze, or NIfTI-2 (540)."""
    if len(head) < 8:
        return False
    sizes = struct.unpack("<i", head[:4]) + struct.unpack(">i", head[:4])
    if 540 in sizes:
        return head[4:7] in (b"n+2", b"ni2")
    return 348 in sizes
