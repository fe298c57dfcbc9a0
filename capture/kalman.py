"""Tracked people as arrays, and the Kalman filter that moves and corrects all of them at once.

Per joint: constant velocity, white acceleration noise; the three axes share one covariance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .people import F64

__all__ = ["NS", "TrackSettings", "Tracks", "born", "corrected", "moved"]

Ints = NDArray[np.int64]

NS = 1e-9
UNKNOWN_M = 0.5  # sigma of a joint not seen yet
START_SPEED_M_S = 1.5  # how fast somebody new may be moving, one sigma


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
    # Whether who comes back after a gap is known by their bones, a second after they came. A whole
    # take is better looked over when it is finished (`reidentify.py`).
    reidentify: bool = True


@dataclass(frozen=True, slots=True)
class Tracks:
    """Everybody tracked: T people, J joints, replaced as a whole."""

    ids: Ints  # (T,)
    positions: F64  # (T, J, 3) metres, NaN for joints never seen
    velocities: F64  # (T, J, 3) metres per second
    covariance: F64  # (3, T, J): of position, of both, of velocity
    seen_ns: Ints  # (T,) when last seen
    hits: Ints  # (T,) how often seen
    time_ns: int  # of positions

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_]) -> Tracks:
        """These tracks only."""
        return Tracks(
            self.ids[which],
            self.positions[which],
            self.velocities[which],
            self.covariance[:, which],
            self.seen_ns[which],
            self.hits[which],
            self.time_ns,
        )

    def joined(self, other: Tracks) -> Tracks:
        """These and then those, which have the same time."""
        return Tracks(
            np.concatenate([self.ids, other.ids]),
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.velocities, other.velocities]),
            np.concatenate([self.covariance, other.covariance], axis=1),
            np.concatenate([self.seen_ns, other.seen_ns]),
            np.concatenate([self.hits, other.hits]),
            self.time_ns,
        )


def moved(tracks: Tracks, timestamp_ns: int, settings: TrackSettings) -> Tracks:
    """The tracks at a later time, by their velocities."""
    dt = (timestamp_ns - tracks.time_ns) * NS
    unseen = (tracks.time_ns - tracks.seen_ns) * NS  # (T,)
    slowed = np.exp(-unseen / settings.velocity_decay_s)[:, None, None]
    p, c, v = tracks.covariance
    q = settings.acceleration**2
    covariance = np.array(
        [p + 2 * dt * c + dt * dt * v + q * dt**3 / 3, c + dt * v + q * dt * dt / 2, v + q * dt]
    )
    return replace(
        tracks,
        positions=tracks.positions + dt * slowed * tracks.velocities,
        covariance=covariance,
        time_ns=timestamp_ns,
    )


def corrected(tracks: Tracks, measured: F64, sigma_m: F64, settings: TrackSettings) -> Tracks:
    """The tracks after seeing their people; joints not seen now go with the rest of the body."""
    seen = np.isfinite(measured[:, :, 0])  # (T, J)
    fresh = seen & ~np.isfinite(tracks.positions[:, :, 0])
    known = seen & ~fresh
    noise = np.maximum(sigma_m, settings.min_sigma_m) ** 2  # NaN where not seen
    p, c, v = tracks.covariance
    total = np.where(known, p + noise, 1.0)
    gain_p, gain_v = np.where(known, p / total, 0.0), np.where(known, c / total, 0.0)
    off = np.where(known[..., None], measured - tracks.positions, 0.0)
    # A joint that jumps further than it can have moved pulls only as far as it can.
    length = np.sqrt((off * off).sum(axis=2))
    off *= np.minimum(3 * np.sqrt(total) / np.maximum(length, 1e-9), 1.0)[..., None]
    positions = tracks.positions + gain_p[..., None] * off
    velocities = tracks.velocities + gain_v[..., None] * off
    covariance = np.array([p - gain_p * p, c - gain_p * c, v - gain_v * c])
    count = np.maximum(known.sum(axis=1), 1)[:, None]
    body = np.where(known[..., None], velocities, 0.0).sum(axis=1) / count  # (T, 3)
    velocities = np.where(known[..., None], velocities, body[:, None])
    if fresh.any():
        positions = np.where(fresh[..., None], measured, positions)
        covariance = np.where(fresh, _start(sigma_m, settings), covariance)
    seen_ns = np.full_like(tracks.seen_ns, tracks.time_ns)
    return Tracks(
        tracks.ids, positions, velocities, covariance, seen_ns, tracks.hits + 1, tracks.time_ns
    )


def born(
    ids: Ints, measured: F64, sigma_m: F64, timestamp_ns: int, settings: TrackSettings
) -> Tracks:
    """Tracks of people (P, J, 3) seen for the first time."""
    return Tracks(
        ids,
        measured.copy(),
        np.zeros_like(measured),
        _start(sigma_m, settings),
        np.full(len(ids), timestamp_ns, dtype=np.int64),
        np.ones(len(ids), dtype=np.int64),
        timestamp_ns,
    )


def _start(sigma_m: F64, settings: TrackSettings) -> F64:
    """(3, T, J) covariance of a first sight: the measurement's, and a velocity of up to 1.5 m/s."""
    sigma = np.where(np.isfinite(sigma_m), np.maximum(sigma_m, settings.min_sigma_m), UNKNOWN_M)
    return np.array([sigma**2, np.zeros_like(sigma), np.full_like(sigma, START_SPEED_M_S**2)])
