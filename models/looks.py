"""Looking at a picture more than once: mirrored, and at other sizes.

As in associative embedding's own tests (Newell, Huang, Deng 2017) what several looks say is
averaged. There it is the heatmaps; here it is the peaks, so that any predictor can be looked
through: a peak of the first look is averaged with the other look's nearest one, its place, its
score and the centre it points to, and its score is halved where the other look has none. Tags
stay the first look's: a tag says something of where in the picture a person is, so those of a
mirror image are other numbers. Each further look costs as much as the first. No PyTorch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from .candidates import Candidates
from .grouping import DecodeSettings, group
from .predictor import Predictor
from .sighting import Sighting
from .skeleton import Skeleton

__all__ = ["LookSettings", "SeveralLooks", "merged", "mirrored"]

F64: TypeAlias = NDArray[np.float64]
U8: TypeAlias = NDArray[np.uint8]

_REACH_CELLS = 1.5  # between peaks that are the same, in cells of the coarser look
_SEED_REACH = 0.1  # between centres that are the same, over the size of the pose they expect


@dataclass(frozen=True, slots=True)
class LookSettings:
    """How often to look; once is the default everywhere."""

    mirror: bool = False  # also at the mirror image
    scales: tuple[float, ...] = (1.0,)  # of the input's longer side; the first one's tags count

    @property
    def once(self) -> bool:
        """Whether there is but one look."""
        return not self.mirror and len(self.scales) == 1


class SeveralLooks:
    """Looks through one predictor of each size: state, as they are."""

    def __init__(
        self,
        sizes: Sequence[Predictor],
        *,
        mirror: bool,
        settings: DecodeSettings | None = None,
    ) -> None:
        """Put looks together.

        Args:
            sizes: of one network, each for another input size; the first one's tags count.
            mirror: also look at the mirror image with each.
            settings: how joints become people.
        """
        assert sizes, "give at least one predictor"
        self.name, self.sha256 = sizes[0].name, sizes[0].sha256
        self.input_side = sizes[0].input_side
        self.skeleton: Skeleton = sizes[0].skeleton
        self._sizes, self._mirror = tuple(sizes), mirror
        self._settings = settings or DecodeSettings()

    def candidates(self, images: Sequence[U8]) -> list[Candidates]:
        """Peaks of all looks at each picture in one.

        Args:
            images: (H, W, 3) BGR of any size each.

        Raises:
            BadImage: an image is not uint8 with three channels, or is empty.
        """
        looks = [finder.candidates(images) for finder in self._sizes]
        if self._mirror:
            flipped = [np.ascontiguousarray(image[:, ::-1]) for image in images]
            order = self.skeleton.flip_order
            for number, finder in enumerate(self._sizes):
                other = [mirrored(found, order) for found in finder.candidates(flipped)]
                looks[number] = [merged(pair) for pair in zip(looks[number], other, strict=True)]
        return [merged(of_one) for of_one in zip(*looks, strict=True)]

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture, best first."""
        return [group(found, self._settings) for found in self.candidates(images)]


def mirrored(candidates: Candidates, flip_order: Sequence[int]) -> Candidates:
    """What was found in the mirror image, in the picture itself, sides exchanged."""
    order, last = list(flip_order), candidates.size_px[0] - 1

    def back(places: F64) -> F64:
        return np.asarray(np.stack([last - places[..., 0], places[..., 1]], axis=-1))

    return replace(
        candidates,
        joints_px=back(candidates.joints_px[order]),
        scores=candidates.scores[order],
        tags=candidates.tags[order],
        centers_px=back(candidates.centers_px[order]),
        sizes_px=candidates.sizes_px[order],
        seeds_px=back(candidates.seeds_px),
        seed_joints_px=back(candidates.seed_joints_px[:, order]),
    )


def merged(looks: Sequence[Candidates]) -> Candidates:
    """Several looks at one picture as one, all weighing the same.

    Args:
        looks: of the same picture, in its pixels. What only a later look has is left out.
    """
    total = looks[0]
    for number, look in enumerate(looks[1:], start=1):
        total = _two(total, look, number / (number + 1))
    return total


def _two(first: Candidates, second: Candidates, share: float) -> Candidates:
    """The average of two looks, the first with this share; peaks of each joint best first."""
    reach = _REACH_CELLS * max(first.cell_px, second.cell_px)
    joints_px, scores, tags = first.joints_px.copy(), first.scores.copy(), first.tags.copy()
    centers_px, sizes_px = first.centers_px.copy(), first.sizes_px.copy()
    for joint in range(len(scores)):
        usable = (first.scores[joint] > 0)[:, None] & (second.scores[joint] > 0)
        ours, theirs = _pairs(first.joints_px[joint], second.joints_px[joint], reach, usable)
        own = first.scores[joint, ours] * share
        other = second.scores[joint, theirs] * (1 - share)
        weight = own / (own + other)
        for mixed, one, two in (
            (joints_px, first.joints_px, second.joints_px),
            (centers_px, first.centers_px, second.centers_px),
            (sizes_px, first.sizes_px, second.sizes_px),
        ):
            wide = weight[:, None] if one.ndim == 3 else weight
            mixed[joint, ours] = one[joint, ours] * wide + two[joint, theirs] * (1 - wide)
        scores[joint] *= share
        scores[joint, ours] += other
        best = np.argsort(-scores[joint], kind="stable")
        for table in (joints_px, scores, tags, centers_px, sizes_px):
            table[joint] = table[joint, best]
    return replace(
        _with_seeds(first, second, share),
        joints_px=joints_px,
        scores=scores,
        tags=tags,
        centers_px=centers_px,
        sizes_px=sizes_px,
    )


def _with_seeds(first: Candidates, second: Candidates, share: float) -> Candidates:
    """The first look with its centres averaged with the second one's."""
    if not len(first.seed_scores) or not len(second.seed_scores):
        return first
    size = np.ptp(first.seed_joints_px, axis=1).max(1)[:, None]
    everything = np.ones((len(first.seed_scores), len(second.seed_scores)), dtype=bool)
    reach = np.maximum(_SEED_REACH * size, first.cell_px)
    ours, theirs = _pairs(first.seeds_px, second.seeds_px, reach, everything)
    own, other = first.seed_scores[ours] * share, second.seed_scores[theirs] * (1 - share)
    weight = (own / np.maximum(own + other, np.finfo(np.float64).tiny))[:, None]
    seeds_px, scores = first.seeds_px.copy(), first.seed_scores * share
    joints_px = first.seed_joints_px.copy()
    seeds_px[ours] = first.seeds_px[ours] * weight + second.seeds_px[theirs] * (1 - weight)
    joints_px[ours] = first.seed_joints_px[ours] * weight[..., None] + second.seed_joints_px[
        theirs
    ] * (1 - weight[..., None])
    scores[ours] += other
    best = np.argsort(-scores, kind="stable")
    return replace(
        first, seeds_px=seeds_px[best], seed_scores=scores[best], seed_joints_px=joints_px[best]
    )


def _pairs(
    first_px: F64, second_px: F64, reach: float | F64, usable: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which places of two looks are the same: most pairs within reach, then the nearest."""
    apart = np.linalg.norm(first_px[:, None] - second_px[None], axis=-1) / reach
    near = usable & (apart < 1)
    ours, theirs = linear_sum_assignment(np.where(near, 2 - apart, 0.0), maximize=True)
    real = near[ours, theirs]
    return ours[real], theirs[real]
