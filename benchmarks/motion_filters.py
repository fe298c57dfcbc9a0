"""Classical filters over whole tracks, as the refiner's peers: filled, gated, at any setting.

Online filters may wait: with a lag d the output of frame i is taken for frame i - d.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.signal import butter, sosfilt, sosfilt_zi

from calibration.camera import F64
from capture.smooth import OneEuroSettings, SmoothSettings, smooth_series
from models.kalman_smoother import SmootherSettings
from models.refiner_tracks import RawTrack, batch_of

__all__ = ["Filter", "best_of", "live_filters", "offline_filters"]

_NEAR = 3  # frames on each side that a measurement is compared with
_MAD = 1.4826  # median distance to sigma, of a Gaussian along an axis; near enough for a length
_LONGEST_GAP_S = 100.0  # every gap is to be filled


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter at one setting."""

    kind: str
    setting: str
    run: Callable[[RawTrack], F64]  # (F, 17, 3); with a lag frame i holds the estimate of i - d


def offline_filters() -> Iterator[Filter]:
    """Butterworth forth and back and Kalman with its backward pass, over a grid of settings."""
    for cutoff in (2.0, 2.5, 3.0, 4.0, 5.0, 6.0):
        for gate in (0.0, 3.0, 4.5):
            named = f"{cutoff} Hz, gate {gate or 'none'}"
            yield Filter(
                "Butterworth", named, lambda track, c=cutoff, g=gate: _butterworth(track, c, g)
            )
    yield from _kalman("Kalman/RTS", None)


def live_filters(lag: int) -> Iterator[Filter]:
    """One-Euro, Butterworth once and Kalman with a lag, over a grid of settings.

    The first two are late by themselves, the slower the filter, so the rest of the lag is for them
    to choose: their output ``shift`` frames after frame j, at most the lag, is taken for it.
    """
    for gate in (0.0, 3.0):
        for shift in range(lag + 1):
            named = f"gate {gate or 'none'}, shift {shift}"
            for least in (0.7, 1.5, 3.0, 6.0):
                for beta in (0.3, 1.0, 3.0):
                    euro = OneEuroSettings(least, beta, 1.0)

                    def one_euro(
                        track: RawTrack, e: OneEuroSettings = euro, g: float = gate, s: int = shift
                    ) -> F64:
                        return _late(_one_euro(_held(_gated(track, g, s)), track, e), lag - s)

                    yield Filter("One-Euro", f"{least} Hz, beta {beta}, {named}", one_euro)
            for cutoff in (2.0, 3.0, 4.0, 5.0, 6.0, 8.0):

                def once(
                    track: RawTrack, c: float = cutoff, g: float = gate, s: int = shift
                ) -> F64:
                    return _late(_causal(_held(_gated(track, g, s)), track, c), lag - s)

                yield Filter("Butterworth", f"{cutoff} Hz once, {named}", once)
    yield from _kalman("Kalman", lag)


def _late(series: F64, frames: int) -> F64:
    """The same, that many frames later."""
    if not frames:
        return series
    return np.concatenate([np.repeat(series[:1], frames, axis=0), series[:-frames]])


def best_of(
    filters: Iterator[Filter], tracks: list[RawTrack], truth: list[F64], lag: int
) -> dict[str, Filter]:
    """Of each kind the setting with the lowest MPJPE on these tracks."""
    best: dict[str, tuple[float, Filter]] = {}
    for one in filters:
        off = np.concatenate(
            [
                np.linalg.norm(one.run(t)[lag:] - x[: len(x) - lag], axis=2).ravel()
                for t, x in zip(tracks, truth, strict=True)
            ]
        )
        found = float(off.mean())
        if one.kind not in best or found < best[one.kind][0]:
            best[one.kind] = (found, one)
    return {kind: one for kind, (_, one) in best.items()}


def _kalman(kind: str, lag: int | None) -> Iterator[Filter]:
    for acceleration in (0.7, 1.0, 1.5, 2.0, 3.0):
        for gate in (1.5, 2.0, 3.0):
            for decay in (0.15, 0.3, 1.0):
                settings = SmootherSettings(acceleration, gate, decay, lag)
                yield Filter(
                    kind,
                    f"{acceleration} m/s2/sqrt(Hz), gate {gate}, decay {decay} s",
                    lambda track, s=settings: batch_of([track], s).base.positions[0],
                )


def _butterworth(track: RawTrack, cutoff_hz: float, gate: float) -> F64:
    settings = SmoothSettings(cutoff_hz=cutoff_hz, max_gap_s=_LONGEST_GAP_S)
    smooth, _ = smooth_series(_gated(track, gate, _NEAR), track.rate_hz, settings)
    return _held(smooth)  # what is missing at an end has nothing to be bridged to


def _gated(track: RawTrack, gate: float, ahead: int) -> F64:
    """(F, 17, 3) without measurements that lie far from the median of those around them."""
    series = track.positions
    if not gate:
        return series
    around = np.full((_NEAR + ahead + 1, *series.shape), np.nan)
    for row, shift in enumerate(range(-_NEAR, ahead + 1)):
        source = series[max(0, shift) : len(series) + min(0, shift)]
        around[row, max(0, -shift) : len(series) - max(0, shift)] = source
    there = np.isfinite(around).any(axis=(0, 3))
    safe = np.where(there[None, ..., None], around, 0.0)
    middle = np.nanmedian(safe, axis=0)
    apart = np.linalg.norm(safe - middle, axis=3)
    spread = np.maximum(_MAD * np.nanmedian(apart, axis=0), 0.01)
    off = np.linalg.norm(series - middle, axis=2)
    return np.where((off > gate * spread)[..., None], np.nan, series)


def _held(series: F64) -> F64:
    """Missing joints stay where they were last; before the first sight, where it was."""
    frames = np.arange(len(series))[:, None]
    there = np.isfinite(series[..., 0])
    last = np.maximum.accumulate(np.where(there, frames, -1), axis=0)
    first = np.argmax(there, axis=0)
    source = np.where(last < 0, first, last)
    return np.take_along_axis(series, source[..., None], axis=0)


def _one_euro(series: F64, track: RawTrack, settings: OneEuroSettings) -> F64:
    """The filter of `capture.smooth.OneEuro` over a whole array."""
    dt = 1 / track.rate_hz

    def gain(cutoff_hz: Any) -> Any:
        return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * dt))

    out = series.copy()
    velocity = np.zeros_like(series[0])
    for frame in range(1, len(series)):
        rate = (series[frame] - out[frame - 1]) / dt
        velocity = velocity + gain(settings.derivative_cutoff_hz) * (rate - velocity)
        speed = np.linalg.norm(velocity, axis=1, keepdims=True)
        cutoff = settings.min_cutoff_hz + settings.beta * speed
        out[frame] = out[frame - 1] + gain(cutoff) * (series[frame] - out[frame - 1])
    return out


def _causal(series: F64, track: RawTrack, cutoff_hz: float) -> F64:
    sos = butter(2, cutoff_hz, fs=track.rate_hz, output="sos")
    start = sosfilt_zi(sos)[:, :, None, None] * series[0]
    return np.asarray(sosfilt(sos, series, axis=0, zi=start)[0])
