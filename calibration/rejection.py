"""Which views and corners disagree with all the others, and in what way.

A moment seen by two cameras that disagree cannot say which of the two is wrong; both are then taken
apart: each still helps its own lens, neither ties the cameras together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .board import Board
from .bundle import noise_px
from .camera import F64
from .intrinsics import board_poses
from .normal_equations import Estimate, Problem, residuals
from .projection import project, unpack
from .rig import Rejected
from .transforms import inverse
from .views import View

# Corners farther off than this many sigmas: one good one in 3000 (chi-square, two degrees).
CORNER_SIGMAS = 4.0
# A view with more such corners, or whose typical corner is one, is spoiled as a whole.
BAD_SHARE = 0.15
# A turned board explains a view when it fits this many times better than the board as numbered.
TURN_RATIO = 0.3

Key = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Outliers:
    """What to leave out."""

    views: tuple[Key, ...] = ()  # left out wholly
    apart: frozenset[Key] = frozenset()  # kept for their own lens only
    corners: Mapping[Key, NDArray[np.bool_]] = field(default_factory=dict)  # (N,) left out
    reasons: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fits:
    """How each view of a problem fits."""

    off_px: F64  # (V, N) NaN where padded
    limit_px: F64  # (V,)
    bad: NDArray[np.bool_]  # (V,)


def find_outliers(
    problem: Problem, estimate: Estimate, board: Board, apart: frozenset[Key]
) -> Outliers:
    """Views and corners that do not fit a (robust) estimate.

    Args:
        problem: the corners, all of them in use.
        estimate: the robust estimate.
        board: the board.
        apart: views already taken apart.
    """
    fits = _fits(problem, estimate)
    dropped: list[Key] = []
    taken_apart = set(apart)
    reasons: list[Rejected] = []
    corners: dict[Key, NDArray[np.bool_]] = {}
    for rows in _rows_by_board(problem):
        if not fits.bad[rows].any():
            continue
        broken = [
            row
            for row in rows
            if fits.bad[row] and not _fits_alone(problem, estimate, row, board, fits)
        ]
        dropped += [problem.views[row].key for row in broken]
        reasons += [
            _broken(problem.views[row], fits.off_px[row], fits.limit_px[row]) for row in broken
        ]
        rest = [row for row in rows if row not in broken]
        if len(rest) < 2:
            continue
        good = [row for row in rest if not fits.bad[row]]
        if len(good) == len(rest):
            continue
        # Two or more that agree outvote the others; otherwise nobody knows who is wrong.
        accused = [row for row in rest if fits.bad[row]] if len(good) >= 2 else rest
        for row in accused:
            view = problem.views[row]
            witness = next(r for r in (good if len(good) >= 2 else rest) if r != row)
            reason, value = _disagreement(problem, estimate, row, witness, board)
            reasons.append(Rejected(view.camera, view.moment, reason, value))
            taken_apart.add(view.key)
    gone = set(dropped) | taken_apart
    for row, view in enumerate(problem.views):
        far = fits.off_px[row, : len(view.ids)] > fits.limit_px[row]
        if view.key not in gone and far.any():
            corners[view.key] = far
    return Outliers(tuple(dropped), frozenset(taken_apart), corners, tuple(reasons))


def _broken(view: View, off_px: F64, limit_px: float) -> Rejected:
    """A view that is no good picture of any board: some of its corners are off, or most."""
    reason = "residual" if float(np.nanmedian(off_px)) > limit_px else "corners"
    return Rejected(view.camera, view.moment, reason, _rms(off_px))


def _fits(problem: Problem, estimate: Estimate) -> _Fits:
    off = residuals(problem, estimate)
    everywhere = noise_px(problem, off)
    limit = np.empty(len(problem.views))
    for index in range(len(problem.cameras)):
        rows = problem.camera_of == index
        values = np.abs(off[rows][problem.used[rows]])
        own = 1.4826 * float(np.median(values)) if values.size else 0.0
        limit[rows] = CORNER_SIGMAS * max(everywhere, own)
    norm = np.where(problem.used, np.linalg.norm(off, axis=-1), np.nan)
    beyond = (norm > limit[:, None]).sum(axis=1) / np.maximum(problem.used.sum(axis=1), 1)
    return _Fits(norm, limit, beyond > BAD_SHARE)


def _rows_by_board(problem: Problem) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in problem.boards]
    for row, index in enumerate(problem.board_of):
        rows[int(index)].append(row)
    return rows


def _fits_alone(problem: Problem, estimate: Estimate, row: int, board: Board, fits: _Fits) -> bool:
    """Whether the view is a good picture of a board, wherever that board may be."""
    pose = _own_pose(problem, estimate, row, board)
    if pose is None:
        return False
    view = problem.views[row]
    points_cam = board.points_board[view.ids] @ pose[:3, :3].T + pose[:3, 3]
    predicted = project(points_cam, estimate.intrinsics[problem.camera_of[row]])
    off = np.linalg.norm(predicted - view.corners_px, axis=1)
    return bool(np.mean(off > fits.limit_px[row]) <= BAD_SHARE)


def _own_pose(problem: Problem, estimate: Estimate, row: int, board: Board) -> F64 | None:
    K, dist = unpack(estimate.intrinsics[problem.camera_of[row]])
    poses = board_poses(problem.views[row], K, dist, board)
    return poses[0] if poses else None


def _disagreement(
    problem: Problem, estimate: Estimate, row: int, witness: int, board: Board
) -> tuple[str, float]:
    """`flipped` and its pixels, or `desync` and its millimetres, against another view's board."""
    own = _own_pose(problem, estimate, row, board)
    other = _own_pose(problem, estimate, witness, board)
    if own is None or other is None:
        return "desync", 0.0
    cam_from_witness = estimate.cam_from_world[problem.camera_of[row]] @ inverse(
        estimate.cam_from_world[problem.camera_of[witness]]
    )
    expected = cam_from_witness @ other
    points = board.points_board
    as_numbered = _apart_m(own, expected, points, points)
    turned = _apart_m(own, expected, points, points[::-1])
    if turned < TURN_RATIO * as_numbered:
        off = residuals(problem, estimate)[row]
        return "flipped", _rms(np.linalg.norm(off[problem.used[row]], axis=-1))
    middle = points.mean(axis=0, keepdims=True)
    return "desync", 1000.0 * _apart_m(own, expected, middle, middle)


def _apart_m(first: F64, second: F64, points: F64, others: F64) -> float:
    a = points @ first[:3, :3].T + first[:3, 3]
    b = others @ second[:3, :3].T + second[:3, 3]
    return float(np.sqrt(((a - b) ** 2).sum(axis=1).mean()))


def _rms(off: Sequence[float] | F64) -> float:
    return float(np.sqrt(np.nanmean(np.square(off))))
