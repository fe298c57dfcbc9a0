"""How far off filled-in joints are, and how honest their spread, beside the plain ways."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.camera import F64
from models.completer import Completer, SampleSettings
from models.completer_window import MIDDLE, surroundings
from models.prior_frame import from_frame
from models.training.motion_windows import AROUND, LIMB_PARTS, stretches_of

__all__ = ["SCENES", "completion"]

Bool = NDArray[np.bool_]

GAP = 15  # frames, half a second
LEVELS = (0.5, 0.8, 0.95)
_COVERAGE_SAMPLES = 64


@dataclass(frozen=True, slots=True)
class Scene:
    """What is hidden."""

    name: str
    joints: int  # hidden at random; 0 hides one limb's elbow and wrist or knee and ankle
    gap: int | None = GAP  # frames in a row; None hides them always
    live: bool = False  # nothing is known of what comes


SCENES = (
    Scene("1 joint, 0.5 s", 1),
    Scene("3 joints, 0.5 s", 3),
    Scene("6 joints, 0.5 s", 6),
    Scene("a limb, 0.5 s", 0),
    Scene("a limb, 0.5 s, live", 0, live=True),
    Scene("3 joints, always", 3, gap=None),
    Scene("a limb, always", 0, gap=None),
)


def completion(
    completer: Completer, tracks: Sequence[F64], windows: int, seed: int = 0
) -> list[dict[str, float | str]]:
    """One row per scene: mean distance in mm of ours and of the baselines, coverage, time."""
    return [_scene(completer, tracks, scene, windows, seed) for scene in SCENES]


def _scene(
    completer: Completer, tracks: Sequence[F64], scene: Scene, windows: int, seed: int
) -> dict[str, float | str]:
    rng = np.random.default_rng([seed, scene.joints, scene.gap or 0, scene.live])
    lengths = np.array([len(track) for track in tracks], dtype=np.float64)
    chosen = rng.choice(len(tracks), windows, p=lengths / lengths.sum())
    pairs = [_stretch(tracks[number], scene, rng) for number in chosen]
    window, joints = (np.stack(part) for part in zip(*pairs, strict=True))
    around = surroundings(window)
    between = from_frame(around.frame, around.between())
    hidden = ~around.seen[:, MIDDLE]
    begun = time.process_time()
    ours = completer.complete(window)
    ms = 1000 * (time.process_time() - begun) / windows
    gaussian = completer.complete(window, gaussian_only=True)
    many = SampleSettings(samples=_COVERAGE_SAMPLES)
    row: dict[str, float | str] = {
        "scene": scene.name,
        "completer_mm": _mm(ours.joints, joints, hidden),
        "gaussian_mm": _mm(gaussian.joints, joints, hidden),
        "interpolation_mm": _mm(between, joints, hidden),
        "completer_median_mm": _mm(ours.joints, joints, hidden, median=True),
        "gaussian_median_mm": _mm(gaussian.joints, joints, hidden, median=True),
        "sigma_mm": float(1000 * np.nanmean(ours.sigma_m)),
        "ms": ms,
    }
    for name, made in (
        ("", completer.complete(window, many)),
        ("gaussian_", completer.complete(window, many, gaussian_only=True)),
    ):
        for level, share in zip(LEVELS, _coverage(made.samples, joints, hidden), strict=True):
            row[f"{name}coverage_{round(100 * level)}"] = share
    return row


def _stretch(track: F64, scene: Scene, rng: np.random.Generator) -> tuple[F64, F64]:
    """A stretch of motion as measured, and the truth of its middle."""
    middle = int(rng.integers(len(track)))
    hidden = (
        rng.permutation(17)[: scene.joints]
        if scene.joints
        else np.array(LIMB_PARTS[rng.integers(len(LIMB_PARTS))])
    )
    there = np.ones((1, len(AROUND), 17), dtype=np.bool_)
    if scene.gap is None:
        there[:, :, hidden] = False
    else:
        start = -int(rng.integers(scene.gap))
        gone = (start <= AROUND) & (start + scene.gap > AROUND)
        there[np.ix_([0], gone, hidden)] = False
    if scene.live:
        there[:, AROUND > 0] = False
    made = stretches_of(track, np.array([middle]), there, rng)
    return made.shown[0], made.truth[0]


def _mm(made: F64, truth: F64, hidden: Bool, *, median: bool = False) -> float:
    off = np.linalg.norm(made - truth, axis=2)[hidden]
    if not np.isfinite(off).any():
        return float("nan")
    return float(1000 * (np.nanmedian(off) if median else np.nanmean(off)))


def _coverage(samples: F64, truth: F64, hidden: Bool) -> list[float]:
    """Share of hidden coordinates inside the central intervals of the samples."""
    rows = np.moveaxis(samples, 1, -1)[hidden]  # (N, 3, S)
    wanted = truth[hidden]
    told = []
    for level in LEVELS:
        low, high = np.quantile(rows, [(1 - level) / 2, (1 + level) / 2], axis=2)
        told.append(float(((wanted >= low) & (wanted <= high)).mean()))
    return told
