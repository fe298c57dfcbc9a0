"""Live pictures into a service: files in real time, a real RTSP server, four-in-one films."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.layout import parse_layout
from quadglass import Client, Problem
from service.cli import app
from service.commands.send import _line
from service.config import Settings
from service.errors import BadValue
from service.sending.clock import ArrivalClock
from service.sending.sender import Sending, SendSettings, send
from service.sending.source import SourceLost, parse_source
from service.sending.tray import Ready, Tray

from ..service.server import running, until
from ..web.film import FRAMES, PEOPLE, RATE_HZ, RIG, RIG_YAML, Prompter, picture
from .rtsp import encoded, serving

TOLERANCE_MS = 12.0


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A second of film of each camera: motion JPEG, as USB cameras make it."""
    folder = tmp_path_factory.mktemp("films")
    return {
        camera.name: film(
            folder / f"{camera.name}.avi", [picture(t, camera) for t in range(FRAMES)]
        )
        for camera in RIG.cameras
    }


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with running(settings, predictor=Prompter()) as client:
        client.put("/v1/rigs/hall/rig.yaml", content=RIG_YAML).raise_for_status()
        yield client


@pytest.fixture
def client(service: httpx.Client) -> Iterator[Client]:
    with Client(str(service.base_url)) as client:
        yield client


def film(path: Path, images: list[np.ndarray], codec: str = "mjpeg") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(round(RATE_HZ)))
        stream.width, stream.height = images[0].shape[1], images[0].shape[0]
        stream.pix_fmt = "yuvj420p"
        stream.options = {"qmin": "2", "qmax": "3"}
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def together(client: Client, capture: str) -> tuple[int, float]:
    """Frame sets with both people, and the worst distance in metres of a joint to a moment's truth.

    A set of views of different moments would triangulate to nowhere.
    """
    worst, full = 0.0, 0
    for result in client.results(capture):
        if len(result.people) < 2:
            continue
        full += 1
        at = np.array([[j.position or (np.nan,) * 3 for j in p.joints] for p in result.people])
        distances = [
            np.nanmax(
                np.linalg.norm(at[:, None] - moment[None], axis=-1).max(axis=-1).min(axis=1),
            )
            for moment in PEOPLE
        ]
        worst = max(worst, min(distances))
    return full, worst


def test_files_at_their_own_rate_arrive_as_moments(client: Client, films: dict[str, Path]) -> None:
    client.create_capture("hall", "paced")
    sources = {camera: parse_source(str(path)) for camera, path in films.items()}
    start = time.monotonic()
    done = send(
        client,
        sources,
        None,
        SendSettings("hall", "paced", mode="all", tolerance_ms=TOLERANCE_MS),
        tell=pytest.fail,
    )
    assert time.monotonic() - start > (FRAMES - 2) / RATE_HZ
    # A busy machine may pass pictures over; what was sent is answered or said to be dropped.
    assert done.answered + sum(done.dropped.values()) >= FRAMES
    full, worst = together(client, "paced")
    assert full >= FRAMES // 2
    assert worst < 0.02
    times = [result.timestamp_ns for result in client.results("paced")]
    assert all(abs(t / 1e9 - time.time()) < 60 for t in times)


def test_files_as_fast_as_they_are_taken_lose_nothing(
    client: Client, films: dict[str, Path]
) -> None:
    client.create_capture("hall", "fast")
    sources = {camera: parse_source(str(path)) for camera, path in films.items()}
    settings = SendSettings("hall", "fast", mode="all", tolerance_ms=TOLERANCE_MS, paced=False)
    done = send(client, sources, None, settings, tell=pytest.fail)
    assert (done.sent, done.answered, sum(done.dropped.values())) == (4 * FRAMES, FRAMES, 0)
    full, worst = together(client, "fast")
    assert full == FRAMES
    assert worst < 0.02
    # Sent again, the file goes on behind what is there.
    again = send(client, sources, None, settings, tell=pytest.fail)
    assert again.answered == FRAMES
    assert client.capture("fast")["frames"] == 2 * FRAMES


def test_a_four_in_one_film_is_cut_apart(client: Client, tmp_path: Path) -> None:
    rows = [
        np.concatenate(
            [
                np.concatenate([picture(t, c) for c in RIG.cameras[i : i + 2]], axis=1)
                for i in (0, 2)
            ]
        )
        for t in range(8)
    ]
    path = film(tmp_path / "quad.avi", rows)
    client.create_capture("hall", "quad")
    done = send(
        client,
        {"": parse_source(str(path))},
        parse_layout("2x2"),
        SendSettings("hall", "quad", mode="all", paced=False, quality=95),
        tell=pytest.fail,
    )
    assert done.answered == 8
    full, worst = together(client, "quad")
    assert full == 8
    assert worst < 0.02


def test_network_cameras_are_put_together_and_come_back(client: Client) -> None:
    client.create_capture("hall", "rtsp")
    rate = 15
    stop, told = threading.Event(), []

    def enough(now: Sending) -> None:
        if now.answered >= 40:  # more than one film has: every camera went away and came back
            stop.set()

    with ExitStack() as stack:
        sources = {
            camera.name: parse_source(
                stack.enter_context(
                    serving(encoded([picture(t, camera) for t in range(FRAMES)], rate), rate)
                )
            )
            for camera in RIG.cameras
        }
        late = threading.Timer(60.0, stop.set)
        late.start()
        stack.callback(late.cancel)
        done = send(
            client,
            sources,
            None,
            SendSettings("hall", "rtsp", mode="latest", tolerance_ms=25.0, quality=95),
            tell=told.append,
            progress=enough,
            stop=stop,
        )
    assert done.answered >= 40
    assert {word.split()[0] for word in told} == {source.address for source in sources.values()}
    assert all("trying again" in word for word in told)


def test_a_service_that_restarts_is_found_again(films: dict[str, Path], tmp_path: Path) -> None:
    told: list[str] = []
    stop = threading.Event()
    done: list[Sending] = []
    settings = Settings(data_dir=tmp_path)
    sources = {"cam0": parse_source(str(films["cam0"]))}
    port = 0

    def go(url: str) -> None:
        with Client(url) as client:
            done.append(
                send(
                    client,
                    sources,
                    None,
                    SendSettings("hall", "long", mode="all"),
                    tell=told.append,
                    stop=stop,
                )
            )

    with running(settings, predictor=Prompter()) as first:
        first.put("/v1/rigs/hall/rig.yaml", content=RIG_YAML).raise_for_status()
        first.post("/v1/captures", json={"rig": "hall", "name": "long"}).raise_for_status()
        port = first.base_url.port or 0
        thread = threading.Thread(target=go, args=(str(first.base_url),), daemon=True)
        thread.start()
        until(lambda: first.get("/v1/captures/long").json()["frames"] >= 5, "frames arrive")
    with running(settings, predictor=Prompter(), port=port):
        thread.join(60)
    assert not thread.is_alive()
    assert any("trying again" in word for word in told)
    assert done[0].broke_off >= 1
    assert done[0].answered >= 10


def test_an_unknown_camera_is_named(client: Client, films: dict[str, Path]) -> None:
    sources = {"cam9": parse_source(str(films["cam0"]))}
    with pytest.raises(BadValue, match="no camera 'cam9'; its cameras are cam0"):
        send(client, sources, None, SendSettings("hall"), tell=pytest.fail)
    with pytest.raises(Problem, match="attic"):
        send(client, sources, None, SendSettings("attic"), tell=pytest.fail)


def test_a_file_that_is_no_film_is_an_error(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"no film at all")
    sources = {"cam0": parse_source(str(tmp_path / "a.avi"))}
    with pytest.raises(SourceLost, match=r"a\.avi"):
        send(client, sources, None, SendSettings("hall"), tell=pytest.fail)


def test_the_command_sends_and_counts(service: httpx.Client, films: dict[str, Path]) -> None:
    words = [f"{camera}={path}" for camera, path in films.items()]
    url = str(service.base_url)
    options = ["--rig", "hall", "--capture", "typed", "--mode", "all", "--fast", "--json"]
    out = CliRunner().invoke(app, ["send", *words, "--url", url, *options])
    assert out.exit_code == 0, out.output
    counts = json.loads(out.stdout)
    assert counts == {
        "pictures": 4 * FRAMES,
        "answered": FRAMES,
        "dropped": {},
        "broke_off": 0,
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/dev/video99"], "is not CAMERA=SOURCE"),
        (["cam0=/dev/video99"], "/dev/video99 is not there"),
        (["cam0=film.avi"], "is no file here"),
        (["cam0=rtsp://a", "cam0=rtsp://b"], "two sources"),
        (["rtsp://a", "rtsp://b", "--quad", "2x2"], "one four-in-one source"),
    ],
)
def test_sources_that_cannot_be_say_what_to_write(words: list[str], said: str) -> None:
    out = CliRunner().invoke(app, ["send", *words, "--rig", "hall"])
    assert out.exit_code == 2
    assert said in out.stderr


def test_a_late_picture_does_not_move_the_clock() -> None:
    rng = np.random.default_rng(3)
    clock = ArrivalClock()
    taken = 5000.0 + np.arange(400) / 30
    arrived = taken + 1e9 + 0.020 + rng.exponential(0.015, size=400)
    stamped = np.array([clock.at(t, a) for t, a in zip(taken, arrived, strict=True)])
    error = stamped[50:] - (taken[50:] + 1e9)
    assert np.all(np.diff(stamped) > 0)
    assert error.min() > 0.0199
    assert error.max() < 0.022  # the shortest way, not the jitter on it


def test_a_live_camera_passes_over_and_a_file_waits() -> None:
    tray = Tray(("a", "b"), depth=1)
    for moment in range(3):
        tray.put("a", Ready(moment, {}), wait=False)
    assert tray.take(0.0) == Ready(2, {})
    assert tray.passed_over["a"] == 2
    tray.put("a", Ready(3, {}), wait=True)
    putting = threading.Thread(
        target=tray.put, args=("a", Ready(4, {})), kwargs={"wait": True}, daemon=True
    )
    putting.start()
    putting.join(0.1)
    assert putting.is_alive()
    assert tray.take(0.0) == Ready(3, {})
    putting.join(5)
    assert tray.take(1.0) == Ready(4, {})
    tray.reader_ended("a")
    tray.reader_ended("b")
    assert tray.over


def test_a_moment_waits_for_the_slower_file() -> None:
    tray = Tray(("a", "b"), depth=4)
    tray.put("a", Ready(0, {"a": b"0"}), wait=True)
    tray.put("a", Ready(100, {"a": b"1"}), wait=True)
    assert tray.take_together(0.0, 10) is None
    tray.put("b", Ready(3, {"b": b"0"}), wait=True)
    assert tray.take_together(0.0, 10) == Ready(0, {"a": b"0", "b": b"0"})
    tray.reader_ended("b")  # it was shorter: the rest of the other is still sent
    assert tray.take_together(0.0, 10) == Ready(100, {"a": b"1"})


def test_the_line_of_counts_is_told_before_the_first_answer() -> None:
    report = {"sets_per_s": 0.0, "latency_ms": {"p50": None, "p95": None}}
    assert _line(Sending(report=report)) == "0 frame sets, 0 people, 0.0 a second"
    report = {"sets_per_s": 2.0, "latency_ms": {"p50": 31.4, "p95": 60.0}}
    assert _line(Sending(answered=3, report=report)).endswith("2.0 a second, 31 ms")
