"""The least-squares problem of a whole calibration: residuals and how they change.

Unknown are each camera's lens (12) and pose (6), each board's pose (6), and perhaps how the board
is bent (2). How they are solved for is `schur.py`'s part.

Lens numbers that no camera is free to change are left out of the work. Where fx is free and fy is
not, fy follows it: their ratio is held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .board import Board
from .camera import F64
from .projection import (
    N_INTRINSICS,
    LensModel,
    differentiate_views,
    names_of,
    project_views,
    unpack,
)
from .transforms import updated
from .views import View

N_POSE = 6
N_CAMERA = N_INTRINSICS + N_POSE
N_BEND = 2
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
    free: NDArray[np.bool_]  # (C, 18) parameters to solve for
    bowl: F64  # (V, N, 2) how far a corner sinks for a unit of each bend, see `Board.bowl`
    free_bend: bool = False  # solve for the board's bend too

    @property
    def free_columns(self) -> NDArray[np.intp]:
        """Which of the 18 C + 2 numbers beside the boards' poses are solved for."""
        bend = np.full(N_BEND, self.free_bend)
        return np.flatnonzero(np.concatenate([self.free.reshape(-1), bend]))


@dataclass(frozen=True, slots=True)
class Estimate:
    """The unknowns."""

    intrinsics: F64  # (C, 12)
    cam_from_world: F64  # (C, 4, 4)
    boards: F64  # (B, 4, 4) world_from_board, or cam_from_board of a board seen once
    models: tuple[LensModel, ...] = ()  # of the C lenses; empty: all pinhole5
    bend_m: F64 = field(default_factory=lambda: np.zeros(N_BEND))  # (2,) see `Board.bowl`

    def stepped(self, cameras: F64, boards: F64, bend_m: F64 | float = 0.0) -> Estimate:
        """After a step: (C, 18), (B, 6) and (2,)."""
        return Estimate(
            self.intrinsics + cameras[:, :N_INTRINSICS],
            updated(self.cam_from_world, cameras[:, N_INTRINSICS:]),
            updated(self.boards, boards),
            self.models,
            self.bend_m + bend_m,
        )

    def model(self, camera: int) -> LensModel:
        """The model of one camera's lens."""
        return self.models[camera] if self.models else "pinhole5"

    def lens(self, camera: int) -> tuple[F64, F64]:
        """K (3, 3) and the coefficients of one camera."""
        return unpack(self.intrinsics[camera], self.model(camera))


@dataclass(frozen=True, slots=True)
class Jacobian:
    """How the residuals change; P rows: L lens numbers, camera pose, board pose, bend."""

    rows: F64  # (V, P, 2, N)
    lens: NDArray[np.intp]  # (L,) which of the twelve lens numbers come first


def own_parameters(models: Sequence[LensModel]) -> list[NDArray[np.intp]]:
    """Per camera, which of its 18 numbers its lens and pose have."""
    pose = np.arange(N_INTRINSICS, N_CAMERA)
    return [np.concatenate([np.arange(len(names_of(model))), pose]) for model in models]


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
    *,
    free_bend: bool = False,
) -> Problem:
    """The arrays of a problem.

    Args:
        views: all views to use.
        cameras: names, in the order of `free`.
        board: the board.
        free: (C, 18) which camera parameters to solve for.
        apart: keys of views that get a board pose of their own.
        dropped: per view key, (N,) corners to leave out.
        free_bend: whether to solve for the board's bend.
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
    bowl = np.zeros((len(views), most, N_BEND))
    points_board, bowl_board = board.points_board, board.bowl
    for row, view in enumerate(views):
        count = len(view.ids)
        points[row, :count] = points_board[view.ids]
        pixels[row, :count] = view.corners_px
        bowl[row, :count] = bowl_board[view.ids]
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
        bowl=bowl,
        free_bend=free_bend,
    )


def residuals(problem: Problem, estimate: Estimate) -> F64:
    """(V, N, 2) predicted minus measured pixels; zero where a corner is not used."""
    points_cam, _, _ = _points_cam(problem, estimate)
    front = points_cam[..., 2] > MIN_DEPTH_M
    safe = points_cam if front.all() else np.where(front[..., None], points_cam, 1.0)
    lens = estimate.intrinsics[problem.camera_of]
    predicted = np.empty((*problem.used.shape, 2))
    for model, rows in _by_model(problem, estimate):
        predicted[rows] = np.swapaxes(project_views(safe[rows], lens[rows], model), 1, 2)
    off = predicted - problem.pixels
    if not front.all():
        off[~front] = BEHIND_PX
    return np.asarray(off * problem.used[..., None])


def view_jacobians(
    problem: Problem, estimate: Estimate, lens: NDArray[np.intp] | None = None
) -> tuple[F64, Jacobian]:
    """Residuals (V, N, 2) and how they change.

    Args:
        problem: the corners.
        estimate: where.
        lens: (L,) which lens numbers are asked for; those that any camera is free to change.
    """
    lens = np.flatnonzero(problem.free[:, :N_INTRINSICS].any(axis=0)) if lens is None else lens
    points_cam, turned_cam, turned_world = _points_cam(problem, estimate)
    front = points_cam[..., 2] > MIN_DEPTH_M
    safe = points_cam if front.all() else np.where(front[..., None], points_cam, 1.0)
    active = problem.used & front
    V, N = active.shape
    off = np.full((V, N, 2), BEHIND_PX)
    first_board = len(lens) + N_POSE
    J = np.empty((V, first_board + N_POSE + N_BEND * problem.free_bend, 2, N))
    by_point = np.empty((V, 3, 2, N))
    numbers = estimate.intrinsics[problem.camera_of]
    for model, rows in _by_model(problem, estimate):
        pixels, by_point[rows], by_lens = differentiate_views(safe[rows], numbers[rows], model)
        off[rows] = np.swapaxes(pixels, 1, 2) - problem.pixels[rows]
        first = np.array_equal(lens, np.arange(len(lens)))  # a slice is quicker than a selection
        J[rows, : len(lens)] = by_lens[:, : len(lens)] if first else by_lens[:, lens]
        if 0 in lens:
            follows = (problem.free[:, 0] & ~problem.free[:, 1])[problem.camera_of[rows]]
            if follows.any():
                aspect = np.where(follows, numbers[rows, 1] / numbers[rows, 0], 0.0)
                J[rows, 0] += aspect[:, None, None] * by_lens[:, 1]
    if not front.all():
        off[~front] = BEHIND_PX
    off *= problem.used[..., None]
    if not active.all():
        J[:, : len(lens)] *= active[:, None, None]
        by_point *= active[:, None, None]
    # d(exp(w) v)/dw = w x v, so a row j of d/dpoint gives j . (w x v) = w . (v x j).
    _cross(turned_cam, by_point, J[:, len(lens) : len(lens) + 3])
    J[:, len(lens) + 3 : first_board] = by_point
    J[problem.alone, len(lens) : first_board] = 0.0
    R = _rotations(problem, estimate)
    by_world = (np.swapaxes(R, 1, 2) @ by_point.reshape(V, 3, 2 * N)).reshape(by_point.shape)
    _cross(turned_world, by_world, J[:, first_board : first_board + 3])
    J[:, first_board + 3 : first_board + N_POSE] = by_world
    if problem.free_bend:
        into = estimate.boards[problem.board_of, :3, 2]  # the board's z axis in the world
        sink = (into[:, None] @ by_world.reshape(V, 3, 2 * N)).reshape(V, 2, N)
        for column in range(N_BEND):
            J[:, first_board + N_POSE + column] = sink * problem.bowl[:, None, :, column]
    return off, Jacobian(J, lens)


def followers(problem: Problem, estimate: Estimate) -> tuple[NDArray[np.intp], F64]:
    """Cameras whose fy follows fx, and fy / fx of those."""
    which = np.flatnonzero(problem.free[:, 0] & ~problem.free[:, 1])
    return which, estimate.intrinsics[which, 1] / estimate.intrinsics[which, 0]


def _cross(points: F64, by: F64, out: F64) -> None:
    """Cross products of points (V, N, 3) with (V, 3, 2, N), written into (V, 3, 2, N)."""
    x, y, z = (points[:, None, :, axis] for axis in range(3))  # (V, 1, N)
    out[:, 0] = y * by[:, 2] - z * by[:, 1]
    out[:, 1] = z * by[:, 0] - x * by[:, 2]
    out[:, 2] = x * by[:, 1] - y * by[:, 0]


def _by_model(
    problem: Problem, estimate: Estimate
) -> list[tuple[LensModel, NDArray[np.intp] | slice]]:
    """The views of each lens model there is: `pinhole5` goes with `pinhole8`."""
    fish = np.array([model == "fisheye" for model in estimate.models], dtype=bool)
    if not fish.any():
        return [("pinhole8", slice(None))]
    if fish.all():
        return [("fisheye", slice(None))]
    of_view = fish[problem.camera_of]
    return [("pinhole8", np.flatnonzero(~of_view)), ("fisheye", np.flatnonzero(of_view))]


def _rotations(problem: Problem, estimate: Estimate) -> F64:
    """(V, 3, 3) of the cameras, the identity where the board's pose is in the camera."""
    R = estimate.cam_from_world[problem.camera_of, :3, :3].copy()
    R[problem.alone] = np.eye(3)
    return R


def _points_cam(problem: Problem, estimate: Estimate) -> tuple[F64, F64, F64]:
    """(V, N, 3) in the camera; its part turned by the camera's pose; the board's turned points."""
    boards = estimate.boards[problem.board_of]
    cameras = estimate.cam_from_world[problem.camera_of].copy()
    cameras[problem.alone] = np.eye(4)
    points = problem.points
    if estimate.bend_m.any():
        points = points.copy()
        points[..., 2] += problem.bowl @ estimate.bend_m
    turned_world = points @ np.swapaxes(boards[:, :3, :3], 1, 2)
    points_world = turned_world + boards[:, None, :3, 3]
    turned_cam = points_world @ np.swapaxes(cameras[:, :3, :3], 1, 2)
    return turned_cam + cameras[:, None, :3, 3], turned_cam, turned_world
