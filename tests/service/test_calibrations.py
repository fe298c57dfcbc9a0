from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from calibration.calibrate import CalibrateSettings, Calibration, Progress
from calibration.errors import Cancelled
from calibration.formats import write_easymocap
from service import calibration_jobs
from service.config import Settings, StoreSettings

from .conftest import SHARED
from .dots import DotPredictor
from .server import running, until
from .test_bad_input import chessboard, problem
from .world import FRAME_NS, RIG, RIG_YAML, as_files, frame_set, person

FRAMES = "/v1/rigs/studio/frames"
CALIBRATIONS = "/v1/rigs/pair/calibrations"
BOARD = {"board": "9x6", "square_mm": "25"}
NUMBERS = ("01", "03", "05", "07", "09", "12", "14")
OVER = ("done", "failed", "cancelled")


@pytest.fixture(scope="module")
def stereo() -> dict[str, list[tuple[str, bytes]]]:
    """Seven pairs of pictures of a board, under the same names in both cameras."""
    folder = SHARED / "data" / "opencv-stereo"
    if not (folder / "left01.jpg").exists():
        pytest.skip(f"the board pictures are missing: {folder}")
    return {
        side: [(f"{n}.jpg", (folder / f"{side}{n}.jpg").read_bytes()) for n in NUMBERS]
        for side in ("left", "right")
    }


@pytest.fixture
def pair(client: httpx.Client) -> httpx.Client:
    client.post("/v1/rigs", json={"name": "pair", "kind": "stereo"})
    return client


def over(client: httpx.Client, address: str) -> dict[str, Any]:
    until(lambda: client.get(address).json()["state"] in OVER, "the job is over", 120)
    return dict(client.get(address).json())


def events(client: httpx.Client, address: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with client.stream("GET", f"{address}/events") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_pictures_of_a_board_become_a_calibration(
    pair: httpx.Client, stereo: dict[str, list[tuple[str, bytes]]]
) -> None:
    files = [(side, picture) for side, pictures in stereo.items() for picture in pictures]
    response = pair.post(CALIBRATIONS, data={**BOARD, "kind": "stereo"}, files=files)
    assert response.status_code == 202, response.text
    address = response.headers["Location"]
    assert response.json()["state"] in ("queued", "running")

    told = list(events(pair, address))
    assert {name for name, _ in told[:-1]} <= {"progress"}
    assert told[-1][0] == "done"
    assert any(job["progress"]["total"] > 0 for _, job in told)

    job = over(pair, address)
    assert job["state"] == "done", job
    calibration = pair.get(f"/v1/calibrations/{job['calibration']}").json()
    assert (calibration["rig"], calibration["origin"]) == ("pair", "calibrated")
    assert calibration["active"] is True  # a rig's first one
    left, right = (np.array(camera["center"]) for camera in calibration["cameras"])
    # 3.335 squares of 25 mm, to 1 %: what OpenCV's own sample reaches on these pictures.
    assert np.linalg.norm(right - left) == pytest.approx(3.335 * 0.025, rel=0.01)
    assert calibration["rms_px"] <= 0.4
    assert calibration["verdict"]["grade"] in ("good", "usable")
    assert pair.get(f"/v1/calibrations/{job['calibration']}/report.json").json()
    page = pair.get(f"/v1/calibrations/{job['calibration']}/report.html")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "style-src 'unsafe-inline'" in page.headers["content-security-policy"]
    assert page.text.count("<svg") > 4
    assert b"stereo:" in pair.get("/v1/rigs/pair/rig.yaml").content
    # The footage is not needed any more, and is gone.
    late = pair.delete(address)
    problem(late, 409, "conflict")


def test_zips_and_one_zip_of_folders_are_the_same_footage(
    pair: httpx.Client, stereo: dict[str, list[tuple[str, bytes]]], settings: Settings
) -> None:
    apart = {side: (f"{side}.zip", zipped(pictures)) for side, pictures in stereo.items()}
    whole = zipped(
        [(f"{side}/{name}", data) for side, pictures in stereo.items() for name, data in pictures]
    )
    found = []
    for files in (apart, {"footage": ("all.zip", whole)}):
        response = pair.post(CALIBRATIONS, data=BOARD, files=files)
        assert response.status_code == 202, response.text
        job = over(pair, response.headers["Location"])
        assert job["state"] == "done", job
        calibration = pair.get(f"/v1/calibrations/{job['calibration']}").json()
        found.append([camera["K"] for camera in calibration["cameras"]])
    assert np.allclose(found[0], found[1], rtol=1e-9)
    assert pair.get("/v1/calibrations/c2").json()["active"] is False
    assert not list((settings.data_dir / "jobs").glob("*/footage"))


def zipped(files: list[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files:
            archive.writestr(name, data)
    return buffer.getvalue()


class Slow:
    """A calibration that goes on until it is told what to do."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.go_on = threading.Event()

    def __call__(
        self,
        *_args: Any,
        progress: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        **_more: Any,
    ) -> Calibration:
        progress(Progress("detect", 1, 10))
        self.started.set()
        while not self.go_on.is_set():
            if cancelled():
                raise Cancelled("stopped")
            time.sleep(0.01)
        return Calibration(RIG, {"made": True})


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr(calibration_jobs, "calibrate", slow)
    return slow


def start(client: httpx.Client) -> httpx.Response:
    files = [("left", ("a.png", chessboard())), ("right", ("a.png", chessboard()))]
    return client.post(CALIBRATIONS, data=BOARD, files=files)


def test_a_running_job_is_cancelled_at_its_next_step(pair: httpx.Client, slow: Slow) -> None:
    address = start(pair).headers["Location"]
    assert slow.started.wait(10)
    job = pair.get(address).json()
    assert job["state"] == "running"
    assert job["progress"] == {"stage": "detect", "done": 1, "total": 10}
    assert pair.delete(address).status_code == 200
    assert over(pair, address)["state"] == "cancelled"
    assert list(events(pair, address))[-1][0] == "cancelled"
    assert pair.get("/v1/rigs/pair").json()["calibrations"] == []


def test_a_waiting_job_is_cancelled_at_once_and_too_many_are_refused(
    settings: Settings, slow: Slow
) -> None:
    few = settings.model_copy(update={"store": StoreSettings(calibration_jobs=2)})
    with running(few, predictor=DotPredictor()) as client:
        client.post("/v1/rigs", json={"name": "pair"})
        first, second = (start(client).headers["Location"] for _ in range(2))
        assert slow.started.wait(10)
        refused = start(client)
        problem(refused, 429, "queue_full")
        assert int(refused.headers["Retry-After"]) > 0
        assert client.delete(second).json()["state"] == "cancelled"
        assert start(client).status_code == 202
        slow.go_on.set()
        assert over(client, first)["state"] == "done"
        assert [job["state"] for job in client.get("/v1/rigs/pair").json()["jobs"]].count("done")


def test_a_job_that_a_restart_interrupted_is_begun_again(settings: Settings, slow: Slow) -> None:
    with running(settings, predictor=DotPredictor()) as client:
        client.post("/v1/rigs", json={"name": "pair"})
        address = start(client).headers["Location"]
        assert slow.started.wait(10)
    slow.go_on.set()
    with running(settings, predictor=DotPredictor()) as client:
        job = over(client, address)
        assert job["state"] == "done"
        assert client.get(f"/v1/calibrations/{job['calibration']}").json()["rig"] == "pair"


def test_a_failed_job_says_why(pair: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_args: Any, **_more: Any) -> Calibration:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(calibration_jobs, "calibrate", broken)
    job = over(pair, start(pair).headers["Location"])
    assert (job["state"], job["problem"]["code"]) == ("failed", "internal")
    assert "secret" not in json.dumps(job)


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One service for all that is refused; at the end no job's files may be left."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with running(settings, predictor=DotPredictor()) as client:
        client.post("/v1/rigs", json={"name": "pair"})
        yield client
        assert list((settings.data_dir / "jobs").iterdir()) == []


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"square_mm": "25"}, "/board"),
        ({"board": "9x6"}, "/square_mm"),
        ({**BOARD, "board": "nine"}, "/board"),
        ({**BOARD, "kind": "sextet"}, "/kind"),
        ({**BOARD, "world": "moon"}, "/world"),
        ({**BOARD, "bored": "9x6"}, "/bored"),
        ({**BOARD, "lens": "cam0:fish"}, "/lens"),
        ({**BOARD, "fix": "middle"}, "/fix"),
        ({**BOARD, "bend": "a bit"}, "/bend"),
    ],
)
def test_values_that_make_no_sense(
    refusing: httpx.Client, values: dict[str, str], pointer: str
) -> None:
    response = refusing.post(CALIBRATIONS, data=values, files={"left": ("a.png", chessboard())})
    assert response.status_code == 422, response.text
    assert response.json()["pointer"] == pointer


def test_a_layout_that_does_not_fit(refusing: httpx.Client) -> None:
    for layout in ("7x", "0,0,9999,9999;0,0,1,1"):
        response = refusing.post(
            CALIBRATIONS,
            data={**BOARD, "layout": layout},
            files={"footage": ("a.png", chessboard())},
        )
        problem(response, 422, "bad_layout")


def test_lenses_of_a_calibration_that_is_not_there(refusing: httpx.Client) -> None:
    files = {"left": ("a.png", chessboard())}
    response = refusing.post(CALIBRATIONS, data={**BOARD, "lenses": "c99"}, files=files)
    problem(response, 404, "not_found")


def test_what_is_said_of_the_lenses_reaches_the_calibration(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[CalibrateSettings] = []

    def look(_footage: Any, _board: Any, settings: CalibrateSettings, **_more: Any) -> Calibration:
        asked.append(settings)
        return Calibration(RIG, {})

    monkeypatch.setattr(calibration_jobs, "calibrate", look)
    client.post("/v1/rigs", json={"name": "pair"})
    names = [camera.name for camera in RIG.cameras]
    files = [(name, ("01.png", chessboard())) for name in names]
    first = client.post(CALIBRATIONS, data=BOARD, files=files)
    known = over(client, first.headers["Location"])["calibration"]
    said = {"lens": f"{names[0]}:pinhole5", "lenses": known, "fix": "center", "bend": "true"}
    second = client.post(CALIBRATIONS, data={**BOARD, **said}, files=files)
    assert over(client, second.headers["Location"])["state"] == "done"
    assert (asked[0].models, asked[0].fixed[names[0]], asked[0].bend) == ({}, frozenset(), False)
    assert asked[1].models == {names[0]: "pinhole5"}
    assert asked[1].fixed == dict.fromkeys(names, frozenset({"center"}))
    assert asked[1].bend
    np.testing.assert_array_equal(asked[1].known_lenses[names[1]][0], RIG.cameras[1].K)
    assert asked[1].known_sizes_px[names[1]] == RIG.cameras[1].size_px


def test_a_form_without_footage(refusing: httpx.Client) -> None:
    boundary = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in BOARD.items()
    )
    response = refusing.post(
        CALIBRATIONS,
        content=boundary + "--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    problem(response, 422, "no_views")


def test_refused_footage(refusing: httpx.Client) -> None:
    response = refusing.post(CALIBRATIONS, data=BOARD, files={"left": ("a.png", b"no picture")})
    problem(response, 415, "unsupported")


def test_four_in_one_video_is_calibrated_as_four(
    client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reaches the calibration is footage of four cameras, cut as the layout says."""
    path = tmp_path / "quad.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (320, 240))
    for number in range(12):
        writer.write(np.full((240, 320, 3), 10 * number, np.uint8))
    writer.release()
    seen: list[Any] = []

    def look(footage: Any, *_args: Any, **_more: Any) -> Calibration:
        seen.append([(clip.camera, clip.crop_xywh) for clip in footage.clips])
        return Calibration(RIG, {})

    monkeypatch.setattr(calibration_jobs, "calibrate", look)
    client.post("/v1/rigs", json={"name": "pair"})
    response = client.post(
        CALIBRATIONS,
        data={**BOARD, "layout": "2x2"},
        files={"footage": ("quad.avi", path.read_bytes())},
    )
    assert over(client, response.headers["Location"])["state"] == "done"
    assert [crop for _, crop in seen[0]] == [
        (0, 0, 160, 120),
        (160, 0, 160, 120),
        (0, 120, 160, 120),
        (160, 120, 160, 120),
    ]


def test_activation_without_a_gap_for_a_running_capture(studio: httpx.Client) -> None:
    """Frames come from two clients while calibrations are put in force, one after the other."""
    moved = RIG_YAML.replace(b"700.0", b"701.0")
    studio.post("/v1/captures", json={"rig": "studio", "name": "before"})
    images = frame_set([person()])
    enough, answers = threading.Event(), dict[str, list[httpx.Response]](before=[], none=[])

    def send(capture: str) -> None:
        fields = {"capture": capture} if capture != "none" else {}
        number = 0
        while not (enough.is_set() and number >= 4):
            data = {"timestamp_ns": str(number * FRAME_NS), **fields}
            answers[capture].append(studio.post(FRAMES, files=as_files(images), data=data))
            number += 1

    senders = [threading.Thread(target=send, args=(capture,)) for capture in answers]
    for sender in senders:
        sender.start()
    until(lambda: all(len(own) >= 2 for own in answers.values()), "frames are answered", 60)
    assert studio.put("/v1/rigs/studio/rig.yaml", content=moved).status_code == 200  # c2
    for calibration in ("c1", "c2", "c1", "c2"):
        assert studio.post(f"/v1/calibrations/{calibration}/activate").status_code == 200
    in_force = {capture: len(own) for capture, own in answers.items()}
    until(
        lambda: all(len(own) >= in_force[capture] + 3 for capture, own in answers.items()),
        "frames are answered after it", 60,
    )  # fmt: skip
    enough.set()
    for sender in senders:
        sender.join()

    for own in answers.values():
        assert {response.status_code for response in own} == {200}
        assert all(len(response.json()["people"]) == 1 for response in own)
    # The running capture stays with what it began with; frames of none take what is in force.
    assert {response.json()["calibration"] for response in answers["before"]} == {"c1"}
    sequences = [response.json()["sequence"] for response in answers["before"]]
    assert sequences == list(range(len(sequences)))
    loose = [response.json()["calibration"] for response in answers["none"]]
    assert (loose[0], loose[-1]) == ("c1", "c2")
    assert set(loose) <= {"c1", "c2"}
    studio.post("/v1/captures", json={"rig": "studio", "name": "after"})
    late = studio.post(
        FRAMES, files=as_files(images), data={"timestamp_ns": "0", "capture": "after"}
    )
    assert late.json()["calibration"] == "c2"
    assert studio.get("/v1/captures/before").json()["calibration"] == "c1"


def test_easymocaps_two_files_make_a_rig_as_one_zip(client: httpx.Client) -> None:
    intri, extri = write_easymocap(RIG)
    files = [("intri.yml", intri.encode()), ("extri.yml", extri.encode())]
    response = client.put("/v1/rigs/mocap/rig.yaml", content=zipped(files))
    assert response.status_code == 201, response.text
    assert response.json()["camera_names"] == list(RIG.names)
    problem(client.put("/v1/rigs/other/rig.yaml", content=intri.encode()), 422, "bad_rig_file")
