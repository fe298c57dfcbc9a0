"""Running the service: the check of where it may listen, and the server."""

from __future__ import annotations

import uvicorn

from .app import create_app
from .config import Settings
from .keys import refuse_open_listen

__all__ = ["listen"]

# Requests that may be under way at once; each may hold a body of `limits.body_bytes` in memory.
_MOST_CONNECTIONS = 512
_DRAIN_S = 10


def listen(settings: Settings) -> None:
    """Serves until told to stop; then what was accepted is answered first.

    Raises:
        UnsafeListen: the address is open to others and there are no keys.
    """
    refuse_open_listen(settings.http)
    uvicorn.run(
        create_app(settings),
        host=settings.http.host,
        port=settings.http.port,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN_S,
        server_header=False,
        log_config=None,  # the command line configures logging
    )
