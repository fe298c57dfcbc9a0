"""What a window of frames says linearly about the joints of its middle: one large Gaussian.

A window is the frame in question and some before and after it, all in the frame of the one in
question (`prior_frame`).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from .prior_frame import PoseFrame, frame_of, to_frame

__all__ = [
    "DIMS",
    "MIDDLE",
    "OFFSETS",
    "RATE_HZ",
    "REACH",
    "Conditional",
    "Surroundings",
    "WindowGaussian",
    "fit_window",
    "surroundings",
]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

RATE_HZ = 30.0
OFFSETS = (-15, -8, -3, -1, 0, 1, 3, 8, 15)  # frames of the window at that rate
MIDDLE = OFFSETS.index(0)
REACH = 40  # frames on either side that are searched for the nearest sight of a joint
DIMS = 51  # of one frame
_DRIFT = 2  # frames between two sights that tell a velocity


@dataclass(frozen=True, slots=True)
class Surroundings:
    """B bodies at a moment, all in the frames that they have then."""

    frame: PoseFrame
    window: F64  # (B, K, 17, 3) zero where unseen
    seen: Bool  # (B, K, 17)
    # Where unseen joints were when last seen before and first seen after, in the body's frames of
    # those moments, and how they moved there per frame; zero where they were not.
    places: F64  # (B, 2, 17, 3)
    drifts: F64  # (B, 2, 17, 3)
    nearness: F64  # (B, 2, 17) 1 / frames to that sight, zero where there is none

    def between(self) -> F64:
        """(B, 17, 3) places on the line from before to after; NaN where unseen on both sides."""
        weight = self.nearness / np.maximum(self.nearness.sum(axis=1, keepdims=True), 1e-9)
        made = (weight[..., None] * self.places).sum(axis=1)
        known = np.asarray((self.nearness > 0).any(axis=1))
        return np.where(known[..., None], made, np.nan)


@dataclass(frozen=True, slots=True)
class Conditional:
    """What is not seen given what is seen; B windows."""

    filled: F64  # (B, K * 51) the window, unseen joints at their conditional means
    root: F64  # (B, 51, 51) of the middle: covariance is root @ root.T, zero rows where seen

    @property
    def mean(self) -> F64:
        """(B, 51) the middle."""
        return self.filled[:, MIDDLE * DIMS : (MIDDLE + 1) * DIMS]

    @property
    def spread(self) -> F64:
        """(B, 51) one standard deviation of the middle, zero where seen."""
        return np.asarray(np.sqrt((self.root**2).sum(axis=2)))


@dataclass(frozen=True, slots=True)
class WindowGaussian:
    """A Gaussian of measured windows flattened to K * 51 columns."""

    mean: F64  # (K * 51,) metres in the frame
    precision: F64  # (K * 51, K * 51) inverse covariance, measurement noise included
    noise_m: float  # of a measured joint, one standard deviation per axis

    def condition(self, window: F64, seen: Bool) -> Conditional:
        """The unseen given the seen, window by window.

        The inverse covariance makes the work grow with what is unseen, which is little (Bishop,
        Pattern Recognition and Machine Learning, equations 2.73 and 2.75).

        Args:
            window: (B, K, 17, 3) joints in the middle's frame; what is unseen may be NaN.
            seen: (B, K, 17)
        """
        rows = len(window)
        known = np.repeat(seen.reshape(rows, -1), 3, axis=1)  # (B, K * 51)
        filled = np.where(known, window.reshape(rows, -1), self.mean)
        root = np.zeros((rows, DIMS, DIMS))
        first = MIDDLE * DIMS
        for row in range(rows):
            unseen = np.flatnonzero(~known[row])
            if len(unseen) == 0:
                continue
            own = self.precision[unseen]  # (U, K * 51)
            factor = cho_factor(own[:, unseen], lower=True)
            pull = own @ (filled[row] - self.mean)
            filled[row, unseen] -= cho_solve(factor, pull)
            middle = np.flatnonzero((unseen >= first) & (unseen < first + DIMS))
            if len(middle) == 0:
                continue
            unit = np.zeros((len(unseen), len(middle)))
            unit[middle, np.arange(len(middle))] = 1
            covariance = cho_solve(factor, unit)[middle]
            # Unseen joints are wanted as they are, not as they would be measured.
            covariance -= (self.noise_m**2 - 1e-6) * np.eye(len(middle))
            columns = unseen[middle] - first
            root[row][np.ix_(columns, columns)] = np.linalg.cholesky(covariance)
        return Conditional(filled, root)


def fit_window(windows: F64, noise_m: float) -> WindowGaussian:
    """The Gaussian of whole windows.

    Args:
        windows: (N, K * 51) without measurement noise.
        noise_m: of a measured joint, one standard deviation per axis.
    """
    covariance = np.cov(windows.T) + noise_m**2 * np.eye(windows.shape[1])
    precision = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    return WindowGaussian(windows.mean(axis=0), precision, noise_m)


def surroundings(stretch: F64) -> Surroundings:
    """What is to be known around the middle of stretches of motion.

    Args:
        stretch: (B, 2 * REACH + 1, 17, 3) metres in the world, z up, `RATE_HZ` apart, NaN where
            unseen or where there is no frame.
    """
    known = np.asarray(np.isfinite(stretch).all(axis=3))  # (B, F, 17)
    now = known[:, REACH]
    frame = frame_of(stretch[:, REACH], now)
    at = REACH + np.array(OFFSETS)
    seen = known[:, at]
    window = np.where(seen[..., None], to_frame(frame, stretch[:, at]), 0.0)
    places, drifts = (np.zeros((len(stretch), 2, 17, 3)) for _ in range(2))
    nearness = np.zeros((len(stretch), 2, 17))
    row, joint = np.nonzero(~now)
    for side, sign in enumerate((-1, 1)):
        # (N, REACH) sights of that joint, the nearest first.
        sights = known[row, REACH + sign :: sign, joint][:, :REACH]
        found = sights.any(axis=1)
        r, j, away = row[found], joint[found], sights[found].argmax(axis=1) + 1
        then = REACH + sign * away
        own = frame_of(stretch[r, then], known[r, then])
        rows = np.arange(len(r))
        places[r, side, j] = to_frame(own, stretch[r, then])[rows, j]
        nearness[r, side, j] = 1 / away
        further = np.clip(then + sign * _DRIFT, 0, 2 * REACH)
        moved = to_frame(own, stretch[r, further])[rows, j] - places[r, side, j]
        drifts[r, side, j] = np.nan_to_num(moved) / _DRIFT
    return Surroundings(frame, window, seen, places, drifts, nearness)
