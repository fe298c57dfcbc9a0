"""The least-squares problem of a whole calibration, and its normal equations.

Unknown are each camera's lens (9) and pose (6) and each board's pose (6). A board touches only the
few cameras that saw it, so its 6x6 block is eliminated (Schur complement) and what is left to solve
has 15 unknowns per camera, however many boards there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .board import Board
from .camera import F64
from .projection import N_INTRINSICS, project, project_with_derivatives
from .transforms import updated
from .views import View

N_POSE = 6
N_CAMERA = N_INTRINSICS + N_POSE
# A point behind a camera has no pixel; it counts as this far off and pulls nothing.
BEHIND_PX = 1e4
MIN_DEPTH_M = 1e-6


@dataclass(frozen=True, slots=True)
class Problem:
    """What was measured. V views, N corners (padded), C cameras, B boards."""

    views: tuple[View, ...]
    cameras: tuple[str, ...]
    boards: tuple[tuple[str, ...], ...]  # what tells the boards apart, see `board_key`
    camera_of: NDArray[np.intp]  # (V,)
    board_of: NDArray[np.intp]  # (V,)
    alone: NDArray[np.bool_]  # (V,) the board has no other view: its pose is cam_from_board
    points: F64  # (V, N, 3) board frame, metres
    pixels: F64  # (V, N, 2)
    used: NDArray[np.bool_]  # (V, N)
    free: NDArray[np.bool_]  # (C, 15) parameters to solve for


@dataclass(frozen=True, slots=True)
class Estimate:
    """The unknowns."""

    intrinsics: F64  # (C, 9)
    cam_from_world: F64  # (C, 4, 4)
    boards: F64  # (B, 4, 4) world_from_board, or cam_from_board of a board seen once

    def stepped(self, cameras: F64, boards: F64) -> Estimate:
        """After a step: (C, 15) and (B, 6)."""
        return Estimate(
            self.intrinsics + cameras[:, :N_INTRINSICS],
            updated(self.cam_from_world, cameras[:, N_INTRINSICS:]),
            updated(self.boards, boards),
        )


@dataclass(frozen=True, slots=True)
class Blocks:
    """The normal equations, by block; D = 15 C."""

    cameras: F64  # (D, D)
    boards: F64  # (B, 6, 6)
    coupling: F64  # (B, 6, D)
    camera_gradient: F64  # (D,)
    board_gradient: F64  # (B, 6)


def board_key(view: View, apart: bool) -> tuple[str, ...]:
    """What tells the view's board pose from all others."""
    if view.shared and not apart:
        return ("moment", view.moment)
    return ("alone", view.camera, view.moment, str(view.shared))


def build_problem(
    views: Sequence[View],
    cameras: Sequence[str],
    board: Board,
    free: NDArray[np.bool_],
    apart: frozenset[tuple[str, str, bool]] = frozenset(),
    dropped: Mapping[tuple[str, str, bool], NDArray[np.bool_]] | None = None,
) -> Problem:
    """The arrays of a problem.

    Args:
        views: all views to use.
        cameras: names, in the order of `free`.
        board: the board.
        free: (C, 15) which camera parameters to solve for.
        apart: keys of views that get a board pose of their own.
        dropped: per view key, (N,) corners to leave out.
    """
    keys = [board_key(view, view.key in apart) for view in views]
    boards = list(dict.fromkeys(keys))
    index = {key: i for i, key in enumerate(boards)}
    board_of = np.array([index[key] for key in keys], dtype=np.intp)
    counts = np.bincount(board_of, minlength=len(boards))
    most = max(len(view.ids) for view in views)
    points = np.zeros((len(views), most, 3))
    pixels = np.zeros((len(views), most, 2))
    used = np.zeros((len(views), most), dtype=bool)
    points_board = board.points_board
    for row, view in enumerate(views):
        count = len(view.ids)
        points[row, :count] = points_board[view.ids]
        pixels[row, :count] = view.corners_px
        used[row, :count] = True
        if dropped and view.key in dropped:
            used[row, :count] &= ~dropped[view.key]
    order = {name: i for i, name in enumerate(cameras)}
    return Problem(
        views=tuple(views),
        cameras=tuple(cameras),
        boards=tuple(boards),
        camera_of=np.array([order[view.camera] for view in views], dtype=np.intp),
        board_of=board_of,
        alone=counts[board_of] == 1,
        points=points,
        pixels=pixels,
        used=used,
        free=free,
    )


def residuals(problem: Problem, estimate: Estimate) -> F64:
    """(V, N, 2) predicted minus measured pixels; zero where a corner is not used."""
    points_cam, _, _ = _points_cam(problem, estimate)
    front = points_cam[..., 2] > MIN_DEPTH_M
    safe = np.where(front[..., None], points_cam, 1.0)
    predicted = project(safe, estimate.intrinsics[problem.camera_of][:, None])
    off = np.where(front[..., None], predicted - problem.pixels, BEHIND_PX)
    return np.asarray(off * problem.used[..., None])


def view_jacobians(problem: Problem, estimate: Estimate) -> tuple[F64, F64]:
    """Residuals (V, N, 2) and their derivatives (V, N, 2, 21): lens, camera pose, board pose."""
    points_cam, turned_cam, turned_world = _points_cam(problem, estimate)
    front = points_cam[..., 2] > MIN_DEPTH_M
    safe = np.where(front[..., None], points_cam, 1.0)
    lens = estimate.intrinsics[problem.camera_of][:, None]
    predicted, by_point, by_lens = project_with_derivatives(safe, lens)
    off = np.where(front[..., None], predicted - problem.pixels, BEHIND_PX)
    active = (problem.used & front)[..., None, None]
    J = np.empty((*off.shape, N_CAMERA + N_POSE))
    J[..., :N_INTRINSICS] = by_lens * active
    by_point = by_point * active
    # d(exp(w) v)/dw = w x v, so a row j of d/dpoint gives j . (w x v) = w . (v x j).
    pose = J[..., N_INTRINSICS:N_CAMERA]
    pose[..., :3] = np.cross(turned_cam[..., None, :], by_point)
    pose[..., 3:] = by_point
    pose[problem.alone] = 0.0
    R = estimate.cam_from_world[problem.camera_of, :3, :3].copy()
    R[problem.alone] = np.eye(3)
    by_world = by_point @ R[:, None]
    J[..., N_CAMERA : N_CAMERA + 3] = np.cross(turned_world[..., None, :], by_world)
    J[..., N_CAMERA + 3 :] = by_world
    return off * problem.used[..., None], J


def normal_blocks(problem: Problem, off: F64, J: F64, weights: F64) -> Blocks:
    """The normal equations of weighted residuals; `weights` (V, N) as in `sum w r^2`."""
    V, N = weights.shape
    root = np.sqrt(weights)[..., None]
    rows = (J * root[..., None]).reshape(V, N * 2, -1)  # (V, 2N, 21)
    right = (off * root).reshape(V, N * 2, 1)
    rows_t = np.swapaxes(rows, 1, 2)
    H = rows_t @ rows  # (V, 21, 21)
    g = (rows_t @ right)[..., 0]  # (V, 21)
    C, B = len(problem.cameras), len(problem.boards)
    camera_blocks = np.zeros((C, N_CAMERA, N_CAMERA))
    camera_gradient = np.zeros((C, N_CAMERA))
    np.add.at(camera_blocks, problem.camera_of, H[:, :N_CAMERA, :N_CAMERA])
    np.add.at(camera_gradient, problem.camera_of, g[:, :N_CAMERA])
    boards = np.zeros((B, N_POSE, N_POSE))
    board_gradient = np.zeros((B, N_POSE))
    np.add.at(boards, problem.board_of, H[:, N_CAMERA:, N_CAMERA:])
    np.add.at(board_gradient, problem.board_of, g[:, N_CAMERA:])
    coupling = np.zeros((B, N_POSE, C, N_CAMERA))
    # A camera sees a board once, so no two views write the same place.
    coupling[problem.board_of, :, problem.camera_of] = H[:, N_CAMERA:, :N_CAMERA]
    whole = np.zeros((C, N_CAMERA, C, N_CAMERA))
    whole[np.arange(C), :, np.arange(C)] = camera_blocks
    D = C * N_CAMERA
    return Blocks(
        whole.reshape(D, D),
        boards,
        coupling.reshape(B, N_POSE, D),
        camera_gradient.reshape(D),
        board_gradient,
    )


def reduced(blocks: Blocks, free: NDArray[np.bool_], damping: float) -> tuple[F64, F64, F64, F64]:
    """What is left for the free camera parameters when the boards are eliminated.

    Returns:
        (F, F) matrix, (F,) right side, and (B, 6, F), (B, 6) to get the boards' steps back.
    """
    columns = np.flatnonzero(free.reshape(-1))
    A = blocks.cameras[np.ix_(columns, columns)].copy()
    A[np.diag_indices_from(A)] *= 1.0 + damping
    board = blocks.boards.copy()
    diagonal = np.arange(N_POSE)
    board[:, diagonal, diagonal] *= 1.0 + damping
    # A board without a used corner leaves a zero block; its pose stays.
    board[:, diagonal, diagonal] += (board[:, diagonal, diagonal] == 0.0) * 1.0
    W = blocks.coupling[:, :, columns]
    # Scaled to a unit diagonal the small blocks are tame (radians beside metres), and one inverse
    # each is four times as fast as solving for all columns.
    scale = 1.0 / np.sqrt(board[:, diagonal, diagonal])  # (B, 6)
    both = scale[:, :, None] * scale[:, None, :]
    inverses = np.linalg.inv(board * both) * both
    back = inverses @ W  # (B, 6, F)
    own = (inverses @ blocks.board_gradient[..., None])[..., 0]  # (B, 6)
    flat = W.reshape(len(W) * N_POSE, len(columns))
    S = A - flat.T @ back.reshape(flat.shape)
    right = blocks.camera_gradient[columns] - flat.T @ own.reshape(-1)
    return (S + S.T) / 2.0, right, back, own


def gauss_newton_step(
    blocks: Blocks, free: NDArray[np.bool_], damping: float
) -> tuple[F64, F64] | None:
    """Steps (C, 15) and (B, 6), or None where the matrix is not positive definite."""
    S, right, back, own = reduced(blocks, free, damping)
    if not len(S):
        return np.zeros(free.shape), -own
    scale = 1.0 / np.sqrt(np.maximum(np.diag(S), 1e-300))
    try:
        factor = scipy.linalg.cho_factor(S * scale[:, None] * scale[None, :], check_finite=False)
    except np.linalg.LinAlgError:
        return None
    solution = scale * scipy.linalg.cho_solve(factor, scale * right, check_finite=False)
    cameras = np.zeros(free.size)
    cameras[free.reshape(-1)] = -solution
    boards = -(own - back @ solution)
    return cameras.reshape(free.shape), boards


def _points_cam(problem: Problem, estimate: Estimate) -> tuple[F64, F64, F64]:
    """(V, N, 3) in the camera; its part turned by the camera's pose; the board's turned points."""
    boards = estimate.boards[problem.board_of]
    cameras = estimate.cam_from_world[problem.camera_of].copy()
    cameras[problem.alone] = np.eye(4)
    turned_world = problem.points @ np.swapaxes(boards[:, :3, :3], 1, 2)
    points_world = turned_world + boards[:, None, :3, 3]
    turned_cam = points_world @ np.swapaxes(cameras[:, :3, :3], 1, 2)
    return turned_cam + cameras[:, None, :3, 3], turned_cam, turned_world
