from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.board_pose import board_poses
from calibration.bundle import minimize, precision
from calibration.camera import F64
from calibration.normal_equations import (
    N_CAMERA,
    Estimate,
    Problem,
    build_problem,
    residuals,
    view_jacobians,
)
from calibration.projection import N_INTRINSICS, names_of, pack
from calibration.schur import gauss_newton_step, normal_blocks
from calibration.transforms import angle_rad, inverse

from .boards import World, make_world

COLUMNS = (
    *names_of("pinhole8"),
    *(f"camera {n}" for n in ("rx", "ry", "rz", "tx", "ty", "tz")),
    *(f"board {n}" for n in ("rx", "ry", "rz", "tx", "ty", "tz")),
    "bend across",
    "bend down",
)
N_COLUMNS = len(COLUMNS)


def free_but_reference(cameras: int) -> np.ndarray:
    free = np.ones((cameras, N_CAMERA), dtype=bool)
    free[:, len(names_of("pinhole5")) : N_INTRINSICS] = False
    free[0, N_INTRINSICS:] = False
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
    lens = [20, 20, 10, 10, 0.02, 0.02, 1e-3, 1e-3, 0.02, 0, 0, 0]
    scale = np.array([*lens, *[0.02] * 6])
    C, B = len(estimate.intrinsics), len(estimate.boards)
    cameras = rng.normal(size=(C, N_CAMERA)) * scale * size
    cameras[0, N_INTRINSICS:] = 0
    return estimate.stepped(cameras, rng.normal(size=(B, 6)) * 0.02 * size)


def _mixed(estimate: Estimate) -> Estimate:
    """The same with two fisheyes, an eight-coefficient lens, and a bent board."""
    lenses = estimate.intrinsics.copy()
    lenses[:2, 4:9] = [0.03, -0.012, 0.004, -0.0007, 0.0]
    lenses[2, 9:] = [0.1, 0.02, 0.01]
    models = ("fisheye", "fisheye", "pinhole8", "pinhole5")
    return replace(estimate, intrinsics=lenses, models=models, bend_m=np.array([3e-3, -2e-3]))


@pytest.mark.parametrize("column", range(N_COLUMNS), ids=COLUMNS)
def test_each_derivative_column(small: tuple[World, Problem, Estimate], column: int) -> None:
    _, problem, truth = small
    problem = replace(problem, free_bend=True)
    estimate = _mixed(_shaken(truth, 0.3))
    _, J = view_jacobians(problem, estimate, np.arange(N_INTRINSICS))
    h = 1e-6 * (1000.0 if column < 4 else 1.0)
    numeric = (
        residuals(problem, _stepped(problem, estimate, column, h))
        - residuals(problem, _stepped(problem, estimate, column, -h))
    ) / (2 * h)
    scale = np.abs(numeric).max() + 1.0
    off = np.abs(np.swapaxes(J.rows[:, column], 1, 2) - numeric).max() / scale
    # Central differences at 1e-6: truncation 1e-12, rounding 1e3 * 1e-16 / 1e-6 = 1e-7.
    assert off < 1e-6, COLUMNS[column]


def _stepped(problem: Problem, estimate: Estimate, column: int, h: float) -> Estimate:
    cameras = np.zeros((len(problem.cameras), N_CAMERA))
    boards = np.zeros((len(problem.boards), 6))
    bend = np.zeros(2)
    if column < N_CAMERA:
        cameras[:, column] = h
        if column >= len(names_of("fisheye")) and column < N_INTRINSICS:
            cameras[:2, column] = 0.0  # a fisheye has no such number
    elif column < N_CAMERA + 6:
        boards[:, column - N_CAMERA] = h
    else:
        bend[column - N_CAMERA - 6] = h
    return estimate.stepped(cameras, boards, bend)


def test_fy_follows_fx_where_their_ratio_is_held(small: tuple[World, Problem, Estimate]) -> None:
    _, problem, truth = small
    free = problem.free.copy()
    free[1, 1] = False
    held = replace(problem, free=free)
    start = _shaken(truth, 0.3)
    aspect = start.intrinsics[1, 1] / start.intrinsics[1, 0]
    _, J = view_jacobians(held, start)
    step = np.zeros(free.shape)
    step[1, :2] = 1e-3, aspect * 1e-3
    none = np.zeros((len(problem.boards), 6))
    numeric = (
        residuals(held, start.stepped(step, none)) - residuals(held, start.stepped(-step, none))
    ) / 2e-3
    rows = problem.camera_of == 1
    np.testing.assert_allclose(np.swapaxes(J.rows[rows, 0], 1, 2), numeric[rows], atol=1e-6)
    fit = minimize(held, start)
    found = fit.estimate.intrinsics[1]
    assert found[1] / found[0] == pytest.approx(aspect, rel=1e-12)
    sigma = np.sqrt(np.diag(precision(held, fit.estimate).covariance)).reshape(-1, N_CAMERA)
    assert sigma[1, 1] == pytest.approx(aspect * sigma[1, 0])
    assert sigma[1, 0] > 0


def test_the_reduced_step_is_the_step_of_the_whole_matrix(
    small: tuple[World, Problem, Estimate],
) -> None:
    _, problem, truth = small
    free = problem.free.copy()
    free[:2, len(names_of("fisheye")) : N_INTRINSICS] = False
    free[2, :N_INTRINSICS] = True
    bent = replace(problem, free=free, free_bend=True)
    off, J = view_jacobians(bent, _mixed(_shaken(truth, 0.2)), np.arange(N_INTRINSICS))
    step = gauss_newton_step(bent, normal_blocks(bent, off, J), 1e-3)
    assert step is not None
    C, B = len(problem.cameras), len(problem.boards)
    D = C * N_CAMERA
    dense = np.zeros((off.size, D + 6 * B + 2))
    for row in range(len(problem.views)):
        lines = slice(row * off[0].size, (row + 1) * off[0].size)
        block = np.moveaxis(J.rows[row], 0, -1).swapaxes(0, 1).reshape(-1, N_COLUMNS)
        c, b = problem.camera_of[row], problem.board_of[row]
        dense[lines, c * N_CAMERA : (c + 1) * N_CAMERA] = block[:, :N_CAMERA]
        dense[lines, D + 6 * b : D + 6 * b + 6] = block[:, N_CAMERA:-2]
        dense[lines, -2:] = block[:, -2:]
    columns = np.concatenate([np.flatnonzero(free.ravel()), np.arange(D, D + 6 * B + 2)])
    H = dense[:, columns].T @ dense[:, columns]
    H[np.diag_indices_from(H)] *= 1 + 1e-3
    scale = 1 / np.sqrt(np.diag(H))
    whole = -scale * np.linalg.solve(
        H * np.outer(scale, scale), scale * (dense[:, columns].T @ off.ravel())
    )
    ours = np.concatenate([step[0].ravel()[free.ravel()], step[1].ravel(), step[2]])
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
        pose.append(step / sigma[index, N_INTRINSICS:])
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
