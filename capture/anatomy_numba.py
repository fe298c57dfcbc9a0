"""The loop behind `capture.anatomy.twins`, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibration.compiled import jit

from .people import F64

__all__ = ["median_distances"]


@jit
def median_distances(positions: F64, order: NDArray[np.int64], least: int) -> F64:
    """(P, P) median over the joints that two bodies share, for a before b; inf elsewhere.

    Args:
        positions: (P, J, 3) metres, NaN missing.
        order: (J,) which joint of the second is taken for each of the first.
        least: fewer joints in common: inf.
    """
    people, joints = positions.shape[:2]
    median = np.full((people, people), np.inf)
    off = np.empty(joints)
    for a in range(people):
        for b in range(a + 1, people):
            count = 0
            for j in range(joints):
                p, q = positions[a, j], positions[b, order[j]]
                length = (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2 + (p[2] - q[2]) ** 2
                if np.isfinite(length):
                    place = count  # keeps what is there so far in order
                    while place > 0 and off[place - 1] > length:
                        off[place] = off[place - 1]
                        place -= 1
                    off[place] = length
                    count += 1
            if count >= least:
                median[a, b] = np.sqrt(off[(count - 1) // 2])
    return median
