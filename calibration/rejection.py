"""Which views and corners disagree with all the others, and in what way.

A view that is no picture of any board loses the corners that are off, or is left out wholly. What
to make of views that are good pictures of boards in different places is `contradiction.py`'s part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .board import Board
from .board_pose import board_poses
from .bundle import MAD_TO_SIGMA, noise_px
from .camera import F64
from .contradiction import Key, Limits, Quarrel, settle, upright
from .normal_equations import Estimate, Problem, residuals
from .projection import project
from .rig import Rejected
from .views import View

# Corners farther off than this many sigmas: one good one in 3000 (chi-square, two degrees).
CORNER_SIGMAS = 4.0
# A view with more such corners, or whose typical corner is one, is spoiled as a whole.
BAD_SHARE = 0.15
# Of a view with some corners off the others are used, if they are at least this share of it.
GOOD_SHARE = 0.5
# A tie that is wrong by little puts no corner beyond the limit, yet all of them off: such a view
# fits this many times worse than its camera's median view and lies this many deviations above it
# (real views differ more than noise does), fits twice as badly (in squares) as it does alone, and
# being tied costs it more than six parameters can (their squares: 6 +- 3.5 sigma squared).
TIED_TIMES = 1.5
TIED_DEVIATIONS = 5.0
TIED_SQUARES = 2.0
TIED_COST = 30.0


@dataclass(frozen=True, slots=True)
class Outliers:
    """What to leave out, or to take otherwise."""

    views: tuple[Key, ...] = ()  # left out wholly
    apart: frozenset[Key] = frozenset()  # kept for their own lens only
    turned: frozenset[Key] = frozenset()  # numbered from the other end; used with that put right
    part: Mapping[Key, NDArray[np.bool_]] = field(default_factory=dict)  # (N,) left out for good
    corners: Mapping[Key, NDArray[np.bool_]] = field(default_factory=dict)  # (N,) these and others
    reasons: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fits:
    """How each view of a problem fits."""

    off_px: F64  # (V, N) NaN where padded or left out
    limit_px: F64  # (V,)
    bad: NDArray[np.bool_]  # (V,)
    alone_px: Mapping[int, F64]  # per bad row, (N,) the corners under the view's own best pose


def find_outliers(
    problem: Problem, estimate: Estimate, board: Board, earlier: Outliers
) -> Outliers:
    """Views and corners that do not fit a (robust) estimate.

    Args:
        problem: the corners, all in use but those of `earlier.part`.
        estimate: the robust estimate.
        board: the board.
        earlier: what an earlier look found; the problem is made with it.
    """
    fits = _fits(problem, estimate, board)
    dropped: list[Key] = []
    part = dict(earlier.part)
    reasons: list[Rejected] = []
    quarrels: list[Quarrel] = []
    for rows in _rows_by_board(problem):
        if not fits.bad[rows].any():
            continue
        broken = [row for row in rows if fits.bad[row] and not _good_alone(fits, row)]
        for row in broken:
            view, off = problem.views[row], fits.off_px[row]
            reasons.append(_broken(view, off, fits.limit_px[row]))
            far = np.nan_to_num(off[: len(view.ids)], nan=np.inf) > fits.limit_px[row]
            if view.key in part or float(np.mean(~far)) < GOOD_SHARE:
                dropped.append(view.key)
            else:
                part[view.key] = far
        rest = [row for row in rows if row not in broken]
        bad = [row for row in rest if fits.bad[row]]
        if len(rest) >= 2 and bad:
            quarrels.append(Quarrel(tuple(rest), tuple(bad)))
    limits = Limits(fits.limit_px, BAD_SHARE)
    up = upright(problem, estimate, ~fits.bad)
    verdict = settle(problem, estimate, board, quarrels, limits, up, earlier.turned)
    apart = earlier.apart | verdict.apart
    gone = set(dropped) | apart
    corners = dict(part)
    for row, view in enumerate(problem.views):
        far = fits.off_px[row, : len(view.ids)] > fits.limit_px[row]
        if view.key not in gone and view.key not in verdict.turned and far.any():
            corners[view.key] = far | corners.get(view.key, False)
    return Outliers(
        tuple(dropped),
        apart,
        earlier.turned | verdict.turned,
        part,
        corners,
        (*reasons, *verdict.reasons),
    )


def _broken(view: View, off_px: F64, limit_px: float) -> Rejected:
    """A view that is no good picture of any board: some of its corners are off, or most."""
    reason = "residual" if float(np.nanmedian(off_px)) > limit_px else "corners"
    return Rejected(view.camera, view.moment, reason, float(np.sqrt(np.nanmean(off_px**2))))


def _fits(problem: Problem, estimate: Estimate, board: Board) -> _Fits:
    off = residuals(problem, estimate)
    everywhere = noise_px(problem, off)
    count = np.maximum(problem.used.sum(axis=1), 1)
    norm = np.where(problem.used, np.linalg.norm(off, axis=-1), np.nan)
    rms = np.sqrt(np.nansum(norm**2, axis=1) / count)
    limit, worst = np.empty(len(problem.views)), np.empty(len(problem.views))
    for index in range(len(problem.cameras)):
        rows = problem.camera_of == index
        values = np.abs(off[rows][problem.used[rows]])
        own = MAD_TO_SIGMA * float(np.median(values)) if values.size else 0.0
        limit[rows] = CORNER_SIGMAS * max(everywhere, own)
        worst[rows] = _usual_worst(rms[rows])
    bad = (norm > limit[:, None]).sum(axis=1) / count > BAD_SHARE
    doubtful = ~problem.alone & (rms > worst)
    alone: dict[int, F64] = {}
    for row in np.flatnonzero(bad | doubtful):
        own_px = _alone_px(problem, estimate, int(row), board)
        if own_px is None:
            continue
        alone[int(row)] = own_px
        squares, tied = float(np.nansum(own_px**2)), float(np.nansum(norm[row] ** 2))
        cost = (tied - squares) / (limit[row] / CORNER_SIGMAS) ** 2
        bad[row] |= bool(doubtful[row] and tied > TIED_SQUARES * squares and cost > TIED_COST)
    return _Fits(norm, limit, bad, alone)


def _usual_worst(rms_px: F64) -> float:
    """How badly a camera's views fit at worst, by the half of them that fits best."""
    if not rms_px.size:
        return 0.0
    middle = float(np.median(rms_px))
    deviation = MAD_TO_SIGMA * float(np.median(np.abs(rms_px - middle)))
    return max(TIED_TIMES * middle, middle + TIED_DEVIATIONS * deviation)


def _rows_by_board(problem: Problem) -> list[list[int]]:
    rows: list[list[int]] = [[] for _ in problem.boards]
    for row, index in enumerate(problem.board_of):
        rows[int(index)].append(row)
    return rows


def _good_alone(fits: _Fits, row: int) -> bool:
    """Whether the view is a good picture of a board, wherever that board may be."""
    off = fits.alone_px.get(row)
    return off is not None and float(np.mean(off > fits.limit_px[row])) <= BAD_SHARE


def _alone_px(problem: Problem, estimate: Estimate, row: int, board: Board) -> F64 | None:
    """(N,) how far corners are off under the view's own best pose; NaN where left out."""
    view, camera = problem.views[row], int(problem.camera_of[row])
    used = problem.used[row, : len(view.ids)]
    poses = board_poses(_only(view, used), *estimate.lens(camera), board) if used.sum() >= 4 else []
    if not poses:
        return None
    points_cam = board.points_board[view.ids] @ poses[0][:3, :3].T + poses[0][:3, 3]
    seen = project(points_cam, estimate.intrinsics[camera], estimate.model(camera))
    off = np.linalg.norm(seen - view.corners_px, axis=1)
    return np.asarray(np.where(used, off, np.nan))


def _only(view: View, used: Sequence[bool] | NDArray[np.bool_]) -> View:
    return View(view.camera, view.moment, view.corners_px[used], view.ids[used], view.shared)
