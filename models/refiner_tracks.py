"""What the refiner looks at: tracks as a capture measured them, and its tokens of their frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .kalman_smoother import Smoothed, SmootherSettings, smooth

__all__ = ["LAG", "WIDTH", "Batch", "RawTrack", "batch_of", "features", "moved_by", "width_of"]

F64: TypeAlias = NDArray[np.float64]
F32: TypeAlias = NDArray[np.float32]

LAG = 3  # frames that the online refiner waits, 0.1 s at 30 Hz
_BEFORE, _AFTER = 2, 2  # neighbours whose misfit a frame is told; online all up to the newest
_OTHERS = (0.3, 3.0)  # times the acceleration: slow motion wants more smoothing, fast less
_LEAST_M = 0.003  # no measurement is trusted more
_BONES = np.array(
    [(5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16), (5, 6), (11, 12),
     (5, 11), (6, 12), (0, 3), (0, 4), (1, 2), (3, 5), (4, 6)]
)  # fmt: skip
# (bones, 17) -1 where a bone starts and 1 where it ends.
_ENDS = np.eye(17)[_BONES[:, 1]] - np.eye(17)[_BONES[:, 0]]
_ACROSS = np.array([(11, 12), (5, 6)])  # from left to right: they tell the heading


@dataclass(frozen=True, slots=True)
class RawTrack:
    """One person over time, as measured."""

    positions: F64  # (F, 17, 3) metres, z up, NaN where missing
    sigma_mm: F64  # (F, 17) NaN where missing
    scores: F64  # (F, 17)
    views: NDArray[np.int64]  # (F, 17)
    reprojection_px: F64  # (F, 17)
    rate_hz: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Tracks side by side with the classical smoother's word on them; shorter ones padded."""

    measured: F64  # (B, F, 17, 3) NaN where missing
    told: F64  # (B, F, 17, 4) log sigma, score, views, residual, in small numbers; 0 where missing
    base: Smoothed
    others: tuple[F64, ...]  # (B, F, 17, 3) each: smoothed more, and less
    lag: int | None
    lengths: tuple[int, ...]
    rate_hz: float


def batch_of(tracks: Sequence[RawTrack], settings: SmootherSettings) -> Batch:
    """Tracks of one rate, smoothed classically.

    Args:
        tracks: at least one, each with a frame at least.
        settings: of the smoother.
    """
    lengths = tuple(len(track.positions) for track in tracks)
    shape = (len(tracks), max(lengths), tracks[0].positions.shape[1])
    measured, sigma = np.full((*shape, 3), np.nan), np.full(shape, np.nan)
    told = np.zeros((*shape, 4))
    for row, track in enumerate(tracks):
        size = lengths[row]
        measured[row, :size] = track.positions
        sigma[row, :size] = np.maximum(track.sigma_mm / 1000, _LEAST_M)
        told[row, :size, :, 0] = np.log(np.maximum(track.sigma_mm, 3.0) / 15)
        told[row, :size, :, 1] = track.scores
        told[row, :size, :, 2] = track.views / 4
        told[row, :size, :, 3] = np.log(np.clip(track.reprojection_px, 0.2, 50) / 2)
    measured = np.where(np.isfinite(measured).all(axis=3, keepdims=True), measured, np.nan)
    told[~np.isfinite(measured[..., 0])] = 0.0
    told = np.nan_to_num(told)
    sigma = np.where(np.isfinite(sigma), sigma, 0.05)  # measured, but nobody said how well
    rate_hz = tracks[0].rate_hz
    base = smooth(measured, sigma, rate_hz, settings)
    others = tuple(
        smooth(measured, sigma, rate_hz, replace(settings, acceleration=by * settings.acceleration))
        for by in _OTHERS
    )
    places = tuple(one.positions for one in others)
    return Batch(measured, told, base, places, settings.lag, lengths, rate_hz)


def width_of(lag: int | None) -> int:
    """Numbers that a frame's token holds."""
    near = _BEFORE + 1 + (_AFTER if lag is None else lag)
    return 17 * (3 + 3 + 1 + 4 * near + 4 + 3 * len(_OTHERS) + 3) + 2 * len(_BONES)


WIDTH = width_of(None)


def features(batch: Batch) -> tuple[F32, F64]:
    """What the network is told of each frame, and how its answer becomes metres.

    Everything is turned to the body's heading and told from the middle of its hips. With a lag d
    the token of frame i is about frame i - d and holds what was measured up to frame i.

    Returns:
        (B, F, width) tokens, and (B, F, 3, 3) world_from_body.
    """
    place, lag = batch.base.positions, 0 if batch.lag is None else batch.lag
    turn = _headings(place, causal=batch.lag is not None)  # (B, F, 3, 3) body_from_world
    root = place[:, :, 11:13].mean(axis=2, keepdims=True)
    step = np.diff(place, axis=1, prepend=place[:, :1]) * batch.rate_hz
    parts = [
        _turned(turn, place - root),
        _turned(turn, step) / 2,
        np.log(batch.base.sigma_m / 0.01)[..., None],
    ]
    newest = _AFTER if batch.lag is None else lag
    for k in range(-_BEFORE, newest + 1):
        guess = batch.base.ahead[k] if 0 <= k < len(batch.base.ahead) else _shifted(place, -k)
        seen = _shifted(batch.measured, lag - k)
        off = _turned(turn, seen - guess) / 0.03
        there = np.isfinite(off[..., :1])
        off = np.where(there, off, 0.0)
        # An outlier should not drown everything: linear to 60 mm, then logarithmic.
        size = np.linalg.norm(off, axis=3, keepdims=True) / 2
        parts += [
            off * np.where(size > 1, (1 + np.log(np.maximum(size, 1))) / np.maximum(size, 1), 1),
            there,
        ]
    parts.append(_shifted(batch.told, lag))
    parts += [_turned(turn, other - place) / 0.03 for other in batch.others]
    bone = place[:, :, _BONES[:, 0]] - place[:, :, _BONES[:, 1]]  # (B, F, bones, 3)
    length = np.linalg.norm(bone, axis=3)
    usual = _usual(length, batch)
    stretch = np.clip((length - usual) / 0.03, -5, 5)
    # How each joint would have to move for its bones to be as long as usual.
    pull = bone / np.maximum(length, 1e-6)[..., None] * stretch[..., None]
    parts.append(_turned(turn, (pull.swapaxes(2, 3) @ _ENDS).swapaxes(2, 3)) / 2)
    joints = np.concatenate(parts, axis=3)
    bones = np.concatenate([stretch, usual], axis=2)
    tokens = np.concatenate([joints.reshape(*joints.shape[:2], -1), bones], axis=2)
    return tokens.astype(np.float32), turn.swapaxes(2, 3)


def moved_by(batch: Batch, answer: F32, world_from_body: F64) -> F64:
    """The smoother's places moved by what the network says, in units of the smoother's sigma.

    Args:
        batch: that was asked about.
        answer: (B, F, 51)
        world_from_body: (B, F, 3, 3)

    Returns:
        (B, F, 17, 3) metres.
    """
    unit = np.clip(batch.base.sigma_m, 0.004, 0.15)[..., None]
    move = answer.reshape(*answer.shape[:2], 17, 3) * unit
    return np.asarray(batch.base.positions + _turned(world_from_body, move))


def _turned(turn: F64, vectors: F64) -> F64:
    """(B, F, N, 3) turned by (B, F, 3, 3)."""
    return np.asarray(vectors @ turn.swapaxes(2, 3))


def _shifted(series: F64, later: int) -> F64:
    """What lay ``later`` frames earlier; beyond the ends what lies there."""
    if later == 0:
        return series
    if later > 0:
        return np.concatenate(
            [np.repeat(series[:, :1], min(later, series.shape[1]), 1), series[:, :-later]], axis=1
        )
    return np.concatenate(
        [series[:, -later:], np.repeat(series[:, -1:], min(-later, series.shape[1]), 1)], axis=1
    )


def _headings(place: F64, *, causal: bool) -> F64:
    """(B, F, 3, 3) turns about z that bring the body's left to y, frame by frame, smoothed."""
    left = (place[:, :, _ACROSS[:, 0], :2] - place[:, :, _ACROSS[:, 1], :2]).sum(
        axis=2
    )  # (B, F, 2)
    reach = 5  # frames on each side: a heading that jitters would jitter everything
    total = np.cumsum(np.pad(left, ((0, 0), (1, 0), (0, 0))), axis=1)
    frames = left.shape[1]
    now = np.arange(frames)
    first, last = (
        np.maximum(now - reach, 0),
        now + 1 if causal else np.minimum(now + reach + 1, frames),
    )
    mean = total[:, last] - total[:, first]
    mean /= np.maximum(np.linalg.norm(mean, axis=2, keepdims=True), 1e-6)
    x, y = mean[..., 0], mean[..., 1]
    zero, one = np.zeros_like(x), np.ones_like(x)
    rows = [y, -x, zero, x, y, zero, zero, zero, one]  # forward, left, up
    return np.stack(rows, axis=2).reshape(*x.shape, 3, 3)


def _usual(length: F64, batch: Batch) -> F64:
    """(B, F, bones) mean lengths: of the whole track, or online of what is past."""
    real = (np.arange(length.shape[1]) < np.array(batch.lengths)[:, None])[..., None]
    if batch.lag is None:
        mean = (length * real).sum(1, keepdims=True) / real.sum(1, keepdims=True)
        return np.broadcast_to(mean, length.shape)
    return np.cumsum(length, axis=1) / np.arange(1, length.shape[1] + 1)[:, None]
