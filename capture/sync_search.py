"""How many frames apart cameras are, by trying: shifted right, people's rays meet.

Each pair of cameras is tried at every shift within reach. The cost of a shift is how far the rays
of the nearest two people pass each other, over sampled frames; people who stand still say nothing,
people who move lead to a valley. Offsets are those with the smallest sum over all pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from calibration.camera import Camera
from calibration.rig import Rig

from .errors import NotSynchronizable
from .people import F64
from .streams import Stream, directions

__all__ = ["SearchSettings", "coarse_offsets"]

CUT_M = 0.5  # rays that pass further apart say no more than this
MIN_JOINTS = 4
MIN_SIN = 0.05  # rays within 3 degrees of parallel say nothing


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Where to look."""

    reach_s: float = 2.0  # the largest offset that is tried
    window_s: float = 20.0  # of a longer take, the stretch with the most people
    samples: int = 120  # frames of each pair that are compared
    min_gain: float = 0.02  # how far the best shift's cost must lie below the typical one's


@dataclass(frozen=True, slots=True)
class _Pair:
    first: int
    second: int
    cost: F64  # (K,) metres at each shift


def coarse_offsets(
    rig: Rig, streams: Mapping[str, Stream], settings: SearchSettings | None = None
) -> dict[str, float]:
    """Seconds to add to each camera's times, to about half a frame; 0 for the first.

    Args:
        rig: the calibrated cameras.
        streams: two or more, in the rig's names; the first is the reference.
        settings: reach.

    Raises:
        NotSynchronizable: nobody moves in two views.
    """
    settings = settings or SearchSettings()
    names = list(streams)
    step = max(stream.step_s for stream in streams.values())
    reach = round(settings.reach_s / step)
    shifts = np.arange(-reach, reach + 1)
    start = _busiest(streams, settings.window_s)
    margin = settings.reach_s + step
    lines = [
        _Lines.of(rig.camera(name), streams[name].between(start, settings.window_s, margin))
        for name in names
    ]
    pairs = [
        _Pair(
            a,
            b,
            _costs(
                lines[a], lines[b], np.asarray(shifts * step, dtype=np.float64), settings.samples
            ),
        )
        for a, b in combinations(range(len(names)), 2)
    ]
    chosen = _grown(pairs, len(names), reach, settings.min_gain, names)
    chosen = _settled(pairs, chosen, reach)
    return {name: float(shift * step) for name, shift in zip(names, chosen, strict=True)}


@dataclass(frozen=True, slots=True)
class _Lines:
    """All rays of one camera in the world."""

    times_s: F64  # (F,)
    direction: F64  # (F, P, J, 3) unit, NaN where unseen
    moment: F64  # (F, P, J, 3) centre x direction

    @staticmethod
    def of(camera: Camera, stream: Stream) -> _Lines:
        norm = directions(camera, stream.people)
        cam = np.concatenate([norm, np.ones((*norm.shape[:3], 1))], axis=3)
        world = cam @ camera.cam_from_world[:3, :3]
        world /= np.sqrt((world**2).sum(axis=3, keepdims=True))
        return _Lines(stream.times_s, world, np.cross(camera.center_world, world))

    def nearest(self, times_s: F64) -> tuple[F64, F64, NDArray[np.bool_]]:
        """Frames nearest to the times: directions, moments, and True where there is one."""
        after = np.clip(np.searchsorted(self.times_s, times_s), 1, len(self.times_s) - 1)
        before = after - 1
        earlier = times_s - self.times_s[before] < self.times_s[after] - times_s
        frame = np.where(earlier, before, after)
        step = float(np.median(np.diff(self.times_s)))
        near = np.abs(self.times_s[frame] - times_s) <= 0.75 * step
        return self.direction[frame], self.moment[frame], near


def _busiest(streams: Mapping[str, Stream], window_s: float) -> float:
    """When the stretch with the most people begins, by the clock of whoever sees fewest."""
    first = min(float(stream.times_s[0]) for stream in streams.values())
    last = max(float(stream.times_s[-1]) for stream in streams.values())
    edges = np.append(np.arange(first, last, window_s), last + 1.0)
    seen = [
        np.histogram(stream.times_s, edges, weights=[len(people) for people in stream.people])[0]
        for stream in streams.values()
    ]
    return float(edges[int(np.min(seen, axis=0).argmax())])


def _costs(one: _Lines, other: _Lines, shifts_s: F64, samples: int) -> F64:
    """(K,) metres between the rays when `other`'s times are later by each shift; NaN unknown."""
    frames = np.unique(np.linspace(0, len(one.times_s) - 1, samples).round().astype(np.int64))
    direction, moment = one.direction[frames], one.moment[frames]
    costs = np.full(len(shifts_s), np.nan)
    for number, shift in enumerate(shifts_s):
        theirs, their_moment, near = other.nearest(one.times_s[frames] - shift)
        if near.sum() < max(2, 0.25 * len(frames)):
            continue
        gap = _gap(direction[near], moment[near], theirs[near], their_moment[near])
        best = gap.min(axis=2, initial=CUT_M)  # (F, P) to whoever is nearest
        known = np.isfinite(direction[near][..., 0]).sum(axis=2) >= MIN_JOINTS
        if known.any():
            costs[number] = best[known].mean()
    return costs


def _gap(d1: F64, m1: F64, d2: F64, m2: F64) -> F64:
    """(F, P1, P2) mean distance of two people's rays in metres, cut off."""
    d1, m1, d2, m2 = d1[:, :, None], m1[:, :, None], d2[:, None], m2[:, None]
    reciprocal = np.abs((d1 * m2).sum(axis=-1) + (d2 * m1).sum(axis=-1))
    sin = np.sqrt(np.maximum(1.0 - (d1 * d2).sum(axis=-1) ** 2, 0.0))
    distance = np.where(sin > MIN_SIN, reciprocal / np.maximum(sin, MIN_SIN), np.nan)
    known = np.isfinite(distance)
    count = known.sum(axis=-1)
    total = np.where(known, np.minimum(distance, CUT_M), 0.0).sum(axis=-1)
    return np.where(count >= MIN_JOINTS, total / np.maximum(count, 1), CUT_M)


def _gain(cost: F64) -> float:
    """How far the valley lies below the plain, as a share of the plain."""
    known = cost[np.isfinite(cost)]
    if len(known) < 3:
        return 0.0
    plain = float(np.median(known))
    return (plain - float(known.min())) / plain if plain > 0 else 0.0


def _grown(
    pairs: list[_Pair], cameras: int, reach: int, min_gain: float, names: list[str]
) -> list[int]:
    """Offsets along the tree of the pairs with the deepest valleys."""
    chosen: dict[int, int] = {0: 0}
    while len(chosen) < cameras:
        open_pairs = [p for p in pairs if (p.first in chosen) != (p.second in chosen)]
        best = max(open_pairs, key=lambda pair: _gain(pair.cost))
        if _gain(best.cost) < min_gain:
            missing = ", ".join(names[v] for v in range(cameras) if v not in chosen)
            raise NotSynchronizable(
                f"the motion does not tell the offset of {missing}: at every shift within "
                f"{reach} frames the rays meet about equally well; somebody must walk or wave in "
                "view of two cameras, or start the cameras by a common signal"
            )
        shift = int(np.nanargmin(best.cost)) - reach
        if best.first in chosen:
            chosen[best.second] = chosen[best.first] + shift
        else:
            chosen[best.first] = chosen[best.second] - shift
    return [chosen[v] for v in range(cameras)]


def _settled(pairs: list[_Pair], chosen: list[int], reach: int) -> list[int]:
    """The offsets with the smallest sum over all pairs, one camera moved after the other."""
    for _ in range(3):
        before = list(chosen)
        for v in range(1, len(chosen)):
            total = np.zeros(2 * reach + 1)  # v's offset, around where it is
            for pair in pairs:
                if v not in (pair.first, pair.second):
                    continue
                other = pair.first if pair.second == v else pair.second
                relative = chosen[v] - chosen[other] + np.arange(-reach, reach + 1)
                index = reach + (relative if pair.second == v else -relative)
                inside = (index >= 0) & (index <= 2 * reach)
                cost = np.full(2 * reach + 1, CUT_M)
                cost[inside] = np.nan_to_num(pair.cost[index[inside]], nan=CUT_M)
                total += cost
            chosen[v] += int(total.argmin()) - reach
        if chosen == before:
            break
    return chosen
