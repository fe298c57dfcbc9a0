from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.projection import (
    INTRINSIC_NAMES,
    pack,
    project,
    project_with_derivatives,
    reach_norm,
    unpack,
)
from calibration.transforms import angle_rad, from_rvec, inverse, rotation_from_vector, updated

LENS = np.array([1400.0, 1390.0, 955.0, 545.0, -0.25, 0.09, 5e-4, -3e-4, -0.015])


def _points(count: int = 50) -> np.ndarray:
    rng = np.random.default_rng(0)
    z = rng.uniform(1, 4, count)
    return np.stack([rng.uniform(-0.6, 0.6, count) * z, rng.uniform(-0.4, 0.4, count) * z, z], 1)


def test_pixels_are_opencvs() -> None:
    K, dist = unpack(LENS)
    theirs, _ = cv2.projectPoints(_points(), np.zeros(3), np.zeros(3), K, dist)
    # Both are exact: only the order of the sums differs.
    np.testing.assert_allclose(project(_points(), LENS), theirs.reshape(-1, 2), atol=1e-9)
    np.testing.assert_array_equal(pack(K, dist), LENS)


@pytest.mark.parametrize("column", range(9))
def test_derivative_by_each_lens_number(column: int) -> None:
    points = _points()
    _, _, by_lens = project_with_derivatives(points, LENS)
    h = 1e-6 * max(1.0, abs(LENS[column]))
    up, down = LENS.copy(), LENS.copy()
    up[column] += h
    down[column] -= h
    numeric = (project(points, up) - project(points, down)) / (2 * h)
    # Central differences: rounding of 1e3 px * 1e-16 / 1e-6 = 1e-7, times ten.
    scale = np.abs(numeric).max() + 1
    off = np.abs(by_lens[..., column] - numeric).max() / scale
    assert off < 1e-6, INTRINSIC_NAMES[column]


@pytest.mark.parametrize("axis", range(3))
def test_derivative_by_each_coordinate(axis: int) -> None:
    points = _points()
    _, by_point, _ = project_with_derivatives(points, LENS)
    h = 1e-6
    step = np.eye(3)[axis] * h
    numeric = (project(points + step, LENS) - project(points - step, LENS)) / (2 * h)
    np.testing.assert_allclose(by_point[..., axis], numeric, atol=1e-5)


def test_reach_of_a_lens() -> None:
    # r + k1 r^3 turns back at r = sqrt(-1 / (3 k1)): for k1 = -1/3 at 1.
    assert reach_norm(np.array([-1 / 3, 0, 0, 0, 0])) == pytest.approx(1.0)
    assert reach_norm(np.array([0.1, 0.1, 0, 0, 0])) == np.inf
    assert reach_norm(np.zeros(5)) == np.inf


def test_rotations() -> None:
    rng = np.random.default_rng(0)
    vectors = np.concatenate([rng.normal(size=(20, 3)), np.zeros((1, 3)), [[1e-9, 0, 0]]])
    for vector, R in zip(vectors, rotation_from_vector(vectors), strict=True):
        np.testing.assert_allclose(R, cv2.Rodrigues(vector)[0], atol=1e-12)
        turn = np.linalg.norm(vector) % (2 * np.pi)
        assert angle_rad(R) == pytest.approx(min(turn, 2 * np.pi - turn), abs=1e-12)


def test_a_step_turns_about_the_destination_and_comes_back() -> None:
    T = from_rvec(np.array([3.0, 0.4, -0.2]), np.array([1.0, 2.0, 3.0]))  # near half a turn
    step = np.array([0.01, -0.02, 0.03, 0.1, 0.2, 0.3])
    moved = updated(T, step)
    np.testing.assert_allclose(moved[:3, 3], [1.1, 2.2, 3.3])
    np.testing.assert_allclose(moved[:3, :3], rotation_from_vector(step[:3]) @ T[:3, :3])
    # A dozen roundings of numbers up to 3.
    np.testing.assert_allclose(T @ inverse(T), np.eye(4), atol=12 * 3 * 2.3e-16)
