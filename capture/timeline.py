"""A take as a line of time: its rate, each frame's place on it, and who appears where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .people import Frame

__all__ = ["by_identity", "moments", "rate_of"]

FALLBACK_HZ = 30.0  # for a take of one frame, which has no rate


def rate_of(frames: Sequence[Frame]) -> float:
    """Frames per second, from the median step of the timestamps."""
    steps = np.diff([frame.timestamp_ns for frame in frames])
    steps = steps[steps > 0]
    return float(1e9 / np.median(steps)) if len(steps) else FALLBACK_HZ


def moments(frames: Sequence[Frame], rate_hz: float) -> list[int]:
    """Each frame's place on an even grid of time, so that dropped frames are gaps.

    Where two frames would share a place, the timestamps are no grid and frames are counted.
    """
    first = frames[0].timestamp_ns if frames else 0
    grid = [round((frame.timestamp_ns - first) * 1e-9 * rate_hz) for frame in frames]
    return grid if all(a < b for a, b in pairwise(grid)) else list(range(len(frames)))


def by_identity(frames: Sequence[Frame]) -> dict[int, list[tuple[int, int]]]:
    """For each id, in order of ids: (frame number, place among that frame's people) in order."""
    result: dict[int, list[tuple[int, int]]] = {}
    for number, frame in enumerate(frames):
        for place, person in enumerate(frame.people):
            if person.id >= 0:
                result.setdefault(person.id, []).append((number, place))
    return dict(sorted(result.items()))
