"""The people of one picture while their joints are being collected."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .candidates import Candidates
from .likeness import extent

__all__ = ["Crowd"]

F64: TypeAlias = NDArray[np.float64]
Int: TypeAlias = NDArray[np.intp]

_TORSO = (5, 6, 11, 12)  # the centre of a person is the mean of these in training, so here too
_SMALLEST_CELLS = 2.0  # nobody is taken to be smaller: spreads would vanish
# A centre counts for as much as one sure joint when the person's own centre is averaged.
_SEED_WEIGHT = 1.0


class Crowd:
    """Holds state: who has which joint so far, and each person's running tag and centre.

    Row p of every array is person p. People founded on a centre know where to expect each of
    their joints; people founded on a peak do not, their row of ``expected_px`` is NaN.
    """

    def __init__(self, candidates: Candidates, seeds: Int) -> None:
        """People founded on centres.

        Args:
            candidates: of the picture.
            seeds: (P,) which of its centres are people.
        """
        joints = candidates.scores.shape[0]
        expected = candidates.seed_joints_px[seeds]  # (P, J, 2)
        self.candidates = candidates
        self.expected_px = expected
        self.seed_scores = candidates.seed_scores[seeds]
        self.members = np.full((len(seeds), joints), -1, dtype=np.intp)  # rank of the peak, or -1
        self.centers_px = expected[:, _TORSO].mean(1) if len(seeds) else np.zeros((0, 2))
        sizes = np.asarray([extent(pose) for pose in expected], dtype=np.float64)
        self.sizes_px = np.maximum(sizes, _SMALLEST_CELLS * candidates.cell_px)
        self.tags = np.full((len(seeds), candidates.tags.shape[2]), np.nan)
        self._tag_weight = np.zeros(len(seeds))
        self._center_weight = np.full(len(seeds), _SEED_WEIGHT)

    def __len__(self) -> int:
        return len(self.members)

    def misfit(self, joint: int, peaks: Int, spreads: tuple[float, float, float]) -> F64:
        """How badly each peak fits each person: squared distances in units of their spreads.

        Args:
            joint: which joint the peaks are of.
            peaks: (N,) their ranks.
            spreads: of tags, of centres and of expected places, the last two over the
                person's size.

        Returns:
            (P, N); evidence a person or the network does not have counts nothing.
        """
        found = self.candidates
        tag, center, place = spreads
        size = self.sizes_px[:, None]
        terms = (
            _squares(self.tags, found.tags[joint, peaks]) / tag**2,
            _squares(self.centers_px, found.centers_px[joint, peaks]) / (center * size) ** 2,
            _squares(self.expected_px[:, joint], found.joints_px[joint, peaks])
            / (place * size) ** 2,
        )
        return sum((np.nan_to_num(term) for term in terms), start=np.zeros(terms[0].shape))

    def add(self, people: Int, joint: int, peaks: Int) -> None:
        """Give person ``people[i]`` the peak ``peaks[i]`` and move its tag and centre there."""
        found = self.candidates
        weight = found.scores[joint, peaks]
        self.members[people, joint] = peaks
        before = self._tag_weight[people]
        self.tags[people] = _mean(self.tags[people], before, found.tags[joint, peaks], weight)
        # Only people without a centre of their own take their size from their joints.
        told = _mean(
            self.sizes_px[people, None], before, found.sizes_px[joint, peaks, None], weight
        )
        alone = np.isnan(self.expected_px[people, 0, 0])
        self.sizes_px[people] = np.where(alone, told[:, 0], self.sizes_px[people])
        self._tag_weight[people] += weight
        before = self._center_weight[people]
        centers = found.centers_px[joint, peaks]
        self.centers_px[people] = _mean(self.centers_px[people], before, centers, weight)
        self._center_weight[people] += weight

    def found(self, joint: int, peaks: Int) -> None:
        """Begin a new person on each of these peaks."""
        first, more = len(self), len(peaks)
        joints = self.members.shape[1]
        self.members = np.vstack([self.members, np.full((more, joints), -1, dtype=np.intp)])
        self.expected_px = np.concatenate([self.expected_px, np.full((more, joints, 2), np.nan)])
        self.seed_scores = np.append(self.seed_scores, np.zeros(more))
        self.centers_px = np.vstack([self.centers_px, np.full((more, 2), np.nan)])
        smallest = np.full(more, _SMALLEST_CELLS * self.candidates.cell_px)
        self.sizes_px = np.append(self.sizes_px, smallest)
        self.tags = np.vstack([self.tags, np.full((more, self.tags.shape[1]), np.nan)])
        self._tag_weight = np.append(self._tag_weight, np.zeros(more))
        self._center_weight = np.append(self._center_weight, np.zeros(more))
        self.add(np.arange(first, first + more), joint, peaks)

    def joints_px(self) -> F64:
        """(P, J, 2) where the collected joints are, NaN where a person has none."""
        return self._gathered(self.candidates.joints_px, np.nan)

    def scores(self) -> F64:
        """(P, J) of the collected joints, 0 where a person has none."""
        return self._gathered(self.candidates.scores, 0.0)

    def _gathered(self, source: F64, absent: float) -> F64:
        joints = np.arange(self.members.shape[1])
        taken = source[joints, np.maximum(self.members, 0)]  # (P, J, ...)
        has = self.members >= 0
        return np.where(has[..., None] if source.ndim == 3 else has, taken, absent)


def _squares(people: F64, peaks: F64) -> F64:
    """(P, D) and (N, D) -> (P, N) squared distances."""
    return np.asarray(((people[:, None] - peaks[None]) ** 2).sum(-1), dtype=np.float64)


def _mean(old: F64, old_weight: F64, new: F64, new_weight: F64) -> F64:
    """Weighted mean of rows; what has no weight yet is replaced, whatever it holds."""
    known = np.where(old_weight[:, None] > 0, old, 0.0)
    total = np.maximum(old_weight + new_weight, np.finfo(np.float64).tiny)
    mixed = (known * old_weight[:, None] + new * new_weight[:, None]) / total[:, None]
    return np.asarray(mixed, dtype=np.float64)
