"""Every place where a camera saw the board."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .board import Board, Detection, detect
from .camera import F64
from .errors import BadFootage, BoardNotFound
from .footage import Clip, Footage, pictures
from .looking import look_at_all

COVERAGE_GRID = (9, 5)  # columns x rows over the picture
DARK_LEVEL = 6.0  # mean grey level of a black picture
MOST_TRIED = 8  # pictures in which other counts are tried when none shows the board


@dataclass(frozen=True, slots=True)
class View:
    """The board in one picture of one camera."""

    camera: str
    moment: str
    corners_px: F64  # (N, 2) distorted pixels
    ids: NDArray[np.int64]  # (N,) rows of `Board.points_board`
    shared: bool = True  # False: a close-up for the lens, at no moment of the rig
    mirrored: bool = False
    edge_px: float = float("nan")  # over how many pixels edges of squares rise, where measured

    @property
    def key(self) -> tuple[str, str, bool]:
        """What tells it from all other views."""
        return self.camera, self.moment, self.shared


@dataclass(frozen=True, slots=True)
class Sightings:
    """All views, and how much was looked at."""

    views: tuple[View, ...]
    sizes_px: Mapping[str, tuple[int, int]]  # (width, height) per camera
    looked_at: Mapping[str, int]  # pictures per camera
    dark: Mapping[str, int] = field(default_factory=dict)  # of those, how many were black


def find_boards(
    footage: Footage,
    board: Board,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int = 1,
) -> Sightings:
    """Looks for the board in every picture.

    Args:
        footage: the pictures.
        board: what to look for.
        progress: called after each picture with how many are done, and their total; may raise.
        workers: pictures looked at side by side, of many in processes of their own.

    Raises:
        BadFootage: undecodable or unequal pictures.
        BoardNotFound: no picture shows the board.
    """
    views: list[View] = []
    sizes: dict[str, tuple[int, int]] = {}
    looked: dict[str, int] = {}
    dark: dict[str, int] = {}
    total = sum(len(clip.moments) for clip in footage.clips + footage.intrinsics)
    done = 0
    for clips, shared in ((footage.clips, True), (footage.intrinsics, False)):
        here = sum(len(clip.moments) for clip in clips)
        with closing(look_at_all(pictures(clips), here, board, workers)) as looks:
            for (clip, moment, gray), look in looks:
                looked[clip.camera] = looked.get(clip.camera, 0) + 1
                dark[clip.camera] = dark.get(clip.camera, 0) + (look.level < DARK_LEVEL)
                _settle_size(sizes, clip, (gray.shape[1], gray.shape[0]))
                if look.detection is not None:
                    views.append(_view(clip.camera, moment, look.detection, shared, look.edge_px))
                done += 1
                progress(done, total)
    if not views:
        raise _no_board(footage, board, total, sum(dark.values()))
    views.sort(key=lambda view: (not view.shared, view.moment, view.camera))
    return Sightings(tuple(views), sizes, looked, dark)


def coverage_counts(corners_px: F64, size_px: tuple[int, int]) -> F64:
    """(5, 9) corners in each cell of the picture.

    Args:
        corners_px: (N, 2) pixels.
        size_px: (width, height).
    """
    columns, rows = COVERAGE_GRID
    span = ((-0.5, size_px[1] - 0.5), (-0.5, size_px[0] - 0.5))
    bins = (rows, columns)
    counts, _, _ = np.histogram2d(corners_px[:, 1], corners_px[:, 0], bins=bins, range=span)
    return np.asarray(counts)


def _view(camera: str, moment: str, detection: Detection, shared: bool, edge_px: float) -> View:
    corners_px, ids, mirrored = detection.corners_px, detection.ids, detection.mirrored
    return View(camera, moment, corners_px, ids, shared, mirrored, edge_px)


def _no_board(footage: Footage, board: Board, total: int, dark: int) -> BoardNotFound:
    """Why no picture shows the board."""
    columns, rows = board.inner_corners
    start = f"none of the {total} pictures shows a {board.kind} of {columns}x{rows} inner corners"
    if dark == total:
        return BoardNotFound(
            f"{start}: all of them are black; take the lens caps off, open the apertures and film "
            "again",
            reason="black_frames",
        )
    other = _other_counts(footage, board)
    if other is not None:
        return BoardNotFound(
            f"{start}, but one of {other[0]}x{other[1]} is there; inner corners are counted where "
            f"four squares meet: give {other[0]}x{other[1]}",
            field="/board",
            reason="wrong_counts",
        )
    return BoardNotFound(
        f"{start}; check the counts (where four squares meet), light the board evenly and keep a "
        "white border round it"
    )


def _other_counts(footage: Footage, board: Board) -> tuple[int, int] | None:
    """The counts that a few pictures show instead: squares were counted, or too few."""
    if board.kind != "chessboard":
        return None
    columns, rows = board.inner_corners
    tried = ((columns - 1, rows - 1), (columns + 1, rows + 1), (columns - 2, rows - 2))
    for index, picture in enumerate(pictures(footage.clips)):
        if index >= MOST_TRIED:
            break
        for counts in tried:
            other = replace(board, inner_corners=counts)
            if min(counts) >= 3 and detect(picture[2], other, "quick") is not None:
                return counts
    return None


def _settle_size(sizes: dict[str, tuple[int, int]], clip: Clip, size: tuple[int, int]) -> None:
    first = sizes.setdefault(clip.camera, size)
    if first != size:
        raise BadFootage(
            f"camera {clip.camera!r}: the rig's pictures are {first[0]}x{first[1]}, the close-ups "
            f"for its lens {size[0]}x{size[1]}; film both with the same resolution, zoom and crop",
            camera=clip.camera,
            reason="size_changed",
        )
