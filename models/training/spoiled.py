"""True tracks as a capture measures them: noise, outliers, gaps, and what it says of them.

Errors are white from frame to frame unless asked for otherwise. What is said of a measurement
(sigma, views, score, residual) tells something of its error, but not all: half of the outliers
look like any other measurement.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..refiner_tracks import RawTrack

__all__ = ["SpoilSettings", "spoil"]

F64: TypeAlias = NDArray[np.float64]

# Hands and feet are found less well than shoulders; the mean of the squares is about one.
_JOINT_SHARE = np.array(
    [0.8, 0.8, 0.8, 0.85, 0.85, 0.9, 0.9, 1.05, 1.05, 1.25, 1.25, 1.0, 1.0, 1.0, 1.0, 1.2, 1.2]
)


@dataclass(frozen=True, slots=True)
class SpoilSettings:
    """What is done to a track."""

    noise_mm: tuple[float, float] = (5.0, 30.0)  # an axis; each track has its own
    outliers: float = 0.05  # of the joints that are measured
    outlier_mm: tuple[float, float] = (80.0, 400.0)
    joint_gaps: float = 0.08  # of a joint's frames, in gaps of:
    gap_frames: tuple[int, int] = (1, 15)
    body_gaps: float = 0.02  # of all frames
    drifting: float = 0.0  # share of the noise's variance that lasts for about 0.2 s


def spoil(
    joints: F64, rate_hz: float, settings: SpoilSettings, rng: np.random.Generator
) -> RawTrack:
    """A track as measured.

    Args:
        joints: (F, 17, 3) true places in metres.
        rate_hz: of the frames.
        settings: what to do.
        rng: decides.
    """
    frames, count = joints.shape[:2]
    level = rng.uniform(*settings.noise_mm) / 1000
    views = _views(frames, count, rng)
    # Two views see less than four, and some moments are worse than others.
    true_sigma = (
        level * _JOINT_SHARE * np.sqrt(3.2 / views) * rng.lognormal(0, 0.2, (frames, count))
    )
    white = rng.normal(size=joints.shape)
    if settings.drifting:
        keep = np.exp(-1 / (0.2 * rate_hz))
        lasting = _correlated(joints.shape, keep, rng)
        white = np.sqrt(1 - settings.drifting) * white + np.sqrt(settings.drifting) * lasting
    measured = joints + true_sigma[..., None] * white
    out = rng.random((frames, count)) < settings.outliers
    way = rng.normal(size=joints.shape)
    way /= np.linalg.norm(way, axis=2, keepdims=True)
    far = rng.uniform(*settings.outlier_mm, (frames, count)) / 1000
    measured = np.where(out[..., None], joints + far[..., None] * way, measured)
    told = out & (rng.random((frames, count)) < 0.5)
    doubt = np.where(told, rng.uniform(1.5, 3.0, (frames, count)), 1.0)
    sigma = true_sigma * doubt * rng.lognormal(0, 0.25, (frames, count))
    residual = 2.0 * doubt * rng.lognormal(0, 0.4, (frames, count))
    score = np.clip(1.0 - 12 * sigma + rng.normal(0, 0.1, (frames, count)), 0.05, 1.0)
    missing = _gaps(frames, count, settings, rng)
    return RawTrack(
        positions=np.where(missing[..., None], np.nan, measured),
        sigma_mm=np.where(missing, np.nan, sigma * 1000),
        scores=np.where(missing, 0.0, score),
        views=np.where(missing, 0, views),
        reprojection_px=np.where(missing, np.nan, residual),
        rate_hz=rate_hz,
    )


def _views(frames: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(F, J) how many cameras saw a joint: 2 to 4, the same for some time."""
    changes = rng.random((frames, count)) < 0.1
    changes[0] = True
    drawn = rng.choice([2, 3, 4], size=(frames, count), p=[0.25, 0.3, 0.45])
    last = np.maximum.accumulate(np.where(changes, np.arange(frames)[:, None], 0), axis=0)
    return np.asarray(np.take_along_axis(drawn, last, axis=0))


def _correlated(shape: tuple[int, ...], keep: float, rng: np.random.Generator) -> F64:
    """Of variance one, each frame ``keep`` times the one before plus something new."""
    values = rng.normal(size=shape)
    for frame in range(1, shape[0]):
        values[frame] = keep * values[frame - 1] + np.sqrt(1 - keep**2) * values[frame]
    return values


def _gaps(
    frames: int, count: int, settings: SpoilSettings, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(F, J) True where nothing was measured; the first frame always is."""
    low, high = settings.gap_frames
    mean = (low + high) / 2
    missing = np.zeros((frames, count), dtype=np.bool_)
    for joint in range(count):
        for start in np.flatnonzero(rng.random(frames) < settings.joint_gaps / mean):
            missing[start : start + int(rng.integers(low, high + 1)), joint] = True
    for start in np.flatnonzero(rng.random(frames) < settings.body_gaps / mean):
        missing[start : start + int(rng.integers(low, high + 1))] = True
    missing[0] = False
    return missing
