"""Every place where a camera saw the board."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .board import Board, Detection, detect
from .camera import F64
from .errors import BadFootage, BoardNotFound
from .footage import Clip, Footage, Gray, pictures

logger = logging.getLogger(__name__)

Picture = tuple[Clip, str, Gray]

COVERAGE_GRID = (9, 5)  # columns x rows over the picture


@dataclass(frozen=True, slots=True)
class View:
    """The board in one picture of one camera."""

    camera: str
    moment: str
    corners_px: F64  # (N, 2) distorted pixels
    ids: NDArray[np.int64]  # (N,) rows of `Board.points_board`
    shared: bool = True  # False: a close-up for the lens, at no moment of the rig
    mirrored: bool = False

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
        workers: pictures looked at side by side (OpenCV leaves Python's lock while it works).

    Raises:
        BadFootage: undecodable or unequal pictures.
        BoardNotFound: no picture shows the board.
    """
    views: list[View] = []
    sizes: dict[str, tuple[int, int]] = {}
    looked: dict[str, int] = {}
    total = sum(len(clip.moments) for clip in footage.clips + footage.intrinsics)
    done = 0
    with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
        for clips, shared in ((footage.clips, True), (footage.intrinsics, False)):
            for batch in _batches(clips, max(1, workers)):
                found = list(pool.map(lambda job: _look(job, board), batch))
                for (clip, moment, gray), detection in zip(batch, found, strict=True):
                    looked[clip.camera] = looked.get(clip.camera, 0) + 1
                    _settle_size(sizes, clip, (gray.shape[1], gray.shape[0]))
                    if detection is not None:
                        views.append(_view(clip.camera, moment, detection, shared))
                    done += 1
                    progress(done, total)
    if not views:
        columns, rows = board.inner_corners
        raise BoardNotFound(
            f"none of the {total} pictures shows a {board.kind} of {columns}x{rows} inner corners; "
            "check the counts (where four squares meet), light the board evenly and keep a white "
            "border round it"
        )
    views.sort(key=lambda view: (not view.shared, view.moment, view.camera))
    return Sightings(tuple(views), sizes, looked)


def without_copies(sightings: Sightings) -> tuple[Sightings, tuple[View, ...]]:
    """The sightings without pictures given twice, and those left out.

    Noise never gives the same corners twice, so equal corners are a copied picture; counted as many
    views they would make the calibration look surer than it is.
    """
    seen: set[tuple[str, bytes]] = set()
    kept: list[View] = []
    copies: list[View] = []
    for view in sightings.views:
        mark = (view.camera, view.corners_px.tobytes() + view.ids.tobytes())
        (copies if mark in seen else kept).append(view)
        seen.add(mark)
    return replace(sightings, views=tuple(kept)), tuple(copies)


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


def _batches(clips: Sequence[Clip], size: int) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    for picture in pictures(clips):
        batch.append(picture)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def _look(picture: Picture, board: Board) -> Detection | None:
    clip, moment, gray = picture
    detection = detect(gray, board, "quick" if clip.is_video else "thorough")
    logger.debug("%s %s: %s", clip.camera, moment, "board" if detection else "no board")
    return detection


def _view(camera: str, moment: str, detection: Detection, shared: bool) -> View:
    return View(camera, moment, detection.corners_px, detection.ids, shared, detection.mirrored)


def _settle_size(sizes: dict[str, tuple[int, int]], clip: Clip, size: tuple[int, int]) -> None:
    first = sizes.setdefault(clip.camera, size)
    if first != size:
        raise BadFootage(
            f"camera {clip.camera!r}: the rig's pictures are {first[0]}x{first[1]}, the close-ups "
            f"for its lens {size[0]}x{size[1]}; film both with the same resolution, zoom and crop",
            camera=clip.camera,
        )
