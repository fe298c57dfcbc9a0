"""Points in the world from pixels in several views, with what each of them is worth.

All points go through together: undistort, start at the point nearest to the rays (score-weighted,
linear), where the views disagree in the picture leave out the fewest that make the others agree,
then refine robustly. Nothing is ever filled in: a point without a position says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .agreeing import TRIM_MEDIANS, agreeing, trimmed
from .camera import F64, Camera, project, undistort
from .compiled import compiled
from .rays import (
    Bool,
    Rays,
    errors,
    gather,
    inverse3,
    normals,
    refine,
    sigmas_per_norm,
)

__all__ = ["Reason", "TriangulateSettings", "Triangulation", "triangulate", "undistorted"]


class Reason(IntEnum):
    """Why a point has a position, or has none."""

    TRIANGULATED = 0
    UNSEEN = 1  # in no view
    SINGLE_VIEW = 2  # in one view only
    REJECTED = 3  # seen, but the views contradict each other or the rays are near parallel


@dataclass(frozen=True, slots=True)
class TriangulateSettings:
    """What a view's pixel is worth, and when it is left out."""

    # One sigma per axis as a share of the picture's longer side: detectors look at a picture of
    # fixed size, so their error in pixels goes with it. 0.0035 is 6.7 px of 1920, what
    # OpenPose reaches on a person of half the picture's height. Corrected from the residuals.
    noise: float = 0.0035
    min_score: float = 0.1  # below, a joint counts as unseen
    gate_sigma: float = 2.2  # mean error of a point's views, in sigmas, beyond which they disagree
    # Among four views or more one that is wrong hardly moves that mean: after the fit, views are
    # left out that lie further off than this, and than four times the point's median error.
    trim_sigma: float = 5.0
    max_sigma_m: float = 0.15  # a point known less well than this is rejected
    prior_dof: float = 0.5  # how many residuals it takes to believe them over `noise`
    steps: int = 1  # robust reweightings; more moved a crowd's mean error by 0.02 mm


@dataclass(frozen=True, slots=True)
class Triangulation:
    """N points in the world."""

    points: F64  # (N, 3) metres, NaN where there is none
    sigma_m: F64  # (N,) one standard deviation per axis (root mean square of three), NaN
    reprojection_px: F64  # (N,) RMS over the views used, distorted calibrated pixels, NaN
    used: Bool  # (V, N) views that made the point
    dropped: Bool  # (V, N) views that saw the point and were left out as outliers
    reason: NDArray[np.int8]  # (N,) values of `Reason`


def undistorted(cameras: Sequence[Camera], joints_px: F64) -> F64:
    """Directions at z = 1 of all views' pixels.

    Args:
        cameras: V cameras.
        joints_px: (V, N, 2) distorted calibrated pixels, NaN unseen.

    Returns:
        (V, N, 2), NaN unseen.
    """
    return np.stack([undistort(camera, px) for camera, px in zip(cameras, joints_px, strict=True)])


def triangulate(
    cameras: Sequence[Camera],
    joints_px: F64,
    scores: F64,
    settings: TriangulateSettings | None = None,
    *,
    norm: F64 | None = None,
    groups: NDArray[np.int64] | None = None,
) -> Triangulation:
    """Points in the world from what several views say.

    Args:
        cameras: V calibrated cameras.
        joints_px: (V, N, 2) distorted calibrated pixels, NaN unseen.
        scores: (V, N) in [0, 1].
        settings: noise and gates.
        norm: (V, N, 2) the same pixels undistorted, if the caller has them already.
        groups: (N,) which points share one scale of noise, a person's joints for instance,
            numbered from 0; None takes all as one group.
    """
    settings = settings or TriangulateSettings()
    views, count = len(cameras), joints_px.shape[1]
    assert joints_px.shape == (views, count, 2), f"joints_px {joints_px.shape}"
    assert scores.shape == (views, count), f"scores {scores.shape}"
    if views == 0 or count == 0:
        return _nothing(views, count)
    if norm is None:
        norm = undistorted(cameras, joints_px)
    solve = _solved_fast if compiled() else _solved
    points, sigma, used, seen, reprojection = solve(
        cameras, joints_px, norm, scores, settings, groups
    )
    seen_by = seen.sum(axis=0)  # (N,)
    kept = used.any(axis=0) & (np.nan_to_num(sigma, nan=np.inf) <= settings.max_sigma_m)
    reason = np.full(count, Reason.REJECTED, dtype=np.int8)
    reason[seen_by == 0], reason[seen_by == 1] = Reason.UNSEEN, Reason.SINGLE_VIEW
    reason[kept] = Reason.TRIANGULATED
    used = used & kept
    return Triangulation(
        points=np.where(kept[:, None], points, np.nan),
        sigma_m=np.where(kept, sigma, np.nan),
        reprojection_px=np.where(kept, reprojection, np.nan),
        used=used,
        dropped=seen & ~used & (seen_by >= 2),
        reason=reason,
    )


_Solved = tuple[F64, F64, Bool, Bool, F64]  # points, sigmas, used, seen, reprojection


def _solved(
    cameras: Sequence[Camera],
    joints_px: F64,
    norm: F64,
    scores: F64,
    settings: TriangulateSettings,
    groups: NDArray[np.int64] | None,
) -> _Solved:
    """The definition in numpy, and the path without numba. Arguments as `triangulate`'s."""
    rays = gather(cameras, norm, scores, noise=settings.noise, min_score=settings.min_score)
    points, used = agreeing(rays, settings.gate_sigma)
    points = refine(rays, used, points, settings.steps)
    points, used = trimmed(rays, points, used, settings.trim_sigma, settings.steps)
    sigma, chi2 = _sigmas(rays, points, used)
    sigma *= _factor(chi2, used, settings.prior_dof, groups)
    world = np.ascontiguousarray(points.T)
    return world, sigma, used, rays.seen, _reprojection(cameras, world, joints_px, used)


def _solved_fast(
    cameras: Sequence[Camera],
    joints_px: F64,
    norm: F64,
    scores: F64,
    settings: TriangulateSettings,
    groups: NDArray[np.int64] | None,
) -> _Solved:
    """The same, compiled."""
    from .rays_numba import reproject  # numba is imported on first use
    from .triangulate_numba import solve

    poses = np.array([camera.cam_from_world[:3] for camera in cameras])
    fisheye = np.array([camera.model == "fisheye" for camera in cameras])
    points, sigma, chi2, used, seen = solve(
        poses,
        sigmas_per_norm(cameras, settings.noise),
        fisheye,
        norm,
        scores,
        settings.min_score,
        settings.gate_sigma,
        settings.trim_sigma,
        TRIM_MEDIANS,
        settings.steps,
    )
    sigma *= _factor(chi2, used, settings.prior_dof, groups)
    K, dist = np.array([camera.K for camera in cameras]), np.zeros((len(cameras), 8))
    for row, camera in zip(dist, cameras, strict=True):
        row[: len(camera.dist)] = camera.dist
    off = reproject(poses, K, dist, fisheye, points, joints_px, used)
    return points, sigma, used, seen, off


def _nothing(views: int, count: int) -> Triangulation:
    none, unused = np.full(count, np.nan), np.zeros((views, count), dtype=np.bool_)
    reason = np.full(count, Reason.UNSEEN, dtype=np.int8)
    return Triangulation(np.full((count, 3), np.nan), none, none.copy(), unused, unused, reason)


def _sigmas(rays: Rays, points: F64, used: Bool) -> tuple[F64, F64]:
    """(N,) metres, one standard deviation per axis, NaN without a point; and (N,) chi squared.

    The covariance of the weighted fit if the noise is as told, and how large the residuals are.
    """
    weight = rays.weight * used
    inverse = inverse3(normals(rays, weight))
    depth = np.einsum("vk,kn->vn", rays.R[:, 2], points) + rays.t[:, 2]  # (V, N)
    count = np.maximum(used.sum(axis=0), 1)
    noise2_m = np.where(used, (depth / rays.scale) ** 2, 0.0).sum(axis=0) / count
    sigma = np.sqrt((inverse[0, 0] + inverse[1, 1] + inverse[2, 2]) / 3 * noise2_m)
    size = np.where(used, weight * np.minimum(errors(rays, points), 1e6) ** 2, 0.0)
    return np.asarray(sigma), np.asarray(size.sum(axis=0))


def _factor(chi2: F64, used: Bool, prior_dof: float, groups: NDArray[np.int64] | None) -> F64:
    """(N,) by which the noise is larger than told, from the residuals of each point's group.

    Their mean square over their degrees of freedom (two per view, less three per point), drawn
    towards 1 by `prior_dof` imaginary ones.
    """
    found = used.sum(axis=0)
    freedom = np.where(found > 0, 2.0 * found - 3.0, 0.0)
    index = np.zeros(len(chi2), dtype=np.int64) if groups is None else groups
    total = prior_dof + np.bincount(index, chi2)
    return np.asarray(np.sqrt(total / (prior_dof + np.bincount(index, freedom)))[index])


def _reprojection(cameras: Sequence[Camera], points: F64, joints_px: F64, used: Bool) -> F64:
    """(N,) RMS distance in distorted pixels over the views used; NaN where none."""
    off = np.stack([project(camera, points) for camera in cameras]) - joints_px  # (V, N, 2)
    count = used.sum(axis=0)
    total = np.where(used, (off**2).sum(axis=2), 0.0).sum(axis=0)
    return np.asarray(np.sqrt(total / np.where(count > 0, count, np.nan)))
