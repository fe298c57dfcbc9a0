"""The calibration target, and where a picture shows it."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import F64
from .charuco import find_charuco_corners, is_dictionary
from .chessboard import Effort, find_corners
from .errors import BadBoard
from .rig import Target

__all__ = ["Board", "Detection", "check_board_for_rig", "detect", "parse_board"]

MAX_COUNT = 100
# Smaller and larger squares than these are a unit gone wrong, not a board.
SQUARE_M = (0.0005, 2.0)


@dataclass(frozen=True, slots=True)
class Board:
    """A flat board of squares.

    Its frame: origin at the first inner corner, x along the columns, y along the rows, z into the
    board, away from who looks at the printed side.
    """

    kind: Literal["chessboard", "charuco"]
    inner_corners: tuple[int, int]  # columns x rows
    square_m: float
    dictionary: str = ""  # ChArUco: OpenCV's name
    marker_ratio: float = 0.75  # ChArUco: marker's side over square's side
    inverted: bool = False  # ChArUco: white on black

    @property
    def points_board(self) -> F64:
        """(N, 3) inner corners in metres, row by row; not to be written to."""
        return _points_board(self.inner_corners, self.square_m)

    @property
    def bowl(self) -> F64:
        """(N, 2) how far each corner sinks in (along z) when the board is bent by one metre.

        Two parabolas, one across the columns and one across the rows, after mrcal: nothing at the
        outer corners, one metre in the middle.
        """
        columns, rows = self.inner_corners
        x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
        return np.stack([1.0 - x**2, 1.0 - y**2], axis=-1).reshape(-1, 2)

    @property
    def target(self) -> Target:
        """What the rig file says of it."""
        return Target(self.kind, self.inner_corners, self.square_m)


@dataclass(frozen=True, slots=True)
class Detection:
    """One board in one picture."""

    corners_px: F64  # (N, 2) distorted pixels
    ids: NDArray[np.int64]  # (N,) rows of `Board.points_board`
    mirrored: bool = False  # seen from the back, where the print is mirrored


def parse_board(text: str, square_mm: float) -> Board:
    """The board that a text describes.

    Args:
        text: `9x6` for a chessboard of 9 by 6 inner corners; for ChArUco the counts are squares:
            `charuco:4x5:DICT_4X4_1000`, optionally `:0.75` (marker over square) and `:inverted`.
        square_mm: side of a square.

    Raises:
        BadBoard: the text or the size makes no sense.
    """
    parts = text.strip().split(":")
    counts = re.fullmatch(r"(\d{1,4})\s*[x×X]\s*(\d{1,4})", parts[1 if len(parts) > 1 else 0])
    if counts is None:
        raise BadBoard(
            f"board {text[:60]!r} is not understood; write the inner corners as columns x rows, "
            "such as 9x6, or charuco:4x5:DICT_4X4_1000",
            field="/board",
        )
    if not np.isfinite(square_mm) or not SQUARE_M[0] <= square_mm / 1000.0 <= SQUARE_M[1]:
        raise BadBoard(
            f"a square of {square_mm:g} mm is not possible ({SQUARE_M[0] * 1000:g} to "
            f"{SQUARE_M[1] * 1000:g} mm are read); measure the side of one printed square "
            "and give it in millimetres",
            field="/square_mm",
            reason="wrong_units",
        )
    columns, rows = int(counts[1]), int(counts[2])
    if parts[0] == "charuco" and len(parts) >= 3:
        return _charuco(text, (columns, rows), parts[2:], square_mm)
    if len(parts) > 1:
        raise BadBoard(f"board {text[:60]!r} is not understood", field="/board")
    _check_counts(columns, rows, 2)
    return Board("chessboard", (columns, rows), square_mm / 1000.0)


def check_board_for_rig(board: Board) -> None:
    """Nothing, if cameras can agree on the board's first corner.

    Raises:
        BadBoard: a chessboard that looks the same when turned by half.
    """
    columns, rows = board.inner_corners
    if board.kind == "chessboard" and (columns + rows) % 2 == 0:
        parity = "odd" if columns % 2 else "even"
        raise BadBoard(
            f"a board of {columns}x{rows} inner corners (both {parity}) looks the same turned by "
            "half, so cameras would number it from opposite ends; use one odd and one even count, "
            f"such as {columns}x{rows - 1 if rows > 3 else rows + 1}, or a ChArUco board",
            field="/board",
            reason="symmetric_board",
        )


def detect(image: NDArray[np.uint8], board: Board, effort: Effort = "quick") -> Detection | None:
    """The board in a picture, or None.

    Args:
        image: (H, W) grey or (H, W, 3) BGR, full resolution.
        board: what to look for.
        effort: `quick` for video frames, `thorough` for photos someone chose.
    """
    gray = image
    if image.ndim == 3:
        gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    columns, rows = board.inner_corners
    if board.kind == "charuco":
        found = find_charuco_corners(
            gray, (columns + 1, rows + 1), board.marker_ratio, board.dictionary, board.inverted
        )
        return None if found is None else Detection(*found)
    grid = find_corners(gray, board.inner_corners, effort)
    if grid is None:
        return None
    corners, trusted = grid
    return Detection(corners[trusted], np.flatnonzero(trusted))


@functools.lru_cache(maxsize=16)
def _points_board(inner_corners: tuple[int, int], square_m: float) -> F64:
    columns, rows = inner_corners
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    flat = grid.reshape(-1, 2) * square_m  # (N, 2)
    points = np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)
    points.flags.writeable = False
    return points


def _check_counts(columns: int, rows: int, least: int) -> None:
    if not (least <= columns <= MAX_COUNT and least <= rows <= MAX_COUNT) or columns * rows < 6:
        raise BadBoard(
            f"{columns}x{rows} is not a usable board: {least} to {MAX_COUNT} a side, at least six "
            "inner corners; count the corners where four squares meet",
            field="/board",
        )


def _charuco(text: str, squares: tuple[int, int], words: list[str], square_mm: float) -> Board:
    _check_counts(squares[0] - 1, squares[1] - 1, 2)
    dictionary, ratio, inverted = words[0], 0.75, False
    for word in words[1:]:
        if word == "inverted":
            inverted = True
        elif re.fullmatch(r"0?\.\d+", word):
            ratio = float(word)
        else:
            raise BadBoard(
                f"{word[:40]!r} in board {text[:60]!r} is not understood", field="/board"
            )
    if not is_dictionary(dictionary) or not 0.2 <= ratio <= 0.95:
        raise BadBoard(
            f"board {text[:60]!r}: OpenCV has no dictionary {dictionary[:40]!r}, or the marker "
            "ratio is not 0.2 to 0.95; write for example charuco:4x5:DICT_4X4_1000:0.75",
            field="/board",
        )
    inner = (squares[0] - 1, squares[1] - 1)
    return Board("charuco", inner, square_mm / 1000.0, dictionary, ratio, inverted)
