"""Whether a camera of a calibrated rig has moved since, from a few new moments of the board.

Lenses and poses are taken as they are and only the boards are fitted. If one camera's views then
disagree, its pose is freed and the shift measured; so again until nothing is left that moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .board import Board, check_board_for_rig
from .bundle import CAUCHY_SIGMAS, Fit, minimize, precision
from .camera import F64, Camera
from .errors import TooFewViews
from .extrinsics import board_in_reference, pose_agreement
from .intrinsics import Lens
from .normal_equations import N_CAMERA, Estimate, Problem, build_problem, residuals
from .projection import N_INTRINSICS
from .refinement import Candidates, starting_estimate, tied_moments, view_poses
from .rig import Rig
from .transforms import angle_rad, inverse
from .views import View

# A shift this many of its sigmas is one; noise alone does it once in a million looks.
MOVED_SIGMAS = 5.0
# One moment could be a board that bent; two that agree are not.
MIN_MOMENTS = 2
# Noise per axis of a rig that does not say its own.
NOISE_PX = 0.3


@dataclass(frozen=True, slots=True)
class Drift:
    """One camera against its calibration."""

    camera: str
    moments: int  # shared with other cameras, among those looked at
    moved: bool
    turn_rad: float  # zero where it did not move
    shift_m: float
    sigma_turn_rad: float  # of the measured turn; zero where it did not move
    sigma_shift_m: float
    median_px: float  # how its corners fit the rig as calibrated


def check_rig(rig: Rig, views: Sequence[View], board: Board) -> tuple[Drift, ...]:
    """Every camera of the rig, moved or not.

    Of a rig of two nobody can say which of them moved; the second is named.

    Args:
        rig: the calibration in force.
        views: new views of the board, see `views.find_boards`.
        board: the board; it may be another than the rig was calibrated with.

    Raises:
        BadBoard: the board cannot tell its ends apart.
        TooFewViews: no two cameras share two moments.
    """
    check_board_for_rig(board)
    lenses = {camera.name: lens_of(camera) for camera in rig.cameras}
    known = [view for view in views if view.camera in lenses and view.shared]
    poses = view_poses(known, lenses, board)
    known = [view for view in known if view.key in poses]
    free = np.zeros((len(lenses), N_CAMERA), dtype=bool)
    problem = build_problem(known, list(lenses), board, free) if known else None
    shared = _shared_moments(problem) if problem is not None else np.zeros(1)
    if problem is None or shared.max() < MIN_MOMENTS:
        raise TooFewViews(
            f"the {len(known)} views hold no {MIN_MOMENTS} moments that two cameras of rig "
            f"{rig.name!r} share; show the board to two cameras or more at a time"
        )
    cams = {camera.name: camera.cam_from_world for camera in rig.cameras}
    cauchy_px = CAUCHY_SIGMAS * (rig.quality.rms_px / np.sqrt(2) if rig.quality else NOISE_PX)
    fit = _fit(problem, poses, lenses, cams, board, cauchy_px)
    off = np.linalg.norm(residuals(problem, fit.estimate), axis=-1)
    found: dict[str, Drift] = {}
    while len(found) < len(lenses) - 1:
        best = _most_moved(rig, problem, poses, lenses, cams, board, cauchy_px)
        if best is None or best[1].cost >= fit.cost:
            break
        problem, fit, drift = best
        if not drift.moved:
            break
        cams[drift.camera] = fit.estimate.cam_from_world[problem.cameras.index(drift.camera)]
        found[drift.camera] = drift
    return tuple(
        replace(
            found.get(name, Drift(name, 0, False, 0.0, 0.0, 0.0, 0.0, 0.0)),
            moments=int(shared[index]),
            median_px=_median(off, problem, index),
        )
        for index, name in enumerate(problem.cameras)
    )


def _most_moved(
    rig: Rig,
    problem: Problem,
    poses: Candidates,
    lenses: Mapping[str, Lens],
    cams: Mapping[str, F64],
    board: Board,
    cauchy_px: float,
) -> tuple[Problem, Fit, Drift] | None:
    """The camera whose freed pose explains most."""
    best: tuple[Problem, Fit, int] | None = None
    shared = _shared_moments(problem)
    # Backwards, so that of two that explain the same the later one is named.
    for index in reversed(range(len(problem.cameras))):
        if problem.free[index, N_INTRINSICS] or shared[index] < MIN_MOMENTS:
            continue
        free = problem.free.copy()
        free[index, N_INTRINSICS:] = True
        opened = replace(problem, free=free)
        name = problem.cameras[index]
        start = {**cams, name: _pose_by_others(name, problem, poses, lenses, cams, board)}
        fit = _fit(opened, poses, lenses, start, board, cauchy_px)
        if best is None or fit.cost < best[1].cost * (1 - 1e-6):
            best = (opened, fit, index)
    if best is None:
        return None
    opened, fit, index = best
    return opened, fit, _measure(rig, opened, fit.estimate, index)


def _fit(
    problem: Problem,
    poses: Candidates,
    lenses: Mapping[str, Lens],
    cams: Mapping[str, F64],
    board: Board,
    cauchy_px: float,
) -> Fit:
    start = starting_estimate(problem, poses, lenses, cams, board)
    return minimize(problem, start, cauchy_px=cauchy_px, tolerance=1e-6)


def _pose_by_others(
    name: str,
    problem: Problem,
    poses: Candidates,
    lenses: Mapping[str, Lens],
    cams: Mapping[str, F64],
    board: Board,
) -> F64:
    """`cam_from_world` of a camera that most of its moments agree on, by the others' boards."""
    others: dict[str, list[tuple[str, Sequence[F64]]]] = {}
    own: dict[str, Sequence[F64]] = {}
    for view in problem.views:
        if view.camera == name:
            own[view.moment] = poses[view.key]
        else:
            others.setdefault(view.moment, []).append((view.camera, poses[view.key]))
    moments = [moment for moment in own if moment in others]
    boards = [board_in_reference(others[m], cams, lenses, board) for m in moments]
    options = np.stack(
        [
            pose @ inverse(place)
            for moment, place in zip(moments, boards, strict=True)
            for pose in own[moment]
        ]
    )
    score = np.zeros(len(options))
    for moment, place in zip(moments, boards, strict=True):
        score += pose_agreement(options @ place, own[moment], lenses[name], board)
    return np.asarray(options[int(np.argmax(score))])


def _measure(rig: Rig, problem: Problem, estimate: Estimate, index: int) -> Drift:
    name = problem.cameras[index]
    camera = rig.camera(name)
    only = np.zeros_like(problem.free)
    only[index, N_INTRINSICS:] = True
    covariance = precision(replace(problem, free=only), estimate).covariance
    variance = np.diag(covariance).reshape(-1, N_CAMERA)[index, N_INTRINSICS:]
    sigma_turn, sigma_shift = (float(np.sqrt(v.mean())) for v in (variance[:3], variance[3:]))
    T = estimate.cam_from_world[index]
    turn = float(angle_rad(T[:3, :3] @ camera.cam_from_world[:3, :3].T))
    shift = float(np.linalg.norm(inverse(T)[:3, 3] - camera.center_world))
    # The calibration was not surer than its own sigmas, and those are of a camera against the
    # reference: of the reference against the others they are as large as the others' own.
    own = [c.sigma for c in rig.cameras if c.sigma is not None]
    turn_limit = MOVED_SIGMAS * np.hypot(sigma_turn, max((k.rotation_rad for k in own), default=0))
    had_shift = max((k.translation_m for k in own), default=0)
    shift_limit = MOVED_SIGMAS * np.hypot(sigma_shift, had_shift)
    moved = bool(turn > turn_limit or shift > shift_limit)
    return Drift(name, 0, moved, turn, shift, sigma_turn, sigma_shift, 0.0)


def lens_of(camera: Camera) -> Lens:
    """The lens of a camera that is calibrated already."""
    return Lens(camera.name, camera.size_px, camera.K, camera.dist, 0.0, (), (), ())


def _shared_moments(problem: Problem) -> NDArray[np.intp]:
    """(C,) moments that each camera shares with any other."""
    return np.asarray(np.diag(tied_moments(problem)), dtype=np.intp)


def _median(off: F64, problem: Problem, index: int) -> float:
    rows = problem.camera_of == index
    values = off[rows][problem.used[rows]]
    return float(np.median(values)) if values.size else 0.0
