"""A board's way, from pictures to a calibrated rig: read this file first."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .assembly import build_cameras, build_stereo, settle_world
from .bend import bend_of
from .board import Board, check_board_for_rig
from .camera import Camera
from .errors import Cancelled
from .extrinsics import connect
from .footage import Footage
from .intrinsics import calibrate_lenses
from .lens_fit import lens_models
from .misread import misread, put_right
from .plan import flat_plan
from .projection import N_INTRINSICS
from .quality import camera_figures, rig_quality
from .refinement import free_parameters, refine, view_poses, with_use
from .report import lens_report, rig_report
from .rig import Rejected, Rig
from .settings import DEFAULTS, CalibrateSettings, check_lens_sizes, check_settings, kind_of
from .telling import telling_moments
from .usable import usable
from .verdict import evidence_of, judge
from .views import Sightings, find_boards

__all__ = [
    "CalibrateSettings",
    "Calibration",
    "LensCalibration",
    "Progress",
    "calibrate",
    "calibrate_intrinsics_only",
    "calibrate_views",
]

# Robust passes, rejection and the final pass together; only the progress bar asks.
EXPECTED_ITERATIONS = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a calibration is."""

    stage: str  # read | detect | lenses | connect | refine | check
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrated rig and everything known about how good it is."""

    rig: Rig
    report: dict[str, Any]  # JSON-able


@dataclass(frozen=True, slots=True)
class LensCalibration:
    """Cameras whose lenses are known but not where they stand (their poses are the identity)."""

    cameras: tuple[Camera, ...]
    report: dict[str, Any]  # JSON-able


def calibrate(
    footage: Footage,
    board: Board,
    settings: CalibrateSettings = DEFAULTS,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Calibration:
    """The rig that the footage shows.

    Args:
        footage: pictures per camera, see `prepare.py`.
        board: the board in them.
        settings: names and choices.
        progress: called as the work goes on.
        cancelled: asked often; True stops.

    Raises:
        BadBoard: the board cannot tell its ends apart.
        BadFootage: pictures that cannot be read or used.
        BoardNotFound: no picture, or no picture of one camera, shows the board.
        TooFewViews: a camera saw it too seldom.
        Unconnected: cameras that share no moment with the others.
        Unsolvable: views that contradict each other so much that no rig fits them.
        Cancelled: the caller asked to stop.
    """
    watch = _Watch(progress, cancelled)
    check_board_for_rig(board)
    check_settings(settings, footage.cameras)
    sightings = find_boards(
        footage, board, progress=watch.stage("detect"), workers=settings.workers
    )
    sightings = telling_moments(sightings, footage, board, settings.moments)
    return calibrate_views(
        sightings, footage, board, settings, progress=progress, cancelled=cancelled
    )


def calibrate_views(
    sightings: Sightings,
    footage: Footage,
    board: Board,
    settings: CalibrateSettings = DEFAULTS,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Calibration:
    """The rig, from corners that are already found; see `calibrate`."""
    watch = _Watch(progress, cancelled)
    check_lens_sizes(settings, sightings.sizes_px)
    names = footage.cameras
    reference = settings.reference or names[0]
    found, (sightings, useless) = sightings, usable(sightings)
    choices = {name: settings.lens_choice(name) for name in names}
    lenses = calibrate_lenses(
        sightings, names, board, choices=choices, progress=watch.stage("lenses")
    )
    poses = view_poses(sightings.views, lenses, board)
    views = [view for view in sightings.views if view.key in poses]
    shared = {(v.camera, v.moment): poses[v.key] for v in views if v.shared}
    watch.stage("connect")(0, 1)
    cam_from_reference, edges = connect(shared, lenses, board, reference)
    wrong = misread(sightings, lenses, board, edges)
    if wrong:
        sightings, lenses = put_right(wrong, sightings, lenses, board)
        poses = view_poses(sightings.views, lenses, board)
        views = [view for view in sightings.views if view.key in poses]
        shared = {(v.camera, v.moment): poses[v.key] for v in views if v.shared}
        cam_from_reference, edges = connect(shared, lenses, board, reference)
    free = free_parameters(lenses, reference)
    refined = refine(
        views, poses, lenses, cam_from_reference, board, free, watch.step("refine"),
        free_bend=settings.bend,
    )  # fmt: skip
    edges = with_use(edges, refined)
    watch.stage("check")(0, 1)
    figures = camera_figures(refined, sightings.sizes_px)
    cameras = build_cameras(refined, figures, footage, sightings)
    quality, lengths = rig_quality(refined, cameras, board)
    rejected = _once(refined.rejected + useless)
    bend = bend_of(refined)
    evidence = evidence_of(
        cameras, figures, quality, edges, rejected, found, footage,
        settings.distances, board.square_m, lens_models(refined, choices), bend, wrong,
    )  # fmt: skip
    rig = Rig(
        name=settings.name,
        kind=kind_of(settings, names),
        reference=reference,
        world="reference",
        cameras=cameras,
        created=_now(),
        target=board.target,
        stereo=build_stereo(cameras, refined) if len(cameras) == 2 else None,
        quality=quality,
        verdict=judge(evidence),
        rejected=rejected,
    )
    rig = settle_world(rig, refined, settings.world, settings.world_moment)
    plan = flat_plan(refined, cameras)
    report = rig_report(rig, refined, figures, lengths, edges, sightings, lenses, plan, bend)
    watch.stage("check")(1, 1)
    return Calibration(rig, report)


def calibrate_intrinsics_only(
    footage: Footage,
    board: Board,
    settings: CalibrateSettings = DEFAULTS,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> LensCalibration:
    """Each camera's lens alone, from pictures that need not be synchronized.

    Any board will do here, also one that looks the same turned by half.

    Args:
        footage: pictures per camera; `clips` and `intrinsics` count alike.
        board: the board in them.
        settings: what is said of lenses, board and `workers` is used.
        progress: called as the work goes on.
        cancelled: asked often; True stops.

    Raises:
        BadFootage: pictures that cannot be read or used.
        BoardNotFound: no picture of a camera shows the board.
        TooFewViews: a camera saw it too seldom.
        Cancelled: the caller asked to stop.
    """
    watch = _Watch(progress, cancelled)
    sightings = find_boards(
        footage, board, progress=watch.stage("detect"), workers=settings.workers
    )
    sightings = telling_moments(sightings, footage, board, settings.moments)
    alone = replace(sightings, views=tuple(replace(view, shared=False) for view in sightings.views))
    names = tuple(dict.fromkeys(clip.camera for clip in footage.clips + footage.intrinsics))
    choices = {name: settings.lens_choice(name) for name in names}
    lenses = calibrate_lenses(alone, names, board, choices=choices, progress=watch.stage("lenses"))
    poses = view_poses(alone.views, lenses, board)
    views = [view for view in alone.views if view.key in poses]
    free = free_parameters(lenses, "")
    free[:, N_INTRINSICS:] = False  # where the cameras stand is not asked
    identity = {name: np.eye(4) for name in names}
    refined = refine(
        views, poses, lenses, identity, board, free, watch.step("refine"), free_bend=settings.bend
    )
    figures = camera_figures(refined, alone.sizes_px)
    cameras = build_cameras(refined, figures, footage, alone)
    rejected = _once(refined.rejected)
    return LensCalibration(cameras, lens_report(cameras, refined, figures, alone, rejected, board))


class _Watch:
    """Passes progress on and stops when asked; holds no other state."""

    def __init__(
        self,
        progress: Callable[[Progress], None] | None,
        cancelled: Callable[[], bool] | None,
    ):
        self._progress = progress
        self._cancelled = cancelled

    def stage(self, name: str) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            if self._cancelled is not None and self._cancelled():
                raise Cancelled(f"stopped during '{name}' ({done} of {total}); no rig was made")
            if self._progress is not None:
                self._progress(Progress(name, done, total))

        return report

    def step(self, name: str) -> Callable[[], None]:
        """For a stage whose length is not known: one call per iteration."""
        report = self.stage(name)
        count = 0

        def once() -> None:
            nonlocal count
            count += 1
            report(count, max(count, EXPECTED_ITERATIONS))

        return once


def _once(rejected: tuple[Rejected, ...]) -> tuple[Rejected, ...]:
    """One line per view, in order."""
    first: dict[tuple[str, str], Rejected] = {}
    for item in rejected:
        first.setdefault((item.camera, item.frame), item)
    return tuple(first[key] for key in sorted(first))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
