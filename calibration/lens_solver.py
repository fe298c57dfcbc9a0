"""One camera's lens and the poses of its boards, from the corners alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .board import Board
from .board_pose import board_poses
from .bundle import minimize
from .camera import F64
from .lens_choice import LensChoice, first_numbers
from .normal_equations import N_CAMERA, Estimate, Problem, build_problem, residuals
from .projection import N_INTRINSICS, SHORT_COEFFICIENTS, unpack
from .views import View

# Where a pinhole's focal length cannot be read off the boards, and for every fisheye, the search
# starts at these angles of view across the picture.
PINHOLE_ANGLES_DEG = (40.0, 60.0, 80.0, 100.0)
FISHEYE_ANGLES_DEG = (80.0, 100.0, 120.0, 140.0, 160.0, 180.0, 210.0)
# Views that decide between starts; more say the same.
TRIED_VIEWS = 10
# Relative falls of the squares at which a start, and a lens before the joint refinement, is done.
ROUGH, FINE = 1e-2, 1e-6
MAX_FOCAL_WIDTHS = (0.1, 50.0)


@dataclass(frozen=True, slots=True)
class Solved:
    """A lens and how its views fit."""

    K: F64
    dist: F64
    views: tuple[View, ...]  # those that any pose fits
    view_rms_px: F64  # (V,)
    rms_px: float


def solve_lens(
    views: Sequence[View],
    size_px: tuple[int, int],
    board: Board,
    choice: LensChoice,
    free: NDArray[np.bool_],
) -> Solved | None:
    """The lens that fits the views best, by least squares; None where there is none.

    Args:
        views: of one camera.
        size_px: (width, height).
        board: the board.
        choice: the model, and what is known.
        free: (12,) which numbers to solve for.
    """
    starts = [
        start
        for numbers in _first_lenses(views, size_px, board, choice)
        if (start := _start(views, board, choice, numbers)) is not None
    ]
    if not starts:
        return None
    best = starts[0]
    if len(starts) > 1:
        tried = [_fit(_only(start, _spread(len(start[0]))), board, free, ROUGH) for start in starts]
        cost = [float(np.median(_rms(problem, fit))) for problem, fit in tried]
        best = starts[int(np.argmin(cost))]
    short = free.copy()
    short[4 + SHORT_COEFFICIENTS :] = False
    if (short != free).any():  # from afar the high terms lead astray
        problem, estimate = _fit(best, board, short, ROUGH)
        best = (list(problem.views), estimate)
    problem, estimate = _fit(best, board, free, FINE)
    better = _reposed(problem, estimate, board)
    if better is not None:
        problem, estimate = _fit((list(problem.views), better), board, free, FINE)
    numbers = estimate.intrinsics[0]
    low, high = (share * size_px[0] for share in MAX_FOCAL_WIDTHS)
    if not np.isfinite(numbers).all() or not low < numbers[:2].min() <= numbers[:2].max() < high:
        return None
    rms = _rms(problem, estimate)
    squares, counts = rms**2 * problem.used.sum(axis=1), problem.used.sum()
    K, dist = estimate.lens(0)
    return Solved(K, dist, problem.views, rms, float(np.sqrt(squares.sum() / counts)))


_Start = tuple[list[View], Estimate]


def _first_lenses(
    views: Sequence[View], size_px: tuple[int, int], board: Board, choice: LensChoice
) -> list[F64]:
    if choice.known is not None:
        return [first_numbers(choice, size_px, 0.0)]
    half = size_px[0] / 2.0
    if choice.model == "fisheye":
        angles = np.radians(FISHEYE_ANGLES_DEG) / 2.0
        return [first_numbers(choice, size_px, half / angle) for angle in angles]
    focal = _focal_by_homographies([views[row] for row in _spread(len(views))], size_px, board)
    if focal is not None:
        return [first_numbers(choice, size_px, focal)]
    angles = np.radians(PINHOLE_ANGLES_DEG) / 2.0
    return [first_numbers(choice, size_px, half / np.tan(angle)) for angle in angles]


def _focal_by_homographies(
    views: Sequence[View], size_px: tuple[int, int], board: Board
) -> float | None:
    points = board.points_board.astype(np.float32)
    objects = [np.ascontiguousarray(points[view.ids]) for view in views]
    images = [view.corners_px.astype(np.float32).reshape(-1, 1, 2) for view in views]
    try:
        K = np.asarray(cv2.initCameraMatrix2D(objects, images, size_px, 1.0))
    except cv2.error:
        return None  # no homography: all corners of a view on one line or in one place
    focal = float(np.sqrt(max(K[0, 0] * K[1, 1], 0.0)))
    low, high = 0.25 * size_px[0], 20.0 * size_px[0]
    return focal if np.isfinite(focal) and low < focal < high else None


def _start(views: Sequence[View], board: Board, choice: LensChoice, numbers: F64) -> _Start | None:
    posed, poses = [], []
    K, dist = unpack(numbers, choice.model)
    for view in views:
        found = board_poses(view, K, dist, board, refined=False)
        if found:
            posed.append(view)
            poses.append(found[0])
    if not posed:
        return None
    return posed, Estimate(numbers[None], np.eye(4)[None], np.stack(poses), (choice.model,))


def _spread(count: int) -> NDArray[np.intp]:
    return np.unique(np.linspace(0, count - 1, min(count, TRIED_VIEWS)).astype(np.intp))


def _only(start: _Start, rows: NDArray[np.intp]) -> _Start:
    views, estimate = start
    return [views[row] for row in rows], Estimate(
        estimate.intrinsics, estimate.cam_from_world, estimate.boards[rows], estimate.models
    )


def _fit(
    start: _Start, board: Board, free: NDArray[np.bool_], tolerance: float
) -> tuple[Problem, Estimate]:
    views, estimate = start
    mask = np.zeros((1, N_CAMERA), dtype=bool)
    mask[0, :N_INTRINSICS] = free
    apart = frozenset(view.key for view in views)
    problem = build_problem(views, [views[0].camera], board, mask, apart)
    return problem, minimize(problem, estimate, tolerance=tolerance).estimate


def _reposed(problem: Problem, estimate: Estimate, board: Board) -> Estimate | None:
    """The estimate with better poses for views that stuck in the wrong one of two; else None."""
    rms = _rms(problem, estimate)
    poses = estimate.boards.copy()
    K, dist = estimate.lens(0)
    for row in np.flatnonzero(rms > 2.0 * np.median(rms)):
        found = board_poses(problem.views[row], K, dist, board)
        if found:
            poses[row] = found[0]
    tried = Estimate(estimate.intrinsics, estimate.cam_from_world, poses, estimate.models)
    worse = _rms(problem, tried) >= 0.9 * rms
    poses[worse] = estimate.boards[worse]
    return None if worse.all() else tried


def _rms(problem: Problem, estimate: Estimate) -> F64:
    """(V,) of each view, over the distances of its corners."""
    squares = (residuals(problem, estimate) ** 2).sum(axis=(1, 2))
    return np.asarray(np.sqrt(squares / problem.used.sum(axis=1)))
