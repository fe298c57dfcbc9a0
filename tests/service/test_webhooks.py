"""Finished jobs told to a real receiver on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from quadglass import BadSignature, verified
from service.config import WebhookSettings, load_settings
from service.errors import BadSettings
from service.jobs import Job, JobBoard
from service.metrics import Metrics
from service.routes.jobs import job_to_json
from service.webhooks import Webhooks

from .server import until

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


class Receiver(ThreadingHTTPServer):
    """Answers with the statuses it is given, then 204 (state: what it was told)."""

    daemon_threads = True

    def __init__(self, *statuses: int, to: str = "", port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Told)
        self.statuses = list(statuses)
        self.to = to  # of redirects
        self.told: list[tuple[dict[str, str], bytes, float]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Told(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append((dict(self.headers), body, time.monotonic()))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        if status in (301, 302, 307, 308):
            self.send_header("Location", self.server.to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""


@contextmanager
def receiver(*statuses: int, to: str = "", port: int = 0) -> Iterator[Receiver]:
    server = Receiver(*statuses, to=to, port=port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def telling(root: Path, *urls: str, **more: Any) -> Iterator[tuple[JobBoard, Metrics]]:
    """The jobs of a directory and the thread that tells of them, as a service has them."""
    values = {"secret": SECRET, "first_wait_s": 0.05, "timeout_s": 5, **more}
    metrics = Metrics()
    hooks = Webhooks(root, WebhookSettings(urls=urls, **values), metrics)
    board = JobBoard(root, hooks.telling)
    hooks.start(board.job, job_to_json)
    try:
        yield board, metrics
    finally:
        hooks.stop()


def ended(board: JobBoard, state: Any = "done") -> str:
    identity = board.new_id()
    board.add(Job(identity, "calibration", "studio", {"board": "9x6"}, "2026-01-01T00:00:00Z"))
    board.change(identity, state="running")
    board.change(identity, state=state, calibration="c1")
    return identity


def count(metrics: Metrics, outcome: str) -> float:
    found = metrics.registry.get_sample_value("quadglass_webhooks_total", {"outcome": outcome})
    return found or 0.0


def waiting(root: Path) -> list[Path]:
    return sorted((root / "webhooks").glob("*.json"))


def test_a_finished_job_is_told_signed_until_it_is_taken(tmp_path: Path) -> None:
    with receiver(500, 503) as server, telling(tmp_path, server.url) as (board, metrics):
        job = ended(board)
        until(lambda: count(metrics, "delivered") == 1, "it is delivered")
        assert len(server.told) == 3
        assert count(metrics, "failed") == 2
        assert waiting(tmp_path) == []
        assert len({headers["webhook-id"] for headers, _, _ in server.told}) == 1
        times = [at for _, _, at in server.told]
        # 0.05 and 0.1 s, each a quarter less at most
        assert times[1] - times[0] > 0.037
        assert times[2] - times[1] > 0.075
        headers, body, _ = server.told[-1]
        message = json.loads(body)
        assert message["type"] == "job.done"
        assert message["data"] == job_to_json(board.job(job))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{mac}"
        assert abs(time.time() - int(headers["webhook-timestamp"])) < 60
        assert verified(SECRET, headers, body) == message
        for harm in (
            lambda: verified(SECRET, headers, body.replace(b"c1", b"c2")),
            lambda: verified("whsec_" + base64.b64encode(bytes(32)).decode(), headers, body),
            lambda: verified(SECRET, {**headers, "webhook-timestamp": "1700000000"}, body),
            lambda: verified(SECRET, {}, body),
        ):
            with pytest.raises(BadSignature):
                harm()


def test_what_is_not_delivered_survives_a_restart(tmp_path: Path) -> None:
    with receiver() as server:
        url, port = server.url, server.server_address[1]
    with telling(tmp_path, url, first_wait_s=600) as (board, metrics):  # nobody listens any more
        job = ended(board, "failed")
        until(lambda: count(metrics, "failed") == 1, "it is tried")
    (path,) = waiting(tmp_path)
    kept = json.loads(path.read_text())
    assert (kept["job"], kept["tries"]) == (job, 1)
    with receiver(port=port) as other:
        path.write_text(json.dumps({**kept, "due": 0.0}))  # ten minutes later
        with telling(tmp_path, url) as (_, metrics):
            until(lambda: count(metrics, "delivered") == 1, "it is delivered")
        assert json.loads(other.told[0][1])["type"] == "job.failed"
    assert waiting(tmp_path) == []


def test_it_is_given_up_and_then_forgotten(tmp_path: Path, caplog: Any) -> None:
    with (
        receiver(*[500] * 9) as server,
        telling(tmp_path, server.url, first_wait_s=0.01, tries=3) as (board, metrics),
    ):
        ended(board)
        until(lambda: count(metrics, "given_up") == 1, "it is given up")
        assert len(server.told) == 3
    assert waiting(tmp_path) == []
    assert "given up after 3 tries: status 500" in caplog.text


def test_a_redirect_leads_nowhere(tmp_path: Path) -> None:
    with (
        receiver() as inside,
        receiver(307, 302, to=inside.url) as server,
        telling(tmp_path, server.url, first_wait_s=0.01) as (board, metrics),
    ):
        ended(board)
        until(lambda: count(metrics, "delivered") == 1, "the third try is answered")
        assert (len(server.told), inside.told) == (3, [])


def test_an_address_that_left_the_settings_is_called_no_more(tmp_path: Path) -> None:
    with receiver(500) as server, receiver() as other:
        with telling(tmp_path, server.url, first_wait_s=600) as (board, metrics):
            ended(board)
            until(lambda: count(metrics, "failed") == 1, "it is tried")
        with telling(tmp_path, other.url) as (board, metrics):
            ended(board)
            until(lambda: count(metrics, "delivered") == 1, "the other one is told")
        assert (len(server.told), len(other.told)) == (1, 1)
    assert waiting(tmp_path) == []


def test_a_job_that_a_crash_reopened_is_told_once_it_is_over(tmp_path: Path) -> None:
    """The message is on the disk, the job's end is not."""
    with receiver() as server:
        settings = WebhookSettings(urls=(server.url,), secret=SECRET)
        board = JobBoard(tmp_path)
        identity = board.new_id()
        board.add(Job(identity, "calibration", "studio", {}, "2026-01-01T00:00:00Z"))
        with Webhooks(tmp_path, settings, Metrics()).telling(identity):
            pass
        with telling(tmp_path, server.url) as (board, metrics):
            time.sleep(0.1)
            assert server.told == []
            board.change(identity, state="done")
            until(lambda: count(metrics, "delivered") == 1, "it is delivered")
        assert len(server.told) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("webhooks: {urls: ['https://a.example/']}\n", "whsec_"),
        (f"webhooks: {{urls: ['file:///etc/passwd'], secret: {SECRET}}}\n", "http"),
        (f"webhooks: {{urls: ['http://u:p@a.example/'], secret: {SECRET}}}\n", "user"),
    ],
)
def test_bad_settings_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "quadglass.yaml"
    path.write_text(text)
    with pytest.raises(BadSettings, match=said):
        load_settings(path, {})
