"""Every status that the design names, each from the request that it is for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from models.errors import WeightsMissing
from service.config import ApiKey, HttpSettings, ModelSettings, QueueSettings, Settings
from service.hashing import hash_key

from .dots import DotPredictor
from .server import running, until
from .test_bad_input import problem
from .test_frames import waiting
from .test_logs import log
from .world import RIG_YAML, as_files, frame_set, person

FRAMES = "/v1/rigs/studio/frames"


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One service for all that changes nothing."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with running(settings, predictor=DotPredictor()) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        yield client


def test_400_for_what_does_not_parse(studio: httpx.Client) -> None:
    json = {"Content-Type": "application/json"}
    problem(studio.post("/v1/rigs", content=b"{nonsense", headers=json), 400, "malformed")
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    problem(studio.post(FRAMES, content=b"no form at all", headers=form), 400, "malformed")
    problem(
        studio.post(FRAMES, content=b"--x\r\nno: name\r\n\r\nx", headers=form), 400, "malformed"
    )
    bare = {"Content-Type": "multipart/form-data"}
    problem(studio.post(FRAMES, content=b"--x", headers=bare), 400, "malformed")
    problem(studio.put("/v1/rigs/x/rig.yaml", content=b" "), 400, "malformed")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    keys = (
        ApiKey(name="reader", hash=hash_key("r"), scopes=("read",)),
        ApiKey(name="stage", hash=hash_key("s"), scopes=("read", "capture")),
        ApiKey(name="boss", hash=hash_key("b"), scopes=("admin",)),
    )
    return Settings(data_dir=tmp_path_factory.mktemp("data"), http=HttpSettings(keys=keys))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_401_without_a_key_and_403_without_the_scope(keyed: Settings) -> None:
    with running(keyed, predictor=DotPredictor()) as client:
        missing = client.get("/v1/rigs")
        problem(missing, 401, "key_missing")
        assert missing.headers["WWW-Authenticate"].startswith("Bearer")
        problem(client.get("/v1/rigs", headers=bearer("wrong")), 401, "key_missing")
        problem(client.get("/metrics"), 401, "key_missing")
        for path in ("/", "/health/live", "/health/ready", "/static/index.html"):
            assert client.get(path).status_code == 200, path

        assert client.get("/v1/rigs", headers=bearer("r")).status_code == 200
        assert client.get("/v1/rigs", headers={"X-API-Key": "r"}).status_code == 200
        put = {"url": "/v1/rigs/studio/rig.yaml", "content": RIG_YAML}
        problem(client.put(**put, headers=bearer("s")), 403, "not_allowed")
        assert client.put(**put, headers=bearer("b")).status_code == 201
        files = as_files(frame_set([person()]))
        problem(client.post(FRAMES, files=files, headers=bearer("r")), 403, "not_allowed")
        assert client.post(FRAMES, files=files, headers=bearer("s")).status_code == 200


def test_403_for_pages_and_names_from_elsewhere(studio: httpx.Client) -> None:
    evil = studio.post("/v1/rigs", json={"name": "x"}, headers={"Origin": "https://evil.example"})
    problem(evil, 403, "not_allowed")
    rebound = studio.get("/v1/rigs", headers={"Host": "evil.example"})
    problem(rebound, 403, "not_allowed")
    own = {"Origin": str(studio.base_url).rstrip("/")}
    assert studio.post("/v1/rigs", json={"name": "y"}, headers=own).status_code == 201


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nothing"),
        ("GET", "/v1/rigs/nobody"),
        ("GET", "/v1/rigs/nobody/rig.yaml"),
        ("POST", "/v1/rigs/nobody/frames"),
        ("POST", "/v1/rigs/nobody/calibrations"),
        ("GET", "/v1/jobs/j0"),
        ("GET", "/v1/jobs/j0/events"),
        ("DELETE", "/v1/jobs/j0"),
        ("GET", "/v1/calibrations/c99"),
        ("GET", "/v1/calibrations/c99/rig.yaml"),
        ("GET", "/v1/calibrations/c99/report.json"),
        ("POST", "/v1/calibrations/c99/activate"),
        ("GET", "/v1/captures/nothing"),
        ("GET", "/v1/captures/nothing/frames"),
        ("GET", "/v1/captures/nothing/export?format=trc"),
        ("GET", "/v1/tickets/nothing"),
        ("GET", "/static/nothing.js"),
    ],
)
def test_404(studio: httpx.Client, method: str, path: str) -> None:
    problem(studio.request(method, path), 404, "not_found")


def test_404_for_a_capture_that_was_not_made(studio: httpx.Client) -> None:
    response = studio.post(FRAMES, files=as_files(frame_set([])), data={"capture": "nothing"})
    assert problem(response, 404, "not_found")["pointer"] == "/capture"


def test_405_names_what_is_allowed(studio: httpx.Client) -> None:
    response = studio.delete("/v1/rigs")
    problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, POST"


def test_409(studio: httpx.Client) -> None:
    assert studio.post("/v1/rigs", json={"name": "bare", "kind": "quad"}).status_code == 201
    problem(studio.post("/v1/rigs", json={"name": "bare"}), 409, "exists")
    files = as_files(frame_set([]))
    problem(studio.post("/v1/rigs/bare/frames", files=files), 409, "not_calibrated")
    problem(studio.post("/v1/captures", json={"rig": "bare"}), 409, "not_calibrated")
    problem(studio.get("/v1/rigs/bare/rig.yaml"), 409, "not_calibrated")
    take = {"rig": "studio", "name": "take"}
    assert studio.post("/v1/captures", json=take).status_code == 201
    problem(studio.post("/v1/captures", json=take), 409, "exists")
    studio.put("/v1/rigs/second/rig.yaml", content=RIG_YAML)
    other = studio.post("/v1/rigs/second/frames", files=files, data={"capture": "take"})
    problem(other, 409, "conflict")


def test_413_is_told_before_the_body_is_read(studio: httpx.Client) -> None:
    """A declared length is enough: nothing of the body is sent here."""
    head = f"POST {FRAMES} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999\r\n\r\n"
    with socket.create_connection((studio.base_url.host, studio.base_url.port or 80), 10) as line:
        line.sendall(head.encode())
        assert line.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_415(studio: httpx.Client) -> None:
    problem(studio.post(FRAMES, json={}), 415, "wrong_media_type")
    problem(studio.post(FRAMES, content=b"x"), 415, "wrong_media_type")
    problem(studio.post("/v1/images", files={"image": ("a", b"GIF89a")}), 415, "not_an_image")


def test_422_points_to_the_field(studio: httpx.Client) -> None:
    found = problem(studio.post("/v1/rigs", json={"name": "x", "kind": "six"}), 422, "bad_value")
    assert found["pointer"] == "/kind"
    assert found["errors"][0]["pointer"] == "/kind"
    found = problem(studio.post("/v1/rigs", json={"name": "x", "colour": 1}), 422, "bad_value")
    assert found["pointer"] == "/colour"
    found = problem(studio.get("/v1/captures/x/frames?limit=0"), 422, "bad_value")
    assert found["pointer"] == "/limit"
    wrong = studio.post("/v1/images", files={"picture": ("a", b"x")})
    assert problem(wrong, 422, "unusable")["pointer"] == "/picture"


def test_429_503_and_504(tmp_path: Path) -> None:
    hold = threading.Event()
    queue = QueueSettings(length=1, deadline_s=0.5)
    settings = Settings(data_dir=tmp_path, queue=queue)
    with running(settings, predictor=DotPredictor(hold=hold)) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        files = as_files(frame_set([]))
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(client.post, FRAMES, files=files)
            until(lambda: waiting(client) == 1, "one waits")
            full = client.post(FRAMES, files=files)
            problem(full, 429, "queue_full")
            assert full.headers["Retry-After"].isdigit()
            problem(slow.result(), 504, "deadline_passed")
        hold.set()


def test_503_while_no_worker_is_warm_says_why(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path, model=ModelSettings(weights=tmp_path / "no-such-network.onnx")
    )
    with running(settings, wait_ready=False) as client:

        def reason() -> str:
            response = client.get("/health/ready")
            return str(problem(response, 503, "not_ready")["detail"])

        until(lambda: "no-such-network.onnx" in reason(), "the reason")
        assert client.get("/health/live").status_code == 200
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        response = client.post(FRAMES, files=as_files(frame_set([])))
        assert "no-such-network.onnx" in problem(response, 503, "not_ready")["detail"]


def test_500_tells_nothing_but_where_to_look(settings: Settings) -> None:
    predictor = DotPredictor()
    predictor.failure = RuntimeError("a secret of the inside")
    with log("text") as written, running(settings, predictor=predictor) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        response = client.post(FRAMES, files=as_files(frame_set([])))
        problem(response, 500, "internal")
        assert "secret" not in response.text
        assert response.headers["X-Request-ID"] in written.getvalue()
        assert "a secret of the inside" in written.getvalue()
        assert client.get("/v1/rigs").status_code == 200


def test_a_missing_network_is_an_error_with_a_status() -> None:
    from service.errors import status_of

    assert status_of(WeightsMissing("x")) == 503
