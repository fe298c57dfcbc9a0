"""Figures as JSON on stdout, and nothing else there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.camera import project
from calibration.rig_file import rig_to_yaml
from service.cli import BAD_INPUT, app

from ..scenes import gait, ring_rig


def spoken(*words: object) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_prepare_counts_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for moment in range(3):
        picture = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{moment}.png"), picture)
    said = spoken("prepare", tmp_path, "--quad", "2x2", "-o", tmp_path / "cut", "--json")
    assert said == {f"cam{n}": 3 for n in range(4)}


def test_reconstruct_tells_the_takes_figures(tmp_path: Path) -> None:
    rig = ring_rig(3, radius_m=4.0, size_px=(640, 480), focal_px=400.0, dist=(0.0,) * 5)
    (tmp_path / "rig.yaml").write_text(rig_to_yaml(rig))
    times = np.arange(12) / 30.0
    bodies = gait(times, np.full(12, 0.6), np.ones(5))
    for camera in rig.cameras:
        folder = tmp_path / camera.name
        folder.mkdir()
        for moment, body in enumerate(bodies):
            rows = np.column_stack([project(camera, body), np.full(len(body), 0.9)])
            person = {"pose_keypoints_2d": rows.ravel().tolist()}
            path = folder / f"{moment:04d}.json"
            path.write_text(json.dumps({"people": [person]}))
    views = [f"{camera.name}={tmp_path / camera.name}" for camera in rig.cameras]
    options = ["--rig", tmp_path / "rig.yaml", "-o", tmp_path / "take", "--skeleton", "coco17"]
    said = spoken("reconstruct", *views, *options, "--json")
    assert (said["frames"], said["people"]) == (12, 1)
    assert said["reprojection_px"] < 1.0
    assert str(tmp_path / "take" / "take.trc") in said["files"]


@pytest.mark.parametrize(
    "words", [["prepare", "nowhere", "-o", "x"], ["detect", "nowhere", "-o", "x"]]
)
def test_what_cannot_be_used_leaves_stdout_empty(words: list[str]) -> None:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == BAD_INPUT
    assert result.stdout == ""
    assert "nowhere" in result.stderr


def test_completion_is_offered() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert "--install-completion" in result.stdout
