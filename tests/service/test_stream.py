"""Live streams through a real server, with the `websockets` client."""

from __future__ import annotations

import threading
import time
from collections import Counter
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from service.config import ApiKey, HttpSettings, QueueSettings, Settings, StreamSettings
from service.hashing import hash_key

from .dots import DotPredictor
from .live import live, unread
from .server import running, until
from .world import FRAME_NS, RIG_YAML, as_files, frame_set, person

STREAM = "/v1/rigs/studio/stream"
CAMERAS = ["cam0", "cam1", "cam2", "cam3"]


def two(number: int) -> list[Any]:
    return [person(-0.6 + 0.03 * number, 0.5), person(0.6 - 0.03 * number, -0.5)]


def ids(result: dict[str, Any]) -> set[int]:
    return {one["id"] for one in result["people"]}


def sides(result: dict[str, Any]) -> dict[int, float]:
    """Which side of the room each identity is on."""
    hips = (11, 12)
    return {
        one["id"]: float(np.sign(np.mean([one["joints"][j]["position"][1] for j in hips])))
        for one in result["people"]
    }


def of(said: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in said if one["type"] == kind]


def balanced(report: dict[str, Any]) -> bool:
    """Nothing that was received is unaccounted for."""
    return bool(report["received"] == report["answered"] + sum(report["dropped"].values()))


@pytest.fixture
def take(studio: httpx.Client) -> httpx.Client:
    assert studio.post("/v1/captures", json={"rig": "studio", "name": "take"}).status_code == 201
    return studio


def test_frame_sets_go_in_and_results_come_out_in_order(take: httpx.Client) -> None:
    with live(take, f"{STREAM}?capture=take&mode=all") as stream:
        hello = stream.next("hello")
        assert (hello["rig"], hello["capture"], hello["cameras"]) == ("studio", "take", CAMERAS)
        assert (hello["mode"], hello["tolerance_ms"]) == ("all", 10.0)
        assert hello["max_message_bytes"] > 10**6
        for number in range(12):
            stream.send(frame_set(two(number)), number * FRAME_NS, 100 + number)
        stream.end()
        said = stream.rest()
        assert (stream.connection.close_code, of(said, "dropped")) == (1000, [])
    results = of(said, "result")
    assert [one["sequence"] for one in results] == list(range(100, 112))
    frames = [one["result"] for one in results]
    assert [one["sequence"] for one in frames] == list(range(12))
    assert [one["timestamp_ns"] for one in frames] == [n * FRAME_NS for n in range(12)]
    assert all(sides(one) == sides(frames[0]) and len(sides(one)) == 2 for one in frames)
    assert take.get("/v1/captures/take/frames").json()["frames"] == frames
    last = of(said, "report")[-1]
    assert (last["received"], last["answered"], last["dropped"]) == (12, 12, {})
    assert 0 < last["latency_ms"]["p50"] <= last["latency_ms"]["p95"]


def test_views_that_come_one_by_one_are_put_together(take: httpx.Client) -> None:
    with live(take, f"{STREAM}?capture=take&tolerance_ms=12") as stream:
        for number in range(3):
            for place, (name, data) in enumerate(frame_set(two(number)).items()):
                stream.send({name: data}, number * FRAME_NS + place * 3_000_000)
        stream.end()
        results = [one["result"] for one in of(stream.rest(), "result")]
    assert [one["timestamp_ns"] for one in results] == [n * FRAME_NS for n in range(3)]
    assert all(sorted(one["posted"]) == CAMERAS and len(ids(one)) == 2 for one in results)


def test_a_set_with_a_view_missing_is_answered_and_the_late_view_is_told(
    take: httpx.Client,
) -> None:
    images = frame_set(two(0))
    last = {"cam3": images.pop("cam3")}
    with live(take, f"{STREAM}?capture=take") as stream:
        stream.send(images, 0, 7)
        result = stream.next("result")["result"]  # it has waited long enough
        assert result["posted"] == CAMERAS[:3]
        assert len(ids(result)) == 2
        stream.send(last, 1_000_000, 8)
        dropped = stream.next("dropped")
        assert (dropped["reason"], dropped["views"], dropped["sequence"]) == ("late", ["cam3"], 8)
        stream.end()
        report = of(stream.rest(), "report")[-1]
    assert balanced(report)
    assert report["dropped"] == {"late": 1}


def test_without_a_capture_people_have_no_identities(studio: httpx.Client) -> None:
    with live(studio, STREAM) as stream:
        assert stream.next("hello")["capture"] is None
        stream.send(frame_set(two(0)), 5)
        result = stream.next("result")["result"]
    assert ids(result) == {-1}
    assert (result["capture"], result["sequence"], result["timestamp_ns"]) == (None, None, 5)


def test_a_capture_goes_on_in_another_connection_with_the_same_people(take: httpx.Client) -> None:
    def part(numbers: range) -> list[dict[str, Any]]:
        with live(take, f"{STREAM}?capture=take") as stream:
            last_ns = stream.next("hello")["last_timestamp_ns"]
            assert last_ns == (None if numbers[0] == 0 else (numbers[0] - 1) * FRAME_NS)
            for number in numbers:
                stream.send(frame_set(two(number)), number * FRAME_NS)
            stream.end()
            return [one["result"] for one in of(stream.rest(), "result")]

    first = part(range(3))
    posted = take.post(
        "/v1/rigs/studio/frames",
        files=as_files(frame_set(two(3))),
        data={"timestamp_ns": str(3 * FRAME_NS), "capture": "take"},
    ).json()
    after = part(range(4, 7))
    everything = [*first, posted, *after]
    assert [one["sequence"] for one in everything] == list(range(7))
    assert all(sides(one) == sides(first[0]) for one in everything)


def test_a_sender_that_vanishes_leaves_whole_results(take: httpx.Client) -> None:
    with live(take, f"{STREAM}?capture=take") as stream:
        for number in range(4):
            stream.send(frame_set(two(number)), number * FRAME_NS)
        stream.next("result")
        stream.connection.socket.close()
    until(lambda: _quiet(take), "what was under way is done")
    with live(take, f"{STREAM}?capture=take") as stream:
        last_ns = stream.next("hello")["last_timestamp_ns"]
        begin = last_ns // FRAME_NS + 1
        for number in range(begin, 6):
            stream.send(frame_set(two(number)), number * FRAME_NS)
        stream.end()
        stream.rest()
    frames = take.get("/v1/captures/take/frames").json()["frames"]
    assert [one["timestamp_ns"] for one in frames] == [n * FRAME_NS for n in range(6)]


def _quiet(client: httpx.Client) -> bool:
    before = client.get("/v1/captures/take").json()["frames"]
    time.sleep(0.3)
    return bool(client.get("/v1/captures/take").json()["frames"] == before)


def test_latest_drops_what_is_overtaken_while_the_worker_is_busy(settings: Settings) -> None:
    hold = threading.Event()
    with running(settings, predictor=DotPredictor(hold=hold)) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        with live(client, f"{STREAM}?capture=take&mode=latest") as stream:
            images = frame_set(two(0))
            for number in range(10):
                stream.send(images, number * FRAME_NS, number)
            # The first is being looked at, the last waits, those between were overtaken.
            while len(stream.of("dropped")) < 8:
                stream.next("dropped")
            hold.set()
            stream.end()
            said = stream.rest()
    assert [one["sequence"] for one in of(said, "result")] == [0, 9]
    dropped = of(said, "dropped")
    assert [one["sequence"] for one in dropped] == list(range(1, 9))
    assert Counter(one["reason"] for one in dropped) == {"overtaken": 8}
    assert [one["result"]["sequence"] for one in of(said, "result")] == [0, 1]
    assert balanced(of(said, "report")[-1])


def test_all_stops_reading_when_its_window_is_full(settings: Settings) -> None:
    """The sender's own send blocks: nothing is dropped, and memory is bounded."""
    hold = threading.Event()
    predictor = DotPredictor(hold=hold)
    images = {name: data + bytes(400_000) for name, data in frame_set(two(0)).items()}
    chosen = settings.model_copy(update={"stream": StreamSettings(window=3)})
    sent = 0
    with running(chosen, predictor=predictor) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        with live(client, f"{STREAM}?mode=all") as stream:

            def send() -> None:
                nonlocal sent
                for number in range(30):
                    stream.send(images, number * FRAME_NS, number)
                    sent += 1

            sender = threading.Thread(target=send)
            sender.start()
            last = -1
            while sent != last:
                last = sent
                time.sleep(1.0)
            # The window, one set beside it, one message, and what the sockets hold.
            assert 4 <= sent < 20
            hold.set()
            sender.join(30)
            stream.end()
            said = stream.rest()
    assert [one["sequence"] for one in of(said, "result")] == list(range(30))
    assert of(said, "dropped") == []


def test_all_waits_while_the_queue_is_full(settings: Settings) -> None:
    chosen = settings.model_copy(update={"queue": QueueSettings(length=1)})
    with running(chosen, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        with live(client, f"{STREAM}?mode=all") as stream:
            for number in range(6):
                stream.send(frame_set(two(number)), number * FRAME_NS, number)
            stream.end()
            said = stream.rest()
    assert [one["sequence"] for one in of(said, "result")] == list(range(6))


def test_a_deadline_that_passes_is_a_drop_with_its_reason(settings: Settings) -> None:
    hold = threading.Event()
    chosen = settings.model_copy(update={"queue": QueueSettings(deadline_s=0.3)})
    with running(chosen, predictor=DotPredictor(hold=hold)) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        with live(client, STREAM) as stream:
            for number in range(3):
                stream.send(frame_set([]), number, number)
            dropped = [stream.next("dropped") for _ in range(3)]
            hold.set()
            stream.send(frame_set([]), 9, 9)
            assert stream.next("result")["sequence"] == 9
    assert {one["reason"] for one in dropped} == {"deadline_passed"}
    assert dropped[0]["problem"]["status"] == 504


def test_a_bad_set_is_told_and_the_stream_goes_on(take: httpx.Client) -> None:
    good = frame_set(two(0))
    with live(take, f"{STREAM}?capture=take") as stream:
        stream.send(good, 5 * FRAME_NS, 0)
        stream.next("result")
        stream.send({**good, "cam0": good["cam0"][:90]}, 6 * FRAME_NS, 1)
        broken = stream.next("dropped")
        assert (broken["reason"], broken["sequence"]) == ("broken_image", 1)
        assert broken["problem"]["pointer"] == "/cam0"
        stream.send({"cam9": good["cam0"]}, 7 * FRAME_NS, 2)
        unknown = stream.next("dropped")
        assert (unknown["reason"], unknown["problem"]["camera"]) == ("unknown_camera", "cam9")
        stream.send(good, 4 * FRAME_NS, 3)
        assert stream.next("dropped")["reason"] == "late"
        stream.send(good, 8 * FRAME_NS, 4)
        assert stream.next("result")["sequence"] == 4
        stream.end()
        assert balanced(of(stream.rest(), "report")[-1])


@pytest.mark.parametrize(
    ("sent", "code", "close"),
    [
        (b"no frames", "malformed", 1008),
        ("hello?", "malformed", 1008),
        ('{"type": "stop"}', "malformed", 1008),
    ],
)
def test_what_cannot_be_read_ends_the_stream_with_a_problem(
    studio: httpx.Client, sent: bytes | str, code: str, close: int
) -> None:
    with live(studio, STREAM) as stream:
        stream.next("hello")
        stream.connection.send(sent)
        problem = stream.next("problem")["problem"]
        with pytest.raises(ConnectionClosed):
            stream.next("nothing")
        assert (problem["code"], stream.connection.close_code) == (code, close)


def test_a_message_over_the_limit_closes_before_it_is_read(settings: Settings) -> None:
    chosen = settings.model_copy(update={"stream": StreamSettings(message_bytes=50_000)})
    with running(chosen, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        with live(client, STREAM) as stream:
            assert stream.next("hello")["max_message_bytes"] == 50_000
            stream.send({"cam0": bytes(60_000)}, 0)
            with pytest.raises(ConnectionClosed):
                stream.next("result")
            assert stream.connection.close_code == 1009


@pytest.mark.parametrize(
    ("path", "code", "pointer"),
    [
        ("/v1/rigs/none/stream", "not_found", None),
        (f"{STREAM}?capture=none", "not_found", "/capture"),
        (f"{STREAM}?mode=some", "bad_value", "/mode"),
        (f"{STREAM}?tolerance_ms=nan", "bad_value", "/tolerance_ms"),
        (f"{STREAM}?tolerance_ms=-1", "bad_value", "/tolerance_ms"),
        ("/v1/captures/none/watch", "not_found", "/capture"),
    ],
)
def test_an_address_that_cannot_be_is_refused_in_words(
    studio: httpx.Client, path: str, code: str, pointer: str | None
) -> None:
    with live(studio, path) as stream:
        problem = stream.next("problem")["problem"]
        with pytest.raises(ConnectionClosed):
            stream.next("nothing")
        assert (problem["code"], problem.get("pointer")) == (code, pointer)
        assert stream.connection.close_code == 1008


def test_only_so_many_are_connected(settings: Settings) -> None:
    chosen = settings.model_copy(update={"stream": StreamSettings(connections=1)})
    with running(chosen, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        with live(client, STREAM) as first:
            first.next("hello")
            with live(client, STREAM) as second:
                assert second.next("problem")["problem"]["status"] == 429
        until(lambda: _connects(client), "the first one's place is free again")


def _connects(client: httpx.Client) -> bool:
    with live(client, STREAM) as stream:
        return bool(stream.next("hello", "problem")["type"] == "hello")


def test_a_reader_that_stalls_is_let_go_and_the_capture_is_whole(settings: Settings) -> None:
    chosen = settings.model_copy(update={"stream": StreamSettings(stall_s=0.5)})
    with running(chosen, predictor=DotPredictor(), send_buffer=20_000) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        images = frame_set(two(0))
        # No message is taken off the line: the client's buffers fill, then the service's.
        with live(client, f"{STREAM}?capture=take", **unread(client)) as stream:
            sets = (partial(stream.send, images, number * FRAME_NS) for number in range(2000))
            with pytest.raises(ConnectionClosed):
                _ = [send() for send in sets]
        kept = client.get("/v1/captures/take").json()["frames"]
        assert 0 < kept < 2000
        assert "quadglass_connections 0.0" in client.get("/metrics").text


KEYS = HttpSettings(
    keys=(
        ApiKey(name="stage", hash=hash_key("stage-key"), scopes=("capture",)),
        ApiKey(name="page", hash=hash_key("page-key"), scopes=("read",)),
    )
)


def test_keys_and_scopes_count_for_sockets_too(settings: Settings) -> None:
    chosen = settings.model_copy(update={"http": KEYS})
    with running(chosen, predictor=DotPredictor()) as client:

        def status(path: str, **options: Any) -> int:
            try:
                with live(client, path, **options) as stream:
                    stream.next("hello", "problem")
                    return 101
            except InvalidStatus as error:
                answer = error.response
            assert answer.headers["Content-Type"] == "application/problem+json"
            return answer.status_code

        def bearer(key: str) -> dict[str, Any]:
            return {"additional_headers": {"Authorization": f"Bearer {key}"}}

        def offered(key: str) -> dict[str, Any]:
            return {"subprotocols": ["quadglass.v1", f"key.{key}"]}

        watch = "/v1/captures/take/watch"
        assert status(STREAM) == 401
        for carried in (bearer, offered):
            assert status(STREAM, **carried("wrong")) == 401
            assert status(STREAM, **carried("page-key")) == 403
            assert status(STREAM, **carried("stage-key")) == 101
            assert status(watch, **carried("stage-key")) == 403
            assert status(watch, **carried("page-key")) == 101
        with live(client, STREAM, **offered("stage-key")) as stream:
            # The key is never said back.
            assert stream.connection.subprotocol == "quadglass.v1"


def test_pages_of_other_origins_may_not_connect(studio: httpx.Client) -> None:
    with pytest.raises(InvalidStatus) as refused:
        live(studio, STREAM, origin="http://elsewhere.example").__enter__()
    assert refused.value.response.status_code == 403
