"""The service as a process of its own, as anybody would run it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..checkup import service_problem
from ..errors import NotReady

__all__ = ["running"]

START_S = 120.0  # loading the network and a first batch, on a busy machine
STOP_S = 15.0


@contextmanager
def running(
    data_dir: Path, port: int | None, log: Path
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A ready service: its address and its process, which ends with the block.

    Args:
        data_dir: where it keeps everything.
        port: on 127.0.0.1; None takes 8000, or a free one if that is taken, 0 a free one.
        log: what it says goes here.

    Raises:
        NotReady: it did not come up; the message ends with what it said last.
    """
    port = (8000 if port is None and _is_free(8000) else port) or _free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "service", "serve", "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        # Unless they are said already: all cores, and patience on a machine that is busy otherwise.
        "QUADGLASS_WORKER_THREADS": str(len(os.sched_getaffinity(0))),
        "QUADGLASS_QUEUE_DEADLINE_S": "120",
        **os.environ,
        "QUADGLASS_DATA_DIR": str(data_dir.absolute()),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment)
        try:
            _wait(address, process, log)
            yield address, process
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    problem: str | None = "it did not start"
    while time.monotonic() < until:
        if process.poll() is not None:
            problem = f"it ended with status {process.returncode}"
            break
        problem = service_problem(address, timeout_s=2.0)
        if problem is None:
            return
        time.sleep(0.2)
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise NotReady(
        f"the service is not ready: {problem}; its log {log} ends: {' / '.join(said[-3:])}"
    )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
