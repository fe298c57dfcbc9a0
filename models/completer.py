"""Joints that no camera saw, drawn from what is seen of the body now and around now, with a spread.

A conditional Gaussian over a window of frames (`completer_window`) makes the first guess and a
rectified flow (`completer_network`) carries draws of it to where bodies have their joints. Without
PyTorch: the Gaussian in numpy, the velocity in ONNX Runtime.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .completer_window import (
    DIMS,
    MIDDLE,
    REACH,
    Conditional,
    Surroundings,
    WindowGaussian,
    surroundings,
)
from .errors import WeightsMissing
from .prior import open_motion_model
from .prior_frame import from_frame
from .weights import default_weights

__all__ = ["COMPLETER_FORMAT", "Completed", "Completer", "SampleSettings", "integrate",
           "packaged_completer"]  # fmt: skip

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]
Solver: TypeAlias = Literal["euler", "heun", "adaptive"]

COMPLETER_FORMAT = "quadglass-completer/1"
MIN_SEEN = 8  # joints of the frame in question; fewer do not tell where the body is
_SMALLEST_STEP = 1 / 64


@dataclass(frozen=True, slots=True)
class SampleSettings:
    """How the way from guess to pose is walked."""

    samples: int = 16  # draws, in opposite pairs
    solver: Solver = "heun"
    steps: int = 3  # of Euler and Heun
    tolerance: float = 0.002  # metres of error a step, of the adaptive solver
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Completed:
    """Every joint of B bodies; what was seen stays as measured."""

    joints: F64  # (B, 17, 3) metres in the world; means of the samples where unseen
    sigma_m: F64  # (B, 17) one standard deviation per axis where unseen, NaN where seen
    samples: F64  # (B, S, 17, 3)


class Completer:
    """Holds the Gaussian and an ONNX Runtime session on the velocity field.

    Args:
        path: of the ONNX file; None takes the packaged one.
        threads: of the session.

    Raises:
        WeightsMissing: no such file.
        WeightsDamaged: it cannot be read, or is no completer of ours.
    """

    def __init__(self, path: Path | None = None, threads: int = 1) -> None:
        path = path or default_weights("completer")
        self._session, told = open_motion_model(path, COMPLETER_FORMAT, threads)
        nothing = {
            one.name: np.zeros((1, one.shape[1]), np.float32) for one in self._session.get_inputs()
        }
        mean, triangle = self._session.run(("window_mean", "window_precision"), nothing)
        precision = np.zeros((len(mean), len(mean)))
        precision[np.tril_indices(len(mean))] = triangle
        precision += np.tril(precision, -1).T
        self.gaussian = WindowGaussian(mean.astype(np.float64), precision, float(told["noise_m"]))
        self._widening = float(told["widening"])  # of the samples' spread, from validation clips

    def complete(
        self, stretch: F64, settings: SampleSettings | None = None, *, gaussian_only: bool = False
    ) -> Completed:
        """The middle frame's joints, those unseen drawn.

        Args:
            stretch: (B, 2 * REACH + 1, 17, 3) metres, z up, `RATE_HZ` apart, NaN where unseen;
                frames that do not exist are unseen.
            settings: number of draws and solver.
            gaussian_only: leave the flow out, for comparison.
        """
        settings = settings or SampleSettings()
        around = surroundings(stretch)
        given = self.gaussian.condition(around.window, around.seen)
        drawn = self._drawn(given, settings)  # (B, S, 51)
        widening = 1.0
        if not gaussian_only:
            drawn = self._carried(given, around, drawn, settings)
            widening = self._widening
        mean = drawn.mean(axis=1, keepdims=True)
        drawn = (mean + widening * (drawn - mean)).reshape(len(stretch), settings.samples, 17, 3)
        mean = mean.reshape(-1, 17, 3)
        frame, now = around.frame, around.seen[:, MIDDLE]
        sigma = np.sqrt(((drawn - mean[:, None]) ** 2).mean(axis=(1, 3))) * frame.size[:, None]
        joints = np.where(now[..., None], stretch[:, REACH], from_frame(frame, mean))
        return Completed(joints, np.where(now, np.nan, sigma), from_frame(frame, drawn))

    def _drawn(self, given: Conditional, settings: SampleSettings) -> F64:
        """(B, S, 51) draws of the conditional Gaussian, in opposite pairs."""
        rng = np.random.default_rng(settings.seed)
        half = rng.normal(size=(len(given.mean), (settings.samples + 1) // 2, DIMS))
        noise = np.concatenate([half, -half], axis=1)[:, : settings.samples]
        return np.asarray(given.mean[:, None] + noise @ given.root.mT)

    def _carried(
        self, given: Conditional, around: Surroundings, drawn: F64, settings: SampleSettings
    ) -> F64:
        """The draws taken along the flow; seen joints stay."""
        rows, samples = drawn.shape[:2]
        now = around.seen[:, MIDDLE]
        hidden = np.repeat(~now, 3, axis=1)[:, None]  # (B, 1, 51)
        shown = {
            "seen": now,
            "filled": given.filled,
            "spread": given.spread,
            "places": around.places.reshape(rows, -1),
            "drifts": around.drifts.reshape(rows, -1),
            "nearness": around.nearness.reshape(rows, -1),
        }
        told = {
            name: np.repeat(array, samples, axis=0).astype(np.float32)
            for name, array in shown.items()
        }

        def velocity(place: F64, time: float) -> F64:
            state = place.reshape(-1, DIMS).astype(np.float32)
            times = np.full((rows * samples, 1), time, dtype=np.float32)
            (said,) = self._session.run(("velocity",), {**told, "state": state, "time": times})
            return np.where(hidden, said.reshape(place.shape), 0.0)

        return integrate(velocity, drawn, settings)


def integrate(velocity: Callable[[F64, float], F64], start: F64, settings: SampleSettings) -> F64:
    """Follow a velocity field from time 0 to 1.

    Euler's and Heun's method in equal steps, or Heun's with steps halved and doubled by its
    distance from Euler's (Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I,
    section II.4).

    Args:
        velocity: of a place (any shape) and a time.
        start: the place at time 0.
        settings: solver, steps, tolerance.
    """
    place, time = start, 0.0
    step = 1.0 / (settings.steps if settings.solver != "adaptive" else 4)
    while time < 1.0 - 1e-9:
        step = min(step, 1.0 - time)
        first = velocity(place, time)
        if settings.solver == "euler":
            place, time = place + step * first, time + step
            continue
        second = velocity(place + step * first, time + step)
        error = 0.5 * step * float(np.abs(second - first).max(initial=0.0))
        if settings.solver == "adaptive" and error > settings.tolerance and step > _SMALLEST_STEP:
            step /= 2
            continue
        place, time = place + 0.5 * step * (first + second), time + step
        if settings.solver == "adaptive" and error < settings.tolerance / 4:
            step *= 2
    return place


@cache
def packaged_completer() -> Completer | None:
    """The packaged completer, opened once; None if no weights are packaged."""
    try:
        return Completer()
    except WeightsMissing:
        return None
