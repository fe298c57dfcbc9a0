"""Cameras that were not started or clocked together: offset and drift of each, with confidence.

First whole frames, by trying shifts (`sync_search.py`). Then the fraction: people are followed,
their joints in every view read at common moments, and the times of all cameras and all positions
adjusted together (Gauss-Newton) until the rays meet. A joint that moves at v pixels a second and is
seen to s pixels says where its camera's clock is to s / v; thousands of them say it to a fraction
of a millisecond. Only what moves counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from calibration.camera import Camera
from calibration.rig import Rig

from .errors import NotSynchronizable, TooFewCameras
from .frame import CaptureSettings
from .people import F64
from .streams import Stream
from .sync_equations import UNKNOWNS, system
from .sync_search import SearchSettings, coarse_offsets
from .sync_tracks import Clock, ViewTracks, followed

__all__ = ["CameraSync", "Sync", "SyncSettings", "synchronize"]


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """How clocks are found."""

    search: SearchSettings = field(default_factory=SearchSettings)
    capture: CaptureSettings = field(default_factory=CaptureSettings)
    stretches: int = 8  # looked at, spread over the take
    stretch_s: float = 3.0
    rounds: int = 2  # of following people anew with better clocks
    steps: int = 6  # of Gauss-Newton in each, at most
    converged_s: float = 3e-5
    drift_from_s: float = 30.0  # a shorter take says nothing of a drift
    max_sigma_frames: float = 0.5  # known less well, an offset is not to be used
    calibration_px: float = 10.0  # by which a camera's whole picture may lie off, one sigma
    huber: float = 2.0  # residuals beyond so many of their typical size count less


@dataclass(frozen=True, slots=True)
class CameraSync:
    """One camera's clock against the reference's; `Clock` says how they relate."""

    camera: str
    clock: Clock
    offset_frames: float  # in the middle of the take, frames of this camera
    sigma_frames: float
    drift_ppm: float  # 0 where the take is too short to tell
    sigma_ppm: float | None  # None where it was not estimated


@dataclass(frozen=True, slots=True)
class Sync:
    """All cameras' clocks."""

    reference: str
    cameras: tuple[CameraSync, ...]
    residual_px: tuple[float, float]  # median before (whole frames) and after
    frames: Mapping[str, int]  # that each camera gave

    def clocks(self) -> dict[str, Clock]:
        """By camera name."""
        return {one.camera: one.clock for one in self.cameras}


def synchronize(
    rig: Rig, streams: Mapping[str, Stream], settings: SyncSettings | None = None
) -> Sync:
    """Offsets and drifts of all cameras from people's motion.

    Args:
        rig: the calibrated cameras.
        streams: two or more; the first is the reference.
        settings: reach and effort.

    Raises:
        TooFewCameras: fewer than two.
        NotSynchronizable: nobody moves in view of two cameras, or the result is too unsure.
    """
    settings = settings or SyncSettings()
    if len(streams) < 2:
        raise TooFewCameras(f"{len(streams)} camera given; there is nothing to synchronize with")
    coarse = coarse_offsets(rig, streams, settings.search)
    clocks = {name: Clock(offset) for name, offset in coarse.items()}
    names = tuple(streams)
    middle, span = _common(streams, clocks)
    with_drift = span >= settings.drift_from_s
    cameras = tuple(rig.camera(name) for name in names)
    before = after = np.nan
    theta = np.array([[coarse[name], 0.0] for name in names])  # offset at the middle, drift
    covariance = np.zeros((2 * len(names),) * 2)
    for round_ in range(settings.rounds):
        moments = _moments(streams, middle, span, settings)
        tracks = [followed(rig, streams, clocks, part, settings.capture) for part in moments]
        for step in range(settings.steps):
            old = theta
            fit = _step(cameras, names, tracks, moments, theta, middle, with_drift, settings)
            theta, covariance, after = fit
            if round_ == 0 and step == 0:
                before = after
            if np.abs(theta[:, 0] - old[:, 0]).max() < settings.converged_s:
                break
        clocks = _clocks(names, theta, middle)
    *_, after = _step(cameras, names, tracks, moments, theta, middle, with_drift, settings)
    return _told(streams, theta, covariance, clocks, (float(before), float(after)), with_drift,
                 settings)  # fmt: skip


def _common(streams: Mapping[str, Stream], clocks: Mapping[str, Clock]) -> tuple[float, float]:
    """Middle and length of what all cameras cover, by the reference."""
    ends = [clocks[name].reference_s(s.times_s[[0, -1]]) for name, s in streams.items()]
    first, last = max(end[0] for end in ends), min(end[1] for end in ends)
    if last - first < 0.5:
        raise NotSynchronizable(
            f"the cameras have {max(0.0, last - first):.2f} s in common; 0.5 s are needed"
        )
    return float(first + last) / 2, float(last - first)


def _moments(
    streams: Mapping[str, Stream], middle: float, span: float, settings: SyncSettings
) -> list[F64]:
    """Stretches of common moments, one frame apart, spread over the take."""
    step = max(stream.step_s for stream in streams.values())
    length = min(settings.stretch_s, span - 2 * step)
    count = int(np.clip(span // max(length, step), 1, settings.stretches))
    room = span - 2 * step - length
    starts = middle - span / 2 + step + room * (np.arange(count) / max(count - 1, 1))
    return [start + np.arange(0.0, length, step) for start in starts]


def _clocks(names: tuple[str, ...], theta: F64, middle: float) -> dict[str, Clock]:
    """`theta` holds offsets at the middle of the take; a clock's offset is at its zero."""
    # reference = own + offset + drift * (reference - middle)
    clocks = {}
    for name, (offset, drift) in zip(names, theta.tolist(), strict=True):
        rate = 1.0 / (1.0 - drift)
        clocks[name] = Clock((offset - drift * middle) * rate, rate - 1.0)
    return clocks


def _step(
    cameras: tuple[Camera, ...],
    names: tuple[str, ...],
    tracks: list[dict[str, ViewTracks]],
    moments: list[F64],
    theta: F64,
    middle: float,
    with_drift: bool,
    settings: SyncSettings,
) -> tuple[F64, F64, float]:
    """Better (V, 2) offsets and drifts, their covariance, and the median residual in pixels."""
    clocks = _clocks(names, theta, middle)
    systems = []
    for part, tracked in zip(moments, tracks, strict=True):
        read = [tracked[name].at(clocks[name].own_s(part)) for name in names]
        if read[0][0].shape[1]:
            solve = settings.capture.triangulate
            systems.append(system(cameras, read, part, middle, solve, settings.huber))
    sizes = [system.sizes for system in systems if len(system.sizes)]
    if not sizes:
        raise NotSynchronizable(
            "no joint is seen by two cameras at a time; check that the rig belongs to these views"
        )
    matrix = np.sum([s.matrix for s in systems], axis=0)
    vector = np.sum([s.vector for s in systems], axis=0)
    # The reference stands still; without drift only the offsets move.
    by_camera = np.zeros((len(names), UNKNOWNS), dtype=np.bool_)
    by_camera[1:, 0], by_camera[1:, 1], by_camera[:, 2:] = True, with_drift, True
    free = by_camera.reshape(-1)
    # Pictures off by a shift are as likely as a calibration of that error; without a limit they
    # could all be off together.
    noise2 = float(np.median(np.concatenate(sizes))) ** 2
    matrix[np.diag_indices_from(matrix)] += (
        np.tile([0.0, 0.0, 1.0, 1.0], len(names)) * noise2 / settings.calibration_px**2
    )
    inner = matrix[np.ix_(free, free)]
    scale = 1.0 / np.sqrt(np.maximum(np.diag(inner), 1e-30))
    if np.linalg.cond(inner * np.outer(scale, scale)) > 1e10:
        raise NotSynchronizable("people stand still: their motion says nothing of the clocks")
    inverse = np.linalg.inv(inner)
    # What one half second asks for against another is the noise, whatever in it hangs together.
    asks = np.array([part for s in systems for part in s.parts])[:, free]
    change = inverse @ vector[free]
    asks = asks - asks.mean(axis=0)  # at the solution they add up to nothing
    spread = asks.T @ asks * len(asks) / max(1, len(asks) - asks.shape[1])
    covariance = np.zeros_like(matrix)
    covariance[np.ix_(free, free)] = inverse @ spread @ inverse
    moved = np.zeros(len(free))
    moved[free] = change
    clock = (UNKNOWNS * np.arange(len(names))[:, None] + [0, 1]).reshape(-1)
    return (
        theta + moved[clock].reshape(-1, 2),
        covariance[np.ix_(clock, clock)],
        float(np.sqrt(noise2)),
    )


def _told(
    streams: Mapping[str, Stream],
    theta: F64,
    covariance: F64,
    clocks: Mapping[str, Clock],
    residual_px: tuple[float, float],
    with_drift: bool,
    settings: SyncSettings,
) -> Sync:
    """The clocks in frames and millionths, refused where they are too unsure."""
    sigma = np.sqrt(np.diag(covariance)).reshape(-1, 2)
    told = []
    for v, (name, stream) in enumerate(streams.items()):
        frames, sigma_frames = theta[v, 0] / stream.step_s, sigma[v, 0] / stream.step_s
        if not sigma_frames <= settings.max_sigma_frames:
            raise NotSynchronizable(
                f"camera {name!r}: its offset is known to {sigma_frames:.2f} frames only; "
                "somebody must move more, in view of this camera and another"
            )
        drift = 1e6 * clocks[name].drift
        told.append(
            CameraSync(name, clocks[name], float(frames), float(sigma_frames),
                       float(drift), float(1e6 * sigma[v, 1]) if with_drift else None)
        )  # fmt: skip
    frames_of = {name: len(stream.people) for name, stream in streams.items()}
    return Sync(next(iter(streams)), tuple(told), residual_px, frames_of)
