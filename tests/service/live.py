"""A client of the service's sockets, as anybody would write one with `websockets`."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

RECEIVE_S = 60.0


def message(images: Mapping[str, bytes], timestamp_ns: int, sequence: int | None = None) -> bytes:
    """Views as one binary message, written from the page docs/api.md and not from the service."""
    views = [{"camera": name, "bytes": len(data)} for name, data in images.items()]
    header: dict[str, Any] = {"timestamp_ns": timestamp_ns, "views": views}
    if sequence is not None:
        header["sequence"] = sequence
    text = json.dumps(header).encode()
    return struct.pack("<I", len(text)) + text + b"".join(images.values())


def parts(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Header and pictures of a binary message."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    at, images = 4 + length, {}
    for view in header["views"]:
        images[view["camera"]] = data[at : at + view["bytes"]]
        at += view["bytes"]
    assert at == len(data)
    return header, images


class Live:
    """A connection (state: what was received so far, by type)."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []

    def send(
        self, images: Mapping[str, bytes], timestamp_ns: int, sequence: int | None = None
    ) -> None:
        self.connection.send(message(images, timestamp_ns, sequence))

    def end(self) -> None:
        self.connection.send(json.dumps({"type": "end"}))

    def next(self, *kinds: str) -> dict[str, Any]:
        """The next text message of one of these types; the others are remembered only."""
        while True:
            text = self.connection.recv(RECEIVE_S)
            assert isinstance(text, str), "a binary message where text was expected"
            said: dict[str, Any] = json.loads(text)
            self.seen.append(said)
            if said["type"] in kinds:
                return said

    def rest(self) -> list[dict[str, Any]]:
        """Everything up to the close of the other side."""
        for text in self.connection:
            self.seen.append(json.loads(text))
        return self.seen

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.seen if one["type"] == kind]


def unread(client: httpx.Client) -> dict[str, Any]:
    """Options of a connection that takes next to nothing off the line until it is read."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect((client.base_url.host, client.base_url.port))
    return {"sock": small, "max_queue": 1, "ping_interval": None}


@contextmanager
def live(client: httpx.Client, path: str, **options: Any) -> Iterator[Live]:
    """A connection to a path of the service that a client talks to."""
    address = str(client.base_url).replace("http://", "ws://", 1).rstrip("/")
    options.setdefault("compression", None)
    with connect(address + path, **options) as connection:
        yield Live(connection)
