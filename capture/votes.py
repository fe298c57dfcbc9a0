"""What two sightings, or a sighting and a track, say about showing one person.

One person's rays through a joint pass each other closely, two people's anywhere: every joint that
both have votes with its log-likelihood ratio, weighted by its scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.compiled import compiled

from .observations import Observations
from .people import F64, Prediction

__all__ = ["AssociateSettings", "SightingRays", "between_views", "to_tracks"]

MIN_SIN2 = 1e-4  # rays within 0.6 degrees of parallel pass each other closely whoever they show
MIN_DEPTH_M = 0.1


@dataclass(frozen=True, slots=True)
class AssociateSettings:
    """How closely the rays of one person pass each other."""

    # One sigma per axis as a share of the picture's longer side, as in TriangulateSettings.
    noise: float = 0.0035
    noise_m: float = 0.03  # of a joint on the body, and of the calibration, one sigma
    spread_m: float = 1.0  # how far apart the rays of two different people typically pass
    min_score: float = 0.1  # joints below do not vote
    min_joints: int = 3  # fewer joints in common say nothing


@dataclass(frozen=True, slots=True)
class SightingRays:
    """The joints' rays in the world, joints first."""

    center: F64  # (S, 3)
    direction: F64  # (J, S, 3) unit
    moment: F64  # (J, S, 3) center x direction
    weight: F64  # (J, S) square root of score, 0 unseen
    noise: F64  # (S,) metres of noise per metre of depth

    @staticmethod
    def of(seen: Observations, settings: AssociateSettings) -> SightingRays:
        """The rays of all sightings; unseen joints look along the optical axis with weight 0."""
        rotation = np.stack([camera.cam_from_world[:3, :3] for camera in seen.cameras])
        centers = np.stack([camera.center_world for camera in seen.cameras])
        longer = [max(camera.size_px) / camera.K[0, 0] for camera in seen.cameras]
        if compiled():
            from .associate_numba import rays  # numba is imported on first use

            direction, moment, weight = rays(
                seen.view,
                np.ascontiguousarray(seen.norm),  # another layout would be compiled anew
                np.ascontiguousarray(seen.scores),
                rotation,
                centers,
                settings.min_score,
            )
        else:
            direction, moment, weight = rays_plain(
                seen, rotation[seen.view], centers[seen.view], settings.min_score
            )
        noise = settings.noise * np.array(longer)[seen.view]
        return SightingRays(centers[seen.view], direction, moment, weight, noise)


def rays_plain(
    seen: Observations, rotation: F64, center: F64, min_score: float
) -> tuple[F64, F64, F64]:
    """The definition in numpy, and the path without numba: directions, moments and weights."""
    usable = seen.scores >= min_score
    cam = np.ones((*usable.shape, 3))  # (S, J, 3)
    cam[..., :2] = np.where(usable[..., None], seen.norm, 0.0)
    cam /= np.sqrt((cam * cam).sum(axis=2, keepdims=True))
    direction = np.ascontiguousarray((cam @ rotation).transpose(1, 0, 2))  # (J, S, 3)
    # center x direction, written out: np.cross takes five times as long on so few.
    x, y, z = np.moveaxis(direction, 2, 0)
    a, b, c = center.T
    moment = np.stack([b * z - c * y, c * x - a * z, a * y - b * x], axis=2)
    weight = np.sqrt(np.where(usable, seen.scores, 0.0)).T
    return direction, moment, np.ascontiguousarray(weight)


def between_views(seen: Observations, rays: SightingRays, settings: AssociateSettings) -> F64:
    """(S, S) log-likelihood ratio that two sightings are one person; of one view means nothing."""
    if not compiled():
        return between_views_plain(rays, settings)
    from . import associate_numba  # numba is imported on first use

    return np.asarray(
        associate_numba.between_views(
            seen.view,
            rays.center,
            rays.direction,
            rays.moment,
            rays.weight,
            rays.noise,
            settings.noise_m,
            settings.spread_m,
            settings.min_joints,
            MIN_SIN2,
            MIN_DEPTH_M,
        )
    )


def between_views_plain(rays: SightingRays, settings: AssociateSettings) -> F64:
    """The definition in numpy, and the path without numba."""
    direction, moment = rays.direction, rays.moment
    cos = direction @ direction.transpose(0, 2, 1)  # (J, S, S)
    sin2 = np.maximum(1.0 - cos**2, MIN_SIN2)
    # Pluecker: two lines' reciprocal product over the sine of their angle is their distance.
    cross = direction @ moment.transpose(0, 2, 1)
    distance2 = (cross + cross.transpose(0, 2, 1)) ** 2 / sin2
    # Depth along each ray where it passes the other: from (c2 - c1) . d1 and (c2 - c1) . d2.
    along = direction @ rays.center.T  # (J, S, S): d_a . c_b
    own = np.diagonal(along, axis1=1, axis2=2)[:, :, None]  # d_a . c_a
    ahead = along - own  # (c_b - c_a) . d_a
    depth = (ahead + cos * ahead.transpose(0, 2, 1)) / sin2
    behind = (depth < MIN_DEPTH_M) | (depth.transpose(0, 2, 1) < MIN_DEPTH_M)
    spread2 = (depth * rays.noise[:, None]) ** 2 + settings.noise_m**2
    variance = spread2 + spread2.transpose(0, 2, 1)
    ratio = _log_ratio(distance2, variance, behind, settings.spread_m)
    both = rays.weight[:, :, None] * rays.weight[:, None]
    both = np.where(1.0 - cos**2 < MIN_SIN2, 0.0, both)
    enough = (both > 0).sum(axis=0) >= settings.min_joints
    return np.where(enough, (both * ratio).sum(axis=0), 0.0)


def to_tracks(rays: SightingRays, tracks: Sequence[Prediction], settings: AssociateSettings) -> F64:
    """(S, T) log-likelihood ratio that a sighting shows a tracked person."""
    if not compiled():
        return to_tracks_plain(rays, tracks, settings)
    from . import associate_numba  # numba is imported on first use

    return np.asarray(
        associate_numba.to_tracks(
            rays.center,
            rays.direction,
            rays.weight,
            rays.noise,
            np.array([track.positions for track in tracks]),
            np.array([track.sigma_m for track in tracks]),
            settings.noise_m,
            settings.spread_m,
            settings.min_joints,
            MIN_DEPTH_M,
        )
    )


def to_tracks_plain(
    rays: SightingRays, tracks: Sequence[Prediction], settings: AssociateSettings
) -> F64:
    """The definition in numpy, and the path without numba."""
    positions = np.array([track.positions for track in tracks]).transpose(1, 0, 2)  # (J, T, 3)
    known = np.isfinite(positions[:, :, 0])  # (J, T)
    sigma = np.where(known, np.array([track.sigma_m for track in tracks]).T, 0.0)
    positions = np.where(known[..., None], positions, 0.0)
    to_point = positions[:, None] - rays.center[:, None]  # (J, S, T, 3)
    depth = np.einsum("jstx,jsx->jst", to_point, rays.direction)
    distance2 = np.maximum((to_point**2).sum(axis=3) - depth**2, 0.0)
    variance = (depth * rays.noise[:, None]) ** 2 + settings.noise_m**2 + sigma[:, None] ** 2
    # A point beside a ray is off in two directions, a ray in one; scoring both alike keeps a
    # track's vote comparable to a view's.
    ratio = _log_ratio(distance2, variance, depth < MIN_DEPTH_M, settings.spread_m)
    both = rays.weight[:, :, None] * known[:, None]
    enough = (both > 0).sum(axis=0) >= settings.min_joints
    return np.where(enough, (both * ratio).sum(axis=0), 0.0)


def _log_ratio(distance2: F64, variance: F64, behind: NDArray[np.bool_], spread_m: float) -> F64:
    """Gaussian of the noise against flat over `spread_m`, cut off so one joint cannot veto.

    Rays that pass behind a camera get the cut-off value.
    """
    gain = -0.5 * np.log(variance * (2 * np.pi / spread_m**2))
    floor = -np.abs(gain)
    ratio = np.maximum(gain - 0.5 * distance2 / variance, floor)
    return np.where(behind, floor, ratio)
