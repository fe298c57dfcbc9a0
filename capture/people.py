"""What a frame set holds once views are put together: people in metres, and who stayed 2D."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.sighting import Sighting

__all__ = ["NO_ID", "Frame", "FramePeople", "JointSource", "Person", "Prediction"]

F64 = NDArray[np.float64]

# How a joint came by its position, or why it has none.
JointSource = Literal["triangulated", "completed", "predicted", "unseen", "single_view", "rejected"]
NO_ID = -1  # before the tracker has named a person


@dataclass(frozen=True, slots=True)
class Person:
    """One person in the world, and the sightings that the person was made from."""

    id: int
    score: float
    positions: F64  # (J, 3) metres in the world, NaN where there is none
    sigma_mm: F64  # (J,) one standard deviation, NaN where there is no position
    scores: F64  # (J,) in [0, 1], 0 where there is no position
    views: NDArray[np.int64]  # (J,) views used
    reprojection_px: F64  # (J,) RMS over the views used, calibrated pixels
    sources: tuple[JointSource, ...]  # (J,)
    sightings: Mapping[str, Sighting] = field(default_factory=dict)  # by camera, frame pixels
    # Cameras whose left and right were taken the other way round; the sightings stay as they were.
    swapped: tuple[str, ...] = ()
    plausibility: float = float("nan")  # share of real poses less likely, NaN where nobody asked


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where the tracker expects somebody next."""

    id: int
    positions: F64  # (J, 3) metres in the world, NaN for joints never seen
    sigma_m: F64  # (J,) one standard deviation per axis


@dataclass(frozen=True, slots=True)
class FramePeople:
    """Everybody in one frame set."""

    people: tuple[Person, ...]
    single_view: Mapping[str, tuple[Sighting, ...]]  # by camera: seen there and nowhere else


@dataclass(frozen=True, slots=True)
class Frame:
    """The result of one frame set (DESIGN.md section 4)."""

    rig: str
    calibration: str
    capture: str
    sequence: int
    timestamp_ns: int
    skeleton: str
    model: Mapping[str, str]  # name, sha256
    people: tuple[Person, ...]
    single_view: Mapping[str, tuple[Sighting, ...]] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    posted: tuple[str, ...] | None = None  # cameras whose pictures were looked at, if that is known
