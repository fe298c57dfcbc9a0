from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BodyTooLarge, Malformed
from service.framing import Message, packed, unpacked

from .live import message, parts

MOST = 10_000
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=9)


@given(
    st.integers(0, 2**63 - 1),
    st.none() | st.integers(0, 2**40),
    st.dictionaries(NAMES, st.binary(min_size=1, max_size=50), min_size=1, max_size=6),
)
def test_what_is_packed_comes_out_again(
    time_ns: int, sequence: int | None, images: dict[str, bytes]
) -> None:
    sent = Message(time_ns, sequence, images)
    assert unpacked(packed(sent), MOST) == sent
    assert unpacked(message(images, time_ns, sequence), MOST) == sent
    assert parts(packed(sent))[1] == images


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(Malformed):
        unpacked(data, MOST)


def test_the_size_comes_first() -> None:
    with pytest.raises(BodyTooLarge, match="10001 bytes, the limit is 10000"):
        unpacked(bytes(MOST + 1), MOST)


def framed(header: object, tail: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + tail


VIEW = {"camera": "cam0", "bytes": 2}


@pytest.mark.parametrize(
    ("header", "tail", "said"),
    [
        ({"timestamp_ns": 1, "views": [VIEW]}, b"abc", "promises 2 bytes of pictures, 3 follow"),
        ({"timestamp_ns": 1, "views": [VIEW]}, b"a", "promises 2 bytes of pictures, 1 follow"),
        ({"timestamp_ns": 1, "views": [VIEW, VIEW]}, b"abcd", "'cam0' comes twice"),
        ({"timestamp_ns": 1, "views": []}, b"", "/views"),
        ({"timestamp_ns": -1, "views": [VIEW]}, b"ab", "/timestamp_ns"),
        ({"timestamp_ns": 1.5, "views": [VIEW]}, b"ab", "/timestamp_ns"),
        ({"timestamp_ns": True, "views": [VIEW]}, b"ab", "/timestamp_ns"),
        ({"views": [VIEW]}, b"ab", "/timestamp_ns"),
        ({"timestamp_ns": 1, "views": [{"camera": "c", "bytes": -2}]}, b"", "/views/0/bytes"),
        ({"timestamp_ns": 1, "views": [VIEW], "camera": "c"}, b"ab", "/camera"),
    ],
)
def test_a_wrong_header_says_where(header: object, tail: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        unpacked(framed(header, tail), MOST)
