"""Running the service: the check of where it may listen, and the server."""

from __future__ import annotations

import uvicorn

from .app import create_app
from .config import Settings
from .keys import refuse_open_listen
from .socket_protocol import SocketProtocol

__all__ = ["listen"]

# Requests that may be under way at once; each may hold a body of `limits.body_bytes` in memory.
_MOST_CONNECTIONS = 512
_DRAIN_S = 10
_PING_S = 20.0


def listen(settings: Settings) -> None:
    """Serves until told to stop; then what was accepted is answered first.

    Raises:
        UnsafeListen: the address is open to others and there are no keys.
    """
    refuse_open_listen(settings)
    uvicorn.run(
        create_app(settings),
        host=settings.http.host,
        port=settings.http.port,
        ws=SocketProtocol,
        ws_max_size=settings.stream.message_bytes,
        ws_per_message_deflate=False,  # JPEGs do not shrink, and unpacking is a way to be bombed
        # A stream that is held up does not read the answer to a ping; no set takes longer than this
        ws_ping_timeout=settings.queue.deadline_s + _PING_S,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN_S,
        server_header=False,
        log_config=None,  # the command line configures logging
    )
