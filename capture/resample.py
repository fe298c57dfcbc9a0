"""Views of cameras with different clocks, brought to common moments.

A person in two successive frames of a view is read between them: joints seen in both on the line
between, joints seen in one moved as far as the others moved. Without a frame within three quarters
of a step a camera is left out of that moment; frames that no moment used, and moments that a
camera missed, are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from models.sighting import Sighting

from .people import F64
from .streams import Stream
from .sync_tracks import Clock

__all__ = ["Coverage", "common_moments", "coverage", "resampled"]

JUMP_SHARE = 0.5  # of a person's size: further from frame to frame, it is somebody else
ROUND_OFF = 1e-3  # of a step: nearer to a frame than this, the frame is taken as it is


@dataclass(frozen=True, slots=True)
class Coverage:
    """What became of one camera's frames."""

    camera: str
    frames: int  # given
    used: int  # moments that it has part in
    missing: int  # moments without it, because its frames start late, end early or were dropped


def common_moments(
    streams: Mapping[str, Stream], clocks: Mapping[str, Clock], rate_hz: float | None = None
) -> F64:
    """(T,) moments of the reference that at least two cameras cover, at its first camera's rate.

    Args:
        streams: by camera; the first is the reference.
        clocks: of each.
        rate_hz: of the moments; None takes the reference's own frames, extended.
    """
    reference = next(iter(streams.values()))
    step = 1.0 / rate_hz if rate_hz else reference.step_s
    spans = [clocks[name].reference_s(s.times_s[[0, -1]]) for name, s in streams.items()]
    starts, ends = sorted(span[0] for span in spans), sorted(span[1] for span in spans)
    start = float(reference.times_s[0])
    first = int(np.ceil((starts[1] - start) / step - ROUND_OFF))  # the second to have begun
    last = int(np.floor((ends[-2] - start) / step + ROUND_OFF))  # the last but one to end
    return np.asarray(start + step * np.arange(first, last + 1), dtype=np.float64)


def resampled(
    streams: Mapping[str, Stream], clocks: Mapping[str, Clock], moments_s: F64
) -> Iterator[dict[str, list[Sighting]]]:
    """The people in each view at each moment; cameras without a frame near it are left out."""
    places = {name: _places(s, clocks[name].own_s(moments_s)) for name, s in streams.items()}
    for moment in range(len(moments_s)):
        views = {}
        for name, (frame, share) in places.items():
            if frame[moment] < 0:
                continue
            people, f = streams[name].people, int(frame[moment])
            if share[moment] == 0:
                views[name] = list(people[f])
            else:
                views[name] = _between(people[f], people[f + 1], float(share[moment]))
        yield views


def coverage(
    streams: Mapping[str, Stream], clocks: Mapping[str, Clock], moments_s: F64
) -> tuple[Coverage, ...]:
    """How many frames each camera gave and at how many moments it is missing."""
    told = []
    for name, stream in streams.items():
        frame, _ = _places(stream, clocks[name].own_s(moments_s))
        used = int((frame >= 0).sum())
        told.append(Coverage(name, len(stream.people), used, len(moments_s) - used))
    return tuple(told)


def _places(stream: Stream, own_s: F64) -> tuple[F64, F64]:
    """(T,) frame before each time, -1 for none, and the share of the way to the next."""
    times, usual = stream.times_s, stream.step_s
    before = np.clip(np.searchsorted(times, own_s, side="right") - 1, 0, len(times) - 1)
    after = np.minimum(before + 1, len(times) - 1)
    step = times[after] - times[before]
    whole = (step > 0) & (step < 1.5 * usual)  # no frame was dropped between
    share = np.where(whole, (own_s - times[before]) / np.where(step > 0, step, 1.0), 0.0)
    nearer = np.where(np.abs(own_s - times[before]) <= np.abs(own_s - times[after]), before, after)
    near = np.abs(own_s - times[nearer]) <= 0.75 * usual
    inside = whole & (share >= 0) & (share <= 1)
    frame = np.where(inside, before, np.where(near, nearer, -1))
    share = np.where(inside, share, 0.0)
    frame = np.where(share > 1 - ROUND_OFF, frame + 1, frame)
    return frame, np.where((share < ROUND_OFF) | (share > 1 - ROUND_OFF), 0.0, share)


def _between(one: Sequence[Sighting], other: Sequence[Sighting], share: float) -> list[Sighting]:
    """The people between two frames; who is in one only stays where the nearer frame had them."""
    if not one or not other:
        return list(one if share < 0.5 else other)
    cost = np.array([[_jump(a, b) for b in other] for a in one])
    rows, columns = linear_sum_assignment(cost)
    result, paired = [], set()
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if cost[row, column] <= JUMP_SHARE:
            result.append(_moved(one[row], other[column], share))
            paired.add(row if share < 0.5 else column)
    nearer = one if share < 0.5 else other
    return result + [person for number, person in enumerate(nearer) if number not in paired]


def _jump(one: Sighting, other: Sighting) -> float:
    """Median distance of the joints seen in both, over the person's size."""
    off = np.hypot(*(one.joints_px - other.joints_px).T)
    off = off[np.isfinite(off)]
    known = one.joints_px[np.isfinite(one.joints_px[:, 0])]
    if len(off) < 2 or len(known) < 2:
        return 10.0
    size = float(np.hypot(*np.ptp(known, axis=0)))
    return float(np.median(off)) / max(size, 1.0)


def _moved(one: Sighting, other: Sighting, share: float) -> Sighting:
    step = other.joints_px - one.joints_px
    both = np.isfinite(step[:, 0])
    body = np.median(step[both], axis=0)
    line = one.joints_px + share * step
    # Seen in one frame only: that place, moved as far as the body moved.
    joints = np.where(both[:, None], line, np.where(
        np.isfinite(one.joints_px), one.joints_px + share * body,
        other.joints_px - (1 - share) * body,
    ))  # fmt: skip
    seen = np.isfinite(joints[:, 0])
    scores = np.where(both, (1 - share) * one.scores + share * other.scores,
                      np.maximum(one.scores, other.scores))  # fmt: skip
    score = (1 - share) * one.score + share * other.score
    inferred = np.where(both, one.inferred | other.inferred, True) & seen
    return replace(one, joints_px=joints, scores=np.where(seen, scores, 0.0), score=score,
                   inferred=inferred)  # fmt: skip
