"""The server's side of a WebSocket that can also be cut off.

Closing politely first sends what is buffered, so towards a reader that has stalled it would last
for ever and keep the buffer, the socket and the sender's blocked send alive.
"""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

__all__ = ["SocketProtocol"]


class SocketProtocol(WebSocketsSansIOProtocol):
    """Uvicorn's own, except that nothing is waited for that the other side does not read."""

    async def run_asgi(self) -> None:
        """Runs the app on this connection."""
        await super().run_asgi()
        if not self.writable.is_set():
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """A ping was not answered in time."""
        super().keepalive_timeout()
        self.transport.abort()
