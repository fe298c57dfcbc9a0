"""How sure poses are that people's joints tell, whose errors follow each other.

A detector errs alike for half a second and more, and joints of one person together, so that many
joints are worth few. Were they independent, the covariance would be the sandwich of Huber (1967),
`H M H` with M the sum of each joint's slope squared. How many times more the slopes of a whole
stretch of time vary than those of its joints taken one by one says what the joints are worth: the
inflation of Moulton (1990), here over windows that slide along the take (Kunsch 1989). The fit
itself takes from each window what it knows of the poses, its leverage, which is given back (Bell
and McCaffrey 2002). One number for all directions: windows are too few to tell more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .camera import F64
from .joint_equations import Scene, State, equations, prior

__all__ = ["covariance"]

# A window is this share of the take: as long as may be for errors to be forgotten within it, as
# short as leaves several of them.
WINDOW = 1.0 / 3.0
# Places of the window along the take; more of them overlap so far that they say the same.
PLACES = 24


def covariance(scene: Scene, state: State, free: NDArray[np.bool_], scale_px: float) -> F64:
    """(D, D) covariance of the freed poses, six numbers each (turn, shift) in the rig's order.

    Args:
        scene: what was seen.
        state: the robust minimum.
        free: (C,) poses that were freed.
        scale_px: of the Cauchy loss.
    """
    S, g = equations(scene, state, free, scale_px)
    H = np.linalg.inv(S.sum(axis=0) + prior(int(free.sum())))
    M = g.T @ g
    inflation, freedom = _inflation(scene.moments, S, g, H, M)
    # Known from few windows, it is as often too small: Student's t is that much wider.
    wider = freedom / (freedom - 2.0) if freedom > 3.0 else 3.0
    return np.asarray(H @ M @ H * max(inflation, 1.0) * wider)


def _inflation(moments: NDArray[np.int64], S: F64, g: F64, H: F64, M: F64) -> tuple[float, float]:
    """How much more windows vary than their joints do, and from how many degrees of freedom."""
    alone = np.linalg.pinv(M)
    first, last = float(moments.min()), float(moments.max()) + 1.0
    length = WINDOW * (last - first)
    squares = expected = without_fit = 0.0
    for start in np.linspace(first, last - length, PLACES):
        inside = (moments >= start) & (moments < start + length)
        slope = g[inside].sum(axis=0)
        leverage = H @ S[inside].sum(axis=0)
        squares += float(slope @ alone @ slope)
        without_fit += float(np.trace(leverage))
        expected += float(np.trace(leverage) - np.trace(leverage @ leverage))
    if expected <= 0.0:
        return 1.0, 0.0
    return squares / expected, expected / without_fit * len(M) / WINDOW
