"""A newcomer's first hour, by the command line and HTTP alone, on footage whose truth is known.

Print a board, film it, calibrate, film people, send the films as if they were live, export, open
the files with readers that others wrote. Only the filming is done for them: it is rendered.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from calibration.rig_file import rig_from_yaml
from capture.result import frame_from_json
from models.skeleton import COCO17
from service.demo.rendered import error_against_truth, film, render_boards, studios
from service.demo.scene import BOARD_CORNERS, BOARD_SQUARE_M, RATE_HZ
from service.demo.scene_pictures import Studio
from service.demo.server import running

from ..service.live import live

pytestmark = pytest.mark.slow

FRAMES = 24
BOARD = f"{BOARD_CORNERS[0]}x{BOARD_CORNERS[1]}"
SQUARE_MM = f"{1e3 * BOARD_SQUARE_M:g}"
JOB_S = 600.0
JOINTS = len(COCO17.joints)


@pytest.fixture(scope="module")
def rooms() -> dict[str, Studio]:
    return studios()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first-hour")


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[httpx.Client]:
    """`quadglass serve` on an empty data directory, a process of its own."""
    with (
        running(place / "data", 0, place / "service.log") as (address, _),
        httpx.Client(base_url=address, timeout=120) as client,
    ):
        yield client


def quadglass(*words: str, cwd: Path) -> str:
    """The command as typed; what it says on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "service", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=JOB_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_hour(service: httpx.Client, rooms: dict[str, Studio], place: Path) -> None:
    # An empty house, and a page to look at it.
    assert service.get("/v1/rigs").json() == {"rigs": []}
    assert service.get("/v1/captures").json() == {"captures": []}
    assert "Quadglass" in service.get("/").text

    # A board to print, the same from both.
    quadglass("board", BOARD, "--square-mm", SQUARE_MM, "-o", "board.pdf", cwd=place)
    printed = service.get(f"/v1/boards/{BOARD}.pdf", params={"square_mm": SQUARE_MM})
    for data in ((place / "board.pdf").read_bytes(), printed.content):
        assert data.startswith(b"%PDF-")
        assert data.rstrip().endswith(b"%%EOF")

    # Filmed, and calibrated from the files.
    boards = render_boards(rooms, place / "boards", lambda *_: None)
    service.post("/v1/rigs", json={"name": "studio", "kind": "quad"}).raise_for_status()
    files = [
        (camera, (path.name, path.read_bytes(), "image/jpeg"))
        for camera, paths in boards.items()
        for path in paths
    ]
    values = {"board": BOARD, "square_mm": SQUARE_MM, "world": "floor", "reference": "cam0"}
    job = over(service, service.post("/v1/rigs/studio/calibrations", data=values, files=files))
    assert job["state"] == "done", job["problem"]
    rig_yaml = service.get("/v1/rigs/studio/rig.yaml").text
    (place / "rig.yaml").write_text(rig_yaml)
    rig = rig_from_yaml(rig_yaml)
    assert service.get("/v1/rigs/studio").json()["verdict"]["grade"] in ("good", "usable")
    report = service.get(f"/v1/calibrations/{job['calibration']}/report.html")
    assert "<html" in report.text

    # People, live from files, while somebody looks on.
    films = write_films(rooms, place)
    seen: list[dict[str, Any]] = []
    service.post("/v1/captures", json={"rig": "studio", "name": "walk"}).raise_for_status()
    with live(service, "/v1/captures/walk/watch") as watcher:
        looking = threading.Thread(target=watch, args=(watcher, seen), daemon=True)
        looking.start()
        sources = [f"{camera}={path.name}" for camera, path in films.items()]
        options = ["--rig", "studio", "--capture", "walk", "--mode", "all", "--fast", "--json"]
        said = quadglass("send", *sources, "--url", str(service.base_url), *options, cwd=place)
    looking.join(30)
    assert f'"answered": {FRAMES}' in said
    assert seen
    take = service.get("/v1/captures/walk").json()
    assert take["frames"] == FRAMES
    results = service.get("/v1/captures/walk/frames").json()["frames"]
    stamps = [one["timestamp_ns"] for one in results]
    steps = [(later - sooner) * 1e-9 for sooner, later in pairwise(stamps)]
    # Times of the films, not of their sending: 33.3 ms, and a container rounds to 1 ms.
    assert np.abs(np.array(steps) - 1 / RATE_HZ).max() < 2e-3

    # Where they really are: the scene's moments are known.
    frames = [
        replace(frame_from_json(one), timestamp_ns=round(place_ * 1e9 / RATE_HZ))
        for place_, one in enumerate(results)
    ]
    error = error_against_truth(frames, rig)
    assert error.camera_mm < 20
    assert error.joint_median_mm is not None
    assert error.joint_median_mm < 60  # what a network of this size sees of a drawn person
    assert error.share_found > 0.8

    # Out, and into what others wrote.
    check_files(service, results, place)


def over(service: httpx.Client, accepted: httpx.Response) -> dict[str, Any]:
    """The job of a 202, once it is over."""
    assert accepted.status_code == 202, accepted.text
    end = time.monotonic() + JOB_S
    while True:
        job: dict[str, Any] = service.get(accepted.headers["Location"]).json()
        if job["state"] not in ("queued", "running"):
            return job
        assert time.monotonic() < end, f"not over: {job['progress']}"
        time.sleep(0.5)


def watch(watcher: Any, seen: list[dict[str, Any]]) -> None:
    while True:
        try:
            seen.append(watcher.next("result"))
        except Exception:  # the connection is closed
            return


def write_films(rooms: dict[str, Studio], place: Path) -> dict[str, Path]:
    """A film of each camera."""
    paths = {name: place / f"{name}.avi" for name in rooms}
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writers = {
        name: cv2.VideoWriter(str(path), codec, RATE_HZ, (1280, 720))
        for name, path in paths.items()
    }
    for moment in film(rooms, FRAMES):
        for name, image in moment.images.items():
            writers[name].write(image)
    for writer in writers.values():
        writer.release()
    return paths


def check_files(service: httpx.Client, results: list[dict[str, Any]], place: Path) -> None:
    def export(kind: str) -> Path:
        answer = service.get("/v1/captures/walk/export", params={"format": kind})
        assert answer.status_code == 200, answer.text
        path = place / f"walk.{kind}"
        path.write_bytes(answer.content)
        return path

    pandas = pytest.importorskip("pandas")
    ezc3d = pytest.importorskip("ezc3d")
    trimesh = pytest.importorskip("trimesh")
    people = sorted({one["id"] for result in results for one in result["people"]})

    table = pandas.read_parquet(export("parquet"))
    assert sorted(table["person"].unique()) == people
    result = results[FRAMES // 2]
    someone = result["people"][0]
    rows = table[(table["person"] == someone["id"]) & (table["sequence"] == result["sequence"])]
    told = rows[["x_m", "y_m", "z_m"]].to_numpy()
    wanted = np.array([j["position"] or (np.nan,) * 3 for j in someone["joints"]])
    assert told == pytest.approx(wanted, abs=1e-6, nan_ok=True)

    file = ezc3d.c3d(str(export("c3d")))
    points = file["data"]["points"][:3]  # (3, markers, frames)
    labels = file["parameters"]["POINT"]["LABELS"]["value"]
    assert points.shape[1:] == (len(people) * JOINTS, FRAMES)
    column = labels.index(f"p{someone['id']}_{COCO17.joints[0]}")
    millimetres = points[:, column : column + JOINTS, FRAMES // 2].T
    assert millimetres == pytest.approx(1e3 * wanted, abs=1e-2, nan_ok=True)

    scene = trimesh.load(io.BytesIO(export("glb").read_bytes()), file_type="glb")
    assert len(scene.graph.nodes) >= JOINTS
    trc = export("trc").read_text().splitlines()
    assert trc[0].startswith("PathFileType")
    assert float(trc[2].split("\t")[0]) == pytest.approx(RATE_HZ, rel=0.02)
