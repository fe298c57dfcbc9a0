"""People followed in the cameras' own frames, so that each view can be read at any moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.camera import calibrated_from_frame, undistort
from calibration.rig import Rig
from models.sighting import Sighting

from .frame import CaptureSettings, people_in_frame
from .people import F64, Person
from .streams import Stream
from .track import Tracker

__all__ = ["Clock", "ViewTracks", "followed", "nearest_frames"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Clock:
    """How a camera's clock lies to the reference: `reference = own + offset_s + drift * own`."""

    offset_s: float = 0.0
    drift: float = 0.0

    def reference_s(self, own_s: F64) -> F64:
        """Times of the reference at times of the camera."""
        return np.asarray(own_s + self.offset_s + self.drift * own_s)

    def own_s(self, reference_s: F64) -> F64:
        """Times of the camera at times of the reference."""
        return np.asarray((reference_s - self.offset_s) / (1.0 + self.drift))


@dataclass(frozen=True, slots=True)
class ViewTracks:
    """What one camera saw of followed people, by its own clock."""

    times_s: F64  # (F,) rising
    norm: F64  # (F, P, J, 2) undistorted at z = 1, NaN unseen
    scores: F64  # (F, P, J)

    def at(self, times_s: F64) -> tuple[F64, F64]:
        """(T, P, J, 2) directions between two frames, NaN unless both saw them, and scores."""
        after = np.clip(np.searchsorted(self.times_s, times_s), 1, len(self.times_s) - 1)
        step = self.times_s[after] - self.times_s[after - 1]
        share = (times_s - self.times_s[after - 1]) / step
        usual = float(np.median(np.diff(self.times_s)))
        inside = (share >= -0.5) & (share <= 1.5) & (step < 1.5 * usual)
        w = np.where(inside, share, np.nan)[:, None, None]
        norm = self.norm[after - 1] * (1 - w[..., None]) + self.norm[after] * w[..., None]
        scores = np.minimum(self.scores[after - 1], self.scores[after])
        return norm, np.where(np.isfinite(norm[..., 0]), scores, 0.0)


def nearest_frames(stream: Stream, times_s: F64) -> Ints:
    """(T,) the frame nearest to each time, -1 where none is within three quarters of a step."""
    after = np.clip(np.searchsorted(stream.times_s, times_s), 1, len(stream.times_s) - 1)
    earlier = times_s - stream.times_s[after - 1] < stream.times_s[after] - times_s
    frame = np.where(earlier, after - 1, after)
    near = np.abs(stream.times_s[frame] - times_s) <= 0.75 * stream.step_s
    return np.where(near, frame, -1)


def followed(
    rig: Rig,
    streams: Mapping[str, Stream],
    clocks: Mapping[str, Clock],
    moments_s: F64,
    settings: CaptureSettings | None = None,
) -> dict[str, ViewTracks]:
    """Everybody seen by two cameras or more, followed through a stretch of the take.

    Args:
        rig: the calibrated cameras.
        streams: by camera name.
        clocks: as known so far; half a frame's error does no harm to who is who.
        moments_s: (T,) of the reference, one frame apart.
        settings: noise and thresholds.
    """
    frames = {name: nearest_frames(s, clocks[name].own_s(moments_s)) for name, s in streams.items()}
    tracker, people = Tracker(), []
    for moment, time_s in enumerate(moments_s.tolist()):
        now = round(time_s * 1e9)
        sightings = {
            name: streams[name].people[frame[moment]]
            for name, frame in frames.items()
            if frame[moment] >= 0
        }
        # Rays alone: what a body should look like must not be taken for time.
        found = people_in_frame(rig, sightings, settings, tracker.predict(now), None)
        people.append(tracker.update(found.people, now))
    ids = sorted({person.id for row in people for person in row})
    place = {identity: number for number, identity in enumerate(ids)}
    return {
        name: _tracks(rig, name, streams[name], frames[name], people, place) for name in streams
    }


def _tracks(
    rig: Rig,
    name: str,
    stream: Stream,
    frames: Ints,
    people: Sequence[Sequence[Person]],
    place: Mapping[int, int],
) -> ViewTracks:
    """What the camera saw of the people with these places."""
    found: dict[tuple[int, int], Sighting] = {}
    rows, row_of = np.unique(frames[frames >= 0], return_inverse=True)
    for row, moment in zip(row_of.tolist(), np.flatnonzero(frames >= 0).tolist(), strict=True):
        for person in people[moment]:
            if name in person.sightings:
                found.setdefault((row, place[person.id]), person.sightings[name])
    joints = rig_joints(people)
    norm = np.full((len(rows), len(place), joints, 2), np.nan)
    scores = np.zeros((len(rows), len(place), joints))
    if found:
        where = tuple(np.array(list(found)).T)
        pixels = np.array([one.joints_px for one in found.values()])  # (S, J, 2)
        camera = rig.camera(name)
        flat = undistort(camera, calibrated_from_frame(camera, pixels.reshape(-1, 2)))
        norm[where] = flat.reshape(pixels.shape)
        scores[where] = np.array([one.scores for one in found.values()])
    return ViewTracks(stream.times_s[rows], norm, scores)


def rig_joints(people: Sequence[Sequence[Person]]) -> int:
    """How many joints these people have; 0 without people."""
    return next((len(person.positions) for row in people for person in row), 0)
