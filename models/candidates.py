"""What the network found in one picture before joints became people."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Candidates"]

F64: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """Peaks of the joint heatmaps with their tags, and what the centre field says.

    K is the most peaks kept for a joint, D the length of a tag, M the number of centres.
    A network without a centre field gives M = 0 and NaN in ``centers_px`` and ``sizes_px``.
    """

    joints_px: F64  # (J, K, 2) distorted pixels, best first
    scores: F64  # (J, K) in [0, 1]; 0 where there are fewer than K peaks
    tags: F64  # (J, K, D)
    centers_px: F64  # (J, K, 2) where each peak believes the middle of its person to be
    sizes_px: F64  # (J, K) how large it believes that person to be
    seeds_px: F64  # (M, 2) peaks of the person-centre map
    seed_scores: F64  # (M,) in [0, 1]
    seed_joints_px: F64  # (M, J, 2) where each centre expects its joints
    cell_px: float  # side of a heatmap cell in pixels of the image
    size_px: tuple[int, int]  # (width, height) of the image
