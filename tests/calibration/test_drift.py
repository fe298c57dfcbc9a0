from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.calibrate import calibrate_views
from calibration.drift import check_rig
from calibration.errors import TooFewViews
from calibration.footage import Clip, Footage
from calibration.rig import Rig
from calibration.transforms import inverse, rotation_from_vector, transform

from .boards import World, board_moments, make_world


@pytest.fixture(scope="module")
def calibrated() -> tuple[World, Rig]:
    world = make_world(3, moments=40, close=10)
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    return world, calibrate_views(world.sightings, footage, world.board).rig


def _knocked(world: World, index: int, shift_m: float, turn_rad: float) -> World:
    cameras = list(world.cameras)
    T = cameras[index].cam_from_world
    knock = transform(rotation_from_vector(np.array([0, turn_rad, 0])), np.array([shift_m, 0, 0]))
    cameras[index] = replace(cameras[index], cam_from_world=knock @ T)
    rng = np.random.default_rng(77)
    views = board_moments(rng, cameras, world.board, 12, 0.2)
    return replace(world, cameras=tuple(cameras), views=tuple(views))


def test_a_rig_at_rest_is_at_rest(calibrated: tuple[World, Rig]) -> None:
    world, rig = calibrated
    drifts = check_rig(rig, _knocked(world, 0, 0.0, 0.0).views, world.board)
    assert [drift.camera for drift in drifts] == list(rig.names)
    assert not any(drift.moved for drift in drifts)
    assert all(drift.median_px < 0.6 for drift in drifts)
    assert all(drift.moments >= 5 for drift in drifts)


@pytest.mark.parametrize(
    ("index", "shift_m", "turn_rad"), [(1, 0.03, 0.0), (3, 0.0, 0.01), (2, 0.3, 0.1)]
)
def test_the_camera_that_moved_is_named_and_measured(
    calibrated: tuple[World, Rig], index: int, shift_m: float, turn_rad: float
) -> None:
    world, rig = calibrated
    later = _knocked(world, index, shift_m, turn_rad)
    drifts = check_rig(rig, later.views, world.board)
    assert [drift.moved for drift in drifts] == [i == index for i in range(4)]
    drift = drifts[index]
    before = inverse(world.cameras[index].cam_from_world)[:3, 3]
    true_shift = np.linalg.norm(inverse(later.cameras[index].cam_from_world)[:3, 3] - before)
    # Its own sigma and that of the calibrated rig around it (some 2 mm, 0.7 mrad), four times.
    assert drift.shift_m == pytest.approx(true_shift, abs=4 * np.hypot(drift.sigma_shift_m, 0.003))
    assert drift.turn_rad == pytest.approx(turn_rad, abs=4 * np.hypot(drift.sigma_turn_rad, 1e-3))


def test_two_cameras_that_moved_are_both_named(calibrated: tuple[World, Rig]) -> None:
    world, rig = calibrated
    aside = transform(np.eye(3), np.array([0, 0.06, 0.0]))
    cameras = list(_knocked(world, 1, 0.05, 0.01).cameras)
    cameras[2] = replace(
        cameras[2],
        cam_from_world=aside @ cameras[2].cam_from_world,
    )
    views = board_moments(np.random.default_rng(5), cameras, world.board, 24, 0.2)
    drifts = check_rig(rig, views, world.board)
    # Cameras 0 and 3 stay tied to each other by their own moments, 1 and 2 hang on them.
    assert [drift.moved for drift in drifts] == [False, True, True, False]


def test_what_cannot_be_checked(calibrated: tuple[World, Rig]) -> None:
    world, rig = calibrated
    with pytest.raises(TooFewViews, match="share"):
        check_rig(rig, [], world.board)
    with pytest.raises(TooFewViews, match="share"):
        check_rig(rig, [v for v in world.views if v.camera == "cam0"], world.board)
