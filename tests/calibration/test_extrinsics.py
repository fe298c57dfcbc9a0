from __future__ import annotations

import numpy as np
import pytest

from calibration.board import Board, parse_board
from calibration.errors import BoardNotFound, TooFewViews, Unconnected
from calibration.extrinsics import connect
from calibration.intrinsics import Lens, calibrate_lenses
from calibration.transforms import from_rvec, inverse
from calibration.views import Sightings

from .boards import make_world


def _lens(name: str) -> Lens:
    K = np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]])
    return Lens(name, (1000, 1000), K, np.zeros(5), 0.2, (), (), ())


BOARD: Board = parse_board("9x6", 50)
# b stands 1 m right of a, c 1 m right of b, all looking the same way.
B_FROM_A = from_rvec(np.zeros(3), np.array([-1.0, 0, 0]))
C_FROM_A = from_rvec(np.zeros(3), np.array([-2.0, 0, 0]))


def _boards(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [
        from_rvec(rng.uniform(-0.4, 0.4, 3), np.array([rng.uniform(-1, 1), 0, 3 + i * 0.1]))
        for i in range(count)
    ]


def test_a_chain_of_three_on_paper() -> None:
    poses = {}
    for i, board in enumerate(_boards(4)):
        poses["a", f"ab{i}"] = [board]
        poses["b", f"ab{i}"] = [B_FROM_A @ board]
        poses["b", f"bc{i}"] = [B_FROM_A @ board]
        poses["c", f"bc{i}"] = [C_FROM_A @ board]
    lenses = {name: _lens(name) for name in "abc"}
    found, edges = connect(poses, lenses, BOARD, "a")
    np.testing.assert_allclose(found["b"], B_FROM_A, atol=1e-12)
    np.testing.assert_allclose(found["c"], C_FROM_A, atol=1e-12)
    assert [(e.first, e.second, e.moments, e.agreeing) for e in edges] == [
        ("a", "b", 4, 4),
        ("b", "c", 4, 4),
    ]
    other, _ = connect(poses, lenses, BOARD, "c")
    np.testing.assert_allclose(other["a"], inverse(C_FROM_A), atol=1e-12)


def test_most_moments_outvote_spoiled_ones_and_the_second_pose_of_a_plane_is_tried() -> None:
    poses = {}
    for i, board in enumerate(_boards(7)):
        poses["a", f"m{i}"] = [board]
        right = B_FROM_A @ board
        wrong = from_rvec(np.array([0.5, 0.1 * i, 0]), np.array([0.3, 0.1 * i, 0.5])) @ right
        # in three of seven the pose is wrong, in two the right one is only second best
        poses["b", f"m{i}"] = [wrong] if i < 3 else [right] if i < 5 else [wrong, right]
    found, edges = connect(poses, {name: _lens(name) for name in "ab"}, BOARD, "a")
    np.testing.assert_allclose(found["b"], B_FROM_A, atol=1e-12)
    assert (edges[0].moments, edges[0].agreeing) == (7, 4)


def test_cameras_that_share_no_moment_are_named_by_group() -> None:
    poses = {}
    for i, board in enumerate(_boards(3)):
        for name in "ab":
            poses[name, f"first{i}"] = [board]
        for name in "cd":
            poses[name, f"second{i}"] = [board]
    with pytest.raises(Unconnected, match=r"a, b \| c, d; film the board where") as caught:
        connect(poses, {name: _lens(name) for name in "abcd"}, BOARD, "a")
    assert caught.value.code == "unconnected"


def test_a_camera_that_never_saw_the_board_is_named() -> None:
    world = make_world(0, moments=4, close=2)
    views = tuple(view for view in world.views if view.camera == "cam0")
    sightings = Sightings(views, world.sightings.sizes_px, {"cam0": 9, "cam1": 7})
    with pytest.raises(BoardNotFound, match=r"seen by cam0 but never by cam1 \(7") as caught:
        calibrate_lenses(sightings, ["cam0", "cam1"], world.board)
    assert (caught.value.code, caught.value.camera) == ("board_not_found", "cam1")


def test_too_few_views_say_how_many() -> None:
    world = make_world(0, moments=4, close=2)
    views = tuple(view for view in world.views if view.camera == "cam0")[:2]
    with pytest.raises(TooFewViews, match="2 usable board views, need 3"):
        calibrate_lenses(Sightings(views, world.sightings.sizes_px, {}), ["cam0"], world.board)


def test_lenses_from_close_ups_are_right() -> None:
    world = make_world(5, moments=4, close=20)
    names = [camera.name for camera in world.cameras]
    lenses = calibrate_lenses(world.sightings, names, world.board)
    for camera in world.cameras:
        lens = lenses[camera.name]
        # 20 views of 54 corners at 0.2 px: sigma of f is 0.5 to 1 px here, five of those.
        assert abs(lens.K[0, 0] - camera.K[0, 0]) < 5.0
        assert lens.rms_px == pytest.approx(0.2 * np.sqrt(2), rel=0.1)
        assert lens.free.sum() == 9  # fx fy cx cy and five coefficients


def test_a_badly_fitting_view_is_left_out() -> None:
    world = make_world(5, moments=4, close=12)
    views = [view for view in world.views if view.camera == "cam0"]
    bent = views[7].corners_px.copy()
    bent[:20] += 6.0
    views[7] = type(views[7])("cam0", "bent", bent, views[7].ids, shared=False)
    sightings = Sightings(tuple(views), world.sightings.sizes_px, {})
    lens = calibrate_lenses(sightings, ["cam0"], world.board)["cam0"]
    assert [(r.frame, r.reason) for r in lens.rejected] == [("bent", "residual")]
