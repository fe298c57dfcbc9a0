"""Real footage through the endpoints of a running service, with the shipped network.

Four synchronized videos of one person (Pose2Sim's demo, BSD-3-Clause). The rig is a Qualisys
calibration at 1088 px; two of the videos are 1080 px wide, which their `source` says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.camera import Source
from calibration.formats import read_any
from calibration.rig_file import rig_to_yaml
from service.config import QueueSettings, Settings

from .dots import DotPredictor
from .server import running

logger = logging.getLogger(__name__)

CAMERAS = ("cam01", "cam02", "cam03", "cam04")
# x' = 1.0074 x, y' = 1.0074 y - 7.2: measured against stills of the calibrated size.
NARROW = Source(crop_xywh=(0, 0, 1080, 1920), scale=1.0074, offset_px=(0.0, -7.2))
RATE_HZ = 60
MARKERS = {
    "left_shoulder": "LShoulder",
    "right_shoulder": "RShoulder",
    "left_elbow": "LElbow",
    "right_elbow": "RElbow",
    "left_wrist": "LWrist",
    "right_wrist": "RWrist",
    "left_hip": "LHip",
    "right_hip": "RHip",
    "left_knee": "LKnee",
    "right_knee": "RKnee",
    "left_ankle": "LAnkle",
    "right_ankle": "RAnkle",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a take of the footage came to."""

    frames: int
    with_person: int  # frames in which the subject has half of its joints or more in 3D
    reprojection_px: float
    seconds: float
    error_mm: float  # median distance to the shipped markers


def rig_yaml(balancing: Path) -> bytes:
    """The shipped calibration, with the two narrow videos declared."""
    rig = read_any((balancing / "calibration" / "Calib.qca.txt").read_bytes(), name="balancing")
    cameras = tuple(
        replace(camera, source=NARROW) if camera.name in ("cam01", "cam02") else camera
        for camera in rig.cameras
    )
    return rig_to_yaml(replace(rig, cameras=cameras)).encode()


def frame_sets(balancing: Path, step: int) -> Iterator[tuple[int, dict[str, tuple[str, bytes]]]]:
    """Every `step`-th frame of the four videos, as JPEGs."""
    videos = [cv2.VideoCapture(str(balancing / "videos" / f"{name}.mp4")) for name in CAMERAS]
    number = 0
    while True:
        read = [video.read() for video in videos]
        if not all(ok for ok, _ in read):
            return
        if number % step == 0:
            quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
            yield (
                number,
                {
                    name: ("a.jpg", cv2.imencode(".jpg", image, quality)[1].tobytes())
                    for name, (_, image) in zip(CAMERAS, read, strict=True)
                },
            )
        number += 1


def shipped_markers(balancing: Path) -> dict[str, NDArray[np.float64]]:
    """(frames, 3) of each marker in the world: TRC (X, Y, Z) is world (y, z, x)."""
    lines = (balancing / "trc" / "Balancing_for_IK.trc").read_text().splitlines()
    names = [name for name in lines[3].split("\t")[2:] if name]
    rows = np.array([[float(cell) for cell in line.split()] for line in lines[5:] if line.strip()])
    return {
        name: rows[:, 2 + 3 * index : 5 + 3 * index][:, [2, 0, 1]]
        for index, name in enumerate(names)
    }


def take(client: httpx.Client, balancing: Path, step: int) -> Outcome:
    """Posts the footage into a capture and looks at what came of it."""
    made = client.put("/v1/rigs/balancing/rig.yaml", content=rig_yaml(balancing))
    assert made.status_code == 201, made.text
    assert client.post("/v1/captures", json={"rig": "balancing", "name": "take"}).is_success
    results: list[tuple[int, dict[str, Any]]] = []
    seconds = 0.0
    for number, files in frame_sets(balancing, step):
        form = {"capture": "take", "timestamp_ns": str(number * 1_000_000_000 // RATE_HZ)}
        start = time.perf_counter()
        response = client.post("/v1/rigs/balancing/frames", files=files, data=form)
        seconds += time.perf_counter() - start
        assert response.status_code == 200, response.text
        results.append((number, response.json()))
    return outcome(results, shipped_markers(balancing), seconds)


def outcome(
    results: list[tuple[int, dict[str, Any]]],
    markers: dict[str, NDArray[np.float64]],
    seconds: float,
) -> Outcome:
    """The subject is whoever stands nearest to the shipped hips."""
    found, pixels, errors = 0, [], []
    for number, result in results:
        subject = None
        for person in result["people"]:
            placed = {one["name"]: one for one in person["joints"] if one["position"] is not None}
            distances = [
                float(np.linalg.norm(np.array(placed[name]["position"]) - markers[marker][number]))
                for name, marker in MARKERS.items()
                if name in placed
            ]
            if len(placed) >= 9 and (subject is None or np.median(distances) < subject[0]):
                subject = (float(np.median(distances)), placed, distances)
        if subject is not None and subject[0] < 0.5:
            found += 1
            pixels += [one["reprojection_px"] for one in subject[1].values()]
            errors += subject[2]
    return Outcome(
        len(results), found, float(np.mean(pixels)), seconds, 1000 * float(np.median(errors))
    )


def check(settings: Settings, balancing: Path, step: int, record_property: Any) -> None:
    patient = settings.model_copy(update={"queue": QueueSettings(deadline_s=60)})
    with running(patient) as client:
        came = take(client, balancing, step)
        export = client.get("/v1/captures/take/export", params={"format": "trc"})
        assert export.status_code == 200
        assert int(export.text.splitlines()[2].split("\t")[2]) == came.frames
    rate = came.frames / came.seconds
    logger.info("%s, %.2f frame sets a second", came, rate)
    for name in Outcome.__slots__:
        record_property(name, getattr(came, name))
    record_property("frame_sets_per_second", rate)
    assert came.with_person >= 0.9 * came.frames
    # The shipped calibration itself is 10 px off these videos (its README); the network adds its
    # own error, squared: sqrt(10^2 + 10^2) with 10 px for a person of 1,100 px height.
    assert came.reprojection_px < 14


def test_every_fifth_frame_set_has_the_person_in_metres(
    settings: Settings, balancing: Path, record_property: Any
) -> None:
    check(settings, balancing, 5, record_property)


@pytest.mark.slow
def test_all_frame_sets_have_the_person_in_metres(
    settings: Settings, balancing: Path, record_property: Any
) -> None:
    check(settings, balancing, 1, record_property)


def test_undeclared_narrow_videos_are_refused(settings: Settings, balancing: Path) -> None:
    """Scaled silently they would cost 8 px; the error says what to declare."""
    with running(settings, predictor=DotPredictor()) as client:
        data = (balancing / "calibration" / "Calib.qca.txt").read_bytes()
        client.put("/v1/rigs/balancing/rig.yaml", content=data)
        _, files = next(frame_sets(balancing, 1))
        problem = client.post("/v1/rigs/balancing/frames", files=files).json()
    assert (problem["code"], problem["camera"]) == ("wrong_frame_size", "cam01")
    for said in ("1080 x 1920", "1088 x 1920", "source.scale"):
        assert said in problem["detail"]
