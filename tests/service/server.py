"""A running service in this process: the real server on a free port of 127.0.0.1."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from models.predictor import Predictor
from service.app import create_app
from service.config import Settings
from service.queue import Queue
from service.socket_protocol import SocketProtocol

START_S = 120.0  # where nothing is compiled yet, on a busy machine


@contextmanager
def running(
    settings: Settings,
    *,
    predictor: Predictor | None = None,
    queue: Queue | None = None,
    wait_ready: bool = True,
    send_buffer: int | None = None,
    port: int = 0,
) -> Iterator[httpx.Client]:
    """A client of a service that runs as long as the block; shut down as SIGTERM would."""
    app = create_app(settings, predictor=predictor, queue=queue)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            lifespan="on",
            timeout_graceful_shutdown=5,
            ws=SocketProtocol,
            ws_max_size=settings.stream.message_bytes,
            ws_per_message_deflate=False,
        )
    )
    with socket.create_server(("127.0.0.1", port)) as listening:
        if send_buffer is not None:  # so that a reader who stalls is felt after a few messages
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                until(lambda: server.started, "the server starts")
                if wait_ready:
                    until(lambda: client.get("/health/ready").status_code == 200, "ready")
                yield client
        finally:
            server.should_exit = True
            thread.join(START_S)
            assert not thread.is_alive(), "the server did not shut down"


def until(condition: Any, what: str, seconds: float = START_S) -> None:
    """Waits for a condition; fails with its name."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)
