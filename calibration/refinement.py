"""From first guesses to the final estimate: start, robust pass, rejection, least squares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from .board import Board
from .board_pose import board_poses
from .bundle import Fit, Precision, minimize, precision, robust_start
from .camera import F64
from .contradiction import Key, turned_by_half
from .errors import Unsolvable
from .extrinsics import Edge, board_in_reference
from .intrinsics import Lens
from .normal_equations import N_BEND, N_CAMERA, Estimate, Problem, build_problem
from .projection import N_INTRINSICS, model_of, pack
from .rejection import Outliers, find_outliers
from .rig import Rejected
from .views import View

# Rejection changes the estimate, which may clear or convict others; three rounds settle it.
ROUNDS = 2
# A telescope: its focal length is this many widths of the picture.
MAX_FOCAL_WIDTHS = 100.0

Candidates = Mapping[Key, Sequence[F64]]


@dataclass(frozen=True, slots=True)
class Refined:
    """The final estimate, what it rests on, and how sure it is."""

    problem: Problem
    fit: Fit
    precision: Precision
    rejected: tuple[Rejected, ...]
    dropped_corners: int


def view_poses(views: Sequence[View], lenses: Mapping[str, Lens], board: Board) -> Candidates:
    """Candidate `cam_from_board` of every view; views without any are left out."""
    found = {}
    for view in views:
        lens = lenses[view.camera]
        poses = board_poses(view, lens.K, lens.dist, board)
        if poses:
            found[view.key] = poses
    return found


def free_parameters(lenses: Mapping[str, Lens], reference: str) -> NDArray[np.bool_]:
    """(C, 18) which parameters to solve for: not the reference's pose, nor what lenses keep."""
    free = np.ones((len(lenses), N_CAMERA), dtype=bool)
    for row, (name, lens) in enumerate(lenses.items()):
        free[row, :N_INTRINSICS] = lens.free
        if name == reference:
            free[row, N_INTRINSICS:] = False
    return free


def refine(
    views: Sequence[View],
    candidates: Candidates,
    lenses: Mapping[str, Lens],
    cam_from_reference: Mapping[str, F64],
    board: Board,
    free: NDArray[np.bool_],
    check: Callable[[], None] = lambda: None,
    *,
    free_bend: bool = False,
) -> Refined:
    """The joint refinement of everything.

    Args:
        views: all views with a candidate pose.
        candidates: their poses.
        lenses: first lenses, one per camera, in the rig's order.
        cam_from_reference: first camera poses.
        board: the board.
        free: (C, 18) parameters to solve for.
        check: called every iteration; may raise to stop.
        free_bend: whether the board may be bent.

    Raises:
        Unsolvable: the views contradict each other so much that no rig is left.
    """
    names = list(lenses)
    found = Outliers()
    kept = list(views)
    reasons: list[Rejected] = []
    estimate: Estimate | None = None
    for _ in range(ROUNDS):
        problem = build_problem(
            kept, names, board, free, found.apart, found.part, free_bend=free_bend
        )
        start = starting_estimate(problem, candidates, lenses, cam_from_reference, board, estimate)
        estimate = robust_start(problem, start, check)
        before, found = found, find_outliers(problem, estimate, board, found)
        reasons += found.reasons
        kept = [view for view in kept if view.key not in found.views]
        turning = found.turned - before.turned
        kept = [turned_by_half(view, board) if view.key in turning else view for view in kept]
        again = [view for view in kept if view.key in turning]
        candidates = {**candidates, **view_poses(again, lenses, board)}
        if not found.reasons:
            break
    final = build_problem(kept, names, board, free, found.apart, found.corners, free_bend=free_bend)
    _check_tied(final, free, reasons)
    start = starting_estimate(final, candidates, lenses, cam_from_reference, board, estimate)
    fit = minimize(final, start, check=check)
    _check_lenses(final, fit.estimate)
    return Refined(
        problem=final,
        fit=fit,
        precision=precision(final, fit.estimate),
        rejected=tuple(reasons),
        dropped_corners=sum(int(far.sum()) for far in found.corners.values()),
    )


def tied_moments(problem: Problem) -> NDArray[np.intp]:
    """(C, C) moments at which both cameras' views are in use."""
    seen = np.zeros((len(problem.cameras), len(problem.boards)), dtype=np.intp)
    seen[problem.camera_of[~problem.alone], problem.board_of[~problem.alone]] = 1
    return np.asarray(seen @ seen.T, dtype=np.intp)


def with_use(edges: Sequence[Edge], refined: Refined) -> tuple[Edge, ...]:
    """The pairs with `agreeing` as in the final estimate: moments at which both views are used."""
    tied = tied_moments(refined.problem)
    order = {name: index for index, name in enumerate(refined.problem.cameras)}
    return tuple(
        replace(edge, agreeing=int(tied[order[edge.first], order[edge.second]])) for edge in edges
    )


def _check_tied(problem: Problem, free: NDArray[np.bool_], reasons: Sequence[Rejected]) -> None:
    """Nothing, if what was not set aside still ties all cameras whose place is asked for."""
    if not free[:, N_INTRINSICS:].any():
        return
    count, labels = connected_components(tied_moments(problem) > 0, directed=False)
    if count == 1:
        return
    loose = [n for n, k in zip(problem.cameras, labels, strict=True) if k != labels[0]]
    by_reason = Counter(item.reason for item in reasons)
    told = ", ".join(f"{number} {reason}" for reason, number in sorted(by_reason.items()))
    raise Unsolvable(
        f"the views contradict each other: {len(reasons)} had to be set aside ({told}), and "
        f"nothing is left that ties {', '.join(loose)} to {problem.cameras[0]}; check that the "
        "pictures are of the same moments, not mirrored or turned, and not another camera's",
        camera=loose[0],
    )


def _check_lenses(problem: Problem, estimate: Estimate) -> None:
    finite = np.isfinite(estimate.intrinsics).all() and np.isfinite(estimate.cam_from_world).all()
    focal = estimate.intrinsics[:, :2]
    widest = problem.pixels.max()
    if not finite or focal.min() <= 0 or focal.max() > MAX_FOCAL_WIDTHS * widest:
        worst = problem.cameras[int(np.argmax(np.abs(np.log(np.abs(focal / widest))).max(axis=1)))]
        raise Unsolvable(
            f"no sensible lens fits the views of camera {worst!r} (focal length "
            f"{focal[problem.cameras.index(worst)].max():.0f} px); add sharp views with the board "
            "tilted by 20 to 45 degrees, near and far",
            camera=worst,
        )


def starting_estimate(
    problem: Problem,
    candidates: Candidates,
    lenses: Mapping[str, Lens],
    cam_from_reference: Mapping[str, F64],
    board: Board,
    earlier: Estimate | None = None,
) -> Estimate:
    """Where to start: given cameras, or an earlier estimate's, and the boards they agree on."""
    if earlier is not None:
        cams = dict(zip(problem.cameras, earlier.cam_from_world, strict=True))
        intrinsics, bend_m = earlier.intrinsics, earlier.bend_m
    else:
        cams = {name: cam_from_reference[name] for name in problem.cameras}
        intrinsics = np.stack([pack(lens.K, lens.dist) for lens in lenses.values()])
        bend_m = np.zeros(N_BEND)
    seen: dict[int, list[View]] = {}
    for row, view in enumerate(problem.views):
        seen.setdefault(int(problem.board_of[row]), []).append(view)
    boards = np.empty((len(problem.boards), 4, 4))
    for index, members in seen.items():
        if len(members) == 1:
            boards[index] = candidates[members[0].key][0]
        else:
            options = [(view.camera, candidates[view.key]) for view in members]
            boards[index] = board_in_reference(options, cams, lenses, board)
    models = tuple(model_of(lens.dist) for lens in lenses.values())
    return Estimate(intrinsics, np.stack(list(cams.values())), boards, models, bend_m)
