"""The loop behind :func:`kernels.peaks.find_peaks`, compiled."""

import math

import numpy as np
from numpy.typing import NDArray

from .compiled import jit

__all__ = ["scan"]

_TINY = np.float32(1e-6)  # as in peaks.py


@jit
def _is_peak(plane: NDArray[np.float32], y: int, x: int, reach: int) -> bool:
    """Whether no cell of the window is higher; the nearest are asked first, they rule out most."""
    height, width = plane.shape
    value = plane[y, x]
    if x + 1 < width and plane[y, x + 1] > value:
        return False
    if y > 0 and plane[y - 1, x] > value:
        return False
    if y + 1 < height and plane[y + 1, x] > value:
        return False
    for v in range(max(y - reach, 0), min(y + reach + 1, height)):
        for u in range(max(x - reach, 0), min(x + reach + 1, width)):
            if plane[v, u] > value:
                return False
    return True


@jit
def _log(value: np.float32) -> np.float32:
    return np.float32(math.log(value)) if value > _TINY else np.float32(math.log(_TINY))


@jit
def _offset(before: np.float32, middle: np.float32, after: np.float32) -> np.float32:
    """Vertex of the parabola through three logarithms, within half a cell."""
    low, high = _log(before), _log(after)
    bend = max(np.float32(2) * _log(middle) - low - high, _TINY)
    vertex = (high - low) / (np.float32(2) * bend)
    return min(max(vertex, np.float32(-0.5)), np.float32(0.5))


@jit
def _keep(
    scores: NDArray[np.float32], places: NDArray[np.int64], held: int, value: float, place: int
) -> int:
    """Insert into the best found so far, highest first; the earlier of equals stays ahead."""
    count = len(scores)
    if held == count and value <= scores[count - 1]:
        return held
    slot = min(held, count - 1)
    while slot > 0 and scores[slot - 1] < value:
        scores[slot], places[slot] = scores[slot - 1], places[slot - 1]
        slot -= 1
    scores[slot], places[slot] = value, place
    return min(held + 1, count)


@jit
def scan(
    heat: NDArray[np.float32],
    tags: NDArray[np.float32],
    reach: int,
    floor: np.float32,
    cells: NDArray[np.float32],
    scores: NDArray[np.float32],
    found: NDArray[np.float32],
) -> None:
    """Fill ``cells``, ``scores`` and ``found``, given as zeros in the shapes of ``Peaks``."""
    views, joints, height, width = heat.shape
    places = np.empty(scores.shape[2], dtype=np.int64)
    for view in range(views):
        for joint in range(joints):
            plane, best = heat[view, joint], scores[view, joint]
            held = 0
            for y in range(height):
                before = np.float32(-math.inf)  # the cell to the left
                for x in range(width):
                    value = plane[y, x]
                    if value > floor and not before > value and _is_peak(plane, y, x, reach):
                        held = _keep(best, places, held, value, y * width + x)
                    before = value
            for rank in range(held):
                y, x = places[rank] // width, places[rank] % width
                value = plane[y, x]
                cells[view, joint, rank, 0] = x
                cells[view, joint, rank, 1] = y
                if 0 < x < width - 1:
                    cells[view, joint, rank, 0] += _offset(plane[y, x - 1], value, plane[y, x + 1])
                if 0 < y < height - 1:
                    cells[view, joint, rank, 1] += _offset(plane[y - 1, x], value, plane[y + 1, x])
                for d in range(tags.shape[2]):
                    found[view, joint, rank, d] = tags[view, joint, d, y, x]
