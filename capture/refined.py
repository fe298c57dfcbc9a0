"""A take put right by the learned refiner (`models.refiner`), in place of the low pass.

All people of the take go through it in one call. Joints that were missing stay missing unless they
are to be filled, and those filled are marked `predicted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.refiner import packaged_refiner, refine
from models.refiner_tracks import RawTrack

from .people import Frame, JointSource, Person
from .timeline import by_identity, moments

__all__ = ["refine_take"]


def refine_take(
    frames: Sequence[Frame],
    rate_hz: float,
    *,
    max_gap_s: float = 0.0,
    session: onnxruntime.InferenceSession | None = None,
) -> list[Frame]:
    """The take with every person's joints refined; sightings stay as they were.

    Args:
        frames: in order of time, evenly spaced.
        rate_hz: of the frames.
        max_gap_s: joints missing for no longer than this are filled; 0 fills none.
        session: of the refiner; None takes the packaged one.

    Raises:
        WeightsMissing: the refiner is not in the package.
    """
    assert rate_hz > 0, f"rate_hz is {rate_hz}"
    at_moment = moments(frames, rate_hz)
    places = list(by_identity(frames).values())
    tracks = [_track(frames, appearances, at_moment, rate_hz) for appearances in places]
    people = [list(frame.people) for frame in frames]
    longest = round(max_gap_s * rate_hz)
    refined = refine(tracks, session or packaged_refiner())
    for appearances, track, found in zip(places, tracks, refined, strict=True):
        there = np.isfinite(track.positions[..., 0])
        filled = _short_gaps(there, longest)
        start = at_moment[appearances[0][0]]
        for number, place in appearances:
            moment = at_moment[number] - start
            kept = (there | filled)[moment][:, None]
            positions = np.where(kept, found.positions[moment], np.nan)
            person = people[number][place]
            sources: list[JointSource] = [
                "predicted" if new else source
                for source, new in zip(person.sources, filled[moment], strict=True)
            ]
            people[number][place] = replace(person, positions=positions, sources=tuple(sources))
    return [replace(frame, people=tuple(p)) for frame, p in zip(frames, people, strict=True)]


def _track(
    frames: Sequence[Frame],
    appearances: Sequence[tuple[int, int]],
    at_moment: Sequence[int],
    rate_hz: float,
) -> RawTrack:
    """One person on an even grid of time; frames that were dropped are missing."""
    start = at_moment[appearances[0][0]]
    size = at_moment[appearances[-1][0]] - start + 1
    first = frames[appearances[0][0]].people[appearances[0][1]]
    joints = len(first.positions)
    track = RawTrack(
        np.full((size, joints, 3), np.nan),
        np.full((size, joints), np.nan),
        np.zeros((size, joints)),
        np.zeros((size, joints), dtype=np.int64),
        np.full((size, joints), np.nan),
        rate_hz,
    )
    for number, place in appearances:
        person: Person = frames[number].people[place]
        at = at_moment[number] - start
        track.positions[at], track.sigma_mm[at] = person.positions, person.sigma_mm
        track.scores[at], track.views[at] = person.scores, person.views
        track.reprojection_px[at] = person.reprojection_px
    return track


def _short_gaps(there: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    """(F, J) True in gaps of at most ``longest`` frames with something on both sides."""
    short = np.zeros_like(there)
    for joint in range(there.shape[1]):
        known = np.flatnonzero(there[:, joint])
        for before, after in pairwise(known):
            if 1 < after - before <= longest + 1:
                short[before + 1 : after, joint] = True
    return short
