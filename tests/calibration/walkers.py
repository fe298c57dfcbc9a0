"""People who walk before cameras: joints as a detector finds them, wrong ones among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.camera import Camera, project
from calibration.drift_joints import Joints

JOINTS = 17
# Detectors err for a while in one way: of their error half the variance stays for so many frames.
STEADY_FRAMES = 15


def walk(
    seed: int,
    cameras: Sequence[Camera],
    *,
    frames: int = 150,
    noise_px: float = 3.0,
    wrong: float = 0.05,
    unseen: float = 0.1,
) -> Joints:
    """One person on a round path in the middle, for five seconds.

    Args:
        seed: of the path and of every error.
        cameras: where they stand now.
        frames: at 30 Hz.
        noise_px: error per axis; half of its variance is steady for half a second.
        wrong: share of sightings that are some 100 px off.
        unseen: share that are missing.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(frames) / 30.0
    path = np.stack([0.7 * np.sin(t), 0.7 * np.cos(0.7 * t), np.full(frames, 1.0)], axis=1)
    body = rng.normal(0.0, [0.2, 0.2, 0.45], (JOINTS, 3))
    swing = 0.1 * np.sin(3.0 * t[:, None, None] + rng.uniform(0, 6, (JOINTS, 3)))
    points = (path[:, None] + body + swing).reshape(-1, 3)
    moments = np.repeat(np.arange(frames), JOINTS)
    pixels = np.stack([project(camera, points) for camera in cameras], axis=1)
    steady = rng.normal(0, noise_px, (frames // STEADY_FRAMES + 1, JOINTS, len(cameras), 2))
    error = rng.normal(0, noise_px, pixels.shape)
    error += steady[moments // STEADY_FRAMES, np.tile(np.arange(JOINTS), frames)]
    pixels = pixels + error / np.sqrt(2.0)
    off = rng.random(pixels.shape[:2]) < wrong
    pixels[off] += rng.normal(0, 80.0, (int(off.sum()), 2))
    pixels[rng.random(pixels.shape[:2]) < unseen] = np.nan
    return Joints(pixels, moments)
