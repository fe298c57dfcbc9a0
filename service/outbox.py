"""Messages on their way to one reader of a socket, bounded; who does not read is let go.

At most `length` messages wait here, and the server's socket buffers 64 KiB. A reader that takes
nothing for `stall_s` while something waits is disconnected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

__all__ = ["Outbox", "ReaderGone"]


class ReaderGone(Exception):
    """Nobody reads any more: disconnected, or too slow."""


class Outbox:
    """What waits to be sent (state: the messages)."""

    def __init__(self, socket: WebSocket, stall_s: float, length: int = 16) -> None:
        self._socket = socket
        self._stall_s = stall_s
        self._waiting: asyncio.Queue[str | bytes | None] = asyncio.Queue(length)

    async def put(self, message: Mapping[str, Any] | bytes) -> None:
        """Leaves a message, once there is room."""
        if not isinstance(message, bytes):
            text = json.dumps(message, separators=(",", ":"), allow_nan=False)
            await self._waiting.put(text)
        else:
            await self._waiting.put(message)

    async def finish(self) -> None:
        """Lets `run` return once what waits is sent."""
        await self._waiting.put(None)

    async def run(self) -> None:
        """Sends what is left here, until `finish`.

        Raises:
            ReaderGone: it cannot be sent.
        """
        while (message := await self._waiting.get()) is not None:
            try:
                async with asyncio.timeout(self._stall_s):
                    if isinstance(message, bytes):
                        await self._socket.send_bytes(message)
                    else:
                        await self._socket.send_text(message)
            except TimeoutError as error:
                raise ReaderGone(f"nothing was read for {self._stall_s:g} s") from error
            except (WebSocketDisconnect, RuntimeError) as error:
                # Starlette's word for a message behind the other side's close.
                raise ReaderGone("disconnected") from error
