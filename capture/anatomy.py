"""What a body can be: bones of likely lengths, and left where left is.

Detectors take one leg for the other, and two views can agree on a wrong point. Both show against
the rest of the body, so both are judged per person, all people at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.camera import Camera
from calibration.compiled import compiled
from models.skeleton import COCO17

from .people import F64

__all__ = ["BONES", "SWAP_MIN_JOINTS", "impossible_joints", "mirrored", "swapped_parts", "twins"]

Bool = NDArray[np.bool_]

# Metres in an adult of 1.75 m between COCO's joint centres (means of the Balancing take of
# Pose2Sim and of Winter's segment table, Biomechanics and Motor Control, fig. 4.1).
BONES: tuple[tuple[int, int, float], ...] = (
    (5, 7, 0.29),
    (7, 9, 0.25),
    (6, 8, 0.29),
    (8, 10, 0.25),
    (5, 6, 0.35),
    (5, 11, 0.50),
    (6, 12, 0.50),
    (11, 12, 0.22),
    (11, 13, 0.42),
    (13, 15, 0.42),
    (12, 14, 0.42),
    (14, 16, 0.42),
    (0, 1, 0.06),
    (0, 2, 0.06),
    (1, 3, 0.10),
    (2, 4, 0.10),
)
_FIRST = np.array([a for a, _, _ in BONES])
_SECOND = np.array([b for _, b, _ in BONES])
_LENGTH = np.array([length for _, _, length in BONES])
# The bones that tell a person's size: long, and found well.
_SIZING = _LENGTH >= 0.25
SIZE_RANGE = (0.5, 1.35)  # a child of three to a basketball player
SHORT, LONG, SLACK_M = 0.5, 1.5, 0.08  # of a bone against the person's size, and measurement noise

# Parts in which detectors take left for right: a whole leg pair, arm pair or face, never one joint.
PARTS: tuple[tuple[int, ...], ...] = ((1, 2, 3, 4), (5, 6, 7, 8, 9, 10), (11, 12, 13, 14, 15, 16))
_MIRROR = np.array(COCO17.flip_order)
_SAME = np.arange(len(_MIRROR))
ARMS_AND_LEGS = slice(1, 3)
SWAP_GAIN = 0.6  # mirrored, a swapped part's error falls to less than this share
SWAP_MIN_JOINTS = 3
TWIN_M = 0.12  # two bodies nearer to each other than this, side aside, are one
TWIN_MIN_JOINTS = 4
SWAP_CUT_M = 0.3  # a joint further off than this says no more than this


def mirrored(rows: F64) -> F64:
    """The same rows with left and right exchanged; joints on axis -2."""
    return np.asarray(rows[..., _MIRROR, :])


def impossible_joints(positions: F64, sigma_m: F64, views: NDArray[np.int64]) -> Bool:
    """Joints that no body could have where they are.

    Of a bone far too long or short for the person, the worse-known end is blamed.

    Args:
        positions: (P, J, 3) metres, NaN missing.
        sigma_m: (P, J).
        views: (P, J) views that made each joint.

    Returns:
        (P, J) True where a joint is to be rejected.
    """
    bad = np.zeros(positions.shape[:2], dtype=np.bool_)
    length = np.sqrt(((positions[:, _FIRST] - positions[:, _SECOND]) ** 2).sum(axis=2))  # (P, B)
    known = np.isfinite(length)
    ratio = np.where(known & _SIZING, length / _LENGTH, np.nan)
    count = np.isfinite(ratio).sum(axis=1)
    enough = count >= 4
    # NaN sorts last, so the median of those known is in the middle of their count.
    ordered = np.sort(ratio, axis=1)
    median = ordered[np.arange(len(ratio)), np.maximum(count - 1, 0) // 2]
    size = np.clip(np.where(enough, median, 1.0), *SIZE_RANGE)
    expected = size[:, None] * _LENGTH
    wrong = (length > LONG * expected + SLACK_M) | (length < SHORT * expected - SLACK_M)
    for person, bone in zip(*np.nonzero(wrong & enough[:, None]), strict=True):
        ends = (_FIRST[bone], _SECOND[bone])
        if bad[person, ends[0]] or bad[person, ends[1]]:
            continue  # already explained
        # Fewer views, then larger sigma, then further from the trunk.
        blame = max(ends, key=lambda j: (-views[person, j], sigma_m[person, j], j))
        bad[person, blame] = True
    return bad


def twins(positions: F64) -> list[tuple[int, int, bool]]:
    """Pairs of bodies in the same place, and whether they agree on which side is left.

    Views that swap sides agree among themselves and look like a second person inside the first.

    Args:
        positions: (P, J, 3) metres, NaN missing.
    """
    if len(positions) < 2:
        return []
    direct, crossed = _median_distances(positions, _SAME), _median_distances(positions, _MIRROR)
    near = np.minimum(direct, crossed) < TWIN_M
    return [
        (int(a), int(b), bool(direct[a, b] <= crossed[a, b]))
        for a, b in zip(*np.nonzero(near), strict=True)
    ]


def _median_distances(positions: F64, order: NDArray[np.int64]) -> F64:
    """(P, P) median over the joints that two bodies share, for a before b; inf elsewhere."""
    if compiled():
        from .anatomy_numba import median_distances  # numba is imported on first use

        return np.asarray(median_distances(positions, order, TWIN_MIN_JOINTS))
    off = positions[:, None] - positions[None, :, order]
    ordered = np.sort(np.sqrt((off**2).sum(axis=3)), axis=2)  # (P, P, J)
    count = np.isfinite(ordered).sum(axis=2)
    # NaN sorts last, so the median of those known is in the middle of their count.
    middle = np.maximum(count - 1, 0) // 2
    median = np.take_along_axis(ordered, middle[..., None], axis=2)[..., 0]
    first = np.arange(len(positions))
    return np.where((count >= TWIN_MIN_JOINTS) & (first[:, None] < first), median, np.inf)


def swapped_parts(cameras: Sequence[Camera], norm: F64, reference: F64, scores: F64) -> Bool:
    """Joints of each view that belong to the other side of the body.

    A part (legs, arms, face) of one view is swapped if, mirrored, it fits the reference far better
    than as it is.

    Args:
        cameras: V cameras.
        norm: (V, P, J, 2) undistorted at z = 1, NaN unseen.
        reference: (P, J, 3) where the joints are, metres, NaN where that is not known.
        scores: (V, P, J).

    Returns:
        (V, P, J) True for every joint of a swapped part.
    """
    poses = np.stack([camera.cam_from_world for camera in cameras])
    cam = np.einsum("vik,pjk->vpji", poses[:, :3, :3], reference) + poses[:, None, None, :3, 3]
    depth = np.maximum(cam[..., 2:], 0.1)  # NaN stays NaN
    place = cam[..., :2] / depth
    as_is = _distances(place - norm, depth, scores)
    flipped = _distances(place - mirrored(norm), depth, mirrored(scores[..., None])[..., 0])
    before, after, count = (
        np.stack([part.sum(axis=2) for part in _by_part(values)])
        for values in _comparable(as_is, flipped)
    )  # (parts, V, P) each
    judged = count >= SWAP_MIN_JOINTS
    swapped = judged & (after < SWAP_GAIN * before)
    # Eyes and ears are too near each other to judge alone: the face goes with the whole body.
    body = judged[ARMS_AND_LEGS].any(axis=0) & (swapped | ~judged)[ARMS_AND_LEGS].all(axis=0)
    swapped[:] |= body
    result = np.zeros(as_is.shape, dtype=np.bool_)
    for part, yes in zip(PARTS, swapped, strict=True):
        result[..., list(part)] = yes[..., None]
    return result


def _comparable(as_is: F64, flipped: F64) -> tuple[F64, F64, F64]:
    """Both distances where both are known, else 0, and 1 where they are."""
    both = np.isfinite(as_is) & np.isfinite(flipped)
    return np.where(both, as_is, 0.0), np.where(both, flipped, 0.0), both.astype(np.float64)


def _by_part(values: F64) -> list[F64]:
    return [values[..., list(part)] for part in PARTS]


def _distances(off: F64, depth: F64, scores: F64) -> F64:
    """(V, P, J) metres beside the joint, NaN where unseen."""
    metres = np.sqrt((off * off).sum(axis=-1)) * depth[..., 0]
    return np.where(scores > 0, np.minimum(metres, SWAP_CUT_M), np.nan)
