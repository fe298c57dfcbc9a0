"""Batches for the refiner: windows of clips on bodies, spoiled, smoothed classically and packed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from kernels.packing import first_fit

from ..kalman_smoother import SmootherSettings
from ..refiner_tracks import batch_of, features
from .motion_clips import RATE_HZ
from .poses import Track, mirrored_track
from .refiner_network import Tokens
from .spoiled import SpoilSettings, spoil

__all__ = ["DrawSettings", "Lesson", "lessons", "pack"]

F64: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DrawSettings:
    """How windows are drawn."""

    frames: tuple[int, int] = (24, 96)
    pool: int = 64  # windows drawn and smoothed at a time
    repeats: int = 3  # times a pool is learned from: making one takes as long as learning from it
    room: int = 1024  # tokens of a batch at most; windows are put in by first fit
    speed: tuple[float, float] = (0.8, 1.25)  # motions are also played slower and faster
    spoiling: SpoilSettings = field(default_factory=SpoilSettings)


@dataclass(frozen=True, slots=True)
class Lesson:
    """Packed tokens and what the network should say of them."""

    tokens: Tokens
    away_m: Tensor  # (T, 17, 3) from the smoother's places to the true ones, in the body's axes
    unit_m: Tensor  # (T, 17, 1) metres of an answer of one


def lessons(
    tracks: Sequence[Track],
    smoother: SmootherSettings,
    settings: DrawSettings,
    rng: np.random.Generator,
) -> Iterator[Lesson]:
    """Batches without end, each of at most ``room`` real tokens and no other."""
    weights = np.array([len(track.joints) for track in tracks], dtype=np.float64)
    weights /= weights.sum()
    while True:
        windows = [
            _window(tracks[int(rng.choice(len(tracks), p=weights))].joints, settings, rng)
            for _ in range(settings.pool)
        ]
        made = list(pack(windows, smoother, settings, rng))
        for _ in range(settings.repeats):
            yield from made


def pack(
    windows: Sequence[F64],
    smoother: SmootherSettings,
    settings: DrawSettings,
    rng: np.random.Generator,
) -> Iterator[Lesson]:
    """Windows (F, 17, 3) spoiled and made batches, by first fit."""
    raw = [spoil(window, RATE_HZ, settings.spoiling, rng) for window in windows]
    batch = batch_of(raw, smoother)
    tokens, world = features(batch)
    lag = smoother.lag or 0
    truth = np.zeros_like(batch.base.positions)
    for row, window in enumerate(windows):
        late = np.concatenate([np.repeat(window[:1], lag, 0), window])[: len(window)]
        truth[row, : len(window)] = late
    # What is left to say, in the body's axes; the smoother's place is the origin there.
    away = (truth - batch.base.positions) @ world
    unit = np.clip(batch.base.sigma_m, 0.004, 0.15)[..., None]
    for chosen in first_fit(batch.lengths, settings.room):
        lengths = [batch.lengths[i] for i in chosen]
        joined = [
            np.concatenate([array[i, :n] for i, n in zip(chosen, lengths, strict=True)])
            for array in (tokens, away, unit)
        ]
        rows, left, units = (torch.from_numpy(array.astype(np.float32)) for array in joined)
        offsets = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
        positions = torch.cat([torch.arange(n) for n in lengths])
        yield Lesson(Tokens(rows, offsets, positions, max(lengths)), left, units)


def _window(joints: F64, settings: DrawSettings, rng: np.random.Generator) -> F64:
    """Some frames of a track, perhaps mirrored, slower or faster."""
    low, high = settings.frames
    frames = int(rng.integers(low, high + 1))
    speed = rng.uniform(*settings.speed)
    need = int(np.ceil(frames * speed)) + 1
    if need > len(joints):
        frames, speed, need = min(frames, len(joints)), 1.0, min(frames, len(joints))
    start = int(rng.integers(0, len(joints) - need + 1))
    part = joints[start : start + need]
    at = np.arange(frames) * speed
    # A straight line between frames would have no acceleration but at the frames.
    moved = CubicSpline(np.arange(len(part)), part)(at) if speed != 1.0 else part[:frames]
    return mirrored_track(moved) if rng.random() < 0.5 else moved
