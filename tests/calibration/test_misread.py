from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from calibration.board import detect, parse_board
from calibration.calibrate import Calibration, calibrate_views
from calibration.errors import Unsolvable
from calibration.footage import Clip, Footage
from calibration.misread import mirrored_view
from calibration.rig import Finding
from calibration.transforms import angle_rad
from calibration.views import View

from .boards import World, facing, make_world, render, stereo_pair
from .shared_data import caliscope_calibration, caliscope_lenses


def _calibrated(world: World) -> Calibration:
    footage = Footage(tuple(Clip(camera.name, (), ()) for camera in world.cameras))
    return calibrate_views(world.sightings, footage, world.board)


def _changed(world: World, change: Callable[[View], View], *cameras: str) -> World:
    views = tuple(change(view) if view.camera in cameras else view for view in world.views)
    return replace(world, views=views)


def _flipped(world: World) -> Callable[[View], View]:
    """As a mirrored picture shows the view: flipping it back and again is the same."""
    return lambda view: mirrored_view(view, world.board, 1920)


def _turned(view: View) -> View:
    return replace(view, ids=53 - view.ids)


def _findings(result: Calibration) -> dict[str, Finding]:
    assert result.rig.verdict is not None
    return {finding.code: finding for finding in result.rig.verdict.findings}


def _check_poses(world: World, result: Calibration) -> None:
    for camera in result.rig.cameras:
        truth = world.true_cam_from_reference(camera.name)
        assert angle_rad(camera.cam_from_world[:3, :3] @ truth[:3, :3].T) < np.radians(0.3)
        np.testing.assert_allclose(camera.cam_from_world[:3, 3], truth[:3, 3], atol=0.02)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(0, moments=20, close=4)


@pytest.mark.parametrize("camera", ["cam0", "cam2"])
def test_a_camera_whose_pictures_are_mirrored_is_named_and_put_right(
    world: World, camera: str
) -> None:
    result = _calibrated(_changed(world, _flipped(world), camera))
    found = _findings(result)
    assert found["mirrored_camera"].camera == camera
    assert not any(code.startswith("rejected") for code in found)
    _check_poses(world, result)
    true_center = next(c for c in world.cameras if c.name == camera).K[0, 2]
    # The lens is that of pictures the right way round.
    assert result.rig.camera(camera).K[0, 2] == pytest.approx(true_center, abs=5.0)


def test_a_camera_that_numbers_from_the_other_end_is_named_and_put_right(world: World) -> None:
    result = _calibrated(_changed(world, _turned, "cam1"))
    found = _findings(result)
    assert found["turned_camera"].camera == "cam1"
    assert not any(code.startswith("rejected") for code in found)
    _check_poses(world, result)


def test_both_at_once(world: World) -> None:
    both = _changed(_changed(world, _flipped(world), "cam3"), _turned, "cam1", "cam3")
    result = _calibrated(both)
    assert result.rig.verdict is not None
    told = {(f.code, f.camera) for f in result.rig.verdict.findings if f.code.endswith("_camera")}
    # Two of four are turned to the other two: the rig is the same either way.
    assert ("mirrored_camera", "cam3") in told
    assert {c for code, c in told if code == "turned_camera"} in (
        {"cam1", "cam3"},
        {"cam0", "cam2"},
    )
    _check_poses(world, result)


def test_a_rig_that_is_as_it_should_be_is_left_alone(world: World) -> None:
    assert not {"mirrored_camera", "turned_camera"} & set(_findings(_calibrated(world)))


def test_half_of_the_cameras_mirrored_is_refused(world: World) -> None:
    with pytest.raises(Unsolvable, match="which are the right way round") as caught:
        _calibrated(_changed(world, _flipped(world), "cam1", "cam2"))
    assert caught.value.reason == "mirrored_camera"


def test_a_mirrored_picture_is_numbered_as_said() -> None:
    """Both orders of counts: a chessboard is its own mirror image along one of its sides."""
    for text in ("9x6", "6x9"):
        board = parse_board(text, 80)
        camera = stereo_pair(np.random.default_rng(0))[0]
        pose = facing(np.random.default_rng(3), board, np.array([0.0, 0.0, 1.0]),
                      camera.center_world, 0.3)  # fmt: skip
        picture = render(camera, board, pose)
        seen, flipped = detect(picture, board), detect(picture[:, ::-1].copy(), board)
        assert seen is not None
        assert flipped is not None
        again = mirrored_view(View("a", "0", flipped.corners_px, flipped.ids), board, 1920)
        order = np.argsort(again.ids)
        np.testing.assert_allclose(again.corners_px[order], seen.corners_px, atol=0.05)


@pytest.mark.parametrize(
    ("session", "corners", "names", "camera"),
    [
        ("charuco_calibration", "corners_detected.csv",
         ("corner_id", "img_x", "img_y", "obj_x", "obj_y"), "cam_2"),
        # Here one camera sees only the back of the board: no mirrored camera, as it says itself.
        pytest.param("4_cam_recording", "xy.csv",
         ("keypoint_id", "img_loc_x", "img_loc_y", "obj_loc_x", "obj_loc_y"), "cam_0",
         marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_camera_of_real_sessions_mirrored(
    session: str, corners: str, names: tuple[str, str, str, str, str], camera: str
) -> None:
    shipped = caliscope_lenses(session)
    result = caliscope_calibration(session, corners, names, flipped=camera)
    assert _findings(result)["mirrored_camera"].camera == camera
    for a, b in combinations(shipped.names, 2):
        theirs, ours = (
            np.linalg.norm(r.camera(a).center_world - r.camera(b).center_world)
            for r in (shipped, result.rig)
        )
        assert ours == pytest.approx(theirs, rel=0.025), (a, b)
