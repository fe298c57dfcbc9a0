"""Whether a lens model can follow the lens: what is left of the corners along the radius."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .bundle import noise_px
from .lens_choice import LensChoice
from .normal_equations import residuals
from .refinement import Refined

# Rings about the principal point with as many corners each.
RINGS = 12
MIN_IN_RING = 20
# The squares of the rings' means, in those of chance, must pass what chance does to them (the mean
# of twelve plus five deviations).
CHANCE = RINGS + 5.0 * np.sqrt(2.0 * RINGS)


@dataclass(frozen=True, slots=True)
class RadialBias:
    """What a camera's corners have in common ring by ring: noise has nothing."""

    bias_px: float  # RMS over the rings, chance taken off
    noise_px: float  # of one coordinate of one corner
    certain: bool  # more than chance does


@dataclass(frozen=True, slots=True)
class ModelEvidence:
    """What the residuals say of one camera's lens model."""

    bias: RadialBias
    given: bool  # the distortion was given and kept


def lens_models(refined: Refined, choices: Mapping[str, LensChoice]) -> dict[str, ModelEvidence]:
    """The evidence of every camera."""
    return {
        name: ModelEvidence(radial_bias(refined, index), "distortion" in choices[name].fixed)
        for index, name in enumerate(refined.problem.cameras)
    }


def radial_bias(refined: Refined, index: int) -> RadialBias:
    """The bias of one camera's lens."""
    problem, estimate = refined.problem, refined.fit.estimate
    rows = problem.camera_of == index
    used = problem.used[rows]
    off = residuals(problem, estimate)
    noise = noise_px(problem, off)
    out = problem.pixels[rows][used] - estimate.intrinsics[index, 2:4]
    radius = np.linalg.norm(out, axis=1)
    along = (off[rows][used] * out).sum(axis=1) / np.maximum(radius, 1e-9)
    if len(along) < RINGS * MIN_IN_RING:
        return RadialBias(0.0, noise, False)
    rings = np.array_split(along[np.argsort(radius)], RINGS)
    means = np.array([ring.mean() for ring in rings])
    by_chance = np.array([noise**2 / len(ring) for ring in rings])
    excess = float(np.mean(means**2 - by_chance))
    certain = bool(np.sum(means**2 / by_chance) > CHANCE)
    return RadialBias(float(np.sqrt(max(excess, 0.0))), noise, certain)
