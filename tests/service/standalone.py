"""A service in a process of its own that can be killed: `python -m tests.service.standalone`.

    DATA_DIR PORT [NAME=VALUE …]     settings as of QUADGLASS_NAME

Its network finds dots; while the file DATA_DIR/hold is there it looks at nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from .dots import DotPredictor
from .server import until

ROOT = Path(__file__).parents[2]


class Held(DotPredictor):
    """Finds dots, but not while a file is there."""

    def __init__(self, hold: Path) -> None:
        super().__init__()
        self._path = hold

    def candidates(self, images: Sequence[NDArray[np.uint8]]) -> Any:
        while self.batches and self._path.exists():
            time.sleep(0.01)
        return super().candidates(images)


@contextmanager
def alone(
    data_dir: Path, **settings: object
) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """A client of such a service, and its process, which is killed at the end of the block."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    said = [f"{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "tests.service.standalone", str(data_dir), str(port), *said]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:

            def answers() -> bool:
                assert process.poll() is None, "the service ended by itself"
                try:
                    return client.get("/health/ready").status_code == 200
                except httpx.TransportError:
                    return False

            until(answers, "the service is ready", 60.0)
            yield client, process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def main() -> None:
    import uvicorn

    from service.app import create_app
    from service.config import load_settings
    from service.socket_protocol import SocketProtocol

    data_dir, port, *said = sys.argv[1:]
    for one in said:
        name, _, value = one.partition("=")
        os.environ[f"QUADGLASS_{name.upper()}"] = value
    os.environ["QUADGLASS_DATA_DIR"] = data_dir
    predictor = Held(Path(data_dir) / "hold")
    app = create_app(load_settings(), predictor=predictor)
    uvicorn.run(app, port=int(port), log_level="warning", ws=SocketProtocol, ws_ping_timeout=120.0)


if __name__ == "__main__":
    main()
