"""The installed command as processes of their own: a service, a worker, and their end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest

COMMAND = Path(sys.executable).with_name("quadglass")
START_S = 90.0  # a network loaded and warmed up on a busy machine
END_S = 20.0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def process(*words, log, **variables):
    with log.open("wb") as sink:
        started = subprocess.Popen(
            [str(word) for word in words],
            env={**os.environ, **variables},
            stdout=sink,
            stderr=sink,
        )
        try:
            yield started
        finally:
            started.kill()
            started.wait()


def wait_ready(address, started, log):
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert started.poll() is None, log.read_text()
        asked = subprocess.run(
            [COMMAND, "doctor", "--ready", address], capture_output=True, check=False
        )
        if asked.returncode == 0:
            return
    pytest.fail(f"not ready after {START_S} s: {log.read_text()}")


def post_picture(address):
    noise = np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    _, data = cv2.imencode(".jpg", noise)
    files = {"image": ("noise.jpg", data.tobytes(), "image/jpeg")}
    return httpx.post(f"{address}/v1/images", files=files, timeout=60)


def ends_politely(started):
    """Whether it ends in time; the server shuts down, then passes the signal on to itself."""
    started.send_signal(signal.SIGTERM)
    return started.wait(END_S) in (0, -signal.SIGTERM)


def test_serve_is_ready_answers_and_ends_politely(tmp_path):
    port, log = free_port(), tmp_path / "log"
    address = f"http://127.0.0.1:{port}"
    words = [COMMAND, "serve", "--port", port, "--data-dir", tmp_path / "data"]
    with process(*words, log=log) as service:
        wait_ready(address, service, log)
        answer = post_picture(address)
        assert answer.status_code == 200, answer.text
        assert isinstance(answer.json()["people"], list)
        assert ends_politely(service), log.read_text()
    assert (tmp_path / "data" / "rigs").is_dir()


@pytest.mark.redis
def test_a_service_without_workers_and_a_worker_beside_it(tmp_path):
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    redis_port, port = free_port(), free_port()
    settings = {
        "QUADGLASS_QUEUE_KIND": "redis",
        "QUADGLASS_QUEUE_URL": f"redis://127.0.0.1:{redis_port}/0",
        "QUADGLASS_WORKER_THREADS": "0",
        "QUADGLASS_DATA_DIR": str(tmp_path / "data"),
    }
    address = f"http://127.0.0.1:{port}"
    redis = [server, "--port", redis_port, "--bind", "127.0.0.1", "--save", "", "--dir", tmp_path]
    log = tmp_path / "log"
    with (
        process(*redis, log=tmp_path / "redis.log"),
        process(COMMAND, "serve", "--port", port, log=log, **settings) as service,
        process(COMMAND, "work", log=tmp_path / "worker.log", **settings) as worker,
    ):
        wait_ready(address, service, log)  # not before the worker is warm
        answer = post_picture(address)
        assert answer.status_code == 200, answer.text
        assert ends_politely(worker), (tmp_path / "worker.log").read_text()
        assert ends_politely(service), log.read_text()
