"""C3D, the binary marker files of motion laboratories (c3d.org, user guide of 2008).

Millimetres, z up as in our world (POINT:X_SCREEN +Y, POINT:Y_SCREEN +Z), little-endian floats.
Markers are named as in TRC. A marker's residual is its sigma in whole millimetres; a missing
marker has residual -1.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from ..errors import ExportError
from ..people import Frame
from .markers import Markers, markers_of

__all__ = ["c3d_bytes"]

BLOCK = 512
MAX_LABELS = 255  # per parameter: a dimension is one byte
MAX_MARKERS = 32_767
INTEL = 84  # processor type: little-endian IEEE floats
KEY = 0x50  # marks header and parameters as C3D
CHAR, INT16, FLOAT = -1, 2, 4


def c3d_bytes(frames: Sequence[Frame], rate_hz: float) -> bytes:
    """The take as a C3D file.

    Args:
        frames: in order of time, identities given.
        rate_hz: of the rows; a dropped frame is a row of missing markers.

    Raises:
        ExportError: there is nobody in the take, or it is too large for the format.
    """
    markers = markers_of(frames, rate_hz)
    rows, count = markers.sigma_mm.shape
    if count > MAX_MARKERS:
        raise ExportError(f"{count} markers, a C3D file holds {MAX_MARKERS}; export fewer people")
    # The parameters say where the data start, which their own length decides: written twice.
    blocks = -(-len(_parameters(markers, rate_hz, 0)) // BLOCK)
    parameters = _parameters(markers, rate_hz, 2 + blocks)
    header = struct.pack(
        "<BBhhHHhfhhf",
        2, KEY, count, 0, 1, min(rows, 65_535), 0, -1.0, 2 + blocks, 0, rate_hz,
    )  # fmt: skip
    data = np.zeros((rows, count, 4), dtype="<f4")
    there = np.isfinite(markers.positions[..., 0])
    data[..., :3] = np.where(there[..., None], 1000 * np.nan_to_num(markers.positions), 0.0)
    residual = np.clip(np.round(np.nan_to_num(markers.sigma_mm)), 0, 255)
    data[..., 3] = np.where(there, residual, -1.0)
    return header.ljust(BLOCK, b"\0") + parameters.ljust(blocks * BLOCK, b"\0") + data.tobytes()


def _parameters(markers: Markers, rate_hz: float, data_block: int) -> bytes:
    """The parameter section, padded by the caller."""
    rows, count = markers.sigma_mm.shape
    point = [
        _number("USED", INT16, count),
        _number("FRAMES", INT16, min(rows, 65_535)),
        _number("DATA_START", INT16, data_block),
        _number("SCALE", FLOAT, -1.0),
        _number("RATE", FLOAT, rate_hz),
        _texts("UNITS", ["mm"]),
        _texts("X_SCREEN", ["+Y"]),
        _texts("Y_SCREEN", ["+Z"]),
    ]
    for start in range(0, count, MAX_LABELS):
        number = "" if start == 0 else str(start // MAX_LABELS + 1)
        names = markers.names[start : start + MAX_LABELS]
        point.append(_texts(f"LABELS{number}", names))
        point.append(_texts(f"DESCRIPTIONS{number}", ["joint centre"] * len(names)))
    # Frame numbers above 65,535 do not fit the header: here they are two words, low first.
    trial = [
        _array("ACTUAL_START_FIELD", INT16, (2,), struct.pack("<HH", 1, 0)),
        _array("ACTUAL_END_FIELD", INT16, (2,), struct.pack("<HH", rows % 65_536, rows // 65_536)),
    ]
    # No analog channels; readers that compare rates want them to agree with the header's zero.
    analog = [
        _number("USED", INT16, 0),
        _number("RATE", FLOAT, 0.0),
        _number("GEN_SCALE", FLOAT, 1.0),
    ]
    body = b""
    for identity, (name, items) in enumerate(
        (("POINT", point), ("ANALOG", analog), ("TRIAL", trial)), start=1
    ):
        body += _named(name, -identity, b"\0")  # a group: its description is empty
        body += b"".join(_named(key, identity, content) for key, content in items)
    blocks = -(-(4 + len(body) + 2) // BLOCK)
    return struct.pack("<BBBB", 1, KEY, blocks, INTEL) + body + b"\0\0"


def _named(name: str, identity: int, content: bytes) -> bytes:
    """A group or parameter: name, where the next one starts, content."""
    text = name.encode("ascii")
    return struct.pack("<bb", len(text), identity) + text + struct.pack(
        "<H", 2 + len(content)
    ) + content  # fmt: skip


def _array(name: str, kind: int, shape: Sequence[int], data: bytes) -> tuple[str, bytes]:
    head = struct.pack("<bB", kind, len(shape)) + bytes(shape)
    return name, head + data + b"\0"  # and no description


def _number(name: str, kind: int, value: float) -> tuple[str, bytes]:
    data = struct.pack("<f", value) if kind == FLOAT else struct.pack("<H", int(value))
    return _array(name, kind, (), data)


def _texts(name: str, texts: Sequence[str]) -> tuple[str, bytes]:
    """Strings of one length, filled with blanks."""
    width = max(map(len, texts))
    data = "".join(text.ljust(width) for text in texts).encode("ascii")
    return _array(name, CHAR, (width, len(texts)), data)
