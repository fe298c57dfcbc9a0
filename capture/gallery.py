"""Who is known by their bones, live: everybody tracked, and those who left not long ago.

The lengths of a person's long bones are averaged while they are seen. Somebody new who has been
seen for long enough is compared with those who have left, as `reidentify.py` does for whole takes:
never with who was in view at the same time, nor with who could not have come so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .people import F64
from .reidentify import LONG_BONES, ReidentifySettings, best_fit, misfit
from .watch import bone_lengths

__all__ = ["Gallery", "Return"]

Ints = NDArray[np.int64]

MAX_KNOWN = 64  # of those who left, the last so many are remembered,
MEMORY_S = 900.0  # for so long
ASKED_AT = (1, 2, 4)  # times `min_frames`: when somebody new is compared with those who left
SETTLED = 10  # observations of a bone after which outliers are cut off
CUT_SIGMA, FLOOR_M = 3.0, 0.01


@dataclass(frozen=True, slots=True)
class Return:
    """Somebody new who turned out to be somebody who had left."""

    old: int  # the name from now on
    new: int
    gap_s: float
    misfit: float  # mean squared difference of the bones in sigmas


@dataclass(frozen=True, slots=True)
class Gallery:
    """G people, replaced as a whole."""

    ids: Ints  # (G,)
    frames: Ints  # (G,) seen in so many, since they last came
    born_ns: Ints  # (G,) when they last came
    seen_ns: Ints  # (G,) when last seen
    enters: F64  # (G, 3) middle of the body when they last came
    leaves: F64  # (G, 3) and when last seen
    count: F64  # (G, B) observations of each long bone
    mean: F64  # (G, B) metres
    square: F64  # (G, B) sum of squared departures

    @staticmethod
    def empty() -> Gallery:
        """Nobody."""
        none, bones = np.zeros(0, dtype=np.int64), np.zeros((0, int(LONG_BONES.sum())))
        place = np.zeros((0, 3))
        return Gallery(none, none, none, none, place, place, bones, bones, bones)

    def after(self, ids: Ints, bodies: F64, time_ns: int) -> Gallery:
        """After these people were seen.

        Args:
            ids: (P,) names.
            bodies: (P, J, 3) metres, NaN missing.
            time_ns: of the sight.
        """
        known = self._with(ids, bodies, time_ns)
        place = {identity: row for row, identity in enumerate(known.ids.tolist())}
        rows = np.array([place[identity] for identity in ids.tolist()], dtype=np.int64)
        lengths = bone_lengths(bodies)[:, LONG_BONES]  # (P, B)
        there = np.isfinite(lengths)
        count, mean, square = known.count[rows], known.mean[rows], known.square[rows]
        off = np.where(there, lengths - mean, 0.0)
        spread = np.sqrt(square / np.maximum(count - 1, 1))
        most = np.where(count >= SETTLED, CUT_SIGMA * np.maximum(spread, FLOOR_M), np.inf)
        off = np.clip(off, -most, most)
        after = count + there
        step = off / np.maximum(after, 1)
        arrays = {one.name: getattr(known, one.name).copy() for one in fields(Gallery)}
        arrays["count"][rows], arrays["mean"][rows] = after, mean + step
        arrays["square"][rows] = square + off * (off - step)
        arrays["frames"][rows] += 1
        arrays["seen_ns"][rows] = time_ns
        arrays["leaves"][rows] = _middles(bodies)
        return Gallery(**arrays)

    def returned(self, ids: Ints, settings: ReidentifySettings) -> list[Return]:
        """Who of these people, seen long enough now, is somebody who left."""
        asked = [times * settings.min_frames for times in ASKED_AT]
        new = np.flatnonzero(np.isin(self.ids, ids) & np.isin(self.frames, asked))
        found: list[Return] = []
        for row in new.tolist():
            gap_s = (self.born_ns[row] - self.seen_ns) * 1e-9  # (G,)
            way = np.linalg.norm(self.enters[row] - self.leaves, axis=1)
            possible = (gap_s > 0) & (way <= settings.max_speed_m_s * gap_s)
            possible &= self.frames >= settings.min_frames
            rows = [one for one in np.flatnonzero(possible) if self.ids[one] not in ids]
            fits = [(self._misfit(int(one), row, settings), int(one)) for one in rows]
            best = best_fit(fits, settings)
            if best is not None and all(self.ids[best[1]] != other.old for other in found):
                value, old = best
                old_id, new_id = int(self.ids[old]), int(self.ids[row])
                found.append(Return(old_id, new_id, float(gap_s[old]), value))
        return found

    def renamed(self, one: Return) -> Gallery:
        """With what was learned of the two put together under the old name."""
        row, old = (int(np.flatnonzero(self.ids == name)[0]) for name in (one.new, one.old))
        arrays = {field.name: getattr(self, field.name).copy() for field in fields(Gallery)}
        count = self.count[old] + self.count[row]
        share = self.count[row] / np.maximum(count, 1)
        apart = self.mean[row] - self.mean[old]
        arrays["count"][row] = count
        arrays["mean"][row] = self.mean[old] + share * apart
        between = apart**2 * share * self.count[old]
        arrays["square"][row] = self.square[old] + self.square[row] + between
        arrays["ids"][row] = one.old
        return Gallery(**{name: np.delete(array, old, axis=0) for name, array in arrays.items()})

    def kept(self, tracked: Ints, time_ns: int, settings: ReidentifySettings) -> Gallery:
        """Without those who are gone and were hardly seen, or left too long ago."""
        here = np.isin(self.ids, tracked)
        if here.all():
            return self
        recent = (time_ns - self.seen_ns) * 1e-9 <= MEMORY_S
        keep = here | ((self.frames >= settings.min_frames) & recent)
        away = np.flatnonzero(keep & ~here)
        keep[away[np.argsort(self.seen_ns[away])[:-MAX_KNOWN]]] = False
        return self if keep.all() else self._take(keep)

    def to_json(self) -> list[dict[str, Any]]:
        """JSON-able values, some 500 bytes a person."""
        rows = range(len(self.ids))
        return [{one.name: _listed(getattr(self, one.name)[g]) for one in fields(Gallery)}
                for g in rows]  # fmt: skip

    @staticmethod
    def from_json(rows: Sequence[Mapping[str, Any]]) -> Gallery:
        """What `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: it did not.
        """
        empty = Gallery.empty()
        if not rows:
            return empty
        arrays = {}
        for one in fields(Gallery):
            like = getattr(empty, one.name)
            array = np.array([row[one.name] for row in rows], dtype=like.dtype)
            if array.shape[1:] != like.shape[1:]:
                raise ValueError(f"{one.name} has {array.shape[1:]} numbers, need {like.shape[1:]}")
            arrays[one.name] = array
        return Gallery(**arrays)

    def _with(self, ids: Ints, bodies: F64, time_ns: int) -> Gallery:
        """With those who are new."""
        new = ~np.isin(ids, self.ids)
        if not new.any():
            return self
        count, bones = int(new.sum()), self.mean.shape[1]
        start, middles = np.full(count, time_ns, dtype=np.int64), _middles(bodies[new])
        none = np.zeros((count, bones))
        zero = np.zeros(count, dtype=np.int64)
        more = Gallery(ids[new], zero, start, start, middles, middles, none, none, none)
        return Gallery(
            *(
                np.concatenate([getattr(self, one.name), getattr(more, one.name)])
                for one in fields(Gallery)
            )
        )

    def _take(self, which: NDArray[np.bool_]) -> Gallery:
        return Gallery(*(getattr(self, one.name)[which] for one in fields(Gallery)))

    def _misfit(self, old: int, new: int, settings: ReidentifySettings) -> float:
        bones, sigma = [], []
        for row in (old, new):
            count = self.count[row]
            usable = count >= settings.min_frames / 2
            bones.append(np.where(usable, self.mean[row], np.nan))
            # Neighbouring frames count for half of one.
            variance = self.square[row] / np.maximum(count - 1, 1) * 2 / np.maximum(count, 1)
            sigma.append(np.sqrt(variance))
        return misfit(bones[0], sigma[0], bones[1], sigma[1], settings)


def _middles(bodies: F64) -> F64:
    """(P, 3) mean of the joints that are there."""
    there = np.isfinite(bodies[:, :, :1])
    return np.asarray(np.where(there, bodies, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def _listed(value: Any) -> Any:
    return np.round(value, 7).tolist() if np.ndim(value) else value.item()
