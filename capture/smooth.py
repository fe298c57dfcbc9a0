"""Joints over time with the jitter taken out: zero-phase for takes, One-Euro while live.

Missing stays missing: a take is filtered in the stretches between gaps, a gap is bridged only when
asked for and only up to a given length, and what was bridged is marked `predicted`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from .people import F64, Frame, JointSource, Person
from .timeline import by_identity, moments

__all__ = ["OneEuro", "OneEuroSettings", "SmoothSettings", "smooth_series", "smooth_take"]


@dataclass(frozen=True, slots=True)
class SmoothSettings:
    """A Butterworth low pass forth and back: no delay, twice the order."""

    cutoff_hz: float = 6.0  # walking and everyday motion lie below; sprinting needs 12
    order: int = 2  # per pass, so 4 in all
    max_gap_s: float = 0.0  # gaps up to this are bridged, and marked; 0 bridges none


def smooth_take(
    frames: Sequence[Frame], rate_hz: float, settings: SmoothSettings | None = None
) -> list[Frame]:
    """The take with every person's joints low-passed; sightings stay as they were.

    Args:
        frames: in order of time, evenly spaced.
        rate_hz: of the frames.
        settings: cutoff and gaps.
    """
    settings = settings or SmoothSettings()
    assert rate_hz > 0, f"rate_hz is {rate_hz}"
    at_moment = moments(frames, rate_hz)
    people = [list(frame.people) for frame in frames]
    for appearances in by_identity(frames).values():
        at = [at_moment[number] - at_moment[appearances[0][0]] for number, _ in appearances]
        first = frames[appearances[0][0]].people[appearances[0][1]]
        series = np.full((at[-1] + 1, len(first.positions), 3), np.nan)
        for moment, (number, place) in zip(at, appearances, strict=True):
            series[moment] = frames[number].people[place].positions
        smooth, bridged = smooth_series(series, rate_hz, settings)
        for moment, (number, place) in zip(at, appearances, strict=True):
            person = people[number][place]
            people[number][place] = _moved(person, smooth[moment], bridged[moment])
    return [replace(frame, people=tuple(p)) for frame, p in zip(frames, people, strict=True)]


def smooth_series(
    series: F64, rate_hz: float, settings: SmoothSettings
) -> tuple[F64, NDArray[np.bool_]]:
    """One person's joints low-passed stretch by stretch.

    Args:
        series: (F, J, 3) metres, NaN missing.
        rate_hz: of the frames.
        settings: cutoff and gaps.

    Returns:
        (F, J, 3) smoothed, and (F, J) True where a gap was bridged.
    """
    sos = _low_pass(rate_hz, settings)
    out, bridged = series.copy(), np.zeros(series.shape[:2], dtype=np.bool_)
    longest = round(settings.max_gap_s * rate_hz)
    for joint in range(series.shape[1]):
        there = np.isfinite(series[:, joint, 0])
        bridged[:, joint] = _short_gaps(there, longest)
        column = series[:, joint].copy()  # (F, 3)
        fill = np.flatnonzero(bridged[:, joint])
        if len(fill):
            known = np.flatnonzero(there)
            for axis in range(3):
                column[fill, axis] = np.interp(fill, known, column[known, axis])
        for start, stop in _stretches(there | bridged[:, joint]):
            out[start:stop, joint] = _filtered(sos, column[start:stop], rate_hz, settings)
    return out, bridged


def _low_pass(rate_hz: float, settings: SmoothSettings) -> F64 | None:
    """Second-order sections; None where the rate holds nothing above the cutoff."""
    if settings.cutoff_hz >= 0.45 * rate_hz:
        return None
    # Two passes halve the power at the cutoff twice; this factor puts -3 dB back where asked
    # (Winter, Biomechanics and Motor Control, section 3.4.4.2).
    corrected = settings.cutoff_hz / (2**0.5 - 1) ** (0.5 / settings.order)
    corrected = min(corrected, 0.49 * rate_hz)
    return np.asarray(butter(settings.order, corrected, fs=rate_hz, output="sos"))


def _filtered(sos: F64 | None, stretch: F64, rate_hz: float, settings: SmoothSettings) -> F64:
    """(F, 3) the stretch, padded by its own reflection; too short a stretch stays as it is."""
    padding = round(rate_hz / settings.cutoff_hz)
    if sos is None or len(stretch) < 4:
        return stretch
    padded = min(padding, len(stretch) - 1)
    return np.asarray(sosfiltfilt(sos, stretch, axis=0, padlen=padded))


def _stretches(there: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open ranges in which all are there."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _short_gaps(there: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    """True inside gaps of at most `longest` frames that have something on both sides."""
    short = np.zeros_like(there)
    for start, stop in _stretches(~there):
        if start > 0 and stop < len(there) and stop - start <= longest:
            short[start:stop] = True
    return short


def _moved(person: Person, positions: F64, bridged: NDArray[np.bool_]) -> Person:
    if not bridged.any():
        return replace(person, positions=positions)
    sources: list[JointSource] = [
        "predicted" if filled else source
        for source, filled in zip(person.sources, bridged, strict=True)
    ]
    return replace(person, positions=positions, sources=tuple(sources))


@dataclass(frozen=True, slots=True)
class OneEuroSettings:
    """Casiez, Roussel, Vogel, "1 Euro Filter" (CHI 2012): steady at rest, quick in motion.

    The delay at rest is 1 / (2 pi min_cutoff_hz), 0.1 s here, and falls with speed.
    """

    min_cutoff_hz: float = 1.5
    beta: float = 2.0  # Hz of cutoff per m/s
    derivative_cutoff_hz: float = 1.0


@dataclass(slots=True)
class _Smoothed:
    positions: F64  # (J, 3)
    velocities: F64  # (J, 3)
    timestamp_ns: int


@dataclass(slots=True)
class OneEuro:
    """The live filter: has one state per identity. Feed it tracked people in order of time."""

    settings: OneEuroSettings = field(default_factory=OneEuroSettings)
    max_gap_s: float = 0.5  # after a longer absence a person's filter starts anew
    _states: dict[int, _Smoothed] = field(default_factory=dict)

    def update(self, people: Sequence[Person], timestamp_ns: int) -> tuple[Person, ...]:
        """The same people with smoothed joints; those that are missing stay missing."""
        states: Mapping[int, _Smoothed] = {
            identity: state
            for identity, state in self._states.items()
            if (timestamp_ns - state.timestamp_ns) * 1e-9 <= self.max_gap_s
        }
        self._states = dict(states)
        return tuple(self._one(person, timestamp_ns) for person in people)

    def _one(self, person: Person, timestamp_ns: int) -> Person:
        before = self._states.get(person.id)
        if before is None:
            still = np.zeros_like(person.positions)
            self._states[person.id] = _Smoothed(person.positions, still, timestamp_ns)
            return person
        dt = (timestamp_ns - before.timestamp_ns) * 1e-9
        if dt <= 0:
            return person
        settings = self.settings
        known = np.isfinite(person.positions) & np.isfinite(before.positions)
        rate = np.where(known, (person.positions - before.positions) / dt, 0.0)
        gain = _gain(np.float64(settings.derivative_cutoff_hz), dt)
        velocities = before.velocities + gain * (rate - before.velocities)
        speed = np.linalg.norm(velocities, axis=1, keepdims=True)
        cutoff = settings.min_cutoff_hz + settings.beta * speed
        blended = before.positions + _gain(cutoff, dt) * (person.positions - before.positions)
        positions = np.where(known, blended, person.positions)
        held = np.where(np.isfinite(positions), positions, before.positions)
        self._states[person.id] = _Smoothed(held, velocities, timestamp_ns)
        return replace(person, positions=positions)


def _gain(cutoff_hz: F64 | np.float64, dt: float) -> F64:
    return np.asarray(1.0 / (1.0 + 1.0 / (2 * np.pi * cutoff_hz * dt)))
