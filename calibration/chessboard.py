"""Corners of a plain chessboard in one picture, to a few hundredths of a pixel."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .board_grid import is_grid, refine, right_handed
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
THOROUGH_SIDES_PX = (960, 1200)
SB_SIDE_PX = 1200
# A board of which more corners slipped is not measured, only seen.
MIN_TRUSTED = 0.85
# Neighbouring squares that differ the right way; printed boards in bad light stay above 0.97.
MIN_ALTERNATING = 0.85


def find_corners(
    gray: Gray, inner_corners: tuple[int, int], effort: Effort
) -> tuple[F64, NDArray[np.bool_]] | None:
    """(N, 2) corners row by row from the canonical end, and (N,) which to trust; or None.

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
    fine, trusted = refine(gray, right_handed(coarse, inner_corners), inner_corners)
    if trusted.mean() < MIN_TRUSTED or not is_grid(fine, inner_corners):
        return None
    turned = _is_turned(gray, fine, inner_corners)
    if turned is None:
        return None
    step = -1 if turned else 1
    return np.ascontiguousarray(fine[::step]), np.ascontiguousarray(trusted[::step])


def _coarse(gray: Gray, inner_corners: tuple[int, int], effort: Effort) -> F64 | None:
    """The first finder that succeeds, cheapest first; the order is measured."""
    crops: list[tuple[Gray, float, tuple[int, int]]] = []
    largest = MAX_CROP * (inner_corners[0] + 4) * (inner_corners[1] + 4) * SQUARE_PX**2
    for side in REGION_SIDES_PX:
        for region in regions(gray, inner_corners[0] * inner_corners[1], side):
            crop = _crop(gray, region)
            tried = any(_same_place(crop, other) for other in crops)
            if crop[0].size > largest or tried:
                continue
            crops.append(crop)
            found = _classic(*crop, inner_corners)
            if found is not None:
                return found
    found = _classic(*_reduced(gray, QUICK_SIDE_PX), inner_corners)
    if found is not None:
        return found
    for crop in crops[: 3 if effort == "thorough" else 1]:
        found = _sector_based(*crop, inner_corners)
        if found is not None:
            return found
    if effort == "quick":
        return None
    for side in THOROUGH_SIDES_PX:
        if max(gray.shape) <= QUICK_SIDE_PX:
            break  # tried at full size already
        found = _classic(*_reduced(gray, side), inner_corners)
        if found is not None:
            return found
    return _sector_based(*_reduced(gray, SB_SIDE_PX), inner_corners)


def _same_place(
    crop: tuple[Gray, float, tuple[int, int]], other: tuple[Gray, float, tuple[int, int]]
) -> bool:
    """Whether two crops show the same part at about the same scale."""
    (a, scale_a, origin_a), (b, scale_b, origin_b) = crop, other
    tolerance = 0.1 * max(b.shape) / scale_b
    corners_a = (*origin_a, origin_a[0] + a.shape[1] / scale_a, origin_a[1] + a.shape[0] / scale_a)
    corners_b = (*origin_b, origin_b[0] + b.shape[1] / scale_b, origin_b[1] + b.shape[0] / scale_b)
    moved = max(abs(p - q) for p, q in zip(corners_a, corners_b, strict=True))
    return moved < tolerance and 0.8 < scale_a / scale_b < 1.25


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
    return _settled(picture, corners, scale, origin, inner_corners) if found else None


def _sector_based(
    picture: Gray, scale: float, origin: tuple[int, int], inner_corners: tuple[int, int]
) -> F64 | None:
    if min(inner_corners) < 3:  # the finder's own lower limit
        return None
    flags = cv2.CALIB_CB_NORMALIZE_IMAGE
    found, corners = cv2.findChessboardCornersSB(picture, inner_corners, flags=flags)
    return _settled(picture, corners, scale, origin, inner_corners) if found else None


def _settled(
    picture: Gray,
    corners: object,
    scale: float,
    origin: tuple[int, int],
    inner_corners: tuple[int, int],
) -> F64 | None:
    """Full-resolution corners, refined in the resized picture they were found in first.

    A pixel there may be five here, more than the last refinement could make up for.
    """
    small, _ = refine(picture, np.asarray(corners, dtype=np.float64).reshape(-1, 2), inner_corners)
    # Pixel centres are integers, so a resize is x2 = (x1 + 0.5) * s - 0.5.
    return np.asarray((small + 0.5) / scale - 0.5 + np.asarray(origin))


def _is_turned(gray: Gray, corners: F64, inner_corners: tuple[int, int]) -> bool | None:
    """Whether the corners start at the far end; None if the squares do not alternate."""
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
        return False
    first_dark = bool(np.median(steps) > 0)
    alternating = float(np.mean((steps > 0) == first_dark))
    if alternating < MIN_ALTERNATING:
        return None
    return (columns + rows) % 2 == 1 and not first_dark
