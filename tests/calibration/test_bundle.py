from __future__ import annotations

import numpy as np
import pytest

from calibration.bundle import minimize, precision
from calibration.camera import F64
from calibration.intrinsics import board_poses
from calibration.normal_equations import (
    N_CAMERA,
    Estimate,
    Problem,
    build_problem,
    gauss_newton_step,
    normal_blocks,
    residuals,
    view_jacobians,
)
from calibration.projection import INTRINSIC_NAMES, pack
from calibration.transforms import angle_rad, inverse

from .boards import World, make_world

COLUMNS = (
    *INTRINSIC_NAMES,
    *(f"camera {n}" for n in ("rx", "ry", "rz", "tx", "ty", "tz")),
    *(f"board {n}" for n in ("rx", "ry", "rz", "tx", "ty", "tz")),
)


def free_but_reference(cameras: int) -> np.ndarray:
    free = np.ones((cameras, N_CAMERA), dtype=bool)
    free[0, 9:] = False
    return free


def true_estimate(world: World, problem: Problem) -> Estimate:
    """The truth, with board poses by PnP from the (noise-free) corners."""
    by_name = {camera.name: camera for camera in world.cameras}
    cams = np.stack([world.true_cam_from_reference(name) for name in problem.cameras])
    lenses = np.stack([pack(by_name[n].K, by_name[n].dist) for n in problem.cameras])
    boards = np.empty((len(problem.boards), 4, 4))
    for row, view in enumerate(problem.views):
        camera = by_name[view.camera]
        pose = board_poses(view, camera.K, camera.dist, world.board)[0]
        alone = problem.alone[row]
        boards[problem.board_of[row]] = (
            pose if alone else inverse(cams[problem.camera_of[row]]) @ pose
        )
    return Estimate(lenses, cams, boards)


def _problem(world: World) -> Problem:
    names = [camera.name for camera in world.cameras]
    return build_problem(world.views, names, world.board, free_but_reference(len(names)))


@pytest.fixture(scope="module")
def small() -> tuple[World, Problem, Estimate]:
    world = make_world(3, moments=8, close=3, sigma_px=0.0)
    problem = _problem(world)
    return world, problem, true_estimate(world, problem)


def _shaken(estimate: Estimate, size: float, seed: int = 0) -> Estimate:
    rng = np.random.default_rng(seed)
    scale = np.array([20, 20, 10, 10, 0.02, 0.02, 1e-3, 1e-3, 0.02, *[0.02] * 6])
    C, B = len(estimate.intrinsics), len(estimate.boards)
    cameras = rng.normal(size=(C, N_CAMERA)) * scale * size
    cameras[0, 9:] = 0
    return estimate.stepped(cameras, rng.normal(size=(B, 6)) * 0.02 * size)


@pytest.mark.parametrize("column", range(21), ids=COLUMNS)
def test_each_derivative_column(small: tuple[World, Problem, Estimate], column: int) -> None:
    _, problem, truth = small
    estimate = _shaken(truth, 0.3)
    _, J = view_jacobians(problem, estimate)
    h = 1e-6 * (1000.0 if column < 4 else 1.0)
    numeric = (
        residuals(problem, _stepped(problem, estimate, column, h))
        - residuals(problem, _stepped(problem, estimate, column, -h))
    ) / (2 * h)
    scale = np.abs(numeric).max() + 1.0
    off = np.abs(J[..., column] - numeric).max() / scale
    # Central differences at 1e-6: truncation 1e-12, rounding 1e3 * 1e-16 / 1e-6 = 1e-7.
    assert off < 1e-6, COLUMNS[column]


def _stepped(problem: Problem, estimate: Estimate, column: int, h: float) -> Estimate:
    cameras = np.zeros((len(problem.cameras), N_CAMERA))
    boards = np.zeros((len(problem.boards), 6))
    if column < N_CAMERA:
        cameras[:, column] = h
    else:
        boards[:, column - N_CAMERA] = h
    return estimate.stepped(cameras, boards)


def test_the_reduced_step_is_the_step_of_the_whole_matrix(
    small: tuple[World, Problem, Estimate],
) -> None:
    _, problem, truth = small
    off, J = view_jacobians(problem, _shaken(truth, 0.2))
    weights = problem.used.astype(float)
    step = gauss_newton_step(normal_blocks(problem, off, J, weights), problem.free, 1e-3)
    assert step is not None
    C, B = len(problem.cameras), len(problem.boards)
    D = C * N_CAMERA
    dense = np.zeros((off.size, D + 6 * B))
    for row in range(len(problem.views)):
        lines = slice(row * off[0].size, (row + 1) * off[0].size)
        block = J[row].reshape(-1, 21)
        c, b = problem.camera_of[row], problem.board_of[row]
        dense[lines, c * N_CAMERA : (c + 1) * N_CAMERA] = block[:, :N_CAMERA]
        dense[lines, D + 6 * b : D + 6 * b + 6] = block[:, N_CAMERA:]
    columns = np.concatenate([np.flatnonzero(problem.free.ravel()), np.arange(D, D + 6 * B)])
    H = dense[:, columns].T @ dense[:, columns]
    H[np.diag_indices_from(H)] *= 1 + 1e-3
    scale = 1 / np.sqrt(np.diag(H))
    whole = -scale * np.linalg.solve(
        H * np.outer(scale, scale), scale * (dense[:, columns].T @ off.ravel())
    )
    ours = np.concatenate([step[0].ravel()[problem.free.ravel()], step[1].ravel()])
    # Condition of the scaled matrix is about 1e6; doubles keep 1e-16.
    np.testing.assert_allclose(ours, whole, rtol=1e-6, atol=1e-9)


def test_exact_corners_give_the_truth_back(small: tuple[World, Problem, Estimate]) -> None:
    world, problem, truth = small
    fit = minimize(problem, _shaken(truth, 0.5))
    assert fit.converged
    for index, name in enumerate(problem.cameras):
        error = fit.estimate.cam_from_world[index] @ inverse(world.true_cam_from_reference(name))
        # Noise-free: limited by the stop at a relative fall of 1e-11 of the cost.
        assert angle_rad(error[:3, :3]) < 1e-6
        assert np.abs(error[:3, 3]).max() < 1e-5


def test_points_behind_a_camera_do_not_break_the_fit(
    small: tuple[World, Problem, Estimate],
) -> None:
    _, problem, truth = small
    boards = truth.boards.copy()
    boards[0, :3, 3] *= -50.0
    estimate = Estimate(truth.intrinsics, truth.cam_from_world, boards)
    assert np.isfinite(residuals(problem, estimate)).all()
    fit = minimize(problem, estimate, cauchy_px=1.0)
    assert np.isfinite(fit.cost)


def errors_over_sigma(seed: int) -> tuple[F64, F64]:
    world = make_world(seed, moments=16, close=6, sigma_px=0.2)
    problem = _problem(world)
    fit = minimize(problem, true_estimate(world, problem))
    found = precision(problem, fit.estimate)
    sigma = np.sqrt(np.diag(found.covariance)).reshape(-1, N_CAMERA)
    by_name = {camera.name: camera for camera in world.cameras}
    truth = np.stack([pack(by_name[n].K, by_name[n].dist) for n in problem.cameras])
    lens = (fit.estimate.intrinsics - truth)[:, :4] / sigma[:, :4]
    pose = []
    for index, name in enumerate(problem.cameras[1:], start=1):
        T, true = fit.estimate.cam_from_world[index], world.true_cam_from_reference(name)
        R = T[:3, :3] @ true[:3, :3].T
        turn = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]]) / 2
        step = np.concatenate([turn, T[:3, 3] - true[:3, 3]])
        pose.append(step / sigma[index, 9:])
    return lens.ravel(), np.concatenate(pose)


@pytest.mark.slow
def test_predicted_sigmas_are_honest() -> None:
    """Errors over predicted sigmas have a spread of one, for lenses and poses."""
    results = [errors_over_sigma(seed) for seed in range(12)]
    for values in (
        np.concatenate([r[0] for r in results]),
        np.concatenate([r[1] for r in results]),
    ):
        # About 200 values, of which poses of one run hang together: some 70 independent ones.
        # The spread of 70 normal values is 1 +- 0.085; four of those.
        assert 0.66 < values.std() < 1.34
        assert np.abs(values).max() < 5.0


def test_recovered_poses_lie_within_their_predicted_sigma() -> None:
    _, pose = errors_over_sigma(100)
    assert np.abs(pose).max() < 4.0
