"""Which moments of a video are worth keeping: those that show each camera something new.

New are cells of the picture, the board's size in it and its tilt, and, for a rig, that two cameras
share the moment. What was seen before counts less every time; sharp pictures count more. A board
that was held still gives one moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np

from .board import Board
from .camera import F64
from .footage import Footage
from .views import Sightings, View, coverage_counts

__all__ = ["telling_moments"]

# What something new is worth: one more cell of 45, a tilt or a size not yet seen, two cameras.
CELL, TILT, SIZE, PAIR = 0.2, 1.0, 1.0, 2.0
# Foreshortening below this is no tilt; beyond, every step of it and every eighth of a turn counts.
FLAT, TILT_STEP, DIRECTIONS = 0.95, 0.15, 8
SIZES_PER_OCTAVE = 2.0
# Corners that moved less than this on average: the board stood still.
STILL_PX = 1.0


def telling_moments(sightings: Sightings, footage: Footage, board: Board, count: int) -> Sightings:
    """The sightings without those moments of videos that say least.

    Pictures that somebody chose, such as folders of images, are all kept.

    Args:
        sightings: all views found.
        footage: what they were found in.
        board: the board.
        count: how many moments of videos to keep, of the rig's and of each camera's close-ups.
    """
    kept: list[View] = []
    videos = {clip.camera for clip in footage.clips if clip.is_video}
    groups = [[v for v in sightings.views if v.shared and v.camera in videos]]
    for clip in footage.intrinsics:
        if clip.is_video:
            groups.append([v for v in sightings.views if not v.shared and v.camera == clip.camera])
    sorted_out = {view.key for group in groups for view in group}
    for group in groups:
        moments = _chosen(group, sightings, board, count)
        kept += [view for view in group if view.moment in moments]
    left = {view.key for view in kept}
    views = tuple(v for v in sightings.views if v.key not in sorted_out or v.key in left)
    return replace(sightings, views=views)


def _chosen(views: Sequence[View], sightings: Sightings, board: Board, count: int) -> set[str]:
    """Names of the moments to keep, picked one by one by what each adds."""
    by_moment: dict[str, list[View]] = {}
    for view in views:
        by_moment.setdefault(view.moment, []).append(view)
    names = list(by_moment)
    columns: dict[tuple[object, ...], int] = {}
    entries: list[tuple[int, int, float]] = []
    for row, name in enumerate(names):
        for key, worth in _novelties(by_moment[name], sightings, board):
            entries.append((row, columns.setdefault(key, len(columns)), worth))
    worth_of = np.zeros((len(names), len(columns)))
    for row, column, worth in entries:
        worth_of[row, column] = worth
    has = worth_of > 0
    sharpness = _sharpness(names, by_moment)
    seen = np.zeros(len(columns))
    open_ = np.ones(len(names), dtype=bool)
    chosen: list[str] = []
    while open_.any() and len(chosen) < count:
        gain = sharpness * (worth_of @ (1.0 / (1.0 + seen) ** 2))
        best = int(np.argmax(np.where(open_, gain, -1.0)))
        open_[best] = False
        if any(_same(by_moment[names[best]], by_moment[other]) for other in chosen):
            continue
        chosen.append(names[best])
        seen += has[best]
    return set(chosen)


def _novelties(
    views: Sequence[View], sightings: Sightings, board: Board
) -> list[tuple[tuple[object, ...], float]]:
    """What a moment shows, and what that is worth when it is new."""
    found: list[tuple[tuple[object, ...], float]] = []
    for view in views:
        size_px = sightings.sizes_px[view.camera]
        cells = np.flatnonzero(coverage_counts(view.corners_px, size_px).ravel())
        found += [((view.camera, "cell", int(cell)), CELL) for cell in cells]
        scale, ratio, angle = _shape(view, board)
        size = int(np.floor(SIZES_PER_OCTAVE * np.log2(max(scale / size_px[0], 1e-6))))
        found.append(((view.camera, "size", size), SIZE))
        tilt = (0, 0)
        if ratio < FLAT:
            step = 1 + int((FLAT - ratio) / TILT_STEP)
            tilt = (step, int(angle / np.pi * DIRECTIONS) % DIRECTIONS)
        found.append(((view.camera, "tilt", *tilt), TILT))
    cameras = sorted(view.camera for view in views if view.shared)
    return found + [(("pair", *pair), PAIR) for pair in combinations(cameras, 2)]


def _shape(view: View, board: Board) -> tuple[float, float, float]:
    """A square's side in pixels, how much it is foreshortened, and along which direction."""
    points = board.points_board[view.ids][:, :2]
    middle = points.mean(axis=0)
    H, _ = cv2.findHomography(points - middle, view.corners_px, 0)
    if H is None:
        return 0.0, 1.0, 0.0
    at = H[:2, 2] / H[2, 2]
    J = (H[:2, :2] - np.outer(at, H[2, :2])) / H[2, 2]  # pixels per metre at the board's middle
    u, sizes, _ = np.linalg.svd(J)
    side = float(np.sqrt(sizes[0] * sizes[1])) * board.square_m
    angle = float(np.arctan2(u[1, 1], u[0, 1])) % np.pi  # of the shorter axis
    return side, float(sizes[1] / max(sizes[0], 1e-12)), angle


def _sharpness(names: Sequence[str], by_moment: dict[str, list[View]]) -> F64:
    """(M,) 1 for a moment as sharp as its cameras usually are, less for one that is blurred."""
    edges: dict[str, list[float]] = {}
    for views in by_moment.values():
        for view in views:
            edges.setdefault(view.camera, []).append(view.edge_px)
    usual = {c: float(np.nanmedian(e)) if np.isfinite(e).any() else 1.0 for c, e in edges.items()}
    out = []
    for name in names:
        worst = max(
            (v.edge_px / usual[v.camera] for v in by_moment[name] if np.isfinite(v.edge_px)),
            default=1.0,
        )
        out.append(1.0 / max(worst, 1.0) ** 2)
    return np.array(out)


def _same(one: Sequence[View], other: Sequence[View]) -> bool:
    """Whether the same cameras saw the board in the same place."""
    before = {view.camera: view for view in other}
    if {view.camera for view in one} != set(before):
        return False
    for view in one:
        both, here, there = np.intersect1d(view.ids, before[view.camera].ids, return_indices=True)
        if not len(both):
            return False
        moved = view.corners_px[here] - before[view.camera].corners_px[there]
        if float(np.linalg.norm(moved, axis=1).mean()) > STILL_PX:
            return False
    return True
