"""Who is who from one frame set to the next: the one object of this folder with state.

Each tracked person has a Kalman filter per joint (constant velocity, white acceleration noise; the
three axes share one covariance). Persons of a new frame are matched to where the tracks expect
them by exact assignment. A track that is not seen coasts for a while, then is forgotten. The state
is small (a few kB per person) and is saved with each result, so a restart goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .errors import BadResult
from .people import F64, Person, Prediction

__all__ = ["TrackSettings", "Tracker"]

NS = 1e-9
STATE_FORMAT = "quadglass-tracks/1"
FAR = 1e6  # stands for "never" in the assignment, which takes no infinities


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How people move, and when they are new or gone."""

    acceleration: float = 8.0  # m/s^2 per sqrt(Hz), white; a walker's wrist stays within it
    gate_m: float = 0.5  # mean distance over the joints beyond which it is somebody else
    gate_growth_m_s: float = 0.8  # the gate widens with every second unseen
    max_gap_s: float = 1.5  # unseen for longer, a track is forgotten
    unproven_gap_s: float = 0.25  # the same for a track that was seen fewer times than:
    proven_frames: int = 5
    min_sigma_m: float = 0.005  # no measurement is trusted more than this
    velocity_decay_s: float = 0.5  # unseen, people slow down: a guess that beats running on


@dataclass(slots=True)
class _Track:
    """One person over time; replaced as a whole, never shared."""

    id: int
    positions: F64  # (J, 3) metres, NaN for joints never seen
    velocities: F64  # (J, 3) metres per second
    covariance: F64  # (J, 3): of position, of both, of velocity
    time_ns: int  # of positions
    seen_ns: int  # when last seen
    hits: int


class Tracker:
    """Identities over time. Feed it frame sets of one capture in order of time."""

    def __init__(self, settings: TrackSettings | None = None):
        self.settings = settings or TrackSettings()
        self._tracks: list[_Track] = []
        self._next_id = 0

    def predict(self, timestamp_ns: int) -> tuple[Prediction, ...]:
        """Where everybody tracked is expected at that time."""
        moved = (_moved(track, timestamp_ns, self.settings) for track in self._alive(timestamp_ns))
        return tuple(
            Prediction(track.id, track.positions, np.sqrt(track.covariance[:, 0]))
            for track in moved
        )

    def update(self, people: Sequence[Person], timestamp_ns: int) -> tuple[Person, ...]:
        """The same people with their identities; ids are never used twice.

        Args:
            people: of one frame set; their ids are overwritten.
            timestamp_ns: when it was taken; an earlier time than the last is taken as that one.
        """
        timestamp_ns = max([timestamp_ns, *(track.time_ns for track in self._tracks)])
        tracks = [_moved(t, timestamp_ns, self.settings) for t in self._alive(timestamp_ns)]
        named, found = list(people), {}
        for row, column in _match(tracks, people, timestamp_ns, self.settings):
            found[row] = column
            tracks[row] = _corrected(tracks[row], people[column], timestamp_ns, self.settings)
            named[column] = replace(people[column], id=tracks[row].id)
        for column, person in enumerate(people):
            if column not in found.values():
                track = _born(person, self._next_id, timestamp_ns, self.settings)
                self._next_id += 1
                tracks.append(track)
                named[column] = replace(person, id=track.id)
        self._tracks = tracks
        return tuple(named)

    def state(self) -> dict[str, Any]:
        """All that the tracker knows, as JSON-able values."""
        return {
            "format": STATE_FORMAT,
            "next_id": self._next_id,
            "tracks": [
                {
                    "id": track.id,
                    "positions": _listed(track.positions),
                    "velocities": _listed(track.velocities),
                    "covariance": _listed(track.covariance),
                    "time_ns": track.time_ns,
                    "seen_ns": track.seen_ns,
                    "hits": track.hits,
                }
                for track in self._tracks
            ],
        }

    @staticmethod
    def restore(settings: TrackSettings | None, state: Mapping[str, Any]) -> Tracker:
        """A tracker that goes on where `state` was taken.

        Raises:
            BadResult: the state is not one that `state()` gave.
        """
        tracker = Tracker(settings)
        try:
            if state["format"] != STATE_FORMAT:
                raise ValueError(f"format {state['format']!r}, need {STATE_FORMAT!r}")
            tracker._next_id = int(state["next_id"])
            tracker._tracks = [_track_from(track) for track in state["tracks"]]
        except (KeyError, TypeError, ValueError) as error:
            raise BadResult(
                f"not a tracker's state ({type(error).__name__}: {error}); "
                "start the capture's tracking anew"
            ) from error
        return tracker

    def _alive(self, timestamp_ns: int) -> list[_Track]:
        settings = self.settings
        return [
            track
            for track in self._tracks
            if (timestamp_ns - track.seen_ns) * NS
            <= (
                settings.max_gap_s
                if track.hits >= settings.proven_frames
                else settings.unproven_gap_s
            )
        ]


def _moved(track: _Track, timestamp_ns: int, settings: TrackSettings) -> _Track:
    """The track at a later time, by its velocities."""
    dt = max(0.0, (timestamp_ns - track.time_ns) * NS)
    unseen = max(0.0, (track.time_ns - track.seen_ns) * NS)
    velocities = track.velocities * np.exp(-unseen / settings.velocity_decay_s)
    p, c, v = track.covariance.T
    q = settings.acceleration**2
    covariance = np.stack(
        [
            p + 2 * dt * c + dt * dt * v + q * dt**3 / 3,
            c + dt * v + q * dt * dt / 2,
            v + q * dt,
        ],
        axis=1,
    )
    return _Track(
        track.id,
        track.positions + dt * velocities,
        track.velocities,
        covariance,
        timestamp_ns,
        track.seen_ns,
        track.hits,
    )


def _match(
    tracks: Sequence[_Track], people: Sequence[Person], timestamp_ns: int, settings: TrackSettings
) -> list[tuple[int, int]]:
    """Pairs (track, person) with the smallest total distance, within each track's gate."""
    if not tracks or not people:
        return []
    expected = np.stack([track.positions for track in tracks])  # (T, J, 3)
    measured = np.stack([person.positions for person in people])  # (P, J, 3)
    unseen_s = np.array([(timestamp_ns - track.seen_ns) * NS for track in tracks])
    gate = settings.gate_m + settings.gate_growth_m_s * unseen_s  # (T,)
    off = np.sqrt(((expected[:, None] - measured[None]) ** 2).sum(axis=3))  # (T, P, J)
    # A joint far off counts as twice the gate, so that one wrong arm does not make a new person.
    off = np.minimum(off, 2 * gate[:, None, None])  # NaN stays NaN
    common = np.isfinite(off)
    mean = np.where(common, off, 0.0).sum(axis=2) / np.maximum(common.sum(axis=2), 1)
    # Nothing in common: compare the middles of the two bodies.
    middles = np.linalg.norm(_middles(expected)[:, None] - _middles(measured)[None], axis=2)
    cost = np.where(common.any(axis=2), mean, middles)
    cost = np.where(cost <= gate[:, None], cost, FAR)
    rows, columns = linear_sum_assignment(cost)
    return [
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if cost[row, column] < FAR
    ]


def _middles(bodies: F64) -> F64:
    """(B, 3) mean of the joints that are there."""
    there = np.isfinite(bodies[:, :, :1])
    return np.asarray(np.where(there, bodies, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _corrected(track: _Track, person: Person, timestamp_ns: int, settings: TrackSettings) -> _Track:
    """The track after seeing the person; joints not seen now go with the rest of the body."""
    seen = np.isfinite(person.positions[:, 0])
    fresh = seen & ~np.isfinite(track.positions[:, 0])
    known = seen & ~fresh
    noise = np.maximum(person.sigma_mm / 1000, settings.min_sigma_m) ** 2  # NaN where not seen
    p, c, v = track.covariance.T
    total = np.where(known, p + noise, 1.0)
    gain_p, gain_v = np.where(known, p / total, 0.0), np.where(known, c / total, 0.0)
    off = np.where(known[:, None], person.positions - track.positions, 0.0)
    # A joint that jumps further than it can have moved pulls only as far as it can.
    reach = 3 * np.sqrt(total) / np.maximum(np.linalg.norm(off, axis=1), 1e-9)
    off = off * np.minimum(reach, 1.0)[:, None]
    positions = track.positions + gain_p[:, None] * off
    velocities = track.velocities + gain_v[:, None] * off
    covariance = np.stack([p - gain_p * p, c - gain_p * c, v - gain_v * c], axis=1)
    body = velocities[known].mean(axis=0) if known.any() else np.zeros(3)
    velocities = np.where(known[:, None], velocities, body)
    positions = np.where(fresh[:, None], person.positions, positions)
    start = _start(person, settings)
    covariance = np.where(fresh[:, None], start, covariance)
    return _Track(
        track.id, positions, velocities, covariance, timestamp_ns, timestamp_ns, track.hits + 1
    )


def _born(person: Person, identity: int, timestamp_ns: int, settings: TrackSettings) -> _Track:
    return _Track(
        identity,
        person.positions.copy(),
        np.zeros_like(person.positions),
        _start(person, settings),
        timestamp_ns,
        timestamp_ns,
        1,
    )


def _start(person: Person, settings: TrackSettings) -> F64:
    """(J, 3) covariance of a first sight: the measurement's, and a velocity of up to 1.5 m/s."""
    unknown = np.full(len(person.positions), 0.5)
    sigma = np.where(np.isfinite(person.sigma_mm), person.sigma_mm / 1000, unknown)
    variance = np.maximum(sigma, settings.min_sigma_m) ** 2
    return np.stack([variance, np.zeros_like(variance), np.full_like(variance, 1.5**2)], axis=1)


def _listed(rows: F64) -> list[list[float] | None]:
    return [row.tolist() if np.isfinite(row).all() else None for row in np.round(rows, 6)]


def _track_from(obj: Mapping[str, Any]) -> _Track:
    arrays = {key: _array(obj[key]) for key in ("positions", "velocities", "covariance")}
    if len({len(array) for array in arrays.values()}) != 1:
        raise ValueError("a track's arrays differ in length")
    return _Track(
        id=int(obj["id"]),
        time_ns=int(obj["time_ns"]),
        seen_ns=int(obj["seen_ns"]),
        hits=int(obj["hits"]),
        **arrays,
    )


def _array(rows: Sequence[Sequence[float] | None]) -> NDArray[np.float64]:
    filled = [[np.nan] * 3 if row is None else list(row) for row in rows]
    return np.array(filled, dtype=np.float64).reshape(-1, 3)
