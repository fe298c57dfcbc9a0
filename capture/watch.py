"""What a running capture says about itself: residuals, bone lengths, latency, cameras that drift.

All of it in constant memory (`online.py`). A camera that was pushed shows first in its residuals:
the pixels between where it sees joints and where the other views put them. They are taken second
by second, because frames of one second err alike; each camera's last ten seconds or so are held
against all of its past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from calibration.camera import calibrated_from_frame, project
from calibration.rig import Rig

from .anatomy import BONES
from .errors import BadResult
from .online import Running, Steps, following, mean_after, quantile_after, started
from .people import F64, NO_ID, Person

__all__ = ["CameraDrift", "Watch", "WatchSettings", "bone_lengths", "view_residuals"]

_FIRST = [a for a, _, _ in BONES]
_SECOND = [b for _, b, _ in BONES]
SHARES = (0.5, 0.95)  # quantiles that are followed
STATE_FORMAT = "quadglass-watch/1"
MAX_PEOPLE = 256  # whose bones are kept; the first to have come are forgotten first


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """When a camera is said to drift."""

    block_s: float = 1.0
    step: float = 0.1  # of the recent residual: its memory is ten blocks
    settle_blocks: int = 20  # so long a past is needed before anything is said
    sigmas: float = 6.0  # how far the recent residual must lie above the past's
    rise: float = 1.3  # and by what factor: people who come nearer raise it too


@dataclass(frozen=True, slots=True)
class CameraDrift:
    """A camera whose view no longer fits the others'."""

    camera: str
    recent_px: float
    usual_px: float
    sigmas: float

    def message(self) -> str:
        """What to tell a person, and what to do about it."""
        return (
            f"camera {self.camera!r}: joints lie {self.recent_px:.1f} px from where the other "
            f"views put them, {self.usual_px:.1f} px before; it may have been moved: check it "
            "with `quadglass check-rig`, or calibrate again"
        )


@dataclass(slots=True)
class Watch:
    """A capture's running estimates (state). Feed it each frame's named people in order."""

    rig: Rig
    settings: WatchSettings = field(default_factory=WatchSettings)
    _residuals: dict[float, Running] = field(default_factory=dict)  # by share, per camera
    _latency: dict[float, Running] = field(default_factory=dict)
    _bones: dict[int, Running] = field(default_factory=dict)
    _block: int | None = None
    _block_mean: Running = field(default_factory=started)
    _usual: Running = field(default_factory=started)
    _variance: Running = field(default_factory=started)
    _recent: F64 = field(default_factory=lambda: np.zeros(0))
    _last: F64 = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        shape = (len(self.rig.cameras),)
        self._residuals = {share: started(shape) for share in SHARES}
        self._latency = {share: started() for share in SHARES}
        self._block_mean, self._usual, self._variance = (started(shape) for _ in range(3))
        self._recent = self._last = np.full(shape, np.nan)

    def update(
        self,
        people: Sequence[Person],
        timestamp_ns: int,
        timings_ms: Mapping[str, float] | None = None,
    ) -> None:
        """Take in one frame set."""
        block = int(timestamp_ns * 1e-9 // self.settings.block_s)
        if self._block is not None and block != self._block:
            self._close_block()
        self._block = block
        residual = view_residuals(self.rig, people)
        self._block_mean = mean_after(self._block_mean, residual, Steps(g=1.0))
        for share in SHARES:
            self._residuals[share] = quantile_after(self._residuals[share], residual, share)
            if timings_ms:
                total = np.float64(sum(timings_ms.values()))
                self._latency[share] = quantile_after(
                    self._latency[share], np.asarray(total), share
                )
        for person in people:
            if person.id != NO_ID:
                # The median: a joint that is wrong now and then does not lengthen a bone.
                before = self._bones.get(person.id) or started((len(BONES),))
                lengths = bone_lengths(person.positions)
                self._bones[person.id] = quantile_after(before, lengths, 0.5)
        while len(self._bones) > MAX_PEOPLE:
            del self._bones[next(iter(self._bones))]

    def bones_m(self, identity: int) -> F64 | None:
        """(B,) median lengths of `anatomy.BONES`, NaN where never seen; None for a stranger."""
        running = self._bones.get(identity)
        return None if running is None else running.average

    def residual_px(self, share: float = 0.5) -> dict[str, float]:
        """That quantile of each camera's residuals, NaN where it saw nobody."""
        values = self._residuals[share].average.tolist()
        return dict(zip(self.rig.names, values, strict=True))

    def latency_ms(self, share: float = 0.5) -> float:
        """That quantile of the time a frame set took, NaN if it was never told."""
        return float(self._latency[share].average)

    def drifting(self) -> tuple[CameraDrift, ...]:
        """Cameras to be looked at, the worst first; none while the past is short."""
        settings, usual = self.settings, self._usual.average
        # Of the recent value by its constant step, and of the mean of the past.
        count = np.maximum(self._usual.count, 1.0)
        noise = self._variance.last * (settings.step / (2.0 - settings.step) + 1.0 / count)
        with np.errstate(invalid="ignore", divide="ignore"):
            sigmas = (self._recent - usual) / np.sqrt(noise)
        settled = self._usual.count >= settings.settle_blocks
        moved = settled & (sigmas > settings.sigmas) & (self._recent > settings.rise * usual)
        found = [
            CameraDrift(
                self.rig.names[v], float(self._recent[v]), float(usual[v]), float(sigmas[v])
            )
            for v in np.flatnonzero(moved)
        ]
        # One camera that moved drags the points with it and raises the others' residuals too.
        return tuple(sorted(found, key=lambda drift: -drift.recent_px / drift.usual_px))

    def state(self) -> dict[str, Any]:
        """All that it knows, as JSON-able values."""
        return {
            "format": STATE_FORMAT,
            "cameras": list(self.rig.names),
            "residuals": {str(share): _listed(one) for share, one in self._residuals.items()},
            "latency": {str(share): _listed(one) for share, one in self._latency.items()},
            "bones": {str(identity): _listed(one) for identity, one in self._bones.items()},
            "block": self._block,
            "block_mean": _listed(self._block_mean),
            "usual": _listed(self._usual),
            "variance": _listed(self._variance),
            "recent": _numbers(self._recent),
            "last": _numbers(self._last),
        }

    @staticmethod
    def restore(rig: Rig, settings: WatchSettings | None, state: Mapping[str, Any]) -> Watch:
        """A watch that goes on where `state` was taken.

        Raises:
            BadResult: the state is not one that `state()` gave for these cameras.
        """
        watch = Watch(rig, settings or WatchSettings())
        try:
            if state["format"] != STATE_FORMAT or tuple(state["cameras"]) != rig.names:
                raise ValueError(f"format {state['format']!r} of cameras {state['cameras']}")
            watch._residuals = {share: _running(state["residuals"][str(share)]) for share in SHARES}
            watch._latency = {share: _running(state["latency"][str(share)]) for share in SHARES}
            watch._bones = {int(one): _running(bones) for one, bones in state["bones"].items()}
            watch._block = state["block"]
            watch._block_mean = _running(state["block_mean"])
            watch._usual = _running(state["usual"])
            watch._variance = _running(state["variance"])
            watch._recent, watch._last = _array(state["recent"]), _array(state["last"])
        except (KeyError, TypeError, ValueError) as error:
            raise BadResult(
                f"not a watch's state for these cameras ({type(error).__name__}: {error}); "
                "start to watch anew"
            ) from error
        return watch

    def _close_block(self) -> None:
        """A second is over: the recent residual follows it, the past takes it in."""
        mean = self._block_mean.last
        # Half the squared step from block to block: the noise without the trend (von Neumann).
        step2 = 0.5 * (mean - self._last) ** 2
        self._variance = mean_after(self._variance, step2, Steps(g=1.0))
        self._recent = following(self._recent, mean, self.settings.step)
        self._usual = mean_after(self._usual, mean, Steps(g=1.0))
        self._last = np.where(np.isfinite(mean), mean, self._last)
        self._block_mean = started(mean.shape)


def view_residuals(rig: Rig, people: Sequence[Person]) -> F64:
    """(V,) median pixels between what a camera sees and the joints in metres, NaN without any.

    Views that were left out as outliers count too: they are the ones to be found out.
    """
    residual = np.full(len(rig.cameras), np.nan)
    for v, camera in enumerate(rig.cameras):
        off = [
            calibrated_from_frame(camera, person.sightings[camera.name].joints_px)
            - project(camera, person.positions)
            for person in people
            if camera.name in person.sightings
        ]
        if off:
            distance = np.hypot(*np.concatenate(off).T)
            known = np.isfinite(distance)
            if known.any():
                residual[v] = np.median(distance[known])
    return residual


def bone_lengths(positions: F64) -> F64:
    """(..., B) metres of `anatomy.BONES` in bodies (..., J, 3), NaN where an end is missing."""
    ends = positions[..., _FIRST, :] - positions[..., _SECOND, :]
    return np.asarray(np.sqrt((ends**2).sum(axis=-1)))


def _listed(running: Running) -> dict[str, Any]:
    return {one.name: _numbers(getattr(running, one.name)) for one in fields(Running)}


def _running(values: Mapping[str, Any]) -> Running:
    return Running(**{one.name: _array(values[one.name]) for one in fields(Running)})


def _numbers(array: F64) -> Any:
    """Numbers in lists as the array is shaped, None for NaN."""
    numbers = np.array(array, dtype=object)
    numbers[~np.isfinite(array)] = None
    return numbers.tolist()


def _array(values: Any) -> F64:
    return np.asarray(values, dtype=np.float64)
