from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibration import errors
from calibration.calibrate import CalibrateSettings, Calibration, calibrate_views
from calibration.footage import Clip, Footage
from calibration.report_html import report_html

from .boards import World, make_world

BEND_MM = (3.0, -1.0)


def _calibrated(world: World, bend: bool) -> Calibration:
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    settings = CalibrateSettings(bend=bend)
    return calibrate_views(world.sightings, footage, world.board, settings)


def _shape_mm(world: World, result: Calibration) -> float:
    cameras = result.rig.cameras
    return float(
        errors(
            world, [c.K for c in cameras], [c.dist for c in cameras],
            [c.cam_from_world for c in cameras],
        )[3]
    )  # fmt: skip


def test_a_bent_board_is_found_said_and_made_up_for() -> None:
    world = make_world(1, moments=30, close=10, bend_m=(BEND_MM[0] / 1000, BEND_MM[1] / 1000))
    taken_flat, freed = _calibrated(world, False), _calibrated(world, True)
    bend = freed.report["bend"]
    for way, true in zip(("across", "down"), BEND_MM, strict=True):
        assert bend["allowed"]
        assert 0 < bend[f"sigma_{way}_mm"] < 0.2
        assert abs(bend[f"{way}_mm"] - true) < 4 * bend[f"sigma_{way}_mm"]
        # One step from the flat optimum comes near; the noise there is not of the corners alone.
        assert taken_flat.report["bend"][f"{way}_mm"] == pytest.approx(true, abs=0.5)
    assert freed.rig.quality is not None
    assert freed.rig.quality.rms_px == pytest.approx(0.2 * np.sqrt(2), rel=0.03)
    assert _shape_mm(world, freed) < 0.5 * _shape_mm(world, taken_flat)
    told = [{f.code: f for f in r.rig.verdict.findings} for r in (taken_flat, freed)]
    assert "--bend" in told[0]["bent_board"].fix
    assert "3.0 mm behind" in told[1]["bent_board"].message
    assert "taken into account" in told[1]["bent_board"].message
    assert "bent across and down by (not taken into account)" in report_html(taken_flat.report)


def test_a_flat_board_is_not_called_bent() -> None:
    world = make_world(1, moments=20, close=6)
    result = _calibrated(world, True)
    bend = result.report["bend"]
    for way in ("across", "down"):
        assert abs(bend[f"{way}_mm"]) < 4 * bend[f"sigma_{way}_mm"]
    for one in (result, _calibrated(world, False)):
        assert one.rig.verdict is not None
        assert "bent_board" not in {finding.code for finding in one.rig.verdict.findings}
