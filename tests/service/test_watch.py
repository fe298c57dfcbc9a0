"""Looking on at a capture, through a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from service.config import Settings, StoreSettings

from .dots import DotPredictor
from .live import Live, live, parts, unread
from .server import running
from .test_captures import post, two
from .world import FRAME_NS, RIG_YAML, frame_set

WATCH = "/v1/captures/take/watch"


@pytest.fixture
def take(studio: httpx.Client) -> httpx.Client:
    assert studio.post("/v1/captures", json={"rig": "studio", "name": "take"}).status_code == 201
    return studio


def pictures(watcher: Live) -> tuple[dict[str, Any], dict[str, bytes]]:
    data = watcher.connection.recv(20)
    assert isinstance(data, bytes)
    return parts(data)


def test_who_watches_sees_every_posted_result(take: httpx.Client) -> None:
    with live(take, WATCH) as watcher:
        for number in range(3):
            sent = post(take, number, two(number))
            assert watcher.next("result") == {"type": "result", "result": sent}


def test_who_watches_sees_a_stream_too(take: httpx.Client) -> None:
    with live(take, WATCH) as watcher, live(take, "/v1/rigs/studio/stream?capture=take") as stream:
        for number in range(3):
            stream.send(frame_set(two(number)), number * FRAME_NS)
            sent = stream.next("result")["result"]
            assert watcher.next("result")["result"] == sent


def test_pictures_come_as_wide_as_wanted(take: httpx.Client) -> None:
    with live(take, f"{WATCH}?pictures=160") as watcher:
        post(take, 4, two(0))
        result = watcher.next("result")["result"]
        header, images = pictures(watcher)
    assert (header["sequence"], header["timestamp_ns"]) == (0, 4 * FRAME_NS)
    assert header["sequence"] == result["sequence"]
    assert sorted(images) == ["cam0", "cam1", "cam2", "cam3"]
    for data in images.values():
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (100, 160, 3)


def test_pictures_are_shown_where_none_are_kept(settings: Settings) -> None:
    chosen = settings.model_copy(update={"store": StoreSettings(keep_frames="none")})
    with running(chosen, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        with live(client, f"{WATCH}?pictures=64") as watcher:
            post(client, 0, two(0))
            watcher.next("result")
            assert len(pictures(watcher)[1]) == 4
        assert client.get("/v1/captures/take/frames/0/cam0.jpg").status_code == 404


@pytest.mark.parametrize("width", ["0", "5000", "-1", "wide", "1e3"])
def test_a_width_that_cannot_be(take: httpx.Client, width: str) -> None:
    with live(take, f"{WATCH}?pictures={width}") as watcher:
        assert watcher.next("problem")["problem"]["pointer"] == "/pictures"


def test_a_watcher_that_does_not_read_holds_nobody_up(settings: Settings) -> None:
    """It skips: what it reads at last is in order, the newest is there, the middle is not."""
    count = 40
    images = frame_set(two(0))
    with running(settings, predictor=DotPredictor(), send_buffer=20_000) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        with (
            live(client, WATCH, **unread(client)) as watcher,
            live(client, "/v1/rigs/studio/stream?capture=take") as stream,
        ):
            for number in range(count):
                stream.send(images, number * FRAME_NS)
                assert stream.next("result")["result"]["sequence"] == number
            seen: list[int] = []
            while not seen or seen[-1] != count - 1:
                seen.append(watcher.next("result")["result"]["sequence"])
    assert seen == sorted(set(seen))
    assert len(seen) < count


def events(response: httpx.Response) -> Iterator[tuple[str, str, dict[str, Any]]]:
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


def test_results_as_server_sent_events(take: httpx.Client) -> None:
    with take.stream("GET", "/v1/captures/take/events") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        told = events(response)
        with httpx.Client(base_url=take.base_url, timeout=30) as poster:
            for number in range(2):
                sent = post(poster, number, two(number))
                assert next(told) == ("result", str(number), sent)
    assert take.get("/v1/captures/none/events").status_code == 404
