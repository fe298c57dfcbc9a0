"""The corners of a board as a grid: spacing, sub-pixel places, and corners that strayed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import F64

# cornerSubPix half-window: a fixed 12 reaches into the next square of a small board (5.7 px error).
WINDOW_SHARE = 0.4
WINDOW_PX = (2, 11)
# A corner this far (in spacings) from where its neighbours put it has slipped to something else,
# such as the edge of the picture or of the board. Lens and perspective bend a grid far less.
SLIPPED = 0.12
# float32 keeps a start of a few thousand pixels to this.
BLIND_PX = 1e-3
# A real grid fits a homography to a fraction of its spacing, strong lens distortion included.
MAX_BEND = 0.5


def min_spacing(corners: F64, inner_corners: tuple[int, int]) -> float:
    """Smallest distance of neighbouring corners, pixels; `corners` (N, 2) row by row."""
    columns, rows = inner_corners
    grid = corners.reshape(rows, columns, 2)
    along = np.linalg.norm(np.diff(grid, axis=1), axis=2).min(initial=np.inf)
    across = np.linalg.norm(np.diff(grid, axis=0), axis=2).min(initial=np.inf)
    return float(min(along, across))


def refine(
    picture: NDArray[np.uint8], corners: F64, inner_corners: tuple[int, int]
) -> tuple[F64, NDArray[np.bool_]]:
    """(N, 2) sub-pixel corners, and (N,) which of them can be trusted.

    The window follows the smallest spacing. A corner that slipped away from where its neighbours
    put it is set back and tried again with half the window; if it slips again it stays where the
    neighbours put it and is not trusted.
    """
    spacing = min_spacing(corners, inner_corners)
    half = int(np.clip(round(WINDOW_SHARE * spacing), *WINDOW_PX))
    fine = _sub_pixel(picture, corners, half)
    expected = _expected(fine, inner_corners)
    slipped = np.linalg.norm(fine - expected, axis=1) > SLIPPED * spacing
    if slipped.any():
        again = _sub_pixel(picture, expected[slipped], max(WINDOW_PX[0], half // 2))
        # Where there is nothing to see the search does not move at all.
        blind = np.zeros_like(slipped)
        blind[slipped] = np.linalg.norm(again - expected[slipped], axis=1) < BLIND_PX
        fine[slipped] = again
        expected = _expected(fine, inner_corners)
        astray = np.linalg.norm(fine - expected, axis=1) > SLIPPED * spacing
        lost = slipped & (astray | blind)
        fine[lost] = expected[lost]
        return fine, ~lost
    return fine, ~slipped


def is_grid(corners: F64, inner_corners: tuple[int, int]) -> bool:
    """Whether (N, 2) corners lie like a plane board's."""
    columns, rows = inner_corners
    ideal = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    H, _ = cv2.findHomography(ideal.astype(np.float64), corners, 0)
    if H is None:
        return False
    mapped = cv2.perspectiveTransform(ideal.astype(np.float64).reshape(-1, 1, 2), H)
    off = np.linalg.norm(np.asarray(mapped).reshape(-1, 2) - corners, axis=1)
    return bool(off.max() < MAX_BEND * min_spacing(corners, inner_corners))


def right_handed(corners: F64, inner_corners: tuple[int, int]) -> F64:
    """Corners in an order that turns the same way as the picture's axes."""
    columns, rows = inner_corners
    grid = corners.reshape(rows, columns, 2)
    along = (grid[:, -1] - grid[:, 0]).mean(axis=0)
    down = (grid[-1] - grid[0]).mean(axis=0)
    if along[0] * down[1] - along[1] * down[0] < 0:
        grid = grid[:, ::-1]
    return np.ascontiguousarray(grid).reshape(-1, 2)


def _sub_pixel(picture: NDArray[np.uint8], corners: F64, half: int) -> F64:
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-3)
    start = np.ascontiguousarray(corners, dtype=np.float32).reshape(-1, 1, 2)
    out = cv2.cornerSubPix(picture, start, (half, half), (-1, -1), criteria)
    return np.asarray(out, dtype=np.float64).reshape(-1, 2)


def _expected(corners: F64, inner_corners: tuple[int, int]) -> F64:
    """(N, 2) where its neighbours put each corner: the median of all predictions.

    Along a row and a column: the middle of both neighbours, and parabolas through three on one
    side. One slipped neighbour spoils only some of them.
    """
    columns, rows = inner_corners
    grid = corners.reshape(rows, columns, 2)
    guesses = np.full((8, rows, columns, 2), np.nan)
    for slot, axis in ((0, 0), (4, 1)):
        line = np.moveaxis(grid, axis, 0)
        guess = np.moveaxis(guesses[slot : slot + 4], axis + 1, 1)  # a view
        if len(line) >= 3:
            guess[0, 1:-1] = (line[:-2] + line[2:]) / 2.0
        if len(line) >= 4:
            guess[1, 3:] = 3.0 * line[2:-1] - 3.0 * line[1:-2] + line[:-3]
            guess[2, :-3] = 3.0 * line[1:-2] - 3.0 * line[2:-1] + line[3:]
        if len(line) >= 5:  # four neighbours, two on each side
            cubic = (4.0 * (line[1:-3] + line[3:-1]) - line[:-4] - line[4:]) / 6.0
            guess[3, 2:-2] = cubic
    none = np.isnan(guesses[..., 0]).all(axis=0)
    guesses[0][none] = grid[none]  # nothing to compare with: believed
    return np.asarray(np.nanmedian(guesses, axis=0)).reshape(-1, 2)
