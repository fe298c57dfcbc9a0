from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from service.config import ApiKey, HttpSettings, LogSettings, Settings
from service.hashing import hash_key
from service.logs import marked, redacted, write_logs
from service.wire import task_from_fields, task_to_fields

from .dots import DotPredictor
from .server import running
from .tasks import task
from .world import RIG_YAML, as_files, frame_set, person

KEY = "qg_" + "Zx7-tQ_9" * 4


@contextmanager
def log(kind: Literal["text", "json"], level: int = logging.INFO) -> Iterator[io.StringIO]:
    """What the root logger writes in the block, as `quadglass serve` would on stderr."""
    root, stream = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(stream)
    before = {one: one.formatter for one in root.handlers}
    httpx_level, root_level = logging.getLogger("httpx").level, root.level
    root.addHandler(handler)
    root.setLevel(level)
    write_logs(LogSettings(format=kind))
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(root_level)
        logging.getLogger("httpx").setLevel(httpx_level)
        for one, formatter in before.items():
            one.setFormatter(formatter)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_its_ids_and_its_exception() -> None:
    with log("json") as stream, marked(request="r1", capture=None):
        try:
            raise ValueError("out of\nrange")
        except ValueError:
            logging.getLogger("service.test").exception("it broke: %d", 7)
    (line,) = lines(stream)
    assert {name: line[name] for name in ("level", "logger", "message", "request")} == {
        "level": "error",
        "logger": "service.test",
        "message": "it broke: 7",
        "request": "r1",
    }
    assert "capture" not in line
    assert line["exception"].endswith("ValueError: out of\nrange")


def test_a_text_line_ends_with_its_ids() -> None:
    with log("text") as stream:
        with marked(request="r1"), marked(capture="take-1"):
            logging.getLogger("service.test").warning("inside")
        logging.getLogger("service.test").warning("outside")
    inside, outside = stream.getvalue().splitlines()
    assert inside.endswith("WARNING service.test: inside [request=r1 capture=take-1]")
    assert outside.endswith("WARNING service.test: outside")


def test_the_request_goes_through_the_queue_to_the_line_of_the_worker(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with log("json") as stream, running(settings, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take-1"})
        named = client.post(
            "/v1/rigs/studio/frames",
            files=as_files(frame_set([person()])),
            data={"capture": "take-1"},
            headers={"X-Request-ID": "mine-7"},
        )
        assert named.status_code == 200, named.text
    found = [line for line in lines(stream) if line.get("request") == "mine-7"]
    by_logger = {line["logger"]: line for line in found}
    assert by_logger["service.worker"]["capture"] == "take-1"
    assert by_logger["service.worker"]["message"].endswith("looked at, 1 people")
    assert by_logger["service.edge"]["message"].startswith("POST /v1/rigs/studio/frames: 200 in")


def test_the_ids_are_in_the_fields_of_an_entry_in_redis() -> None:
    one = task()
    ids = {"request": "r1", "capture": "take-1"}
    fields = task_to_fields(type(one)(one.images, None, 1, 2, marks=ids), "")
    assert task_from_fields(fields).marks == ids
    older = {name: value for name, value in fields.items() if name != b"marks"}
    assert task_from_fields(older).marks == {}


@pytest.mark.parametrize("kind", ["text", "json"])
def test_a_key_never_appears(tmp_path: Path, kind: Literal["text", "json"]) -> None:
    """However it is sent, right or wrong, at the wordiest level, over HTTP and a socket."""
    key = ApiKey(name="stage", hash=hash_key(KEY), scopes=("admin",))
    settings = Settings(data_dir=tmp_path, http=HttpSettings(keys=(key,)))
    wrong = "a-key-of-no-shape"
    with log(kind, logging.DEBUG) as stream, running(settings, predictor=DotPredictor()) as client:
        for one in (KEY, wrong):
            bearer = {"Authorization": f"Bearer {one}"}
            client.get("/v1/rigs", headers=bearer)
            client.get("/v1/rigs", params={"key": one})
            client.get("/v1/rigs", params={"token": one}, headers=bearer)
            client.get(f"/v1/rigs/{KEY}", headers=bearer)
            address = str(client.base_url).replace("http", "ws", 1) + "/v1/rigs/none/stream"
            with (
                suppress(WebSocketException),  # refused, or told that there is no such rig
                connect(
                    address, subprotocols=[Subprotocol("quadglass.v1"), Subprotocol(f"key.{one}")]
                ) as socket,
            ):
                socket.recv()
    written = stream.getvalue()
    assert "/v1/rigs" in written
    assert KEY not in written
    assert wrong not in written


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("redis://user:pass@host:6379/0 is gone", "redis://***@host:6379/0 is gone"),
        ("redis://:pass@host/0", "redis://***@host/0"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("quadglass.v1, key.abc, other", "quadglass.v1, key.***, other"),
        ("whsec_QUJD+/= is bad", "*** is bad"),
        ("GET /v1/rigs?key=abc&x=1", "GET /v1/rigs?key=***&x=1"),
        ("capture take-1: 3 people", "capture take-1: 3 people"),
    ],
)
def test_what_is_blotted_out(said: str, written: str) -> None:
    assert redacted(said) == written


def test_the_setting() -> None:
    from service.config import load_settings

    assert load_settings(environ={}).log.format == "text"
    assert load_settings(environ={"QUADGLASS_LOG_FORMAT": "json"}).log.format == "json"
