"""What kind of picture some bytes are, how large it says it is, and whether its end is there.

Only the few bytes that say so are looked at; nothing is decoded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

__all__ = ["Header", "Kind", "is_cut_off", "read_header"]

Kind = Literal["JPEG", "PNG", "WebP", "BMP", "TIFF"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_END = b"\xff\xd9"
# Start-of-frame markers; C4, C8 and CC are tables, not frames (ITU T.81, table B.1).
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_JPEG_SCAN = 0xDA
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_MAX_ENTRIES = 512


@dataclass(frozen=True, slots=True)
class Header:
    """What a picture says about itself."""

    kind: Kind
    size_px: tuple[int, int]  # (width, height) as stored, before any EXIF orientation


def read_header(data: bytes) -> Header | None:
    """Kind and size; None for bytes that are no picture we read."""
    try:
        if data[:8] == _PNG:
            return _png(data)
        if data[:3] == b"\xff\xd8\xff":
            return _jpeg(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data[:2] == b"BM":
            return _bmp(data)
        if data[:4] in (b"II*\x00", b"MM\x00*"):
            return _tiff(data)
    except (struct.error, IndexError):  # it ends inside its header
        return None
    return None


def is_cut_off(kind: Kind, data: bytes) -> bool:
    """Whether the end is missing. cv2 decodes such a JPEG to a picture that is half grey.

    TIFF has no end mark and may hold its parts in any order; its decoder notices.
    """
    if kind == "JPEG":
        scan = _jpeg_scan(data)
        # Within a scan every FF is followed by 00 or a restart mark, so this is the real end.
        return scan is None or data.rfind(_JPEG_END, scan) < 0
    if kind == "PNG":
        return data.rfind(b"IEND") < 0
    if kind == "WebP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if kind == "BMP":
        # Some writers leave the size field 0; the decoder reads the rows then.
        return len(data) < int.from_bytes(data[2:6], "little")
    return False


def _png(data: bytes) -> Header | None:
    if data[12:16] != b"IHDR":
        return None
    return Header("PNG", struct.unpack_from(">II", data, 16))


def _jpeg(data: bytes) -> Header | None:
    at = 2
    while True:
        marker, at = _jpeg_marker(data, at)
        if marker in _JPEG_BARE:
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return Header("JPEG", (width, height))
        if marker == _JPEG_SCAN or length < 2:
            return None
        at += length


def _jpeg_scan(data: bytes) -> int | None:
    """Where the first scan's data begins."""
    at = 2
    try:
        while True:
            marker, at = _jpeg_marker(data, at)
            if marker in _JPEG_BARE:
                continue
            length = int.from_bytes(data[at : at + 2], "big")
            if length < 2:  # less than the two bytes that say so: it ends here
                return None
            at += length
            if marker == _JPEG_SCAN:
                return at
    except IndexError:
        return None


def _jpeg_marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at a place, and where what follows it begins."""
    if data[at] != 0xFF:
        raise IndexError(at)
    while data[at] == 0xFF:  # any number of fill bytes
        at += 1
    return data[at], at + 1


def _webp(data: bytes) -> Header | None:
    chunk = data[12:16]
    if chunk == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        return Header("WebP", (width, height)) if len(data) >= 30 else None
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return Header("WebP", ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return Header("WebP", (width & 0x3FFF, height & 0x3FFF))
    return None


def _bmp(data: bytes) -> Header:
    (header_bytes,) = struct.unpack_from("<I", data, 14)
    if header_bytes == 12:  # OS/2
        return Header("BMP", struct.unpack_from("<HH", data, 18))
    width, height = struct.unpack_from("<ii", data, 18)
    return Header("BMP", (abs(width), abs(height)))  # a negative height means top row first


def _tiff(data: bytes) -> Header | None:
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (entries,) = struct.unpack_from(f"{order}H", data, at)
    size: dict[int, int] = {}
    for index in range(min(entries, _TIFF_MAX_ENTRIES)):
        place = at + 2 + 12 * index
        tag, kind = struct.unpack_from(f"{order}HH", data, place)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT):
            # A SHORT lies in the first two bytes of the value, whatever the byte order.
            (size[tag],) = struct.unpack_from(
                f"{order}{'H' if kind == 3 else 'I'}", data, place + 8
            )
    if len(size) < 2:
        return None
    return Header("TIFF", (size[_TIFF_WIDTH], size[_TIFF_HEIGHT]))
