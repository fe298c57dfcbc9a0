"""Joints of a take that no camera saw, filled in by the learned completer and marked `completed`.

Only joints of people whose other joints are there, only where the completer is sure enough; every
one carries the completer's own sigma. A joint filled in is a guess about a body, never evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from models.completer import MIN_SEEN, Completer, SampleSettings, packaged_completer
from models.completer_window import RATE_HZ, REACH

from .people import F64, Frame, Person
from .timeline import by_identity, moments

__all__ = ["CompleteSettings", "complete_take"]

_CHUNK = 256  # bodies at a time, for the memory


@dataclass(frozen=True, slots=True)
class CompleteSettings:
    """When a guess is good enough."""

    max_sigma_mm: float = 80.0  # a joint less sure than this stays missing
    samples: SampleSettings = field(default_factory=SampleSettings)


def complete_take(
    frames: Sequence[Frame],
    rate_hz: float,
    settings: CompleteSettings | None = None,
    completer: Completer | None = None,
) -> list[Frame]:
    """The take with missing joints filled in where that can be done well.

    Args:
        frames: in order of time, evenly spaced, in a world whose z is up.
        rate_hz: of the frames.
        settings: how sure is sure enough.
        completer: None takes the packaged one; without any the take stays as it is.
    """
    settings = settings or CompleteSettings()
    completer = completer or packaged_completer()
    if completer is None:
        return list(frames)
    at_moment = moments(frames, rate_hz)
    people = [list(frame.people) for frame in frames]
    for appearances in by_identity(frames).values():
        at = [at_moment[number] - at_moment[appearances[0][0]] for number, _ in appearances]
        first = frames[appearances[0][0]].people[appearances[0][1]]
        series = np.full((at[-1] + 1, *first.positions.shape), np.nan)
        for moment, (number, place) in zip(at, appearances, strict=True):
            series[moment] = frames[number].people[place].positions
        there = np.isfinite(series).all(axis=2).sum(axis=1)
        wanted = [k for k, moment in enumerate(at) if MIN_SEEN <= there[moment] < series.shape[1]]
        for start in range(0, len(wanted), _CHUNK):
            chosen = wanted[start : start + _CHUNK]
            stretches = _stretches(series, np.array([at[k] for k in chosen]), rate_hz)
            made = completer.complete(stretches, settings.samples)
            for k, joints, sigma_m in zip(chosen, made.joints, made.sigma_m, strict=True):
                number, place = appearances[k]
                person = people[number][place]
                people[number][place] = _filled(person, joints, 1000 * sigma_m, settings)
    return [replace(frame, people=tuple(p)) for frame, p in zip(frames, people, strict=True)]


def _stretches(series: F64, middles: F64, rate_hz: float) -> F64:
    """(B, 2 * REACH + 1, J, 3) the nearest frames at the completer's rate."""
    around = np.round(np.arange(-REACH, REACH + 1) * rate_hz / RATE_HZ).astype(np.int64)
    at = middles[:, None].astype(np.int64) + around
    inside = (at >= 0) & (at < len(series))
    made = series[np.clip(at, 0, len(series) - 1)]
    return np.where(inside[..., None, None], made, np.nan)


def _filled(person: Person, joints: F64, sigma_mm: F64, settings: CompleteSettings) -> Person:
    """The person with those joints that are missing and sure enough."""
    missing = ~np.isfinite(person.positions).all(axis=1)
    taken = missing & (np.nan_to_num(sigma_mm, nan=np.inf) <= settings.max_sigma_mm)
    if not taken.any():
        return person
    return replace(
        person,
        positions=np.where(taken[:, None], joints, person.positions),
        sigma_mm=np.where(taken, sigma_mm, person.sigma_mm),
        sources=tuple(
            "completed" if filled else source
            for source, filled in zip(person.sources, taken.tolist(), strict=True)
        ),
    )
