from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.board import parse_board
from calibration.rig import Rig
from calibration.rig_file import rig_to_yaml
from calibration.transforms import rotation_from_vector, transform
from capture.export import export_take
from capture.result import frame_from_json
from service.cli import app
from service.config import QueueSettings, Settings
from service.rig_check import joints_of

from ..calibration.boards import facing, render
from .test_bad_input import problem
from .world import FRAME_NS, RIG, as_files, frame_set, person

CHECK = "/v1/rigs/studio/check"


def _turned(name: str, degrees: float) -> Rig:
    """The rig as it would be calibrated if that camera had stood otherwise."""
    turn = transform(rotation_from_vector(np.array([0.0, np.radians(degrees), 0.0])), np.zeros(3))
    cameras = tuple(
        replace(c, cam_from_world=turn @ c.cam_from_world) if c.name == name else c
        for c in RIG.cameras
    )
    return replace(RIG, cameras=cameras)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With time to compile on a busy machine: this is about what becomes of a capture."""
    return Settings(data_dir=tmp_path / "data", queue=QueueSettings(deadline_s=300))


@pytest.fixture
def walked(studio: httpx.Client) -> httpx.Client:
    """A capture `walk` of eight frames of somebody who crosses the middle."""
    studio.post("/v1/captures", json={"rig": "studio", "name": "walk"})
    for number in range(8):
        people = [person(0.15 * number - 0.6, 0.1 * number - 0.4)]
        response = studio.post(
            "/v1/rigs/studio/frames",
            data={"timestamp_ns": str((number + 1) * FRAME_NS), "capture": "walk"},
            files=as_files(frame_set(people)),
        )
        assert response.status_code == 200, response.text
    return studio


def test_people_tell_which_camera_has_moved(walked: httpx.Client, tmp_path: Path) -> None:
    # multipart without a file: httpx needs the field said as one
    form: Any = {"capture": (None, "walk")}
    still = walked.post(CHECK, files=form)
    assert still.status_code == 200, still.text
    assert still.json()["moved"] == []
    assert [one["camera"] for one in still.json()["cameras"]] == list(RIG.names)
    # The same people, held against a calibration in which cam2 stood half a degree otherwise.
    put = walked.put("/v1/rigs/studio/rig.yaml", content=rig_to_yaml(_turned("cam2", 0.5)).encode())
    found = walked.post(CHECK, files=form).json()
    assert found["calibration"] == put.json()["calibration"]
    assert found["moved"] == ["cam2"]
    drift = found["cameras"][2]
    assert drift["turn_rad"] == pytest.approx(np.radians(0.5), abs=4 * drift["sigma_turn_rad"])

    # And from the command line, with the take as a file.
    rows = walked.get("/v1/captures/walk/frames").json()["frames"]
    frames = [frame_from_json(row) for row in rows]
    assert joints_of(RIG, frames).pixels.shape[1:] == (4, 2)
    (tmp_path / "take.json").write_bytes(export_take(frames, RIG, "json", rate_hz=30.0))
    for rig, status, moved in ((RIG, 0, []), (_turned("cam2", 0.5), 1, ["cam2"])):
        (tmp_path / "rig.yaml").write_text(rig_to_yaml(rig))
        out = CliRunner().invoke(
            app,
            [
                "check-rig",
                str(tmp_path / "take.json"),
                "--rig",
                str(tmp_path / "rig.yaml"),
                "--json",
            ],
        )
        assert out.exit_code == status, out.output
        cameras = json.loads(out.stdout)["cameras"]
        assert [one["camera"] for one in cameras if one["moved"]] == moved


def test_boards_tell_which_camera_has_moved(studio: httpx.Client) -> None:
    board = parse_board("9x6", 100)
    rng = np.random.default_rng(4)
    files = []
    for moment in range(6):
        first, second = RIG.cameras[moment % 3], RIG.cameras[(moment + 1) % 3]
        middle = (first.center_world + second.center_world) / 2
        place = facing(rng, board, np.array([0.0, 0.0, 1.0]) + 0.2 * middle, middle, 0.2)
        for camera in (first, second):
            picture = cv2.imencode(".png", render(camera, board, place, seed=moment))[1].tobytes()
            files.append((camera.name, (f"{moment}.png", picture)))
    form = {"board": "9x6", "square_mm": "100"}
    still = studio.post(CHECK, data=form, files=files)
    assert still.status_code == 200, still.text
    assert still.json()["moved"] == []
    studio.put("/v1/rigs/studio/rig.yaml", content=rig_to_yaml(_turned("cam1", 2.0)).encode())
    found = studio.post(CHECK, data=form, files=files).json()
    assert found["moved"] == ["cam1"]
    assert found["cameras"][1]["turn_rad"] == pytest.approx(np.radians(2.0), rel=0.1)


def test_a_check_that_cannot_be_made_says_why(studio: httpx.Client) -> None:
    studio.post("/v1/captures", json={"rig": "studio", "name": "empty"})

    def asked(status: int, code: str, address: str = CHECK, **values: str) -> str:
        form: Any = {name: (None, value) for name, value in values.items()}
        return str(problem(studio.post(address, files=form), status, code)["detail"])

    assert "walk where" in asked(422, "too_few_views", capture="empty")
    assert "nowhere" in asked(404, "not_found", capture="nowhere")
    assert "square_mm is missing" in asked(422, "bad_value", board="9x6")
    assert "'bored'" in asked(422, "bad_value", bored="9x6")
    assert "no pictures" in asked(422, "no_views", board="9x6", square_mm="80")
    asked(404, "not_found", "/v1/rigs/none/check", capture="empty")
    studio.put("/v1/rigs/other/rig.yaml", content=rig_to_yaml(RIG).encode())
    assert "is of rig 'studio'" in asked(422, "bad_value", "/v1/rigs/other/check", capture="empty")
