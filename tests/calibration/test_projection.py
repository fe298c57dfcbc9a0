from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration import fisheye
from calibration.camera import Camera, undistort
from calibration.camera import project as seen_by
from calibration.pinhole import reach_norm
from calibration.projection import (
    LensModel,
    names_of,
    pack,
    project,
    project_with_derivatives,
    turns_back,
    unpack,
)
from calibration.transforms import angle_rad, from_rvec, inverse, rotation_from_vector, updated

FRONT = [1400.0, 1390.0, 955.0, 545.0]
LENSES: dict[LensModel, np.ndarray] = {
    "pinhole5": np.array([*FRONT, -0.25, 0.09, 5e-4, -3e-4, -0.015, 0, 0, 0]),
    "pinhole8": np.array([*FRONT, 0.3, -0.02, 5e-4, -3e-4, 0.003, 0.6, 0.05, 0.01]),
    "fisheye": np.array([730.0, 725.0, 955.0, 545.0, 0.03, -0.012, 0.004, -0.0007, 0, 0, 0, 0]),
}
COLUMNS = [(model, column) for model in LENSES for column in range(len(names_of(model)))]


def _points(model: LensModel, count: int = 50) -> np.ndarray:
    """In front of the camera; of a fisheye up to 75 degrees off the axis, and one on it."""
    rng = np.random.default_rng(0)
    z = rng.uniform(1, 4, count)
    if model != "fisheye":
        x, y = rng.uniform(-0.6, 0.6, count), rng.uniform(-0.4, 0.4, count)
        return np.stack([x * z, y * z, z], 1)
    off, round_ = np.tan(np.radians(rng.uniform(0, 75, count))), rng.uniform(0, 6.3, count)
    points = np.stack([off * np.cos(round_) * z, off * np.sin(round_) * z, z], 1)
    points[0] = [0.0, 0.0, 2.0]
    return points


def _camera(model: LensModel, lens: np.ndarray | None = None) -> Camera:
    K, dist = unpack(LENSES[model] if lens is None else lens, model)
    kind = "fisheye" if model == "fisheye" else "pinhole"
    return Camera("a", (1920, 1080), K, dist, np.eye(4), kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", list(LENSES))
def test_pixels_are_opencvs(model: LensModel) -> None:
    lens, points = LENSES[model], _points(model)
    theirs = seen_by(_camera(model), points)
    # Both are exact: only the order of the sums differs.
    np.testing.assert_allclose(project(points, lens, model), theirs, atol=1e-9)
    np.testing.assert_array_equal(pack(*unpack(lens, model)), lens)


@pytest.mark.parametrize(("model", "column"), COLUMNS, ids=lambda value: str(value))
def test_derivative_by_each_lens_number(model: LensModel, column: int) -> None:
    points, lens = _points(model), LENSES[model]
    _, _, by_lens = project_with_derivatives(points, lens, model)
    h = 1e-6 * max(1.0, abs(lens[column]))
    up, down = lens.copy(), lens.copy()
    up[column] += h
    down[column] -= h
    numeric = (project(points, up, model) - project(points, down, model)) / (2 * h)
    # Central differences: rounding of 1e3 px * 1e-16 / 1e-6 = 1e-7, times ten.
    scale = np.abs(numeric).max() + 1
    off = np.abs(by_lens[..., column] - numeric).max() / scale
    assert off < 1e-6, names_of(model)[column]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("model", list(LENSES))
def test_derivative_by_each_coordinate(model: LensModel, axis: int) -> None:
    points, lens = _points(model), LENSES[model]
    _, by_point, _ = project_with_derivatives(points, lens, model)
    h = 1e-6
    step = np.eye(3)[axis] * h
    numeric = (project(points + step, lens, model) - project(points - step, lens, model)) / (2 * h)
    np.testing.assert_allclose(by_point[..., axis], numeric, atol=1e-5)


@pytest.mark.parametrize("model", list(LENSES))
def test_pixels_go_back_to_where_they_came_from(model: LensModel) -> None:
    points = _points(model)
    camera = _camera(model)
    pixels = seen_by(camera, points)
    back = undistort(camera, pixels)
    # Half an ulp of a pixel of 2000 over f, seen at up to 75 degrees: growing as 1 / cos^2.
    np.testing.assert_allclose(back, points[:, :2] / points[:, 2:], rtol=1e-9, atol=1e-9)
    nowhere = undistort(camera, np.array([[np.nan, 0.0]]))
    assert np.isnan(nowhere).all()


def test_a_pixel_that_the_lens_never_reaches_has_no_direction() -> None:
    lens = LENSES["fisheye"].copy()
    lens[4:8] = -0.2, 0, 0, 0  # turns back at t^2 = 1 / 0.6, where d = 0.86 and 630 px
    camera = _camera("fisheye", lens)
    found = undistort(camera, np.array([[955.0 + 500.0, 545.0], [955.0 + 700.0, 545.0]]))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()
    # 88.9 degrees can still be said at z = 1, 89.5 not.
    flat = _camera("fisheye", np.array([700.0, 700, 0, 0, *[0.0] * 8]))
    edge = np.radians([88.9, 89.5]) * 700.0
    wide = undistort(flat, np.stack([edge, np.zeros(2)], axis=1))
    assert wide[0, 0] == pytest.approx(np.tan(np.radians(88.9)), rel=1e-9)
    assert np.isnan(wide[1]).all()


def test_reach_of_a_lens() -> None:
    # r + k1 r^3 turns back at r = sqrt(-1 / (3 k1)): for k1 = -1/3 at 1.
    assert reach_norm(np.array([-1 / 3, 0, 0, 0, 0])) == pytest.approx(1.0)
    assert reach_norm(np.array([0.1, 0.1, 0, 0, 0])) == np.inf
    assert reach_norm(np.zeros(5)) == np.inf
    # r / (1 + k4 r^2) turns back where k4 r^2 = 1; with a negative k4 there is a pole instead.
    assert reach_norm(np.array([0, 0, 0, 0, 0, 0.25, 0, 0])) == pytest.approx(2.0)
    assert reach_norm(np.array([0, 0, 0, 0, 0, -0.25, 0, 0])) == pytest.approx(2.0)
    # t + k1 t^3 at t = sqrt(-1 / (3 k1)) likewise.
    assert fisheye.reach_rad(np.array([-1 / 3, 0, 0, 0])) == pytest.approx(1.0)
    assert fisheye.reach_rad(np.zeros(4)) == np.pi


def test_lenses_that_fold_inside_the_picture() -> None:
    K = np.array([[1000.0, 0, 960], [0, 1000, 540], [0, 0, 1]])  # corners 1.1 focal lengths out
    size = (1920, 1080)
    assert not turns_back(K, np.zeros(5), size)
    assert turns_back(K, np.array([-1 / 3, 0, 0, 0, 0]), size)  # at 0.67 focal lengths
    assert turns_back(K, np.array([0, 0, 0, 0, 0, 0.25, 0, 0]), size)  # at 1.0
    assert not turns_back(K, np.array([0, 0, 0, 0, 0, 0.1, 0, 0]), size)  # at 1.58
    assert turns_back(K, np.array([-1 / 3, 0, 0, 0]), size)
    assert not turns_back(K, np.array([-0.05, 0, 0, 0]), size)  # at 1.72


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
