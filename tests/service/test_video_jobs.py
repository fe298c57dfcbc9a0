"""Videos into a capture, as a job on the queue."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from models.candidates import Candidates
from service.config import Settings

from ..scenes import Noise, detect, walkers
from .dots import DotPredictor, draw
from .recall import Recall, marked
from .server import running, until
from .test_captures import post
from .world import RIG, RIG_YAML

FRAMES = 20  # more than are read ahead, so that a job can be stopped in its middle
RATE_HZ = 25.0
STEP_NS = round(1e9 / RATE_HZ)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pictures that say which moment they are, in black and white, so that no codec harms them."""
    folder = tmp_path_factory.mktemp("films")
    paths = {}
    for camera in RIG.cameras:
        paths[camera.name] = folder / f"{camera.name}.avi"
        size = camera.frame_size_px
        writer = cv2.VideoWriter(
            str(paths[camera.name]), cv2.VideoWriter.fourcc(*"MJPG"), RATE_HZ, size
        )
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 100)
        for number in range(FRAMES):
            data = np.frombuffer(marked(RIG, number)[camera.name], dtype=np.uint8)
            writer.write(cv2.imdecode(data, cv2.IMREAD_COLOR))
        writer.release()
    return paths


class Slow(DotPredictor):
    """Takes its time, so that a job can be met in its middle."""

    def candidates(self, images: Sequence[NDArray[np.uint8]]) -> list[Candidates]:
        time.sleep(0.1)
        return super().candidates(images)


def begin(client: httpx.Client) -> None:
    client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
    client.post("/v1/captures", json={"rig": "studio", "name": "take"})


def send(client: httpx.Client, films: dict[str, Path], **values: str) -> httpx.Response:
    files = {name: (path.name, path.read_bytes()) for name, path in films.items()}
    return client.post("/v1/captures/take/videos", files=files, data=values)


def over(client: httpx.Client, job: str) -> dict[str, Any]:
    until(lambda: client.get(job).json()["state"] not in ("queued", "running"), "it is over")
    found: dict[str, Any] = client.get(job).json()
    return found


def kept(client: httpx.Client) -> list[dict[str, Any]]:
    frames: list[dict[str, Any]] = client.get("/v1/captures/take/frames").json()["frames"]
    return frames


def test_videos_become_results_and_the_job_tells_how_far_it_is(
    settings: Settings, films: dict[str, Path]
) -> None:
    scene = detect(RIG, walkers(1, FRAMES / 30.0, 30.0, seed=2), Noise(pixel=1.0), seed=3)
    predictor = Recall(RIG, scene)
    predictor.input_side = 640  # so that JPEGs are decoded whole
    with running(settings, predictor=predictor) as client:
        begin(client)
        response = send(client, films)
        assert response.status_code == 202, response.text
        assert response.json()["kind"] == "videos"
        job = over(client, response.headers["Location"])
        assert (job["state"], job["problem"]) == ("done", None)
        assert job["progress"] == {"stage": "frames", "done": FRAMES, "total": FRAMES}
        frames = kept(client)
        assert [one["timestamp_ns"] for one in frames] == [n * STEP_NS for n in range(FRAMES)]
        assert [one["sequence"] for one in frames] == list(range(FRAMES))
        assert {one["people"][0]["id"] for one in frames} == {0}
        # Another one goes on behind it.
        second = over(client, send(client, films, rate_hz="25").headers["Location"])
        assert second["state"] == "done"
        times = [one["timestamp_ns"] for one in kept(client)]
        assert times == [n * STEP_NS for n in range(2 * FRAMES)]
    assert not list((settings.data_dir / "jobs").rglob("*.avi"))


def test_a_job_that_a_restart_interrupted_goes_on_behind_what_it_has(
    settings: Settings, films: dict[str, Path]
) -> None:
    with running(settings, predictor=Slow()) as client:
        begin(client)
        job = send(client, films).headers["Location"]
        until(lambda: len(kept(client)) >= 2, "there are results")
    seen = DotPredictor()
    with running(settings, predictor=seen) as client:
        assert over(client, job)["state"] == "done"
        times = [one["timestamp_ns"] for one in kept(client)]
    assert times == [n * STEP_NS for n in range(FRAMES)]
    assert sum(seen.batches[1:]) < 4 * FRAMES


def test_a_job_is_cancelled_and_its_results_stay(
    settings: Settings, films: dict[str, Path]
) -> None:
    hold = threading.Event()
    predictor = DotPredictor(hold=hold)
    with running(settings, predictor=predictor) as client:
        begin(client)
        job = send(client, films).headers["Location"]
        until(lambda: len(predictor.batches) > 1, "a worker is at it")
        assert client.delete(job).status_code == 200
        hold.set()
        assert over(client, job)["state"] == "cancelled"
        count = len(kept(client))
        assert count < FRAMES
        again = client.delete(job)
        assert again.status_code == 409
        post(client, 999, [])
        assert len(kept(client)) == count + 1


def test_what_cannot_become_a_take_is_refused(settings: Settings, films: dict[str, Path]) -> None:
    with running(settings, predictor=DotPredictor()) as client:
        begin(client)
        picture = {"cam0": ("a.png", cv2.imencode(".png", draw([], (64, 48)))[1].tobytes())}
        address = "/v1/captures/take/videos"
        said = [
            client.post(address, files=picture),
            client.post(address, files={"cam9": ("a.avi", films["cam0"].read_bytes())}),
            client.post(address, files={"cam0": ("a.avi", b"no video at all")}),
            send(client, films, speed="2"),
            send(client, films, rate_hz="0"),
            client.post("/v1/captures/none/videos", files=picture),
        ]
        post(client, 10, [])
        said.append(send(client, films, start_ns="0"))
    assert [one.status_code for one in said] == [422, 422, 415, 422, 422, 404, 422]
    assert said[6].json()["pointer"] == "/timestamp_ns"


def test_a_video_of_another_size_fails_the_job_at_once(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), RATE_HZ, (320, 200))
    for _ in range(30):
        writer.write(draw([], (320, 200)))
    writer.release()
    with running(settings, predictor=DotPredictor()) as client:
        begin(client)
        job = over(client, send(client, {"cam0": path}).headers["Location"])
        assert (job["state"], job["problem"]["code"]) == ("failed", "wrong_frame_size")
        assert kept(client) == []
