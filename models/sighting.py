"""What the network says about one person in one view."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sighting"]

F64: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One person in one view."""

    joints_px: F64  # (J, 2) distorted pixels of the image given, NaN where unseen
    scores: F64  # (J,) in [0, 1], 0 where unseen
    score: float  # of the person, in [0, 1]
    inferred: NDArray[np.bool_]  # (J,) True where filled in rather than grouped from a peak
