"""Where two rigs that were filmed together stand to each other, from moments of the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .board import Board, check_board_for_rig
from .bundle import CAUCHY_SIGMAS, minimize
from .camera import F64
from .drift import NOISE_PX, lens_of
from .errors import BadInput, Unconnected
from .extrinsics import pose_agreement
from .intrinsics import Lens
from .normal_equations import N_CAMERA, Estimate, Problem, build_problem, residuals
from .refinement import Candidates, starting_estimate, view_poses
from .rig import Link, Rig
from .transforms import inverse, updated
from .views import View

__all__ = ["link_rigs"]

# One moment places a rig; a second one shows that the first was no accident.
MIN_MOMENTS = 2
# Six numbers are refined; steps this small (radians, metres) are differences that doubles keep.
STEP = 1e-5
ITERATIONS = 8
DONE = 1e-7


def link_rigs(this: Rig, other: Rig, views: Sequence[View], board: Board) -> Link:
    """The other rig in this rig's world.

    Both rigs stay as they are; only how they stand to each other is fitted, to all corners, with a
    loss that a spoiled view cannot pull.

    Args:
        this: one calibrated rig.
        other: the other one; no camera is named alike in both.
        views: views of the board, those of one moment in both rigs under one name.
        board: the board; it may be another than the rigs were calibrated with.

    Raises:
        BadBoard: the board cannot tell its ends apart.
        BadInput: a camera is in both rigs.
        Unconnected: under two moments are seen by both rigs.
    """
    check_board_for_rig(board)
    both = sorted(set(this.names) & set(other.names))
    if both:
        raise BadInput(
            f"{', '.join(both)} is a camera of both rigs; name them apart, or calibrate all "
            "cameras as one rig",
            camera=both[0],
        )
    cameras = this.cameras + other.cameras
    lenses = {camera.name: lens_of(camera) for camera in cameras}
    known = [view for view in views if view.camera in lenses and view.shared]
    poses = view_poses(known, lenses, board)
    known = [view for view in known if view.key in poses]
    here = {view.moment for view in known if view.camera in this.names}
    shared = here & {view.moment for view in known if view.camera in other.names}
    if len(shared) < MIN_MOMENTS:
        raise Unconnected(
            f"{len(shared)} moments show the board to rig {this.name!r} and to rig {other.name!r}, "
            f"need {MIN_MOMENTS}; film the board where a camera of each sees it at the same moment"
        )
    known = [view for view in known if view.moment in shared]
    free = np.zeros((len(cameras), N_CAMERA), dtype=bool)
    fit = _Fit(
        build_problem(known, list(lenses), board, free),
        poses,
        lenses,
        {camera.name: camera.cam_from_world for camera in cameras},
        frozenset(other.names),
        board,
    )
    this_from_other, estimate = _refined(fit, _first_guess(fit))
    squared = (residuals(fit.problem, estimate) ** 2).sum(axis=-1)[fit.problem.used]
    # The median is deaf to spoiled views; of normal noise it is ln 4 times one axis' variance.
    rms_px = float(np.sqrt(2.0 * np.median(squared) / np.log(4.0)))
    return Link(other.name, this_from_other, rms_px)


@dataclass(frozen=True, slots=True)
class _Fit:
    """What both rigs saw together."""

    problem: Problem
    poses: Candidates
    lenses: Mapping[str, Lens]
    own: Mapping[str, F64]  # cam_from_world, each in its own rig's world
    there: frozenset[str]  # cameras of the other rig
    board: Board

    def boards(self, this_from_other: F64, start: Estimate | None) -> Estimate:
        """The best boards when the rigs stand to each other like that."""
        back = inverse(this_from_other)
        cams = {n: T @ back if n in self.there else T for n, T in self.own.items()}
        estimate = starting_estimate(self.problem, self.poses, self.lenses, cams, self.board)
        if start is not None:
            estimate = replace(estimate, boards=start.boards)
        return minimize(self.problem, estimate, cauchy_px=CAUCHY_SIGMAS * NOISE_PX).estimate


def _refined(fit: _Fit, link: F64) -> tuple[F64, Estimate]:
    """Gauss-Newton over the six numbers, the boards fitted anew for each (variable projection)."""
    estimate = fit.boards(link, None)
    for _ in range(ITERATIONS):
        off = _weighted(fit.problem, estimate)
        J = np.empty((off.size, 6))
        for column, step in enumerate(STEP * np.eye(6)):
            shifted = fit.boards(updated(link, step), estimate)
            J[:, column] = (_weighted(fit.problem, shifted) - off) / STEP
        move = np.asarray(-np.linalg.lstsq(J, off, rcond=None)[0], dtype=np.float64)
        link = np.asarray(updated(link, move))
        estimate = fit.boards(link, estimate)
        if np.abs(move).max() < DONE:
            break
    return link, estimate


def _first_guess(fit: _Fit) -> F64:
    """The link by one moment that most of the others agree with."""
    views = fit.problem.views
    here = [view for view in views if view.camera not in fit.there]
    there = [view for view in views if view.camera in fit.there]
    options = [
        inverse(fit.own[a.camera]) @ in_this @ inverse(inverse(fit.own[b.camera]) @ in_other)
        for a in here
        for b in there
        if a.moment == b.moment
        for in_this in fit.poses[a.key]
        for in_other in fit.poses[b.key]
    ]
    stack = np.stack(options)  # (K, 4, 4) this_from_other
    boards = {a.moment: inverse(fit.own[a.camera]) @ fit.poses[a.key][0] for a in reversed(here)}
    score = np.zeros(len(options))
    for b in there:
        predicted = fit.own[b.camera] @ inverse(stack) @ boards[b.moment]
        score += pose_agreement(predicted, fit.poses[b.key], fit.lenses[b.camera], fit.board)
    return options[int(np.argmax(score))]


def _weighted(problem: Problem, estimate: Estimate) -> F64:
    """Residuals in a row, each as the Cauchy loss weighs it."""
    off = residuals(problem, estimate)
    c2 = (CAUCHY_SIGMAS * NOISE_PX) ** 2
    return np.asarray((off / np.sqrt(1.0 + (off**2).sum(axis=-1, keepdims=True) / c2)).ravel())
