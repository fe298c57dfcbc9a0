"""Each camera's lens from its own views, bad views set aside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .board import Board
from .camera import F64
from .errors import BoardNotFound, TooFewViews, Unsolvable
from .rig import Rejected
from .transforms import from_rvec
from .views import Sightings, View, coverage_counts

logger = logging.getLogger(__name__)

MIN_VIEWS = 3
# A first lens needs no more views than this; the joint refinement uses them all.
MAX_VIEWS = 40
# A view this many times worse than the median view, and worse than this at all, is set aside.
PRUNE_TIMES = 3.0
PRUNE_PX = 0.5
# Tangential terms and k3 show near the picture's borders. Where too few of its cells hold a corner
# they take up errors of the poses instead: with five views over a quarter of the picture they put
# a baseline 0.9 % off, without them 0.3 %. Then the lens keeps k1 and k2 only.
MIN_COVERAGE = 0.4
MIN_VIEWS_LONG = 5


@dataclass(frozen=True, slots=True)
class Lens:
    """One camera's lens, and where each of its views put the board."""

    camera: str
    size_px: tuple[int, int]
    K: F64  # (3, 3)
    dist: F64  # (5,)
    rms_px: float
    views: tuple[View, ...]  # those kept
    view_rms_px: tuple[float, ...]  # of the views kept
    rejected: tuple[Rejected, ...]
    short: bool = False  # k1 and k2 only; p1, p2 and k3 stay zero


def calibrate_lenses(
    sightings: Sightings,
    cameras: Sequence[str],
    board: Board,
    *,
    known: Mapping[str, tuple[F64, F64]] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Lens]:
    """A lens per camera.

    Args:
        sightings: all views.
        cameras: names, in order.
        board: the board.
        known: K and dist of cameras that are not to be calibrated.
        progress: called after each camera; may raise.

    Raises:
        BoardNotFound: a camera never saw the board.
        TooFewViews: a camera saw it too seldom.
    """
    unseen = [n for n in cameras if not any(view.camera == n for view in sightings.views)]
    if unseen:
        seen = [name for name in cameras if name not in unseen]
        looked = ", ".join(
            f"{name} ({sightings.looked_at.get(name, 0)} pictures, "
            f"{sightings.dark.get(name, 0)} of them black)"
            for name in unseen
        )
        pitch_black = 0 < sightings.dark.get(unseen[0], 0) == sightings.looked_at.get(unseen[0])
        raise BoardNotFound(
            f"the board is seen by {', '.join(seen) or 'no camera'} but never by {looked}; show it "
            "to every camera, large enough and wholly in the picture, and film again",
            camera=unseen[0],
            reason="black_frames" if pitch_black else None,
        )
    lenses = {}
    for done, name in enumerate(cameras, start=1):
        views = [view for view in sightings.views if view.camera == name]
        size = sightings.sizes_px[name]
        given = known.get(name) if known else None
        lenses[name] = (
            calibrate_lens(name, views, size, board)
            if given is None
            else Lens(name, size, given[0], given[1], float("nan"), tuple(views), (), ())
        )
        progress(done, len(cameras))
    return lenses


def calibrate_lens(
    camera: str, views: Sequence[View], size_px: tuple[int, int], board: Board
) -> Lens:
    """One camera's lens from its views; a view that fits far worse than the others is left out.

    Raises:
        TooFewViews: fewer than three usable views.
        Unsolvable: no lens fits them.
    """
    short = _is_short(views, size_px)
    kept = _most_telling(list(views), MAX_VIEWS)
    rejected: list[Rejected] = []
    while True:
        if len(kept) < MIN_VIEWS:
            raise TooFewViews(
                f"camera {camera!r}: {len(kept)} usable board views, need {MIN_VIEWS}; add more "
                "with the board tilted different ways, near and far, and near the corners",
                camera=camera,
                reason="single_view" if len(views) == 1 else None,
            )
        solved = _solve(kept, size_px, board, short)
        if solved is None:
            raise Unsolvable(
                f"camera {camera!r}: no lens fits its {len(kept)} views; check the board's counts, "
                "and add sharp views with the board tilted different ways",
                camera=camera,
            )
        rms, K, dist, errors = solved
        limit = max(PRUNE_TIMES * float(np.median(errors)), PRUNE_PX)
        if errors.max() <= limit:
            break
        for view, error in zip(kept, errors, strict=True):
            if error > limit:
                rejected.append(Rejected(camera, view.moment, "residual", float(error)))
                logger.info("%s: view %s left out, %.2f px", camera, view.moment, error)
        kept = [view for view, error in zip(kept, errors, strict=True) if error <= limit]
    view_rms = tuple(float(error) for error in errors)
    return Lens(camera, size_px, K, dist, rms, tuple(kept), view_rms, tuple(rejected), short)


def board_poses(view: View, K: F64, dist: F64, board: Board) -> list[F64]:
    """`cam_from_board` candidates, best first: a plane far away fits two ways about equally."""
    points = board.points_board[view.ids]
    pixels = np.ascontiguousarray(view.corners_px)
    count, rvecs, tvecs, errors = cv2.solvePnPGeneric(
        points, pixels, K, dist, flags=cv2.SOLVEPNP_IPPE
    )
    order = np.argsort(np.asarray(errors).reshape(-1)).tolist() if count else []
    poses = []
    for index in order:
        rvec, tvec = cv2.solvePnPRefineLM(points, pixels, K, dist, rvecs[index], tvecs[index])
        pose = from_rvec(np.asarray(rvec), np.asarray(tvec))
        if np.isfinite(pose).all() and pose[2, 3] > 0:
            poses.append(pose)
    return poses


def _solve(
    views: Sequence[View], size_px: tuple[int, int], board: Board, short: bool
) -> tuple[float, F64, F64, F64] | None:
    """RMS, K, dist and RMS per view; None where OpenCV finds no lens."""
    points = board.points_board.astype(np.float32)
    objects = [np.ascontiguousarray(points[view.ids]) for view in views]
    images = [view.corners_px.astype(np.float32).reshape(-1, 1, 2) for view in views]
    flags = 0
    if short:
        flags = cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST
    K0, dist0 = np.eye(3), np.zeros(5)  # filled by OpenCV
    try:
        out = cv2.calibrateCameraExtended(objects, images, size_px, K0, dist0, flags=flags)
    except cv2.error:
        return None  # no homography: all corners of a view on one line or in one place
    rms, K, dist, per_view = out[0], out[1], out[2], out[7]
    errors = np.asarray(per_view, dtype=np.float64).reshape(-1)
    if not np.isfinite(K).all() or min(K[0, 0], K[1, 1]) <= 0:
        return None
    lens = np.asarray(K, dtype=np.float64), np.asarray(dist, dtype=np.float64).reshape(-1)[:5]
    return float(rms), *lens, errors


def _is_short(views: Sequence[View], size_px: tuple[int, int]) -> bool:
    if len(views) < MIN_VIEWS_LONG:
        return True
    counts = coverage_counts(np.concatenate([view.corners_px for view in views]), size_px)
    return float(np.mean(counts > 0)) < MIN_COVERAGE


def _most_telling(views: list[View], count: int) -> list[View]:
    """Views that fill the picture first: each next one is farthest from those taken."""
    if len(views) <= count:
        return views
    features = np.stack([_feature(view) for view in views])
    features = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    taken = [int(np.argmax([np.ptp(view.corners_px, axis=0).prod() for view in views]))]
    distance = np.linalg.norm(features - features[taken[0]], axis=1)
    while len(taken) < count:
        taken.append(int(np.argmax(distance)))
        away = np.linalg.norm(features - features[taken[-1]], axis=1)
        distance = np.minimum(distance, away)
    return [views[index] for index in sorted(taken)]


def _feature(view: View) -> F64:
    """Place, size and shape of the board in the picture."""
    middle = view.corners_px.mean(axis=0)
    spread = np.cov(view.corners_px.T)
    return np.array([*middle, np.sqrt(spread[0, 0]), np.sqrt(spread[1, 1]), np.cbrt(spread[0, 1])])
