"""Where joints are: the highest local maxima of each heatmap, and what the tag maps say there.

One pass does non-maximum suppression, the choice of the best, the sub-cell offset and the gather
of the tags, over all views of a batch. Definition: a cell is a peak if it is above the floor and
nothing within the window around it is higher (of equal neighbours each is a peak, as with
max-pooling). The offset along an axis is the vertex of a parabola through three logarithms,
exact for a Gaussian blob; on the border it is zero. NaN cells are never peaks and hide none.

Imports neither PyTorch nor Triton; `kernels.peaks_triton` does the same on CUDA.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .errors import BadOperand

__all__ = ["PeakRules", "Peaks", "find_peaks", "reference"]

F32: TypeAlias = NDArray[np.float32]

TINY = 1e-6  # keeps the logarithm finite where a heatmap underflows


@dataclass(frozen=True, slots=True)
class PeakRules:
    """What counts as a peak and how many are kept."""

    count: int = 30  # of each joint, as published
    window: int = 5  # cells, odd; a peak is the largest within
    floor: float = 0.02  # at or below is background; just under the weakest peak that fills a gap


@dataclass(frozen=True, slots=True)
class Peaks:
    """Peaks of each view and joint, best first."""

    cells: F32  # (V, J, K, 2) x, y in cells; 0 where there are fewer than K
    scores: F32  # (V, J, K) height, 0 where there are fewer than K
    tags: F32  # (V, J, K, D) 0 where there are fewer than K


def find_peaks(heat: F32, tags: F32, rules: PeakRules | None = None) -> Peaks:
    """The best peaks of each map with their tags, by the fastest way installed.

    Args:
        heat: (V, J, H, W) float32, rows contiguous or not.
        tags: (V, J, D, H, W) float32.
        rules: what counts as a peak.

    Raises:
        BadOperand: arrays of other shapes or types, or an even window.
    """
    rules = rules or PeakRules()
    _check(heat, tags, rules)
    if not compiled():
        return reference(heat, tags, rules)
    from .peaks_numba import scan  # numba is imported on first use: it takes a good half second

    views, joints = heat.shape[:2]
    cells = np.zeros((views, joints, rules.count, 2), dtype=np.float32)
    scores = np.zeros((views, joints, rules.count), dtype=np.float32)
    found = np.zeros((views, joints, rules.count, tags.shape[2]), dtype=np.float32)
    # One layout, so that one form is compiled.
    heat, tags = np.ascontiguousarray(heat), np.ascontiguousarray(tags)
    scan(heat, tags, rules.window // 2, np.float32(rules.floor), cells, scores, found)
    return Peaks(cells, scores, found)


def reference(heat: F32, tags: F32, rules: PeakRules) -> Peaks:
    """The definition in numpy, and the path without numba. Arguments as :func:`find_peaks`'s."""
    views, joints, height, width = heat.shape
    at = _local_maxima(heat, rules)  # (4, N) view, joint, y, x
    heights = heat[at]
    # Best first within each map, then keep the first K of each.
    maps = at[0] * joints + at[1]
    order = np.lexsort((-heights, maps))
    maps, heights = maps[order], heights[order]
    view, joint, y, x = (axis[order] for axis in at)
    rank = np.arange(len(maps)) - np.searchsorted(maps, maps)
    kept = rank < rules.count
    view, joint, y, x, rank, heights = (a[kept] for a in (view, joint, y, x, rank, heights))

    cells = np.zeros((views, joints, rules.count, 2), dtype=np.float32)
    scores = np.zeros((views, joints, rules.count), dtype=np.float32)
    found = np.zeros((views, joints, rules.count, tags.shape[2]), dtype=np.float32)
    scores[view, joint, rank] = heights
    found[view, joint, rank] = tags[view, joint, :, y, x]
    for axis, place, last in ((0, x, width - 1), (1, y, height - 1)):
        inside = (place > 0) & (place < last)
        step = inside.astype(np.intp)
        down, right = (step, 0) if axis == 1 else (0, step)
        before = _log(heat[view, joint, y - down, x - right])
        after = _log(heat[view, joint, y + down, x + right])
        bend = np.maximum(2 * _log(heights) - before - after, np.float32(TINY))
        offset = np.clip((after - before) / (2 * bend), -0.5, 0.5)
        cells[view, joint, rank, axis] = place + offset
    return Peaks(cells, scores, found)


def _local_maxima(heat: F32, rules: PeakRules) -> tuple[NDArray[np.intp], ...]:
    """Indices of cells above the floor that no cell of their window exceeds."""
    height, width = heat.shape[2:]
    view, joint, y, x = np.nonzero(heat > np.float32(rules.floor))
    reach = rules.window // 2
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            near = heat[view, joint, np.clip(y + dy, 0, height - 1), np.clip(x + dx, 0, width - 1)]
            stays = ~(near > heat[view, joint, y, x])  # NaN exceeds nothing
            view, joint, y, x = view[stays], joint[stays], y[stays], x[stays]
    return view, joint, y, x


def _log(values: F32) -> F32:
    return np.asarray(np.log(np.fmax(values, np.float32(TINY))), dtype=np.float32)


def _check(heat: F32, tags: F32, rules: PeakRules) -> None:
    fits = heat.ndim == 4 and tags.ndim == 5 and tags.shape[:2] == heat.shape[:2]
    if not fits or tags.shape[3:] != heat.shape[2:]:
        raise BadOperand(
            f"heat {heat.shape} and tags {tags.shape} do not belong together; give (V, J, H, W) "
            "and (V, J, D, H, W)"
        )
    if heat.dtype != np.float32 or tags.dtype != np.float32:
        raise BadOperand(f"heat is {heat.dtype}, tags {tags.dtype}; convert both to float32")
    if rules.window % 2 == 0 or rules.window < 3 or rules.count < 1 or rules.floor < 0:
        raise BadOperand(f"{rules}: the window is odd and at least 3, count at least 1, floor >= 0")
