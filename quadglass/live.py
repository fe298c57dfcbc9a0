"""Live streams: frame sets in, results out, over one WebSocket.

    with client.stream("studio", capture="take-1", mode="latest") as stream:
        stream.send({"cam0": jpeg0, "cam1": jpeg1}, timestamp_ns)
        for event in stream:        # Result, or Dropped with the reason
            ...

`send` and iteration may be used from two threads (or tasks). `end` says that nothing more comes;
iteration stops once all that was sent is answered.
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote, urlencode

import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from .problem import Problem, Unreachable
from .results import Result, result_of

__all__ = ["AsyncStream", "Dropped", "Mode", "Stream", "packed", "stream_address"]

Mode = Literal["latest", "all"]
_OPEN_S = 20.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """A frame set that got no result."""

    sequence: int | None  # the sender's number
    timestamp_ns: int
    reason: str  # overtaken, late, or the code of a problem
    document: Mapping[str, Any] = field(repr=False)


Event = Result | Dropped


def stream_address(url: str, rig: str, capture: str | None, mode: Mode, tolerance_ms: float) -> str:
    """The address of a stream, from that of the service."""
    query: dict[str, str] = {"mode": mode, "tolerance_ms": f"{tolerance_ms:g}"}
    if capture is not None:
        query["capture"] = capture
    base = url.replace("http", "ws", 1)
    return f"{base}/v1/rigs/{quote(rig, safe='')}/stream?{urlencode(query)}"


def packed(pictures: Mapping[str, bytes], timestamp_ns: int, sequence: int | None = None) -> bytes:
    """A binary message: the header's length (4 bytes, little endian), the header, the pictures."""
    header: dict[str, Any] = {
        "timestamp_ns": timestamp_ns,
        "views": [{"camera": name, "bytes": len(data)} for name, data in pictures.items()],
    }
    if sequence is not None:
        header["sequence"] = sequence
    text = json.dumps(header).encode()
    return b"".join([struct.pack("<I", len(text)), text, *pictures.values()])


class Stream:
    """A live stream (state: the connection)."""

    def __init__(self, address: str, key: str | None) -> None:
        self._address = address
        self._key = key
        self._stack = ExitStack()
        self._socket: websockets.sync.client.ClientConnection
        self.hello: Mapping[str, Any] = {}  # what the service said first: cameras, limits
        self.report: Mapping[str, Any] = {}  # its latest count of received, answered, dropped

    def __enter__(self) -> Self:
        try:
            self._socket = self._stack.enter_context(
                websockets.sync.client.connect(self._address, **_options(self._key))
            )
            self.hello = _hello(self._socket.recv(timeout=_OPEN_S))
        except (InvalidStatus, OSError, ConnectionClosedError, TimeoutError) as error:
            self._stack.close()
            raise _refused(self._address, error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def send(
        self, pictures: Mapping[str, bytes], timestamp_ns: int, sequence: int | None = None
    ) -> None:
        """Sends views of one moment; blocks while the service reads no further (`mode=all`)."""
        try:
            self._socket.send(packed(pictures, timestamp_ns, sequence))
        except ConnectionClosedError as error:
            raise _refused(self._address, error) from error

    def end(self) -> None:
        """Says that nothing more comes; what was sent is still answered."""
        self._socket.send(json.dumps({"type": "end"}))

    def __iter__(self) -> Iterator[Event]:
        try:
            for message in self._socket:
                event = self._event(message)
                if event is not None:
                    yield event
        except ConnectionClosedError as error:
            raise _refused(self._address, error) from error

    def _event(self, message: str | bytes) -> Event | None:
        document = json.loads(message)
        if document["type"] == "report":
            self.report = document
        return _event_of(document)


class AsyncStream:
    """A live stream, awaited (state: the connection)."""

    def __init__(self, address: str, key: str | None) -> None:
        self._address = address
        self._key = key
        self._stack = AsyncExitStack()
        self._socket: websockets.asyncio.client.ClientConnection
        self.hello: Mapping[str, Any] = {}
        self.report: Mapping[str, Any] = {}

    async def __aenter__(self) -> Self:
        try:
            self._socket = await self._stack.enter_async_context(
                websockets.asyncio.client.connect(self._address, **_options(self._key))
            )
            self.hello = _hello(await self._socket.recv())
        except (InvalidStatus, OSError, ConnectionClosedError, TimeoutError) as error:
            await self._stack.aclose()
            raise _refused(self._address, error) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def send(
        self, pictures: Mapping[str, bytes], timestamp_ns: int, sequence: int | None = None
    ) -> None:
        """See `Stream.send`."""
        try:
            await self._socket.send(packed(pictures, timestamp_ns, sequence))
        except ConnectionClosedError as error:
            raise _refused(self._address, error) from error

    async def end(self) -> None:
        """See `Stream.end`."""
        await self._socket.send(json.dumps({"type": "end"}))

    async def __aiter__(self) -> AsyncIterator[Event]:
        try:
            async for message in self._socket:
                document = json.loads(message)
                if document["type"] == "report":
                    self.report = document
                event = _event_of(document)
                if event is not None:
                    yield event
        except ConnectionClosedError as error:
            raise _refused(self._address, error) from error


def _options(key: str | None) -> dict[str, Any]:
    return {
        "additional_headers": {} if key is None else {"Authorization": f"Bearer {key}"},
        "compression": None,  # JPEGs do not shrink
        "open_timeout": _OPEN_S,
        "max_size": None,  # what comes back is JSON of a size that the service bounds
        "proxy": None,
    }


def _hello(message: str | bytes) -> Mapping[str, Any]:
    document: dict[str, Any] = json.loads(message)
    if document["type"] == "problem":
        raise Problem(0, document["problem"])
    return document


def _event_of(document: Mapping[str, Any]) -> Event | None:
    if document["type"] == "result":
        return result_of(document["result"])
    if document["type"] == "dropped":
        return Dropped(
            sequence=document.get("sequence"),
            timestamp_ns=document["timestamp_ns"],
            reason=document["reason"],
            document=document,
        )
    if document["type"] == "problem":
        raise Problem(0, document["problem"])
    return None  # a report, or a word of a newer service


def _refused(address: str, error: Exception) -> Problem | Unreachable:
    if isinstance(error, InvalidStatus):
        try:
            document = json.loads(error.response.body or b"")
        except ValueError:
            document = {"title": f"the stream was refused with {error.response.status_code}"}
        return Problem(error.response.status_code, document)
    said = str(error) or type(error).__name__
    return Unreachable(f"{address} does not answer ({said}); is the service running there?")
