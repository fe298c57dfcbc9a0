"""How far a calibration can be trusted, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .board import Board
from .bundle import minimize, noise_px
from .camera import F64, Camera, CameraQuality, CameraSigma, to_rays
from .normal_equations import (
    N_CAMERA,
    Estimate,
    Problem,
    build_problem,
    own_parameters,
    residuals,
)
from .projection import N_INTRINSICS, model_of, pack, project_with_derivatives
from .refinement import Refined
from .rig import RigQuality, SigmaAt
from .views import coverage_counts

# Fewer shared moments cannot be split in halves that each hold a rig together.
MIN_SPLIT_MOMENTS = 8
# Points per axis of the volume at which the triangulation error is predicted.
VOLUME_STEPS = 4
# A ten-thousandth of the squares is far below what two halves differ by.
HALF_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """One camera's figures beyond those of the rig file."""

    quality: CameraQuality
    sigma: CameraSigma
    max_px: float
    tilt_range_deg: float  # between the least and the most tilted board
    depth_m: float  # of the median board
    coverage_counts: tuple[tuple[int, ...], ...]  # corners per cell, row by row


@dataclass(frozen=True, slots=True)
class Edges:
    """Triangulated lengths of the squares' sides against their true length."""

    count: int
    mean_error_mm: float
    rms_error_mm: float


def camera_figures(
    refined: Refined, sizes_px: Mapping[str, tuple[int, int]]
) -> dict[str, CameraFigures]:
    """Figures of every camera, from the final estimate."""
    problem, estimate = refined.problem, refined.fit.estimate
    off = np.linalg.norm(residuals(problem, estimate), axis=-1)
    figures = {}
    for index, name in enumerate(problem.cameras):
        rows = np.flatnonzero(problem.camera_of == index)
        values = off[rows][problem.used[rows]]
        poses = np.stack([cam_from_board(refined, int(row)) for row in rows])
        depth = poses[:, 2, 3]
        tilt = np.degrees(np.arccos(np.clip(poses[:, 2, 2], -1.0, 1.0)))
        counts = coverage_counts(problem.pixels[rows][problem.used[rows]], sizes_px[name])
        sigma = np.sqrt(np.diag(refined.precision.covariance)).reshape(-1, N_CAMERA)[index]
        figures[name] = CameraFigures(
            quality=CameraQuality(
                rms_px=float(np.sqrt(np.mean(values**2))),
                p95_px=float(np.percentile(values, 95)),
                views=len(rows),
                corners=len(values),
                coverage=float(np.mean(counts > 0)),
                depth_ratio=float(depth.max() / depth.min()),
            ),
            sigma=CameraSigma(
                focal_px=_rms(sigma[:2]),
                center_px=_rms(sigma[2:4]),
                rotation_rad=_rms(sigma[N_INTRINSICS : N_INTRINSICS + 3]),
                translation_m=_rms(sigma[N_INTRINSICS + 3 :]),
            ),
            max_px=float(values.max()),
            tilt_range_deg=float(np.ptp(tilt)),
            depth_m=float(np.median(depth)),
            coverage_counts=tuple(tuple(int(c) for c in row) for row in counts),
        )
    return figures


def rig_quality(
    refined: Refined, cameras: Sequence[Camera], board: Board
) -> tuple[RigQuality, Edges]:
    """Figures of the whole rig, and its edge lengths."""
    problem, estimate = refined.problem, refined.fit.estimate
    off = residuals(problem, estimate)
    squared = (off**2).sum(axis=-1)[problem.used]
    edges = edge_lengths(refined, cameras, board)
    # Above 1: the residuals have heavier tails than normal noise, so something is not modelled.
    chi2_dof = (refined.precision.sigma_px / noise_px(problem, off)) ** 2
    return (
        RigQuality(
            rms_px=float(np.sqrt(squared.mean())),
            chi2_dof=float(chi2_dof),
            cross_validation_px=split_half_px(refined, board),
            edge_error_mm=edges.rms_error_mm if edges.count else None,
            sigma_mm_at=_sigma_over_volume(refined, cameras),
        ),
        edges,
    )


def cam_from_board(refined: Refined, row: int) -> F64:
    """(4, 4) of one view."""
    problem, estimate = refined.problem, refined.fit.estimate
    pose = estimate.boards[problem.board_of[row]]
    if problem.alone[row]:
        return np.asarray(pose)
    return np.asarray(estimate.cam_from_world[problem.camera_of[row]] @ pose)


def split_half_px(refined: Refined, board: Board) -> float | None:
    """RMS of each half of the moments under the cameras of the other half; None if too few.

    Only the boards' poses are fitted in the half that is tested.
    """
    problem, estimate = refined.problem, refined.fit.estimate
    shared = [key for key in problem.boards if key[0] == "moment"]
    if len(shared) < MIN_SPLIT_MOMENTS:
        return None
    # Alternate within each set of cameras, so that either half ties all of them together.
    even: set[tuple[str, ...]] = set()
    taken: dict[tuple[int, ...], int] = {}
    for index, key in enumerate(problem.boards):
        seen_by = tuple(sorted(problem.camera_of[problem.board_of == index].tolist()))
        taken[seen_by] = taken.get(seen_by, 0) + 1
        if taken[seen_by] % 2:
            even.add(key)
    half_of = np.array([key in even for key in problem.boards])[problem.board_of]
    total, count = 0.0, 0
    for flag in (True, False):
        fitted = _half(problem, half_of == flag, problem.free, board)
        tested = _half(problem, half_of != flag, np.zeros_like(problem.free), board)
        cameras_there = set(fitted.camera_of.tolist())
        if len(cameras_there) < len(problem.cameras):
            return None
        boards = {key: estimate.boards[i] for i, key in enumerate(problem.boards)}
        start = _with_boards(fitted, estimate, boards)
        first = minimize(fitted, start, tolerance=HALF_TOLERANCE).estimate
        start = _with_boards(tested, first, boards)
        second = minimize(tested, start, tolerance=HALF_TOLERANCE).estimate
        squared = (residuals(tested, second) ** 2).sum(axis=-1)[tested.used]
        total, count = total + float(squared.sum()), count + squared.size
    return float(np.sqrt(total / count))


def edge_lengths(refined: Refined, cameras: Sequence[Camera], board: Board) -> Edges:
    """Sides of squares between corners triangulated from all views of a moment."""
    problem = refined.problem
    columns, rows = board.inner_corners
    lengths = []
    for index, key in enumerate(problem.boards):
        members = np.flatnonzero(problem.board_of == index)
        if len(members) < 2 or key[0] != "moment":
            continue
        pixels = np.full((len(members), columns * rows, 2), np.nan)
        for slot, row in enumerate(members):
            view = problem.views[row]
            ok = problem.used[row, : len(view.ids)]
            pixels[slot, view.ids[ok]] = view.corners_px[ok]
        seen_by = [cameras[problem.camera_of[row]] for row in members]
        grid = _midpoints(seen_by, pixels).reshape(rows, columns, 3)
        for axis in (0, 1):
            length = np.linalg.norm(np.diff(grid, axis=axis), axis=2).ravel()
            lengths.append(length[np.isfinite(length)])
    flat = np.concatenate(lengths) if lengths else np.empty(0)
    if flat.size == 0:
        return Edges(0, 0.0, 0.0)
    error_mm = (flat - board.square_m) * 1000.0
    return Edges(flat.size, float(error_mm.mean()), _rms(error_mm))


def point_sigma_m(cameras: Sequence[Camera], points_world: F64, covariance: F64) -> F64:
    """(N,) how far the calibration's errors move triangulated points: RMS over the three axes.

    NaN where fewer than two cameras see the point. The pixels themselves are taken as exact.

    Args:
        cameras: the rig, in the order of `covariance`.
        points_world: (N, 3) metres, in the world of the cameras.
        covariance: (D, D) of the lenses' and poses' own numbers, see `own_covariance`.
    """
    sigma = np.full(len(points_world), np.nan)
    per_camera = []
    for camera in cameras:
        R = camera.cam_from_world[:3, :3]
        turned = points_world @ R.T
        points_cam = turned + camera.cam_from_world[:3, 3]
        front = points_cam[:, 2] > 1e-3
        safe = np.where(front[:, None], points_cam, 1.0)
        lens = pack(camera.K, camera.dist)
        pixels, by_point, by_lens = project_with_derivatives(safe, lens, model_of(camera.dist))
        inside = (
            front & (pixels > -0.5).all(axis=1) & (pixels < np.array(camera.size_px)).all(axis=1)
        )
        by_pose = np.concatenate([np.cross(turned[:, None, :], by_point), by_point], axis=2)
        by_own = np.concatenate([by_lens[..., : 4 + camera.dist.size], by_pose], axis=2)
        per_camera.append((inside, by_point @ R, by_own))
    first = np.cumsum([0, *(by_own.shape[2] for _, _, by_own in per_camera)])
    for n in range(len(points_world)):
        seen = [i for i, (inside, _, _) in enumerate(per_camera) if inside[n]]
        if len(seen) < 2:
            continue
        A = np.concatenate([per_camera[i][1][n] for i in seen])  # (2S, 3)
        B = np.zeros((len(A), len(covariance)))
        for slot, i in enumerate(seen):
            B[2 * slot : 2 * slot + 2, first[i] : first[i + 1]] = per_camera[i][2][n]
        moved = np.linalg.pinv(A) @ B  # (3, D)
        sigma[n] = np.sqrt(np.trace(moved @ covariance @ moved.T) / 3.0)
    return sigma


def own_covariance(refined: Refined) -> F64:
    """(D, D) of the numbers that the lenses and poses have, camera by camera."""
    own = own_parameters([refined.fit.estimate.model(i) for i in range(len(refined.problem.free))])
    columns = np.concatenate([index * N_CAMERA + one for index, one in enumerate(own)])
    return np.asarray(refined.precision.covariance[np.ix_(columns, columns)])


def _sigma_over_volume(refined: Refined, cameras: Sequence[Camera]) -> SigmaAt | None:
    problem, estimate = refined.problem, refined.fit.estimate
    shared = np.array([key[0] == "moment" for key in problem.boards])
    spots = estimate.boards[shared][:, :3, 3]
    many = np.bincount(problem.board_of, minlength=len(problem.boards))[shared] >= 2
    spots = spots[many]
    if len(spots) == 0:
        return None
    low, high = spots.min(axis=0), spots.max(axis=0)
    axes = [np.linspace(low[i], high[i], VOLUME_STEPS) for i in range(3)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
    points = np.concatenate([spots.mean(axis=0, keepdims=True), grid])
    # The estimate's own frame: the reference camera.
    own = [replace(c, cam_from_world=estimate.cam_from_world[i]) for i, c in enumerate(cameras)]
    sigma_mm = 1000.0 * point_sigma_m(own, points, own_covariance(refined))
    if not np.isfinite(sigma_mm[0]):
        sigma_mm[0] = np.nanmedian(sigma_mm) if np.isfinite(sigma_mm).any() else np.nan
    if not np.isfinite(sigma_mm[0]):
        return None
    return SigmaAt(center=float(sigma_mm[0]), worst=float(np.nanmax(sigma_mm)))


def _midpoints(cameras: Sequence[Camera], pixels: F64) -> F64:
    """(N, 3) points nearest to the rays of (V, N, 2) pixels; NaN where fewer than two see it."""
    A = np.zeros((pixels.shape[1], 3, 3))
    b = np.zeros((pixels.shape[1], 3))
    count = np.zeros(pixels.shape[1])
    for camera, seen in zip(cameras, pixels, strict=True):
        rays = to_rays(camera, seen)
        ok = np.isfinite(rays).all(axis=1)
        across = np.eye(3) - rays[ok, :, None] * rays[ok, None, :]
        A[ok] += across
        b[ok] += across @ camera.center_world
        count[ok] += 1
    points = np.full((pixels.shape[1], 3), np.nan)
    enough = count >= 2
    points[enough] = np.linalg.solve(A[enough], b[enough][..., None])[..., 0]
    return points


def _half(
    problem: Problem, rows: NDArray[np.bool_], free: NDArray[np.bool_], board: Board
) -> Problem:
    views = [view for view, keep in zip(problem.views, rows, strict=True) if keep]
    apart = frozenset(
        view.key
        for row, view in enumerate(problem.views)
        if problem.boards[problem.board_of[row]][0] != "moment" and view.shared
    )
    dropped = {
        view.key: ~problem.used[row, : len(view.ids)] for row, view in enumerate(problem.views)
    }
    bend = problem.free_bend and bool(free.any())
    return build_problem(views, problem.cameras, board, free, apart, dropped, free_bend=bend)


def _with_boards(
    problem: Problem, estimate: Estimate, boards: Mapping[tuple[str, ...], F64]
) -> Estimate:
    stack = np.stack([boards[key] for key in problem.boards])
    return replace(estimate, boards=stack)


def _rms(values: F64) -> float:
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else 0.0
