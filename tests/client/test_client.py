"""The client against a real service."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import numpy as np
import pytest

from quadglass import AsyncClient, Client, Dropped, Problem, Result, Unreachable
from quadglass.live import packed
from quadglass.retry import Retry, wait_s
from service.config import Settings
from service.framing import unpacked
from service.key_ring import FILE, new_key

from ..service.dots import DotPredictor
from ..service.server import running
from ..service.world import FRAME_NS, RIG, RIG_YAML, errors_m, frame_set, person

START_NS = 1_785_000_000_000_000_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with running(settings, predictor=DotPredictor()) as service:
        service.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML).raise_for_status()
        yield str(service.base_url)


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url) as client:
        yield client


def test_frames_in_people_out(client: Client) -> None:
    client.create_capture("studio", "walk")
    truth = [person(0.1 * step) for step in range(3)]
    for step, body in enumerate(truth):
        result = client.post_frames(
            "studio", frame_set([body]), timestamp_ns=START_NS + step * FRAME_NS, capture="walk"
        )
        (found,) = result.people
        at = np.array([joint.position or (np.nan,) * 3 for joint in found.joints])
        assert np.nanmax(errors_m(at, body)) < 0.02
        assert found.joint("left_knee").views >= 2
        assert set(found.views) <= set(RIG.names)
    again = list(client.results("walk"))
    assert [result.sequence for result in again] == [0, 1, 2]
    assert {one.id for result in again for one in result.people} == {0}
    assert client.capture("walk")["frames"] == 3
    assert client.export("walk", "trc").startswith(b"PathFileType")


def test_captures_are_renamed_and_deleted(client: Client, url: str) -> None:
    client.create_capture("studio", "first")
    assert client.rename_capture("first", "second")["name"] == "second"
    with pytest.raises(Problem) as gone:
        client.delete_capture("first")
    assert gone.value.status == 404

    async def rest() -> None:
        async with AsyncClient(url) as waiting:
            assert (await waiting.rename_capture("second", "third"))["name"] == "third"
            await waiting.delete_capture("third")

    asyncio.run(rest())
    assert "third" not in {one["name"] for one in client.captures()}


def test_a_picture_without_a_rig(client: Client) -> None:
    result = client.detect(frame_set([person()])["cam0"])
    assert len(result.people) == 1
    assert result.size_px == (640, 400)


def test_rigs_are_made_and_read(client: Client, tmp_path: Path) -> None:
    client.create_rig("hall", "quad")
    with pytest.raises(Problem) as taken:
        client.create_rig("hall", "quad")
    assert (taken.value.status, taken.value.code) == (409, "exists")
    (tmp_path / "rig.yaml").write_bytes(RIG_YAML)
    client.put_rig("hall", tmp_path / "rig.yaml")
    assert {rig["name"] for rig in client.rigs()} >= {"hall", "studio"}
    assert "quadglass-rig/1" in client.rig_file("hall")


def test_a_refusal_says_what_to_do(client: Client) -> None:
    with pytest.raises(Problem, match="cam9") as refused:
        client.post_frames("studio", {"cam9": frame_set([person()])["cam0"]})
    assert refused.value.status == 422
    with pytest.raises(Problem) as absent:
        client.rig("attic")
    assert absent.value.status == 404


def test_the_async_client_does_the_same(url: str) -> None:
    async def go() -> list[Result]:
        async with AsyncClient(url) as client:
            await client.create_capture("studio", "async")
            await client.post_frames(
                "studio", frame_set([person()]), timestamp_ns=START_NS, capture="async"
            )
            return [result async for result in client.results("async")]

    (result,) = asyncio.run(go())
    assert len(result.people) == 1


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert public(Client) == public(AsyncClient)


def test_a_stream_answers_all_that_was_sent(client: Client) -> None:
    client.create_capture("studio", "live")
    with client.stream("studio", capture="live") as stream:
        assert stream.hello["cameras"] == list(RIG.names)
        for step in range(4):
            stream.send(frame_set([person(0.1 * step)]), START_NS + step * FRAME_NS, step)
        stream.end()
        events = list(stream)
    assert [event.sequence for event in events if isinstance(event, Result)] == [0, 1, 2, 3]
    assert len(events) == 4


def test_what_is_dropped_says_why(client: Client) -> None:
    client.create_capture("studio", "broken")
    with client.stream("studio", capture="broken") as stream:
        stream.send(dict.fromkeys(RIG.names, b"no picture"), START_NS, 7)
        stream.end()
        (event,) = stream
    assert isinstance(event, Dropped)
    assert (event.sequence, event.reason) == (7, "not_an_image")


def test_an_async_stream(url: str) -> None:
    async def go() -> list[Result | Dropped]:
        client = AsyncClient(url)
        async with client.stream("studio", mode="all") as stream:
            await stream.send(frame_set([person()]), START_NS)
            await stream.end()
            events = [event async for event in stream]
        await client.close()
        return events

    (event,) = asyncio.run(go())
    assert isinstance(event, Result)


def test_a_stream_of_no_rig_is_refused_in_words(client: Client) -> None:
    with pytest.raises(Problem, match="attic"), client.stream("attic"):
        pass


def test_messages_are_what_the_service_reads() -> None:
    images = {"cam0": b"one", "cam1": b"three"}
    message = unpacked(packed(images, START_NS, 5), 1000)
    assert (message.timestamp_ns, message.sequence, dict(message.images)) == (START_NS, 5, images)


def test_a_key_opens_calls_and_streams(tmp_path: Path) -> None:
    key = new_key(tmp_path / FILE, "a", ["admin"])
    with running(Settings(data_dir=tmp_path), predictor=DotPredictor(), wait_ready=True) as service:
        url = str(service.base_url)
        with Client(url) as stranger, pytest.raises(Problem) as refused:
            stranger.rigs()
        assert refused.value.status == 401
        with Client(url, key) as client:
            client.put_rig("studio", RIG_YAML)
            with client.stream("studio") as stream:
                assert stream.hello["rig"] == "studio"


class _Busy(BaseHTTPRequestHandler):
    """A service that is full for the first two tries."""

    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(self.headers["Idempotency-Key"])
        full = len(self.seen) < 3
        body = json.dumps({"detail": "full"} if full else ANSWER).encode()
        self.send_response(429 if full else 200)
        if full:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


ANSWER = {
    "rig": "studio",
    "capture": None,
    "sequence": None,
    "timestamp_ns": 1,
    "people": [],
    "single_view": {},
}


def test_a_full_service_is_asked_again_with_the_same_identity() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Busy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with Client(f"http://127.0.0.1:{server.server_port}") as client:
            assert client.post_frames("studio", {"cam0": b"x"}).timestamp_ns == 1
    finally:
        server.shutdown()
        server.server_close()
    assert len(_Busy.seen) == 3
    assert len(set(_Busy.seen)) == 1


def test_nobody_there_is_said_with_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}", retry=Retry(tries=2, first_wait_s=0.01))
    with client, pytest.raises(Unreachable, match=f"127.0.0.1:{port}.*is the service running"):
        client.rigs()
    with pytest.raises(Unreachable), client.stream("studio"):
        pass


def test_what_may_have_been_done_is_not_done_twice() -> None:
    retry, lost = Retry(), httpx.ReadError("gone")
    assert wait_s(retry, 1, False, lost) is None
    assert wait_s(retry, 1, True, lost) is not None
    assert wait_s(retry, 1, False, httpx.ConnectError("refused")) is not None
    assert wait_s(retry, 1, False, httpx.Response(503)) is not None
    assert wait_s(retry, 1, True, httpx.Response(500)) is None
    assert wait_s(retry, retry.tries, True, httpx.Response(503)) is None
    told = wait_s(retry, 1, True, httpx.Response(429, headers={"Retry-After": "3"}), lambda: 0.0)
    assert told == 3.0
