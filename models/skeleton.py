"""Joint layouts: COCO-17 is native, the others are layouts that files come in and go out as."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BODY_25",
    "BODY_25B",
    "COCO17",
    "COCO_LAYOUT",
    "HALPE_26",
    "LAYOUTS",
    "TORSO_OUT",
    "Layout",
    "Skeleton",
    "from_coco17",
    "to_coco17",
]

F64: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The joints a network finds, how they hang together and how well people place them."""

    name: str
    joints: tuple[str, ...]  # (J,) names in channel order
    edges: tuple[tuple[int, int], ...]  # bones, for drawing and for lengths
    flip_pairs: tuple[tuple[int, int], ...]  # (left, right)
    oks_sigmas: tuple[float, ...]  # (J,) spread of human labels over sqrt(area); COCO's

    @property
    def flip_order(self) -> tuple[int, ...]:
        """Channel order of the mirror image."""
        order = list(range(len(self.joints)))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return tuple(order)


@dataclass(frozen=True, slots=True)
class Layout:
    """The order in which another tool writes its joints."""

    name: str
    joints: tuple[str, ...]
    coco17: tuple[int, ...]  # (17,) index in this layout of each COCO joint
    # Joints COCO-17 lacks but two of its joints enclose: index here -> the two COCO joints.
    midpoints: Mapping[int, tuple[int, int]]


COCO17 = Skeleton(
    name="coco17",
    joints=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    edges=(
        (5, 7),
        (7, 9),
        (6, 8),
        (8, 10),
        (5, 6),
        (5, 11),
        (6, 12),
        (11, 12),
        (11, 13),
        (13, 15),
        (12, 14),
        (14, 16),
        (0, 1),
        (0, 2),
        (1, 3),
        (2, 4),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    # pycocotools, Params.setKpParams.
    oks_sigmas=(
        0.026,
        0.025,
        0.025,
        0.035,
        0.035,
        0.079,
        0.079,
        0.072,
        0.072,
        0.062,
        0.062,
        0.107,
        0.107,
        0.087,
        0.087,
        0.089,
        0.089,
    ),
)

# Grouping starts where joints are found most surely and works outwards
# (Newell et al., Associative Embedding, section 3.2).
TORSO_OUT: tuple[int, ...] = (5, 6, 11, 12, 0, 1, 2, 3, 4, 7, 8, 13, 14, 9, 10, 15, 16)

_LEFT_SHOULDER, _RIGHT_SHOULDER, _LEFT_HIP, _RIGHT_HIP = 5, 6, 11, 12
_NECK = (_LEFT_SHOULDER, _RIGHT_SHOULDER)
_MID_HIP = (_LEFT_HIP, _RIGHT_HIP)
_FEET = ("left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe")

COCO_LAYOUT = Layout("coco17", COCO17.joints, tuple(range(17)), MappingProxyType({}))

BODY_25 = Layout(
    name="body25",
    joints=(
        "nose",
        "neck",
        "right_shoulder",
        "right_elbow",
        "right_wrist",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
        "mid_hip",
        "right_hip",
        "right_knee",
        "right_ankle",
        "left_hip",
        "left_knee",
        "left_ankle",
        "right_eye",
        "left_eye",
        "right_ear",
        "left_ear",
        *_FEET,
        "right_heel",
    ),
    coco17=(0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11),
    midpoints=MappingProxyType({1: _NECK, 8: _MID_HIP}),
)

BODY_25B = Layout(
    name="body25b",
    joints=(*COCO17.joints, "neck", "head", *_FEET, "right_heel"),
    coco17=tuple(range(17)),
    midpoints=MappingProxyType({17: _NECK}),
)

HALPE_26 = Layout(
    name="halpe26",
    joints=(
        *COCO17.joints,
        "head",
        "neck",
        "mid_hip",
        "left_big_toe",
        "right_big_toe",
        "left_small_toe",
        "right_small_toe",
        "left_heel",
        "right_heel",
    ),
    coco17=tuple(range(17)),
    midpoints=MappingProxyType({18: _NECK, 19: _MID_HIP}),
)

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {layout.name: layout for layout in (COCO_LAYOUT, BODY_25, BODY_25B, HALPE_26)}
)


def to_coco17(layout: Layout, points: F64) -> F64:
    """COCO-17 joints out of a file in another layout.

    Args:
        layout: the order the file is in.
        points: (..., len(layout.joints), C) any columns, x y score for instance.

    Returns:
        (..., 17, C)

    Raises:
        ValueError: the number of points is not the layout's.
    """
    if points.shape[-2] != len(layout.joints):
        raise ValueError(
            f"{layout.name} has {len(layout.joints)} points, the file has {points.shape[-2]}; "
            f"choose the layout it was written in (one of {', '.join(LAYOUTS)})"
        )
    return np.take(points, layout.coco17, axis=-2)


def from_coco17(layout: Layout, points: F64) -> F64:
    """A view of COCO-17 joints in another layout.

    Args:
        layout: the order wanted.
        points: (..., 17, C) coordinates, NaN where unseen.

    Returns:
        (..., len(layout.joints), C); neck and middle of the hips are midpoints, what COCO-17
        does not hold (head top, feet) is NaN.
    """
    shape = (*points.shape[:-2], len(layout.joints), points.shape[-1])
    view = np.full(shape, np.nan)
    view[..., layout.coco17, :] = points
    for joint, (first, second) in layout.midpoints.items():
        view[..., joint, :] = (points[..., first, :] + points[..., second, :]) / 2
    return view
