"""People of a take who left and came back: the same bones, never at the same time.

The tracker forgets who was not seen for a while (live, `gallery.py` remembers their bones). Over
a whole take more is known: the bone lengths
of everybody, each the median of many frames. Two names become one if their bones agree far better
than those of the take's people among each other, and nobody else fits as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .anatomy import BONES
from .people import F64, Frame
from .timeline import by_identity
from .watch import bone_lengths

__all__ = [
    "LONG_BONES",
    "ReidentifySettings",
    "Rejoined",
    "best_fit",
    "misfit",
    "reidentified",
]

# The bones that tell people apart: long, and found well.
LONG_BONES = np.array([length >= 0.25 for _, _, length in BONES])
MIN_BONES = 6


@dataclass(frozen=True, slots=True)
class ReidentifySettings:
    """When two names are one person."""

    min_frames: int = 30  # seen for fewer, a body is not known well enough
    # Of one bone from appearance to appearance: clothes and postures move what detectors see.
    systematic_m: float = 0.008
    gate: float = 2.0  # mean squared difference in sigmas, beyond which they are two people
    lead: float = 2.0  # so much better than the second best, or it stays open
    max_speed_m_s: float = 4.0  # between leaving and coming back


@dataclass(frozen=True, slots=True)
class Rejoined:
    """One name that was another's."""

    old: int  # the name kept
    new: int
    gap_s: float
    misfit: float  # mean squared difference in sigmas


@dataclass(frozen=True, slots=True)
class _Appearance:
    identity: int
    start_ns: int
    stop_ns: int
    enters: F64  # (3,) middle of the body
    leaves: F64
    bones: F64  # (B,) median metres, NaN unknown
    sigma: F64  # (B,)


def reidentified(
    frames: Sequence[Frame], settings: ReidentifySettings | None = None
) -> tuple[list[Frame], tuple[Rejoined, ...]]:
    """The take with those who came back under their first names, and who they are.

    Args:
        frames: named, in order of time.
        settings: thresholds.
    """
    settings = settings or ReidentifySettings()
    known = _appearances(frames, settings)
    rejoined: list[Rejoined] = []
    gone: set[int] = set()  # names that turned out to be another's
    for number, late in enumerate(known):
        fits = [
            (_between(early, late, settings), place)
            for place, early in enumerate(known[:number])
            if early.identity not in gone and _possible(early, late, settings)
        ]
        best = best_fit(fits, settings)
        if best is None:
            continue
        value, place = best
        early = known[place]
        gap_s = (late.start_ns - early.stop_ns) * 1e-9
        rejoined.append(Rejoined(early.identity, late.identity, gap_s, value))
        # From here on the first name's appearance ends with the second's.
        known[place] = replace(early, stop_ns=late.stop_ns, leaves=late.leaves)
        gone.add(late.identity)
    names = {one.new: one.old for one in rejoined}
    return [_renamed(frame, names) for frame in frames], tuple(rejoined)


def best_fit(
    fits: Sequence[tuple[float, int]], settings: ReidentifySettings
) -> tuple[float, int] | None:
    """The smallest of (misfit, who), if it is small and nobody else fits nearly as well."""
    fits = sorted(fits)
    if not fits or fits[0][0] > settings.gate:
        return None
    if len(fits) > 1 and fits[1][0] < settings.lead * max(fits[0][0], 0.5):
        return None
    return fits[0]


def misfit(
    one: F64, one_sigma: F64, other: F64, other_sigma: F64, settings: ReidentifySettings
) -> float:
    """Mean squared difference of two people's bones (B,) in sigmas; inf where too few are known."""
    off2 = (one - other) ** 2
    known = np.isfinite(off2)
    if known.sum() < MIN_BONES:
        return float("inf")
    variance = one_sigma**2 + other_sigma**2 + settings.systematic_m**2
    return float((off2[known] / variance[known]).mean())


def _appearances(frames: Sequence[Frame], settings: ReidentifySettings) -> list[_Appearance]:
    """Everybody who was seen long enough to be known, in order of coming."""
    found = []
    for identity, places in by_identity(frames).items():
        if len(places) < settings.min_frames:
            continue
        bodies = np.array([frames[number].people[place].positions for number, place in places])
        lengths = bone_lengths(bodies)[:, LONG_BONES]  # (F, B)
        count = np.isfinite(lengths).sum(axis=0)
        usable = count >= settings.min_frames / 2
        bones, sigma = np.full(len(count), np.nan), np.full(len(count), np.nan)
        bones[usable] = np.nanmedian(lengths[:, usable], axis=0)
        # Of a median, with neighbouring frames counting for half of one.
        sigma[usable] = 1.25 * np.nanstd(lengths[:, usable], axis=0) / np.sqrt(count[usable] / 2)
        found.append(
            _Appearance(
                identity,
                frames[places[0][0]].timestamp_ns,
                frames[places[-1][0]].timestamp_ns,
                _middle(bodies[0]),
                _middle(bodies[-1]),
                bones,
                sigma,
            )
        )
    return sorted(found, key=lambda one: one.start_ns)


def _middle(body: F64) -> F64:
    """(3,) mean of the joints that are there; a person has some."""
    return np.asarray(body[np.isfinite(body[:, 0])].mean(axis=0))


def _possible(early: _Appearance, late: _Appearance, settings: ReidentifySettings) -> bool:
    """Whether there was time to go from where the one left to where the other came."""
    gap_s = (late.start_ns - early.stop_ns) * 1e-9
    way = float(np.linalg.norm(late.enters - early.leaves))
    return gap_s > 0 and way <= settings.max_speed_m_s * gap_s


def _between(early: _Appearance, late: _Appearance, settings: ReidentifySettings) -> float:
    return misfit(early.bones, early.sigma, late.bones, late.sigma, settings)


def _renamed(frame: Frame, names: Mapping[int, int]) -> Frame:
    people = tuple(
        replace(person, id=names[person.id]) if person.id in names else person
        for person in frame.people
    )
    return replace(frame, people=people)
