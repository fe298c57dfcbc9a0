"""When two poses are one person found twice."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .sighting import Sighting
from .skeleton import COCO17

__all__ = ["extent", "likeness", "without_repeats"]

F64: TypeAlias = NDArray[np.float64]

_FLIP = np.asarray(COCO17.flip_order)
_SPREADS = 2 * np.asarray(COCO17.oks_sigmas)
# OKS is measured in the square root of a person's area; over the longer side of the box around
# the joints that is about 0.6 for someone standing.
_SQRT_AREA_OVER_SIZE = 0.6
# Two detections of one person differ by more than human labels do.
_REPEAT_SLACK = 1.5
_LARGEST_OVERLAP = 0.4  # of two people's boxes, intersection over union
_MUCH_WEAKER = 0.8


def extent(joints_px: F64) -> float:
    """The longer side of the box around the joints that are not NaN; 0 if there are none."""
    seen = joints_px[~np.isnan(joints_px[:, 0])]
    return float(np.ptp(seen, axis=0).max()) if len(seen) else 0.0


def likeness(first_px: F64, second_px: F64, *, slack: float = 1.0) -> float:
    """COCO's keypoint similarity of two poses over the joints that both have.

    Args:
        first_px: (J, 2), NaN where unseen.
        second_px: (J, 2)
        slack: how many times further apart than human labels joints may be.

    Returns:
        0 to 1; 0 if they share no joint.
    """
    apart = np.linalg.norm(first_px - second_px, axis=1)  # (J,)
    both = ~np.isnan(apart)
    size = max(extent(first_px), extent(second_px)) * _SQRT_AREA_OVER_SIZE
    if not both.any() or size == 0:
        return 0.0
    return float(np.exp(-((apart[both] / (_SPREADS[both] * size * slack)) ** 2) / 2).mean())


def without_repeats(people: Sequence[Sighting], same: float) -> list[Sighting]:
    """The better one of any two that lie on each other.

    Args:
        people: best first.
        same: two people more alike than this are one.
    """
    kept: list[Sighting] = []
    for person in people:
        if not any(_is_same(other, person, same) or _shadows(other, person) for other in kept):
            kept.append(person)
    return kept


def _is_same(better: Sighting, worse: Sighting, same: float) -> bool:
    """Whether two lie on each other, or would if one of them faced the other way."""
    first, second = _grouped(better), _grouped(worse)
    return any(
        likeness(first, pose, slack=_REPEAT_SLACK) > same for pose in (second, second[_FLIP])
    )


def _shadows(better: Sighting, worse: Sighting) -> bool:
    """Whether someone much weaker lies where a better person is: leftovers of a close-up."""
    if worse.score > _MUCH_WEAKER * better.score:
        return False
    low, high = zip(*(_box(_grouped(person)) for person in (better, worse)), strict=True)
    inside = np.prod(np.maximum(np.minimum(*high) - np.maximum(*low), 0))
    areas = [np.prod(top - bottom) for bottom, top in zip(low, high, strict=True)]
    union = areas[0] + areas[1] - inside
    return bool(union > 0 and inside / union > _LARGEST_OVERLAP)


def _grouped(person: Sighting) -> F64:
    """Joints that were grouped, not filled in."""
    return np.where((person.inferred | (person.scores == 0))[:, None], np.nan, person.joints_px)


def _box(joints_px: F64) -> tuple[F64, F64]:
    seen = joints_px[~np.isnan(joints_px[:, 0])]
    return seen.min(0), seen.max(0)
