"""What each camera saw on its own clock, before anybody says which frames belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.camera import Camera, calibrated_from_frame, undistort
from models.sighting import Sighting

from .errors import BadTimestamps
from .people import F64

__all__ = ["FrameClock", "Stream", "clock_of", "directions", "stream_of"]

MIN_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Stream:
    """One camera's frames in order."""

    times_s: F64  # (F,) by the camera's own clock, rising
    people: Sequence[Sequence[Sighting]]  # (F,) frame pixels

    @property
    def step_s(self) -> float:
        """Between two frames, the median."""
        return float(np.median(np.diff(self.times_s)))

    def between(self, start_s: float, length_s: float, margin_s: float = 0.0) -> Stream:
        """The frames of a stretch."""
        first = int(np.searchsorted(self.times_s, start_s - margin_s))
        stop = int(np.searchsorted(self.times_s, start_s + length_s + margin_s))
        return Stream(self.times_s[first:stop], self.people[first:stop])


@dataclass(frozen=True, slots=True)
class FrameClock:
    """A camera's frames as its timestamps tell them."""

    rate_hz: float  # of the camera's own clock, by the clock that stamped
    numbers: NDArray[np.int64]  # (F,) from 0, leaving out those of dropped frames
    times_s: F64  # (F,) without the jitter of stamping
    dropped: tuple[int, ...]  # numbers of frames that are missing
    jitter_s: float  # one sigma of the stamps around the even grid


def stream_of(people: Sequence[Sequence[Sighting]], rate_hz: float) -> Stream:
    """Frames of an even rate, the first at time 0."""
    return Stream(np.arange(len(people)) / rate_hz, people)


def clock_of(timestamps_ns: Sequence[int], rate_hz: float | None = None) -> FrameClock:
    """The even grid under a camera's timestamps, and the frames that were dropped.

    A step of about k periods is k - 1 frames dropped; the stamps' jitter is averaged out by a line
    through all of them, so that offsets between cameras are good to jitter / sqrt(F).

    Args:
        timestamps_ns: of the frames in order.
        rate_hz: nominal, if known; else from the median step.

    Raises:
        BadTimestamps: fewer than 3, or not rising.
    """
    stamps = np.asarray(timestamps_ns, dtype=np.int64)
    if len(stamps) < MIN_FRAMES:
        raise BadTimestamps(
            f"{len(stamps)} timestamps; a camera's clock needs {MIN_FRAMES} or more"
        )
    elapsed = (stamps - stamps[0]) * 1e-9
    steps = np.diff(elapsed)
    if (steps <= 0).any():
        frame = int(np.argmax(steps <= 0)) + 1
        raise BadTimestamps(
            f"frame {frame} is stamped {-steps[frame - 1] * 1e3:.3f} ms before the frame before "
            "it; give a camera's frames in the order they were taken"
        )
    period = 1.0 / rate_hz if rate_hz else float(np.median(steps))
    numbers = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(steps / period)))])
    for _ in range(3):  # the period that the line finds numbers long gaps better
        slope, start = np.polyfit(numbers, elapsed, 1)
        numbers = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(steps / slope)))])
    times = start + slope * numbers
    numbers = numbers.astype(np.int64)
    missing = np.setdiff1d(np.arange(numbers[-1] + 1), numbers)
    return FrameClock(
        rate_hz=float(1.0 / slope),
        numbers=numbers,
        times_s=np.asarray(stamps[0] * 1e-9 + times),
        dropped=tuple(missing.tolist()),
        jitter_s=float(np.std(elapsed - times)),
    )


def directions(camera: Camera, frames: Sequence[Sequence[Sighting]]) -> F64:
    """(F, P, J, 2) undistorted at z = 1 of all people in some frames, NaN where there is nobody."""
    most = max((len(people) for people in frames), default=0)
    joints = next((len(p.scores) for people in frames for p in people), 0)
    norm = np.full((len(frames), most, joints, 2), np.nan)
    where = [(f, p) for f, people in enumerate(frames) for p in range(len(people))]
    if not where:
        return norm
    pixels = np.array([frames[f][p].joints_px for f, p in where])  # (S, J, 2)
    scores = np.array([frames[f][p].scores for f, p in where])
    pixels[~(scores > 0)] = np.nan
    flat = undistort(camera, calibrated_from_frame(camera, pixels.reshape(-1, 2)))
    rows, columns = np.array(where).T
    norm[rows, columns] = flat.reshape(pixels.shape)
    return norm


def by_camera(streams: Mapping[str, Stream]) -> str:
    """Each camera's number of frames, for messages."""
    return ", ".join(f"{name} {len(stream.people)}" for name, stream in streams.items())
