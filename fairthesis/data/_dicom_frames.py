"""What a coded frame of a DICOM file says of its own size, before anything decodes it."""

from __future__ import annotations

import struct

RLE = "1.2.840.10008.1.2.5"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
# Markers of a JPEG frame's head: all SOF (no DHT, JPG, DAC among them), and that of JPEG-LS.
_HEADS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def frame_shape(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and samples in the head of a JPEG, JPEG-LS or JPEG 2000 stream; else None.

    A decoder makes room for what stands there, whatever the DICOM header says.

    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("L", (30, 20)).save(file, "JPEG")
    >>> frame_shape(file.getvalue())
    (20, 30, 1)
    """
    start = frame.find(b"\xff\x4f\xff\x51")
    if start >= 0 and len(frame) >= start + 42:
        right, lower, left, upper = struct.unpack_from(">4I", frame, start + 8)
        (samples,) = struct.unpack_from(">H", frame, start + 40)
        return lower - upper, right - left, samples
    if not frame.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:  # a byte that fills up
            at += 1
            continue
        if marker in _HEADS:
            rows, columns, samples = struct.unpack_from(">HHB", frame, at + 5)
            return rows, columns, samples
        at += 2 + int(struct.unpack_from(">H", frame, at + 2)[0])
    return None


def coded_bytes(syntax: str, frame: bytes) -> int:
    """Bytes that a frame in run-length coding is unpacked to; 0 for other kinds.

    Runs of 128 make at most 64 bytes of each: only a frame for which that is much is counted.
    """
    if syntax != RLE or len(frame) < 10**6:
        return 0
    starts = [place for place in struct.unpack_from("<16I", frame)[1:] if place]
    total = 0
    for start, end in zip(starts, [*starts[1:], len(frame)], strict=True):
        at = start
        while at < min(end, len(frame)):
            head = frame[at]
            total += 257 - head if head > 128 else head + 1 if head < 128 else 0
            at += 2 if head > 128 else head + 2 if head < 128 else 1
    return total
