"""Pictures looked at for a board, side by side in several processes where there are many."""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import cv2
import numpy as np

from .board import Board, Detection, detect
from .chessboard import Effort
from .footage import Clip, Gray

logger = logging.getLogger(__name__)

__all__ = ["Look", "look_at_all"]

Picture = tuple[Clip, str, Gray]

# A process takes a second to start, as long as a hundred pictures take; fewer are not worth it.
MIN_PICTURES = 100


@dataclass(frozen=True, slots=True)
class Look:
    """What one picture showed."""

    detection: Detection | None
    edge_px: float  # over how many pixels edges of squares rise; NaN where not measured
    level: float  # mean grey level


def look_at_all(
    pictures: Iterable[Picture], total: int, board: Board, workers: int
) -> Generator[tuple[Picture, Look]]:
    """Each picture with what it shows, in order.

    Pictures are read here, one after the other, and looked at elsewhere; a few wait at a time, so
    memory stays small. Processes start afresh (nothing is forked), so this may be called from any
    thread; where they cannot start, threads do the work. Closing the iterator stops what waits.

    Args:
        pictures: to look at.
        total: how many there are.
        board: what to look for.
        workers: how many at a time.
    """
    if workers < 2:
        for picture in pictures:
            yield picture, look(picture[2], board, _effort(picture[0]))
        return
    many = total >= MIN_PICTURES
    pool: Executor = _processes(workers) if many else ThreadPoolExecutor(workers)
    try:
        yield from _in_order(pictures, board, workers, pool)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def look(gray: Gray, board: Board, effort: Effort) -> Look:
    """What one picture shows."""
    detection = detect(gray, board, effort)
    edge_px = float("nan") if detection is None else _edge_px(gray, detection, board)
    return Look(detection, edge_px, float(gray.mean()))


def _in_order(
    pictures: Iterable[Picture], board: Board, workers: int, pool: Executor
) -> Iterator[tuple[Picture, Look]]:
    waiting: deque[tuple[Picture, Future[Look] | None]] = deque()
    for picture in pictures:
        waiting.append((picture, _begun(pool, picture, board)))
        if len(waiting) > 2 * workers:
            yield _finished(*waiting.popleft(), board)
    while waiting:
        yield _finished(*waiting.popleft(), board)


def _begun(pool: Executor, picture: Picture, board: Board) -> Future[Look] | None:
    try:
        return pool.submit(look, picture[2], board, _effort(picture[0]))
    except BrokenProcessPool:
        return None


def _finished(picture: Picture, future: Future[Look] | None, board: Board) -> tuple[Picture, Look]:
    if future is not None:
        try:
            return picture, future.result()
        except BrokenProcessPool:
            # A script without `if __name__ == "__main__":` cannot start any; a process can be
            # killed for memory. The picture is still here.
            logger.warning("no process looks at pictures any more; going on in this one")
    return picture, look(picture[2], board, _effort(picture[0]))


def _processes(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_settle_in)


def _settle_in() -> None:
    """Of a new process: an interrupt is the parent's business, one process is one thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _effort(clip: Clip) -> Effort:
    return "quick" if clip.is_video else "thorough"


def _edge_px(gray: Gray, detection: Detection, board: Board) -> float:
    """Over how many pixels the edges of the squares rise; NaN where that cannot be measured."""
    if board.kind != "chessboard" or len(detection.ids) < len(board.points_board):
        return float("nan")
    corners = detection.corners_px.astype(np.float32).reshape(-1, 1, 2)
    found = cv2.estimateChessboardSharpness(gray, board.inner_corners, corners)[0]
    return float(np.asarray(found).reshape(-1)[0])
