"""Binary messages of a stream: a JSON header with its length before it, then pictures in a row.

    4 bytes     length of the header, little endian
    header      {"timestamp_ns": …, "sequence": …, "views": [{"camera": …, "bytes": N}, …]}
    pictures    encoded, N bytes each, in the order of `views`

Both directions use it: clients send views, the service sends reduced pictures.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import BodyTooLarge, Malformed

__all__ = ["Message", "packed", "unpacked"]

_LENGTH = struct.Struct("<I")
_HEADER_BYTES = 64 * 1024  # sixteen views need less than two thousand
_MOST_VIEWS = 16
_MOST_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Message:
    """Views that came together."""

    timestamp_ns: int
    sequence: int | None  # the sender's own number
    images: Mapping[str, bytes]  # encoded, by camera


class _View(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    camera: str = Field(min_length=1, max_length=64)
    bytes: int = Field(ge=1)


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    timestamp_ns: int = Field(ge=0, le=_MOST_NS)
    sequence: int | None = Field(default=None, ge=0, le=_MOST_NS)
    views: list[_View] = Field(min_length=1, max_length=_MOST_VIEWS)


def packed(message: Message) -> bytes:
    """The message as bytes."""
    header = _Header(
        timestamp_ns=message.timestamp_ns,
        sequence=message.sequence,
        views=[_View(camera=name, bytes=len(data)) for name, data in message.images.items()],
    )
    text = header.model_dump_json(exclude_none=True).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *message.images.values()])


def unpacked(data: bytes, most_bytes: int) -> Message:
    """The message in some bytes.

    Args:
        data: as `packed` writes it.
        most_bytes: that a message may have; looked at before anything else.

    Raises:
        BodyTooLarge: it has more.
        Malformed: lengths and header do not say what the bytes are.
    """
    if len(data) > most_bytes:
        raise BodyTooLarge(
            f"the message has {len(data)} bytes, the limit is {most_bytes}; send smaller pictures, "
            "one view a message, or raise stream.message_bytes"
        )
    length = _LENGTH.unpack_from(data)[0] if len(data) >= _LENGTH.size else 0
    begin = _LENGTH.size + length
    if not 0 < length <= _HEADER_BYTES or begin > len(data):
        raise Malformed(
            f"the message has {len(data)} bytes and says that its header has {length}; it begins "
            "with four bytes, little endian, that tell how long the JSON header behind them is"
        )
    try:
        header = _Header.model_validate_json(data[_LENGTH.size : begin])
    except ValidationError as error:
        first = error.errors()[0]
        place = "/".join(map(str, first["loc"]))
        raise Malformed(
            f"the message's header: /{place}: {first['msg']}; it is "
            '{"timestamp_ns": N, "views": [{"camera": "cam0", "bytes": N}]}',
            field=f"/{place}",
        ) from error
    told = sum(view.bytes for view in header.views)
    if begin + told != len(data):
        raise Malformed(
            f"the header promises {told} bytes of pictures, {len(data) - begin} follow it",
            field="/views",
        )
    images: dict[str, bytes] = {}
    for view in header.views:
        if view.camera in images:
            raise Malformed(f"camera {view.camera!r} comes twice in one message", field="/views")
        images[view.camera] = data[begin : begin + view.bytes]
        begin += view.bytes
    return Message(header.timestamp_ns, header.sequence, images)
