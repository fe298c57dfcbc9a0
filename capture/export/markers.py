"""A take as named markers over time, as marker files want it: one row per even moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import ExportError
from ..people import F64, Frame
from ..result import SKELETONS
from ..timeline import by_identity, moments

__all__ = ["Markers", "markers_of"]

MAX_ROWS = 5_000_000  # a day at 60 Hz; more means broken timestamps


class Markers(NamedTuple):
    """M markers in F rows, NaN where missing."""

    names: list[str]  # `left_knee`, or `p3_left_knee` where the take has several people
    positions: F64  # (F, M, 3) metres in the world, z up
    sigma_mm: F64  # (F, M)


def markers_of(frames: Sequence[Frame], rate_hz: float) -> Markers:
    """All people's joints as markers.

    Args:
        frames: in order of time, identities given.
        rate_hz: of the rows; a dropped frame is a row of NaN.

    Raises:
        ExportError: there is nobody in the take, or its timestamps span years.
    """
    people = by_identity(frames)
    if not people:
        raise ExportError("the take has no person in metres to write; was anybody seen?")
    grid = moments(frames, rate_hz)
    if grid[-1] > MAX_ROWS:
        raise ExportError(
            f"the take's timestamps span {grid[-1]} rows at {rate_hz:g} Hz; "
            "are they nanoseconds of one clock?"
        )
    joints = SKELETONS[frames[0].skeleton].joints
    shape = (grid[-1] + 1, len(people), len(joints))
    positions, sigma_mm = np.full((*shape, 3), np.nan), np.full(shape, np.nan)
    for column, appearances in enumerate(people.values()):
        for number, place in appearances:
            person = frames[number].people[place]
            positions[grid[number], column] = person.positions
            sigma_mm[grid[number], column] = person.sigma_mm
    alone = len(people) == 1
    names = [joint if alone else f"p{person}_{joint}" for person in people for joint in joints]
    rows = len(positions)
    return Markers(names, positions.reshape(rows, -1, 3), sigma_mm.reshape(rows, -1))
