"""Paying for compilation before the first picture comes."""

import time

import numpy as np

from .compiled import compiled
from .grouping_fast import GroupRules, JointPeaks, group_peaks
from .peaks import find_peaks
from .preprocess import Normalisation, preprocess

__all__ = ["warm_up"]


def warm_up() -> float:
    """Seconds it took to make the CPU path ready, 0.0 if numba is not there to compile it.

    About ten seconds of processor time on a new machine, under one after that: compiled code is
    kept beside the source, or in the user's cache folder. Worth a line in an image's build.
    """
    if not compiled():
        return 0.0
    start = time.perf_counter()
    heat = np.zeros((1, 1, 4, 4), dtype=np.float32)
    found = find_peaks(heat, heat[:, :, None])
    flat = [array[0].astype(np.float64) for array in (found.cells, found.scores, found.tags)]
    peaks = JointPeaks(flat[0], flat[1], flat[2], flat[0], flat[1])
    group_peaks(peaks, np.zeros((0, 1, 2)), GroupRules(order=(0,), torso=(0,)))
    # Pictures over 257 times their input in height would compile a wider sum; they are rare.
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    for normalisation in (None, Normalisation()):
        preprocess([picture], [(2, 2)], (2, 2), normalisation)
    return time.perf_counter() - start
