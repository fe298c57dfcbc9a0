"""Who is who from one frame set to the next.

The tracker has state: feed it the frame sets of one capture in order. Persons of a new frame are
matched by exact assignment to where the tracks expect them (`kalman.py`). A track that is not seen
coasts for a while, then ends. Who comes back later is somebody new at first, and gets the first
name again once the bones are known (`gallery.py`). The state is small (a few kB per person) and is
saved with each result, so a restart goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .errors import BadResult
from .gallery import Gallery, Return
from .kalman import NS, Tracks, TrackSettings, born, corrected, moved
from .people import F64, Person, Prediction
from .reidentify import ReidentifySettings

__all__ = ["TrackSettings", "Tracker"]

Ints = NDArray[np.int64]

STATE_FORMAT = "quadglass-tracks/1"
_REIDENTIFY = ReidentifySettings()
FAR = 1e6  # stands for "never" in the assignment, which takes no infinities


class Tracker:
    """Identities over time. Feed it frame sets of one capture in order of time."""

    def __init__(self, settings: TrackSettings | None = None):
        self.settings = settings or TrackSettings()
        self._tracks: Tracks | None = None  # None until somebody was seen
        self._next_id = 0
        self._gallery = Gallery.empty()
        self.returned: tuple[Return, ...] = ()  # who got a first name again in the last update

    def predict(self, timestamp_ns: int) -> tuple[Prediction, ...]:
        """Where everybody tracked is expected at that time."""
        tracks = self._at(timestamp_ns)
        if tracks is None:
            return ()
        sigma = np.sqrt(tracks.covariance[0])
        return tuple(
            Prediction(int(identity), positions, own)
            for identity, positions, own in zip(tracks.ids, tracks.positions, sigma, strict=True)
        )

    def update(self, people: Sequence[Person], timestamp_ns: int) -> tuple[Person, ...]:
        """The same people with their identities; ids are never used twice.

        Args:
            people: of one frame set; their ids are overwritten.
            timestamp_ns: when it was taken; an earlier time than the last is taken as that one.
        """
        tracks, self.returned = self._at(timestamp_ns), ()
        if not people:
            self._tracks = tracks
            return ()
        measured = np.array([person.positions for person in people])  # (P, J, 3)
        sigma_m = np.array([person.sigma_mm for person in people]) / 1000
        ids = np.full(len(people), -1, dtype=np.int64)
        if tracks is not None:
            timestamp_ns = tracks.time_ns
            rows, columns = _match(tracks, measured, self.settings)
            found = corrected(tracks.take(rows), measured[columns], sigma_m[columns], self.settings)
            ids[columns] = found.ids
            missed = np.ones(len(tracks.ids), dtype=np.bool_)
            missed[rows] = False
            tracks = found.joined(tracks.take(missed))
        new = np.flatnonzero(ids < 0)
        if len(new):
            ids[new] = self._next_id + np.arange(len(new))
            self._next_id += len(new)
            new_tracks = born(ids[new], measured[new], sigma_m[new], timestamp_ns, self.settings)
            tracks = new_tracks if tracks is None else tracks.joined(new_tracks)
        if self.settings.reidentify and tracks is not None:
            ids, tracks = self._recognized(ids, measured, tracks)
        self._tracks = tracks
        return tuple(
            replace(person, id=identity)
            for person, identity in zip(people, ids.tolist(), strict=True)
        )

    def _recognized(self, ids: Ints, measured: F64, tracks: Tracks) -> tuple[Ints, Tracks]:
        """Names and tracks, with first names for those who came back and are known by now."""
        gallery = self._gallery.after(ids, measured, tracks.time_ns)
        self.returned = tuple(gallery.returned(ids, _REIDENTIFY))
        for one in self.returned:
            gallery = gallery.renamed(one)
            ids = np.where(ids == one.new, one.old, ids)
            names = np.where(tracks.ids == one.new, one.old, tracks.ids)
            tracks = replace(tracks, ids=names)
        self._gallery = gallery.kept(tracks.ids, tracks.time_ns, _REIDENTIFY)
        return ids, tracks

    def state(self) -> dict[str, Any]:
        """All that the tracker knows, as JSON-able values."""
        tracks = self._tracks
        return {
            "format": STATE_FORMAT,
            "next_id": self._next_id,
            "time_ns": None if tracks is None else tracks.time_ns,
            "tracks": [] if tracks is None else _tracks_to(tracks),
            "known": self._gallery.to_json(),
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
            tracker._tracks = _tracks_from(state["tracks"], state["time_ns"])
            # States of before have none.
            tracker._gallery = Gallery.from_json(state.get("known", ()))
        except (KeyError, TypeError, ValueError) as error:
            raise BadResult(
                f"not a tracker's state ({type(error).__name__}: {error}); "
                "start the capture's tracking anew"
            ) from error
        return tracker

    def _at(self, timestamp_ns: int) -> Tracks | None:
        """Those still tracked, moved to that time or the last, whichever is later."""
        tracks, settings = self._tracks, self.settings
        if tracks is None:
            return None
        timestamp_ns = max(timestamp_ns, tracks.time_ns)
        proven = tracks.hits >= settings.proven_frames
        patience = np.where(proven, settings.max_gap_s, settings.unproven_gap_s)
        alive = (timestamp_ns - tracks.seen_ns) * NS <= patience
        return moved(tracks if alive.all() else tracks.take(alive), timestamp_ns, settings)


def _match(
    tracks: Tracks, measured: F64, settings: TrackSettings
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Tracks and people (P, J, 3) with the smallest total distance, within each track's gate."""
    unseen_s = (tracks.time_ns - tracks.seen_ns) * NS
    gate = settings.gate_m + settings.gate_growth_m_s * unseen_s  # (T,)
    step = tracks.positions[:, None] - measured[None]
    off = np.sqrt((step * step).sum(axis=3))  # (T, P, J)
    # A joint far off counts as twice the gate, so that one wrong arm does not make a new person.
    off = np.minimum(off, 2 * gate[:, None, None])  # NaN stays NaN
    common = np.isfinite(off)
    count = common.sum(axis=2)
    cost = np.where(common, off, 0.0).sum(axis=2) / np.maximum(count, 1)
    if not count.all():
        # Nothing in common: compare the middles of the two bodies.
        middles = _middles(tracks.positions)[:, None] - _middles(measured)[None]
        cost = np.where(count > 0, cost, np.linalg.norm(middles, axis=2))
    cost = np.where(cost <= gate[:, None], cost, FAR)
    rows, columns = linear_sum_assignment(cost)
    near = cost[rows, columns] < FAR
    return rows[near], columns[near]


def _middles(bodies: F64) -> F64:
    """(B, 3) mean of the joints that are there."""
    there = np.isfinite(bodies[:, :, :1])
    return np.asarray(np.where(there, bodies, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _tracks_to(tracks: Tracks) -> list[dict[str, Any]]:
    return [
        {
            "id": int(tracks.ids[t]),
            "positions": _listed(tracks.positions[t]),
            "velocities": _listed(tracks.velocities[t]),
            "covariance": _listed(tracks.covariance[:, t].T),
            "seen_ns": int(tracks.seen_ns[t]),
            "hits": int(tracks.hits[t]),
        }
        for t in range(len(tracks.ids))
    ]


def _listed(rows: F64) -> list[list[float] | None]:
    return [row.tolist() if np.isfinite(row).all() else None for row in np.round(rows, 6)]


def _tracks_from(objects: Sequence[Mapping[str, Any]], time_ns: int | None) -> Tracks | None:
    if time_ns is None or not objects:
        return None
    arrays = {
        key: np.array([_array(track[key]) for track in objects])
        for key in ("positions", "velocities", "covariance")
    }
    if len({array.shape for array in arrays.values()}) != 1:
        raise ValueError("the tracks' arrays differ in length")
    return Tracks(
        ids=np.array([int(track["id"]) for track in objects], dtype=np.int64),
        positions=arrays["positions"],
        velocities=arrays["velocities"],
        covariance=np.moveaxis(arrays["covariance"], 2, 0),
        seen_ns=np.array([int(track["seen_ns"]) for track in objects], dtype=np.int64),
        hits=np.array([int(track["hits"]) for track in objects], dtype=np.int64),
        time_ns=int(time_ns),
    )


def _array(rows: Sequence[Sequence[float] | None]) -> F64:
    filled = [[np.nan] * 3 if row is None else list(row) for row in rows]
    return np.array(filled, dtype=np.float64).reshape(-1, 3)
