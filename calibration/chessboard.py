"""Corners of a plain chessboard in one picture, to a few hundredths of a pixel."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .board_regions import Region, regions
from .camera import F64

Gray = NDArray[np.uint8]
Effort = Literal["quick", "thorough"]

CLASSIC = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE
# Longer sides of the reduced pictures in which regions are searched: small, middling, large boards.
REGION_SIDES_PX = (960, 480, 240)
# A square of this size is found best; regions are resized towards it.
SQUARE_PX = 24.0
# A crop this many times larger than the board could be is clutter, not worth a finder's time.
MAX_CROP = 5.0
# Whole-picture passes: the classic finder takes 1.1 s on clutter at 1080p, 0.05 s at 480 px.
QUICK_SIDE_PX = 480
THOROUGH_SIDES_PX = (960, 1440)
SB_SIDE_PX = 1200
# cornerSubPix half-window: a fixed 12 reaches into the next square of a small board (5.7 px error).
WINDOW_SHARE = 0.4
WINDOW_PX = (2, 11)
# A real grid fits a homography to a fraction of its spacing, strong lens distortion included.
MAX_BEND = 0.35
# Neighbouring squares that differ the right way; printed boards in bad light stay above 0.97.
MIN_ALTERNATING = 0.85


def find_corners(gray: Gray, inner_corners: tuple[int, int], effort: Effort) -> F64 | None:
    """(N, 2) corners row by row from the canonical end, or None.

    The order is the same for every camera: on the printed side, a quarter turn clockwise takes the
    columns' direction to the rows', and the first square is dark (if the counts tell the ends).

    Args:
        gray: (H, W) full-resolution picture.
        inner_corners: columns x rows.
        effort: `quick` for video frames, `thorough` for photos someone chose.
    """
    coarse = _coarse(gray, inner_corners, effort)
    if coarse is None:
        return None
    coarse = _right_handed(coarse, inner_corners)
    fine = refine(gray, coarse, inner_corners)
    if not _is_grid(fine, inner_corners):
        return None
    return _canonical(gray, fine, inner_corners)


def refine(gray: Gray, corners: F64, inner_corners: tuple[int, int]) -> F64:
    """(N, 2) sub-pixel corners; the window follows the smallest spacing."""
    spacing = min_spacing(corners, inner_corners)
    half = int(np.clip(round(WINDOW_SHARE * spacing), *WINDOW_PX))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-3)
    start = np.ascontiguousarray(corners, dtype=np.float32).reshape(-1, 1, 2)
    out = cv2.cornerSubPix(gray, start, (half, half), (-1, -1), criteria)
    fine = np.asarray(out, dtype=np.float64).reshape(-1, 2)
    strayed = np.linalg.norm(fine - corners, axis=1) > 0.5 * spacing
    fine[strayed] = corners[strayed]  # _is_grid decides whether this is still a board
    return fine


def min_spacing(corners: F64, inner_corners: tuple[int, int]) -> float:
    """Smallest distance of neighbouring corners, pixels."""
    columns, rows = inner_corners
    grid = corners.reshape(rows, columns, 2)
    along = np.linalg.norm(np.diff(grid, axis=1), axis=2).min(initial=np.inf)
    across = np.linalg.norm(np.diff(grid, axis=0), axis=2).min(initial=np.inf)
    return float(min(along, across))


def _coarse(gray: Gray, inner_corners: tuple[int, int], effort: Effort) -> F64 | None:
    """The first finder that succeeds, cheapest first; the order is measured."""
    crops: list[tuple[Gray, float, tuple[int, int]]] = []
    largest = MAX_CROP * (inner_corners[0] + 4) * (inner_corners[1] + 4) * SQUARE_PX**2
    for side in REGION_SIDES_PX:
        for region in regions(gray, inner_corners[0] * inner_corners[1], side):
            crop = _crop(gray, region)
            if crop[0].size > largest:
                continue
            crops.append(crop)
            found = _classic(*crop, inner_corners)
            if found is not None:
                return found
    found = _classic(*_reduced(gray, QUICK_SIDE_PX), inner_corners)
    if found is not None:
        return found
    for crop in crops if effort == "thorough" else crops[:1]:
        found = _sector_based(*crop, inner_corners)
        if found is not None:
            return found
    if effort == "quick":
        return None
    for side in THOROUGH_SIDES_PX:
        found = _classic(*_reduced(gray, side), inner_corners)
        if found is not None:
            return found
    return _sector_based(*_reduced(gray, SB_SIDE_PX), inner_corners)


def _crop(gray: Gray, region: Region) -> tuple[Gray, float, tuple[int, int]]:
    x0, y0, x1, y1 = region.box_xyxy
    part = gray[y0:y1, x0:x1]
    scale = float(np.clip(SQUARE_PX / max(region.spacing_px, 1.0), 0.2, 2.0))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(part, None, fx=scale, fy=scale, interpolation=how)
    return np.asarray(resized, np.uint8), scale, (x0, y0)


def _reduced(gray: Gray, side: int) -> tuple[Gray, float, tuple[int, int]]:
    scale = min(1.0, side / max(gray.shape))
    if scale == 1.0:
        return gray, 1.0, (0, 0)
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), scale, (0, 0)


def _classic(
    picture: Gray, scale: float, origin: tuple[int, int], inner_corners: tuple[int, int]
) -> F64 | None:
    found, corners = cv2.findChessboardCorners(picture, inner_corners, flags=CLASSIC)
    return _to_full(corners, scale, origin) if found else None


def _sector_based(
    picture: Gray, scale: float, origin: tuple[int, int], inner_corners: tuple[int, int]
) -> F64 | None:
    if min(inner_corners) < 3:  # the finder's own lower limit
        return None
    flags = cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCornersSB(picture, inner_corners, flags=flags)
    return _to_full(corners, scale, origin) if found else None


def _to_full(corners: object, scale: float, origin: tuple[int, int]) -> F64:
    # Pixel centres are integers, so a resize is x2 = (x1 + 0.5) * s - 0.5.
    small = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    return np.asarray((small + 0.5) / scale - 0.5 + np.asarray(origin))


def _right_handed(corners: F64, inner_corners: tuple[int, int]) -> F64:
    """Corners in an order that turns the same way as the picture's axes."""
    columns, rows = inner_corners
    grid = corners.reshape(rows, columns, 2)
    along = (grid[:, -1] - grid[:, 0]).mean(axis=0)
    down = (grid[-1] - grid[0]).mean(axis=0)
    if along[0] * down[1] - along[1] * down[0] < 0:
        grid = grid[:, ::-1]
    return np.ascontiguousarray(grid).reshape(-1, 2)


def _is_grid(corners: F64, inner_corners: tuple[int, int]) -> bool:
    columns, rows = inner_corners
    ideal = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    H, _ = cv2.findHomography(ideal.astype(np.float64), corners, 0)
    if H is None:
        return False
    mapped = cv2.perspectiveTransform(ideal.astype(np.float64).reshape(-1, 1, 2), H)
    off = np.linalg.norm(np.asarray(mapped).reshape(-1, 2) - corners, axis=1)
    return bool(off.max() < MAX_BEND * min_spacing(corners, inner_corners))


def _canonical(gray: Gray, corners: F64, inner_corners: tuple[int, int]) -> F64 | None:
    columns, rows = inner_corners
    grid = corners.reshape(rows, columns, 2)
    middles = (grid[:-1, :-1] + grid[1:, :-1] + grid[:-1, 1:] + grid[1:, 1:]) / 4.0
    maps = middles.astype(np.float32)
    smooth = cv2.blur(gray, (3, 3)).astype(np.float32)
    value = np.asarray(cv2.remap(smooth, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR))
    parity = np.add.outer(np.arange(rows - 1), np.arange(columns - 1)) % 2
    sign = 1.0 - 2.0 * parity
    steps = np.concatenate(
        [
            (np.diff(value, axis=0) * sign[:-1]).ravel(),
            (np.diff(value, axis=1) * sign[:, :-1]).ravel(),
        ]
    )
    if steps.size == 0:
        return corners
    first_dark = bool(np.median(steps) > 0)
    alternating = float(np.mean((steps > 0) == first_dark))
    if alternating < MIN_ALTERNATING:
        return None
    if (columns + rows) % 2 == 1 and not first_dark:
        return np.ascontiguousarray(corners[::-1])
    return corners
