"""When two poses are one person found twice."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from kernels.grouping_fast import likeness_table

from .sighting import Sighting
from .skeleton import COCO17

__all__ = ["first_of_each", "likeness", "without_repeats"]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

_FLIP = np.asarray(COCO17.flip_order)
_SPREADS = 2 * np.asarray(COCO17.oks_sigmas)
# OKS is measured in the square root of a person's area; over the longer side of the box around
# the joints that is about 0.6 for someone standing.
_SQRT_AREA_OVER_SIZE = 0.6
# Two detections of one person differ by more than human labels do.
_REPEAT_SLACK = 1.5
_LARGEST_OVERLAP = 0.4  # of two people's boxes, intersection over union
_MUCH_WEAKER = 0.8


def likeness(first_px: F64, second_px: F64, *, slack: float = 1.0) -> F64:
    """COCO's keypoint similarity of poses over the joints that both have.

    Args:
        first_px: (P, J, 2), NaN where unseen.
        second_px: (Q, J, 2)
        slack: how many times further apart than human labels joints may be.

    Returns:
        (P, Q) 0 to 1; 0 where two share no joint.
    """
    return likeness_table(first_px, second_px, _SPREADS * _SQRT_AREA_OVER_SIZE * slack)


def first_of_each(same: Bool) -> list[int]:
    """Which stay, in order, when each leaves that is the same as one that stays before it.

    Args:
        same: (N, N) whether the earlier, by row, makes the later, by column, superfluous.
    """
    kept: list[int] = []
    for rank in range(len(same)):
        if not same[kept, rank].any():
            kept.append(rank)
    return kept


def without_repeats(people: Sequence[Sighting], same: float) -> list[Sighting]:
    """The better one of any two that lie on each other.

    Args:
        people: best first.
        same: two people more alike than this are one.
    """
    if len(people) < 2:
        return list(people)
    poses = np.stack([_grouped(person) for person in people])  # (P, J, 2)
    # Two lie on each other also if they would when one of them faced the other way.
    repeats = likeness(poses, poses, slack=_REPEAT_SLACK) > same
    repeats |= likeness(poses, poses[:, _FLIP], slack=_REPEAT_SLACK) > same
    repeats |= _shadows(poses, np.asarray([person.score for person in people]))
    return [people[rank] for rank in first_of_each(repeats)]


def _shadows(poses: F64, scores: F64) -> Bool:
    """(P, P) whether someone much weaker lies where a better person is: leftovers of a close-up."""
    seen = ~np.isnan(poses)
    low = np.where(seen, poses, np.inf).min(1)  # (P, 2)
    high = np.where(seen, poses, -np.inf).max(1)
    overlap = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)  # (P, P, 2)
    inside = np.maximum(overlap, 0).prod(-1)
    areas = (high - low).prod(-1)
    union = areas[:, None] + areas - inside
    weaker = scores <= _MUCH_WEAKER * scores[:, None]
    shadows: Bool = weaker & (union > 0) & (inside > _LARGEST_OVERLAP * union)
    return shadows


def _grouped(person: Sighting) -> F64:
    """Joints that were grouped, not filled in."""
    return np.where((person.inferred | (person.scores == 0))[:, None], np.nan, person.joints_px)
