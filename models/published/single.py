"""The published network for one person: MPII's 16 joints in a square cut around it."""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import BadImage, CheckpointMismatch
from ..hourglass import StackedHourglass
from ..predictor import check_image
from ..sighting import Sighting
from .people import quarter

__all__ = ["MPII16", "Square", "find_one"]

U8: TypeAlias = NDArray[np.uint8]

MPII16: tuple[str, ...] = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "thorax",
    "neck",
    "head_top",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)
_FLIP = (5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 15, 14, 13, 12, 11, 10)


@dataclass(frozen=True, slots=True)
class Square:
    """The part of a picture that the network is shown; MPII's scale times 200 is its side."""

    center_px: tuple[float, float]
    side_px: float


def find_one(
    network: StackedHourglass,
    image: U8,
    square: Square | None = None,
    *,
    input_side: int = 256,
    mirror: bool = True,
) -> Sighting:
    """The joints of one person, each the hottest cell and a quarter towards its neighbour.

    Args:
        network: without tags, from ``import_checkpoint``.
        image: (H, W, 3) BGR.
        square: around the person; None takes the whole picture.
        input_side: px of what the network sees, a multiple of 64.
        mirror: also look at the mirror image and average.

    Returns:
        (16, 2) pixels counted from the corner of the first, as published. The score is the mean.

    Raises:
        BadImage: no picture, or a square without a size.
        CheckpointMismatch: a network of another kind.
    """
    check_image(0, image)
    if network.config.tags or network.config.joints != len(MPII16):
        raise CheckpointMismatch(
            f"{network.config.name!r} finds {network.config.joints} joints of many people; "
            "look through it with models.published.look"
        )
    height, width = image.shape[:2]
    square = square or Square((width / 2, height / 2), max(width, height))
    if not square.side_px > 0:
        raise BadImage(f"a square of {square.side_px} px around the person; it needs a size")
    scale = input_side / square.side_px
    shift = input_side / 2 - scale * np.asarray(square.center_px)
    matrix = np.array([[scale, 0.0, shift[0]], [0.0, scale, shift[1]]])
    rgb = cv2.warpAffine(image, matrix, (input_side, input_side))[:, :, ::-1]
    x = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None].to(torch.float32)
    with torch.no_grad():
        heat = network(x).stacks[-1].heat[0]
        if mirror:
            heat = (heat + network(x.flip(3)).stacks[-1].heat[0].flip(2)[list(_FLIP)]) / 2
    maps = heat.clamp(max=1).numpy()
    joints, scores = np.full((len(MPII16), 2), np.nan), np.zeros(len(MPII16))
    for joint, one in enumerate(maps):
        y, x_cell = np.unravel_index(np.argmax(one), one.shape)
        if one[y, x_cell] > 0:
            cell = quarter(one, np.array([x_cell, y]))
            joints[joint] = (cell * (input_side / one.shape[1]) - shift) / scale
            scores[joint] = one[y, x_cell]
    return Sighting(joints, scores, float(scores.mean()), np.zeros(len(MPII16), dtype=np.bool_))
