"""Joints over time by a Kalman filter and its backward pass, many tracks at once, in numpy.

Each joint moves at constant velocity under white acceleration noise; the three axes share one
covariance. A measurement that lies further off than the gate allows is taken to be as uncertain as
it looks: its noise is raised until it lies at the gate, so an outlier pulls less the further it is
(Rauch, Tung, Striebel 1965 for the backward pass).
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Smoothed", "SmootherSettings", "smooth"]

F64: TypeAlias = NDArray[np.float64]

_UNKNOWN_M = 1.0  # sigma of a joint before it was seen
_START_M_S = 1.5  # how fast it may be moving then


@dataclass(frozen=True, slots=True)
class SmootherSettings:
    """How people move; the best on the training clips, see ``benchmarks/motion_refiner.py``."""

    acceleration: float = 1.5  # m/s^2 per sqrt(Hz), white
    gate: float = 2.0  # sigmas
    decay_s: float = 0.3  # in which a speed that nothing confirms falls to a third
    lag: int | None = None  # frames that may be looked ahead; None looks at the whole track


@dataclass(frozen=True, slots=True)
class Smoothed:
    """Estimates of every frame.

    With a lag d they are of frame i - d by what was measured up to frame i, and ``ahead[k]`` of
    frame i - d + k by the same; ``ahead`` holds d + 1 arrays, or one without a lag.
    """

    positions: F64  # (B, F, J, 3) metres
    sigma_m: F64  # (B, F, J) one standard deviation an axis
    ahead: tuple[F64, ...]


def smooth(measured: F64, sigma_m: F64, rate_hz: float, settings: SmootherSettings) -> Smoothed:
    """Every joint of every track, missing frames filled.

    Args:
        measured: (B, F, J, 3) metres, NaN where missing.
        sigma_m: (B, F, J) of the measurements an axis, anything where missing.
        rate_hz: of the frames.
        settings: of the motion.
    """
    forward = _filter(measured, sigma_m, 1 / rate_hz, settings)
    gains = _backward_gains(forward, 1 / rate_hz, settings)
    if settings.lag is None:
        positions, sigma = _whole(forward, gains)
        return Smoothed(positions, sigma, (positions,))
    return _lagged(forward, gains, settings.lag)


@dataclass(frozen=True, slots=True)
class _Forward:
    """States (position, velocity) and covariances (of position, of both, of velocity)."""

    guessed: F64  # (F, 2, B, J, 3) before each frame was seen
    guessed_p: F64  # (F, 3, B, J)
    known: F64  # (F, 2, B, J, 3) after it
    known_p: F64  # (F, 3, B, J)


def _filter(measured: F64, sigma_m: F64, dt: float, settings: SmootherSettings) -> _Forward:
    tracks, frames, joints = measured.shape[:3]
    place, speed = np.zeros((tracks, joints, 3)), np.zeros((tracks, joints, 3))
    begun = np.zeros((tracks, joints), dtype=np.bool_)
    p = np.full((tracks, joints), _UNKNOWN_M**2)
    c, v = np.zeros_like(p), np.full_like(p, _START_M_S**2)
    q, keep = settings.acceleration**2, float(np.exp(-dt / settings.decay_s))
    shape = (frames, 2, tracks, joints, 3)
    made = _Forward(
        np.empty(shape), np.empty((frames, 3, *p.shape)), np.empty(shape),
        np.empty((frames, 3, *p.shape)),
    )  # fmt: skip
    for frame in range(frames):
        if frame:
            place, speed = place + dt * speed, keep * speed
            p = p + 2 * dt * c + dt * dt * v + q * dt**3 / 3
            c, v = keep * (c + dt * v) + q * dt**2 / 2, keep**2 * v + q * dt
        seen = np.isfinite(measured[:, frame, :, 0])
        first = seen & ~begun
        if first.any():
            place = np.where(first[..., None], measured[:, frame], place)
        made.guessed[frame], made.guessed_p[frame] = (place, speed), (p, c, v)
        off = np.where(seen[..., None], measured[:, frame] - place, 0.0)
        noise = np.where(seen, sigma_m[:, frame], 1.0) ** 2
        # The length of three axes is compared, hence the 3.
        total = np.maximum(p + noise, (off * off).sum(2) / (3 * settings.gate**2))
        gain_p, gain_v = np.where(seen, p / total, 0.0), np.where(seen, c / total, 0.0)
        place, speed = place + gain_p[..., None] * off, speed + gain_v[..., None] * off
        p, c, v = p - gain_p * p, c - gain_p * c, v - gain_v * c
        begun |= seen
        made.known[frame], made.known_p[frame] = (place, speed), (p, c, v)
    return made


def _backward_gains(forward: _Forward, dt: float, settings: SmootherSettings) -> F64:
    """(F - 1, 4, B, J) the rows of each smoother gain, P F' (P at the next frame)^-1."""
    p, c, v = forward.known_p[:-1].swapaxes(0, 1)
    next_p, next_c, next_v = forward.guessed_p[1:].swapaxes(0, 1)
    det = np.maximum(next_p * next_v - next_c**2, 1e-18)
    keep = float(np.exp(-dt / settings.decay_s))
    a, b, d, e = p + dt * c, keep * c, c + dt * v, keep * v  # of P F'
    return np.stack(
        [(a * next_v - b * next_c) / det, (b * next_p - a * next_c) / det,
         (d * next_v - e * next_c) / det, (e * next_p - d * next_c) / det], axis=1
    )  # fmt: skip


def _step(known: F64, gain: F64, change: F64) -> F64:
    """One step back: (..., 2, B, J, 3) states and what the next frame's changed by."""
    g = gain[..., None]
    place = (
        g[..., 0, :, :, :] * change[..., 0, :, :, :] + g[..., 1, :, :, :] * change[..., 1, :, :, :]
    )
    speed = (
        g[..., 2, :, :, :] * change[..., 0, :, :, :] + g[..., 3, :, :, :] * change[..., 1, :, :, :]
    )
    return known + np.stack([place, speed], axis=-4)


def _whole(forward: _Forward, gains: F64) -> tuple[F64, F64]:
    frames = len(forward.known)
    places, variances = np.empty_like(forward.known[:, 0]), np.empty_like(forward.known_p[:, 0])
    state, spread = forward.known[-1], forward.known_p[-1]
    places[-1], variances[-1] = state[0], spread[0]
    for frame in range(frames - 2, -1, -1):
        state = _step(forward.known[frame], gains[frame], state - forward.guessed[frame + 1])
        spread = _spread(
            forward.known_p[frame], gains[frame], spread - forward.guessed_p[frame + 1]
        )
        places[frame], variances[frame] = state[0], spread[0]
    return places.swapaxes(0, 1), np.sqrt(np.maximum(variances, 1e-12)).swapaxes(0, 1)


def _spread(known: F64, gain: F64, change: F64) -> F64:
    """The covariance one step back: known + G change G'."""
    g, h, k, m = (gain[..., row, :, :] for row in range(4))
    p, c, v = (change[..., row, :, :] for row in range(3))
    return known + np.stack(
        [g * g * p + 2 * g * h * c + h * h * v,
         g * k * p + (g * m + h * k) * c + h * m * v,
         k * k * p + 2 * k * m * c + m * m * v], axis=-3
    )  # fmt: skip


def _lagged(forward: _Forward, gains: F64, lag: int) -> Smoothed:
    """Each frame's last few estimates, all frames at once; the first frames look less far back."""
    frames = len(forward.known)
    now = np.arange(frames)
    state, spread = forward.known, forward.known_p
    ahead, sigma = [state[:, 0]], spread[:, 0]
    for back in range(1, lag + 1):
        at = np.maximum(now - back, 0)
        # Before the track's beginning there is nothing to go back to: the first frame stays.
        moves = (now >= back)[:, None, None, None]
        older = _step(
            forward.known[at],
            gains[at - (at >= len(gains))],
            state - forward.guessed[at + 1 - (at + 1 >= frames)],
        )
        wider = _spread(
            forward.known_p[at],
            gains[at - (at >= len(gains))],
            spread - forward.guessed_p[at + 1 - (at + 1 >= frames)],
        )
        state = np.where(moves[..., None], older, state)
        spread = np.where(moves, wider, spread)
        ahead.append(state[:, 0])
        sigma = spread[:, 0]
    ordered = tuple(part.swapaxes(0, 1) for part in reversed(ahead))
    return Smoothed(ordered[0], np.sqrt(np.maximum(sigma, 1e-12)).swapaxes(0, 1), ordered)
