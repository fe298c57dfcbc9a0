from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.camera import Camera
from calibration.drift_joints import Joints, check_rig_by_joints
from calibration.errors import BadInput, TooFewViews
from calibration.joint_equations import State, mean_shift_px, nearest, residuals, scene_of
from calibration.rig import Rig
from calibration.transforms import inverse, rotation_from_vector, transform, updated

from .boards import ring, stereo_pair
from .walkers import walk

HALF_DEGREE = np.radians(0.5)


def _rig(cameras: tuple[Camera, ...]) -> Rig:
    return Rig("hall", "multi", cameras[0].name, "reference", cameras)


def _knocked(
    cameras: tuple[Camera, ...], index: int, turn: tuple[float, float, float], shift_m: float = 0.0
) -> tuple[Camera, ...]:
    knock = transform(rotation_from_vector(np.array(turn)), np.array([shift_m, 0.0, 0.0]))
    now = list(cameras)
    now[index] = replace(now[index], cam_from_world=knock @ now[index].cam_from_world)
    return tuple(now)


@pytest.mark.parametrize("seed", [0, 1])
def test_cameras_that_stand_still_are_said_to(seed: int) -> None:
    cameras = ring(np.random.default_rng(seed))
    drifts = check_rig_by_joints(_rig(cameras), walk(seed, cameras))
    assert [drift.camera for drift in drifts] == ["cam0", "cam1", "cam2", "cam3"]
    assert not any(drift.moved for drift in drifts)
    assert all(1.0 < drift.median_px < 5.0 for drift in drifts)
    assert all(drift.moments > 140 for drift in drifts)


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["pitch", "yaw", "roll"])
def test_half_a_degree_is_found_and_named(axis: int) -> None:
    cameras = ring(np.random.default_rng(axis))
    index = axis + 1
    turn = [0.0, 0.0, 0.0]
    turn[axis] = HALF_DEGREE
    now = _knocked(cameras, index, (turn[0], turn[1], turn[2]))
    drifts = check_rig_by_joints(_rig(cameras), walk(axis, now))
    assert [drift.moved for drift in drifts] == [i == index for i in range(4)]
    drift = drifts[index]
    # Three axes, each off by a sigma; four of them together at worst.
    assert drift.turn_rad == pytest.approx(HALF_DEGREE, abs=4 * drift.sigma_turn_rad)
    assert 0 < drift.sigma_turn_rad < 0.3 * HALF_DEGREE


def test_a_shift_of_three_centimetres_and_a_large_blow() -> None:
    cameras = ring(np.random.default_rng(5))
    aside = check_rig_by_joints(_rig(cameras), walk(5, _knocked(cameras, 2, (0.0, 0.0, 0.0), 0.03)))
    assert [drift.moved for drift in aside] == [False, False, True, False]
    assert aside[2].shift_m == pytest.approx(0.03, abs=4 * aside[2].sigma_shift_m)
    now = _knocked(cameras, 3, (0.0, 0.1, 0.0), 0.2)
    blow = check_rig_by_joints(_rig(cameras), walk(5, now))
    assert [drift.moved for drift in blow] == [False, False, False, True]
    before, after = (inverse(c[3].cam_from_world)[:3, 3] for c in (cameras, now))
    assert blow[3].shift_m == pytest.approx(
        np.linalg.norm(after - before), abs=4 * blow[3].sigma_shift_m
    )


def test_of_a_pair_what_changes_the_rows_is_found() -> None:
    cameras = stereo_pair(np.random.default_rng(0))
    still = check_rig_by_joints(_rig(cameras), walk(0, cameras))
    assert not any(drift.moved for drift in still)
    nodded = check_rig_by_joints(_rig(cameras), walk(0, _knocked(cameras, 1, (HALF_DEGREE, 0, 0))))
    assert [drift.moved for drift in nodded] == [False, True]


@pytest.mark.slow
def test_false_alarms_and_sigmas_over_many_takes() -> None:
    alarms, ratios = 0, []
    for seed in range(100):
        cameras = ring(np.random.default_rng(seed))
        alarms += any(d.moved for d in check_rig_by_joints(_rig(cameras), walk(seed, cameras)))
        now = _knocked(cameras, 1, (0.0, 3 * HALF_DEGREE, 0.0))
        drift = check_rig_by_joints(_rig(cameras), walk(seed, now))[1]
        assert drift.moved
        ratios.append((drift.turn_rad - 3 * HALF_DEGREE) / drift.sigma_turn_rad)
    assert alarms == 0
    assert 0.85 < np.std(ratios) < 1.15  # known to 7 % from a hundred
    assert abs(np.mean(ratios)) < 0.3


def test_the_derivatives_are_those_of_the_residuals() -> None:
    cameras = ring(np.random.default_rng(2))
    scene = scene_of(_rig(cameras), walk(2, cameras, wrong=0.0))
    cams = np.stack([camera.cam_from_world for camera in cameras])
    state = State(cams, nearest(scene, cams))
    _, by_pose = mean_shift_px(scene, state, cams[1], 1)
    rows = scene.seen[:, 1]
    for column in range(6):
        step = np.zeros(6)
        step[column] = 1e-6
        values = []
        for sign in (1.0, -1.0):
            moved = cams.copy()
            moved[1] = updated(cams[1], sign * step)
            values.append(residuals(scene, State(moved, state.points))[rows, 1].mean(axis=0))
        numeric = (values[0] - values[1]) / 2e-6
        np.testing.assert_allclose(by_pose[:, column], numeric, rtol=1e-5, atol=1e-4)


def test_what_cannot_be_checked() -> None:
    cameras = ring(np.random.default_rng(0))
    joints = walk(0, cameras)
    with pytest.raises(BadInput, match=r"\(N, 4, 2\)"):
        check_rig_by_joints(_rig(cameras), replace(joints, pixels=joints.pixels[:, :3]))
    alone = joints.pixels.copy()
    alone[:, 1:] = np.nan
    with pytest.raises(TooFewViews, match="walk where"):
        check_rig_by_joints(_rig(cameras), Joints(alone, joints.moments))
