"""Views of one moment that are each a good picture of a board, but not of one board in one place.

Either one of them numbers the corners from the other end, or the board had moved between them. Of
three views the one is wrong without which the others agree. Of two, a turned board is put right
whichever it is (that ties the cameras just the same); of a board that had moved nobody can tell
which is late, unless one camera is in nearly all such quarrels. Then both are taken apart: each
still helps its own lens, neither ties the cameras, and each is named as `partner` of the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .board import Board
from .board_pose import board_poses
from .bundle import minimize
from .camera import F64
from .normal_equations import Estimate, Problem, build_problem, residuals
from .rig import Rejected
from .transforms import inverse
from .views import View

Key = tuple[str, str, bool]

# Boards are held upright in most pictures: then the mean of their directions is this long, and a
# board is told from a turned one when it points this far along it.
UPRIGHT = 0.5
# One camera is to blame for what two disagree on when it is in nearly all of many quarrels, and the
# next is in far fewer: of eight or more at random that happens once in a hundred rigs.
BLAMED_QUARRELS, BLAMED_SHARE, NEXT_SHARE = 8, 0.9, 0.7
# The board's pose alone is fitted; a ten-thousandth of the squares decides nothing.
LOOSE = 1e-4


@dataclass(frozen=True, slots=True)
class Quarrel:
    """Views of one moment that do not fit together."""

    rows: tuple[int, ...]
    bad: tuple[int, ...]  # those that do not fit the estimate


@dataclass(frozen=True, slots=True)
class Limits:
    """When a view fits."""

    limit_px: F64  # (V,)
    share: float  # of its corners that may be beyond


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of the quarrels."""

    apart: frozenset[Key]
    turned: frozenset[Key]
    reasons: tuple[Rejected, ...]


def turned_by_half(view: View, board: Board) -> View:
    """The view with its corners numbered from the other end."""
    return replace(view, ids=len(board.points_board) - 1 - view.ids)


def upright(problem: Problem, estimate: Estimate, fine: NDArray[np.bool_]) -> F64 | None:
    """(3,) where the boards' columns mostly point, in the reference frame; None if anywhere.

    Args:
        problem: the views.
        estimate: where the boards are.
        fine: (V,) views that fit.
    """
    down = [
        _in_reference(problem, estimate, int(row), estimate.boards[problem.board_of[row]])[:3, 1]
        for row in np.flatnonzero(fine)
    ]
    mean = np.mean(down, axis=0) if down else np.zeros(3)
    return np.asarray(mean) if np.linalg.norm(mean) >= UPRIGHT else None


def settle(
    problem: Problem,
    estimate: Estimate,
    board: Board,
    quarrels: Sequence[Quarrel],
    limits: Limits,
    up: F64 | None,
    turned_before: frozenset[Key],
) -> Settlement:
    """Who is wrong in each quarrel, and how.

    Args:
        problem: the views.
        estimate: lenses and cameras, nearly right.
        board: the board.
        quarrels: moments that do not fit.
        limits: when a view fits.
        up: see `upright`.
        turned_before: views that were put right already; they are not turned back.
    """
    apart: set[Key] = set()
    turned: set[Key] = set()
    reasons: list[Rejected] = []
    open_quarrels: list[Quarrel] = []
    for quarrel in quarrels:
        if turned_before.isdisjoint(problem.views[row].key for row in quarrel.rows):
            guilty = _turned_row(problem, estimate, board, quarrel, limits)
            if guilty is not None:
                named = _who_is_turned(problem, estimate, board, quarrel, guilty, up)
                turned.add(problem.views[named[0]].key)
                reasons += _either(quarrel, named, [_flipped(problem, estimate, r) for r in named])
                continue
        late = _odd_one_out(problem, estimate, board, quarrel, limits)
        if late is None:
            open_quarrels.append(quarrel)
            continue
        apart.add(problem.views[late].key)
        witness = next(row for row in quarrel.rows if row != late)
        reasons.append(_late(problem, estimate, board, late, witness))
    blamed = _blamed_camera(problem, open_quarrels)
    for quarrel in open_quarrels:
        accused = [row for row in quarrel.rows if problem.camera_of[row] == blamed]
        late_rows = tuple(accused) or quarrel.rows
        witnesses = [next(other for other in quarrel.rows if other != row) for row in late_rows]
        late_views = [
            _late(problem, estimate, board, row, witness)
            for row, witness in zip(late_rows, witnesses, strict=True)
        ]
        reasons += _either(quarrel, late_rows, late_views)
        apart |= {problem.views[row].key for row in accused or quarrel.rows}
    return Settlement(frozenset(apart), frozenset(turned), tuple(reasons))


def _turned_row(
    problem: Problem, estimate: Estimate, board: Board, quarrel: Quarrel, limits: Limits
) -> int | None:
    """The view that, numbered from the other end, agrees with the others."""
    for row in quarrel.bad:
        views = [
            turned_by_half(problem.views[r], board) if r == row else problem.views[r]
            for r in quarrel.rows
        ]
        if _agree(problem, estimate, board, quarrel.rows, views, limits) is not None:
            return row
    return None


def _odd_one_out(
    problem: Problem, estimate: Estimate, board: Board, quarrel: Quarrel, limits: Limits
) -> int | None:
    """The view without which the others agree best; None of two, or where none helps."""
    if len(quarrel.rows) < 3:
        return None
    costs: dict[int, float] = {}
    for row in quarrel.rows:
        rest = tuple(r for r in quarrel.rows if r != row)
        views = [problem.views[r] for r in rest]
        cost = _agree(problem, estimate, board, rest, views, limits)
        if cost is not None:
            costs[row] = cost
    return min(costs, key=lambda row: costs[row]) if costs else None


def _agree(
    problem: Problem,
    estimate: Estimate,
    board: Board,
    rows: Sequence[int],
    views: Sequence[View],
    limits: Limits,
) -> float | None:
    """The squares of views with one board that they all show; None if there is none."""
    none_free = np.zeros_like(problem.free)
    dropped = {
        view.key: ~problem.used[row, : len(view.ids)] for row, view in zip(rows, views, strict=True)
    }
    part = build_problem(views, problem.cameras, board, none_free, dropped=dropped)
    best: tuple[float, F64] | None = None
    for row, view in zip(rows, views, strict=True):
        K, dist = estimate.lens(int(problem.camera_of[row]))
        for pose in board_poses(view, K, dist, board):
            place = inverse(estimate.cam_from_world[problem.camera_of[row]]) @ pose
            start = replace(estimate, boards=place[None])
            off = float(np.median(np.linalg.norm(residuals(part, start), axis=-1)[part.used]))
            if best is None or off < best[0]:
                best = (off, place)
    if best is None:
        return None
    fit = minimize(part, replace(estimate, boards=best[1][None]), tolerance=LOOSE)
    off_px = np.linalg.norm(residuals(part, fit.estimate), axis=-1)
    beyond = (off_px > limits.limit_px[list(rows)][:, None]).sum(axis=1) / part.used.sum(axis=1)
    return fit.cost if (beyond <= limits.share).all() else None


def _who_is_turned(
    problem: Problem,
    estimate: Estimate,
    board: Board,
    quarrel: Quarrel,
    guilty: int,
    up: F64 | None,
) -> tuple[int, ...]:
    """The turned view first; both of two where nothing tells which it is."""
    if len(quarrel.rows) > 2:
        return (guilty,)
    if up is None:
        return quarrel.rows
    along = []
    for row in quarrel.rows:
        pose = _own_pose(problem, estimate, row, board)
        along.append(
            0.0 if pose is None else float(_world(problem, estimate, row, pose)[:3, 1] @ up)
        )
    if along[0] * along[1] >= 0.0:
        return quarrel.rows
    return (quarrel.rows[int(np.argmin(along))],)


def _blamed_camera(problem: Problem, quarrels: Sequence[Quarrel]) -> int | None:
    counts = Counter(
        int(problem.camera_of[row]) for quarrel in quarrels for row in quarrel.rows
    ).most_common(2)
    if len(quarrels) < BLAMED_QUARRELS or counts[0][1] < BLAMED_SHARE * len(quarrels):
        return None
    return counts[0][0] if counts[1][1] <= NEXT_SHARE * counts[0][1] else None


def _either(
    quarrel: Quarrel, rows: Sequence[int], reasons: Sequence[Rejected]
) -> tuple[Rejected, ...]:
    """Of two views that are both named one is good: each says whom it stands against."""
    if len(quarrel.rows) != 2 or len(rows) != 2:
        return tuple(reasons)
    first, second = reasons
    return (replace(first, partner=second.camera), replace(second, partner=first.camera))


def _flipped(problem: Problem, estimate: Estimate, row: int) -> Rejected:
    view, off = problem.views[row], residuals(problem, estimate)[row]
    squares = (off[problem.used[row]] ** 2).sum(axis=-1)
    return Rejected(view.camera, view.moment, "flipped", float(np.sqrt(squares.mean())))


def _late(problem: Problem, estimate: Estimate, board: Board, row: int, witness: int) -> Rejected:
    """`desync`, and how many millimetres the board was from where the witness saw it."""
    view = problem.views[row]
    middle = np.append(board.points_board.mean(axis=0), 1.0)
    places = []
    for seen_by in (row, witness):
        pose = _own_pose(problem, estimate, seen_by, board)
        if pose is None:
            return Rejected(view.camera, view.moment, "desync", 0.0)
        places.append(_world(problem, estimate, seen_by, pose) @ middle)
    apart_mm = 1000.0 * float(np.linalg.norm(places[0] - places[1]))
    return Rejected(view.camera, view.moment, "desync", apart_mm)


def _own_pose(problem: Problem, estimate: Estimate, row: int, board: Board) -> F64 | None:
    K, dist = estimate.lens(int(problem.camera_of[row]))
    poses = board_poses(problem.views[row], K, dist, board)
    return poses[0] if poses else None


def _world(problem: Problem, estimate: Estimate, row: int, cam_from_board: F64) -> F64:
    """`reference_from_board` of a pose in the row's camera."""
    cam_from_world = estimate.cam_from_world[problem.camera_of[row]]
    return np.asarray(inverse(cam_from_world) @ cam_from_board)


def _in_reference(problem: Problem, estimate: Estimate, row: int, pose: F64) -> F64:
    """A board of the estimate in the reference frame, also one that a single view sees."""
    return _world(problem, estimate, row, pose) if problem.alone[row] else pose
