"""Corners of a ChArUco board in one picture; parts of the board are enough."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from .board_grid import WINDOW_PX, WINDOW_SHARE
from .camera import F64

# Fewer corners say nothing about a lens and little about a pose.
MIN_CORNERS = 6


def find_charuco_corners(
    gray: NDArray[np.uint8],
    squares: tuple[int, int],
    marker_ratio: float,
    dictionary: str,
    inverted: bool,
) -> tuple[F64, NDArray[np.int64], bool] | None:
    """(N, 2) corners, their (N,) ids, and whether the back (printed mirrored) was seen; or None.

    Args:
        gray: (H, W) full-resolution picture.
        squares: columns x rows of squares.
        marker_ratio: marker's side over square's side.
        dictionary: OpenCV's name, such as `DICT_4X4_1000`.
        inverted: printed white on black.
    """
    picture = np.asarray(255 - gray, np.uint8) if inverted else gray
    front = _detect(picture, squares, marker_ratio, dictionary)
    if front is not None:
        return front[0], front[1], False
    flipped = np.ascontiguousarray(picture[:, ::-1])
    back = _detect(flipped, squares, marker_ratio, dictionary)
    if back is None:
        return None
    corners = back[0].copy()
    corners[:, 0] = gray.shape[1] - 1 - corners[:, 0]
    return corners, back[1], True


def is_dictionary(name: str) -> bool:
    """Whether OpenCV knows a marker dictionary of that name."""
    return name.startswith("DICT_") and hasattr(cv2.aruco, name)


@functools.lru_cache(maxsize=8)
def _detector(
    squares: tuple[int, int], marker_ratio: float, dictionary: str
) -> cv2.aruco.CharucoDetector:
    markers = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, dictionary))
    board = cv2.aruco.CharucoBoard(squares, 1.0, marker_ratio, markers)
    return cv2.aruco.CharucoDetector(board)


def _detect(
    picture: NDArray[np.uint8], squares: tuple[int, int], marker_ratio: float, dictionary: str
) -> tuple[F64, NDArray[np.int64]] | None:
    detector = _detector(squares, marker_ratio, dictionary)
    corners, ids, _, _ = detector.detectBoard(picture)
    if ids is None or len(ids) < MIN_CORNERS:
        return None
    points = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    which = np.asarray(ids, dtype=np.int64).reshape(-1)
    columns = squares[0] - 1
    if len(set(which % columns)) < 2 or len(set(which // columns)) < 2:
        return None  # on one line: no pose
    away = np.linalg.norm(points[:, None] - points[None], axis=2)
    spacing = float(away[away > 0].min(initial=np.inf))
    # A marker's own corners stand this far from the squares': a window that reaches them moves
    # corners by 0.2 px on squares of 40 px (0.034 without).
    share = min(WINDOW_SHARE, (1.0 - marker_ratio) / 2.0)
    half = int(np.clip(round(share * spacing), *WINDOW_PX))
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-3)
    start = np.ascontiguousarray(points, dtype=np.float32).reshape(-1, 1, 2)
    fine = cv2.cornerSubPix(picture, start, (half, half), (-1, -1), criteria)
    return np.asarray(fine, dtype=np.float64).reshape(-1, 2), which
