from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.camera import Camera, project
from calibration.stereo import stereo_from
from calibration.transforms import from_rvec

K = np.array([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]])


def _pair() -> tuple[Camera, Camera]:
    left = Camera("left", (640, 480), K, np.zeros(5), np.eye(4))
    # 0.2 m to the right of the left camera, looking the same way: x_right = x_left - 0.2
    return left, replace(left, name="right", cam_from_world=from_rvec(np.zeros(3), [-0.2, 0, 0]))


def test_two_parallel_cameras_on_paper() -> None:
    stereo = stereo_from(*_pair())
    np.testing.assert_allclose(stereo.R, np.eye(3))
    np.testing.assert_allclose(stereo.t, [-0.2, 0, 0])
    np.testing.assert_allclose(stereo.E, [[0, 0, 0], [0, 0, 0.2], [0, -0.2, 0]], atol=1e-15)
    np.testing.assert_allclose(stereo.R1, np.eye(3), atol=1e-12)
    # The second projection holds -f * baseline in its last column.
    assert stereo.P2[0, 3] == pytest.approx(-stereo.P2[0, 0] * 0.2)


def test_the_disparity_gives_the_depth_back() -> None:
    stereo = stereo_from(*_pair())
    point = np.array([0.3, -0.1, 4.0])
    left, right = (
        camera.K @ p for camera, p in zip(_pair(), (point, point - [0.2, 0, 0]), strict=True)
    )
    u, v, disparity = left[0] / left[2], left[1] / left[2], left[0] / left[2] - right[0] / right[2]
    X = stereo.Q @ np.array([u, v, disparity, 1.0])
    np.testing.assert_allclose(X[:3] / X[3], point, atol=1e-9)


def test_the_epipolar_error_is_the_noise_across_the_lines() -> None:
    rng = np.random.default_rng(0)
    left, right = _pair()
    left = replace(left, dist=np.array([-0.2, 0.05, 1e-3, 0, 0]))
    points = rng.uniform([-1, -0.7, 3], [1, 0.7, 6], (4000, 3))
    exact = project(left, points), project(right, points)
    assert stereo_from(left, right, [exact]).epipolar_rms_px < 1e-6
    noisy = tuple(pixels + rng.normal(0, 0.3, pixels.shape) for pixels in exact)
    # Lines are level here: the distance is the difference of two v, each with 0.3 px of noise;
    # undistorting stretches the left noise by up to 1 / (1 - 0.2 r^2), under 6 % in the mean.
    # RMS of 8000 values is known to 1 %.
    found = stereo_from(left, right, [noisy]).epipolar_rms_px
    assert 0.3 * np.sqrt(2) * 0.97 < found < 0.3 * np.sqrt(2) * 1.09


def test_essential_and_fundamental_matrices_agree_with_points() -> None:
    left, _ = _pair()
    right = replace(
        left, name="right", cam_from_world=from_rvec([0.1, -0.3, 0.05], [-0.5, 0.1, 0.2])
    )
    stereo = stereo_from(left, right)
    point = np.array([0.2, 0.1, 3.0])
    a = np.append(project(left, point[None])[0], 1.0)
    b = np.append(project(right, point[None])[0], 1.0)
    assert abs(b @ stereo.F @ a) < 1e-9
    assert np.linalg.svd(stereo.E)[1][2] < 1e-12
