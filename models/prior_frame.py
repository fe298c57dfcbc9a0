"""The frame that poses are compared in: root at the hips, heading forward, body of one size.

Axes: x forward, y to the person's left, z up. Lengths are those of a body of 1.75 m.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["PoseFrame", "frame_of", "from_frame", "to_frame"]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

# Metres in a body of 1.75 m, as in `capture.anatomy`: what tells the size of somebody.
_SIZING = (
    *((5, 7, 0.29), (6, 8, 0.29), (7, 9, 0.25), (8, 10, 0.25), (5, 11, 0.50), (6, 12, 0.50)),
    *((11, 13, 0.42), (12, 14, 0.42), (13, 15, 0.42), (14, 16, 0.42), (5, 6, 0.35)),
)
_START = np.array([start for start, _, _ in _SIZING])
_END = np.array([end for _, end, _ in _SIZING])
_METRES = np.array([metres for _, _, metres in _SIZING])
_MIN_BONES = 3  # fewer say too little; such a body counts as one of 1.75 m
_SIZES = (0.45, 1.35)  # a child of three to a basketball player
# Pairs that lie across the body, in order of how well they tell its heading.
_ACROSS = ((11, 12), (5, 6), (13, 14), (3, 4), (1, 2))
_ACROSS_WEIGHT = np.array([1.0, 1.0, 0.05, 0.05, 0.05])
# Somebody who stands, from the middle of the hips, and how far joints stray from there: with the
# hips in sight the root is their middle, without them what the rest says.
_STANDING = np.array(
    [[0.13, 0, 0.69], [0.10, 0.03, 0.73], [0.10, -0.03, 0.73], [0.02, 0.075, 0.70],
     [0.02, -0.075, 0.70], [0, 0.175, 0.50], [0, -0.175, 0.50], [0.05, 0.25, 0.25],
     [0.05, -0.25, 0.25], [0.2, 0.25, 0.2], [0.2, -0.25, 0.2], [0, 0.11, 0], [0, -0.11, 0],
     [0.05, 0.12, -0.41], [0.05, -0.12, -0.41], [-0.05, 0.12, -0.8], [-0.05, -0.12, -0.8]]
)  # fmt: skip
_STRAY_M = np.array([0.3] * 5 + [0.15] * 2 + [0.3] * 2 + [0.5] * 2 + [0.01] * 2 + [0.25, 0.25]
                    + [0.4] * 2)  # fmt: skip


@dataclass(frozen=True, slots=True)
class PoseFrame:
    """Where bodies stand, which way they head and how large they are."""

    root: F64  # (P, 3) metres in the world
    turn: F64  # (P, 3, 3) frame_from_world, about z only
    size: F64  # (P,) metres in the world per metre in the frame


def frame_of(joints: F64, seen: Bool) -> PoseFrame:
    """The frame of each body, from what is seen of it.

    Args:
        joints: (P, 17, 3) metres, z up; what is not seen may be NaN.
        seen: (P, 17)
    """
    known = np.where(seen[..., None], joints, 0.0)
    length = np.linalg.norm(known[:, _START] - known[:, _END], axis=2)
    both = seen[:, _START] & seen[:, _END]  # (P, bones)
    ratio = np.sort(np.where(both, length / _METRES, np.inf), axis=1)
    count = both.sum(axis=1)
    median = ratio[np.arange(len(ratio)), np.maximum(count - 1, 0) // 2]
    size = np.clip(np.where(count >= _MIN_BONES, median, 1.0), *_SIZES)

    lefts, rights = np.array(_ACROSS).T
    there = (seen[:, lefts] & seen[:, rights]) * _ACROSS_WEIGHT
    left = np.einsum("pk,pkc->pc", there, known[:, lefts, :2] - known[:, rights, :2])
    norm = np.linalg.norm(left, axis=1, keepdims=True)
    left = np.where(norm > 1e-6, left / np.maximum(norm, 1e-6), [0.0, 1.0])
    turn = np.zeros((len(joints), 3, 3))
    turn[:, 0, 0], turn[:, 0, 1] = left[:, 1], -left[:, 0]
    turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = left[:, 0], left[:, 1], 1.0

    weight = seen / _STRAY_M**2
    standing = (_STANDING @ turn) * size[:, None, None]  # (P, 17, 3) world
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    root = np.einsum("pj,pjc->pc", weight, known - standing) / total
    return PoseFrame(root, turn, size)


def to_frame(frame: PoseFrame, joints: F64) -> F64:
    """(P, ..., 17, 3) world joints of each body in its frame; NaN stays NaN."""
    extra = (1,) * (joints.ndim - 3)
    count = len(joints)
    root = frame.root.reshape(count, *extra, 1, 3)
    size = frame.size.reshape(count, *extra, 1, 1)
    return np.asarray((joints - root) @ frame.turn.reshape(count, *extra, 3, 3).mT / size)


def from_frame(frame: PoseFrame, joints: F64) -> F64:
    """(P, ..., 17, 3) the other way round."""
    extra = (1,) * (joints.ndim - 3)
    count = len(joints)
    root = frame.root.reshape(count, *extra, 1, 3)
    size = frame.size.reshape(count, *extra, 1, 1)
    return np.asarray(joints @ frame.turn.reshape(count, *extra, 3, 3) * size + root)
