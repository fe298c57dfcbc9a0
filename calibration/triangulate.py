"""Points in the world from pixels in several views, with what each of them is worth.

All points go through together: undistort, start at the point nearest to the rays (score-weighted,
linear), refine the reprojection error, and where a view disagrees find out by pairs of views which
one is wrong. Nothing is ever filled in: a point without a position says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from .camera import F64, Camera, project, undistort

__all__ = [
    "Reason",
    "TriangulateSettings",
    "Triangulation",
    "triangulate",
    "undistorted",
]

Bool = NDArray[np.bool_]

MIN_DEPTH_M = 0.05  # nearer than this to a camera, or behind it, nothing is seen
MIN_SCORE = 0.05  # a found joint counts at least this much, so no weight is zero
HUBER_SIGMA = 2.0  # detectors have heavier tails than a Gaussian: beyond this, weight falls as 1/e


class Reason(IntEnum):
    """Why a point has a position, or has none."""

    TRIANGULATED = 0
    UNSEEN = 1  # in no view
    SINGLE_VIEW = 2  # in one view only
    REJECTED = 3  # seen, but the views contradict each other or the rays are near parallel


@dataclass(frozen=True, slots=True)
class TriangulateSettings:
    """What a view's pixel is worth, and when it is thrown out.

    A joint's error has two parts: `noise_px`, the detector's grid, and `noise_m`, how vaguely a
    joint is placed on a body, which is larger in pixels the nearer the person. Both are one sigma
    per axis. The scale of the two together is corrected from the residuals (`prior_dof`).
    """

    noise_px: float = 2.0
    noise_m: float = 0.012
    min_score: float = 0.2  # below, a joint counts as unseen
    gate_sigma: float = 3.5  # a view further off than this is an outlier
    max_sigma_m: float = 0.15  # a point known less well than this is rejected
    prior_dof: float = 10.0  # residuals that it takes to believe them over noise_px and noise_m
    iterations: int = 2  # Gauss-Newton steps; the second moves the point by less than 0.1 mm


@dataclass(frozen=True, slots=True)
class Triangulation:
    """N points in the world."""

    points: F64  # (N, 3) metres, NaN where there is none
    sigma_m: F64  # (N,) one standard deviation per axis (root mean square of three), NaN
    reprojection_px: F64  # (N,) RMS over the views used, distorted calibrated pixels, NaN
    used: Bool  # (V, N) views that made the point
    dropped: Bool  # (V, N) views that saw the point and were left out as outliers
    reason: NDArray[np.int8]  # (N,) values of `Reason`


@dataclass(frozen=True, slots=True)
class _Views:
    """The same points in all views, undistorted, points last so that arithmetic runs along them."""

    R: F64  # (V, 3, 3)
    t: F64  # (V, 3, 1)
    focal: F64  # (V, 1)
    norm: F64  # (2, V, N) at z = 1, zero where unseen
    scale: F64  # (V, N) pixels per unit of norm
    seen: Bool  # (V, N)
    weight: F64  # (V, N) score, zero where unseen
    calibration_px: F64  # (V, 1) what the calibration itself adds, one sigma


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
    views_count, points_count = len(cameras), joints_px.shape[1]
    assert joints_px.shape == (views_count, points_count, 2), joints_px.shape
    assert scores.shape == (views_count, points_count), scores.shape
    if views_count == 0 or points_count == 0:
        return _nothing(views_count, points_count)
    if norm is None:
        norm = undistorted(cameras, joints_px)
    views = _gather(cameras, norm, scores, settings.min_score)
    seen_count = views.seen.sum(axis=0)  # (N,)

    used = views.seen & (seen_count >= 2)
    points = _solve(views, used, settings)
    error = _errors(views, points, settings)  # (V, N) in sigmas, inf behind the camera
    conflict = ((error > settings.gate_sigma) & used).any(axis=0)
    if conflict.any():
        which = np.flatnonzero(conflict)
        points[:, which], used[:, which] = _consensus(_take(views, which), settings)
        used[:, which] &= _errors(_take(views, which), points[:, which], settings) <= (
            settings.gate_sigma
        )
    kept = used.sum(axis=0) >= 2
    used &= kept
    points[:, ~kept] = np.nan
    sigma = _sigmas(views, points, used, settings, groups)
    with np.errstate(invalid="ignore"):
        kept &= sigma <= settings.max_sigma_m
    points[:, ~kept], sigma[~kept] = np.nan, np.nan
    used &= kept
    reason = np.full(points_count, Reason.REJECTED, dtype=np.int8)
    reason[kept], reason[seen_count == 1] = Reason.TRIANGULATED, Reason.SINGLE_VIEW
    reason[seen_count == 0] = Reason.UNSEEN
    result = np.ascontiguousarray(points.T)
    reprojection = _reprojection(cameras, result, joints_px, used)
    dropped = views.seen & ~used & (seen_count >= 2)
    return Triangulation(result, sigma, reprojection, used, dropped, reason)


def _nothing(views: int, points: int) -> Triangulation:
    none = np.full(points, np.nan)
    unused = np.zeros((views, points), dtype=np.bool_)
    reason = np.full(points, Reason.UNSEEN, dtype=np.int8)
    return Triangulation(np.full((points, 3), np.nan), none, none.copy(), unused, unused, reason)


def _gather(cameras: Sequence[Camera], norm: F64, scores: F64, min_score: float) -> _Views:
    seen = np.isfinite(norm).all(axis=2) & (scores >= min_score)  # NaN scores are unseen too
    poses = np.stack([camera.cam_from_world for camera in cameras])
    focal = np.array([[np.sqrt(camera.K[0, 0] * camera.K[1, 1])] for camera in cameras])
    flat = np.where(seen, norm.transpose(2, 0, 1), 0.0)  # (2, V, N)
    scale = np.broadcast_to(focal, seen.shape)
    if any(camera.model == "fisheye" for camera in cameras):
        # A fisheye's pixels per unit of norm shrink towards the rim, between cos(theta) squared
        # along the radius and theta / tan(theta) across it; cos(theta) lies between.
        fish = np.array([[camera.model == "fisheye"] for camera in cameras])
        scale = np.where(fish, scale / np.sqrt(1 + (flat**2).sum(axis=0)), scale)
    return _Views(
        R=poses[:, :3, :3],
        t=poses[:, :3, 3:],
        focal=focal,
        norm=flat,
        scale=np.asarray(scale),
        seen=seen,
        weight=np.where(seen, np.clip(scores, MIN_SCORE, 1.0), 0.0),
        calibration_px=np.array([[_calibration_px(camera)] for camera in cameras]),
    )


def _calibration_px(camera: Camera) -> float:
    """What focal length, centre and rotation are unsure of, in pixels half way to the edge."""
    if camera.sigma is None:
        return 0.0
    focal = float(np.sqrt(camera.K[0, 0] * camera.K[1, 1]))
    off_axis = 0.25 * float(np.hypot(*camera.size_px)) / focal
    sigma = camera.sigma
    parts = (sigma.focal_px * off_axis, sigma.center_px, focal * sigma.rotation_rad)
    return float(np.linalg.norm(parts))


def _take(views: _Views, which: NDArray[np.intp]) -> _Views:
    return _Views(
        R=views.R,
        t=views.t,
        focal=views.focal,
        norm=views.norm[:, :, which],
        scale=views.scale[:, which],
        seen=views.seen[:, which],
        weight=views.weight[:, which],
        calibration_px=views.calibration_px,
    )


def _solve(views: _Views, used: Bool, settings: TriangulateSettings) -> F64:
    """(3, N) points from the views in `used`: linear, then refined. NaN where they can't tell."""
    weight = views.weight * used
    points = _nearest_to_rays(*_ray_terms(views), weight)
    for _ in range(settings.iterations):
        residual, jacobian, variance, _ = _linearise(views, points, settings)
        size = np.sqrt((residual**2).sum(axis=0) / variance)  # (V, N) sigmas
        robust = weight / variance * (HUBER_SIGMA / np.maximum(size, HUBER_SIGMA))
        normal, gradient = _normal(residual, jacobian, robust)
        points = points - _solve3(normal, gradient)
    return points


def _ray_terms(views: _Views) -> tuple[F64, F64]:
    """Per view, what makes "distance to this ray" a quadratic form in the point.

    With d the ray's direction and c the centre, `|(I - d d^T)(x - c)|^2`.

    Returns:
        (V, 9, N) the projectors, (V, 3, N) the projected centres.
    """
    views_count, _, points_count = len(views.R), 3, views.norm.shape[2]
    ones = np.ones((1, views_count, points_count))
    cam = np.concatenate([views.norm, ones]).transpose(1, 0, 2)  # (V, 3, N)
    cam = cam / np.sqrt((cam**2).sum(axis=1, keepdims=True))
    rays = views.R.transpose(0, 2, 1) @ cam  # (V, 3, N)
    center = -views.R.transpose(0, 2, 1) @ views.t  # (V, 3, 1)
    projector = -rays[:, :, None] * rays[:, None]  # (V, 3, 3, N)
    for axis in range(3):
        projector[:, axis, axis] += 1.0
    offset = center - rays * (rays * center).sum(axis=1, keepdims=True)  # (V, 3, N)
    return projector.reshape(views_count, 9, points_count), offset


def _nearest_to_rays(projector: F64, offset: F64, weight: F64) -> F64:
    """(3, N) the points nearest to their rays in the weighted square; NaN where rays do not meet.

    Args:
        projector: (V, 9, N).
        offset: (V, 3, N).
        weight: (V, N), zero leaves a view out.
    """
    normal = np.einsum("vn,vin->in", weight, projector).reshape(3, 3, -1)
    return _solve3(normal, np.einsum("vn,vin->in", weight, offset))


def _linearise(
    views: _Views, points: F64, settings: TriangulateSettings
) -> tuple[F64, F64, F64, F64]:
    """Residuals of the points in all views and how they change with the points.

    Returns:
        residual (2, V, N) undistorted pixels, jacobian (2, V, 3, N) pixels per metre,
        variance (V, N) px^2 per axis, depth (V, N) metres; NaN points give NaN.
    """
    cam = views.R @ points + views.t  # (V, 3, N)
    depth = cam[:, 2]
    inverse = 1.0 / np.where(np.abs(depth) < 1e-9, 1e-9, depth)
    x, y = cam[:, 0] * inverse, cam[:, 1] * inverse
    residual = np.stack([x, y])
    residual -= views.norm
    residual *= views.scale
    per_m = views.scale * inverse  # (V, N) pixels per metre at that depth
    R = views.R[:, :, :, None]  # (V, 3, 3, 1)
    jacobian = np.stack([R[:, 0] - x[:, None] * R[:, 2], R[:, 1] - y[:, None] * R[:, 2]])
    jacobian *= per_m[:, None]
    variance = settings.noise_px**2 + (settings.noise_m * per_m) ** 2 + views.calibration_px**2
    return residual, jacobian, variance, depth


def _normal(residual: F64, jacobian: F64, weight: F64) -> tuple[F64, F64]:
    """(3, 3, N) weighted normal matrices and (3, N) gradients."""
    weighted = jacobian * weight[:, None]
    normal = np.einsum("avin,avjn->ijn", weighted, jacobian)
    return normal, np.einsum("avin,avn->in", weighted, residual)


def _inverse3(matrix: F64) -> F64:
    """(3, 3, N) inverses of symmetric matrices by cofactors; NaN where singular."""
    (a, b, c), (_, d, e), (_, _, f) = matrix
    A, B, C = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * A + b * B + c * C
    # Relative to the diagonal's product, so that metres and pixels need no other threshold.
    singular = ~(determinant > 1e-9 * a * d * f)
    scale = 1.0 / np.where(singular, np.nan, determinant)
    D, E, F = a * f - c * c, b * c - a * e, a * d - b * b
    return np.array([[A, B, C], [B, D, E], [C, E, F]]) * scale


def _solve3(matrix: F64, vector: F64) -> F64:
    return np.asarray(np.einsum("ijn,jn->in", _inverse3(matrix), vector))


def _errors(views: _Views, points: F64, settings: TriangulateSettings) -> F64:
    """(V, N) distance of each view's pixel from the point, in sigmas; inf behind or without."""
    cam = views.R @ points + views.t
    depth = cam[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1.0 / depth
        off = ((cam[:, 0] * inverse - views.norm[0]) ** 2) + (
            (cam[:, 1] * inverse - views.norm[1]) ** 2
        )
        variance = (
            settings.noise_px**2
            + (settings.noise_m * views.scale * inverse) ** 2
            + views.calibration_px**2
        )
        error = views.scale * np.sqrt(off / variance)
    return np.where(depth > MIN_DEPTH_M, error, np.inf)  # NaN depth gives inf


def _consensus(views: _Views, settings: TriangulateSettings) -> tuple[F64, Bool]:
    """Points on which the most views agree, and the views that do.

    Every pair of views proposes a point; the cost of a proposal is each view's squared error, cut
    off at the gate, weighted by score. Pairs grow with the square of the views and only disputed
    points come here.
    """
    views_count, points_count = views.seen.shape
    first, second = np.triu_indices(views_count, 1)
    pairs = np.zeros((len(first), views_count))
    pairs[np.arange(len(first)), first] = pairs[np.arange(len(first)), second] = 1.0
    projector, offset = _ray_terms(views)
    seen = views.seen.astype(np.float64)
    normal = np.tensordot(pairs, projector * seen[:, None], axes=1)  # (K, 9, N)
    vector = np.tensordot(pairs, offset * seen[:, None], axes=1)  # (K, 3, N)
    both = views.seen[first] & views.seen[second]  # (K, N)
    normal = np.where(both[:, None], normal, np.nan)
    proposals = _solve3(
        normal.transpose(1, 0, 2).reshape(3, 3, -1), vector.transpose(1, 0, 2).reshape(3, -1)
    )  # (3, K * N)
    repeated = _take(views, np.tile(np.arange(points_count), len(first)))
    error = _errors(repeated, proposals, settings)  # (V, K * N)
    cost = (np.minimum(error, settings.gate_sigma) ** 2 * repeated.weight).sum(axis=0)
    cost = np.where(both, cost.reshape(len(first), points_count), np.inf)
    best = cost.argmin(axis=0) * points_count + np.arange(points_count)
    used = (error[:, best] <= settings.gate_sigma) & views.seen
    return _solve(views, used & (used.sum(axis=0) >= 2), settings), used


def _sigmas(
    views: _Views,
    points: F64,
    used: Bool,
    settings: TriangulateSettings,
    groups: NDArray[np.int64] | None,
) -> F64:
    """(N,) one standard deviation per axis, the noise scale corrected from the residuals."""
    residual, jacobian, variance, _ = _linearise(views, points, settings)
    weight = np.where(used, views.weight / variance, 0.0)
    normal, _ = _normal(residual, jacobian, weight)
    inverse = _inverse3(normal)
    sigma = np.sqrt((inverse[0, 0] + inverse[1, 1] + inverse[2, 2]) / 3)
    size = np.where(used, views.weight * (residual**2).sum(axis=0) / variance, 0.0)
    chi2 = size.sum(axis=0)  # (N,)
    freedom = np.where(used.any(axis=0), 2.0 * used.sum(axis=0) - 3.0, 0.0)
    known = np.isfinite(chi2)
    index = np.zeros(len(chi2), dtype=np.int64) if groups is None else groups
    chi2_sum = np.bincount(index, np.where(known, chi2, 0.0))
    freedom_sum = np.bincount(index, np.where(known, freedom, 0.0))
    factor = (settings.prior_dof + chi2_sum) / (settings.prior_dof + freedom_sum)
    return np.asarray(sigma * np.sqrt(factor[index]))


def _reprojection(cameras: Sequence[Camera], points: F64, joints_px: F64, used: Bool) -> F64:
    """(N,) RMS distance in distorted pixels over the views used; NaN where none."""
    squares = np.zeros(used.shape)
    for view, camera in enumerate(cameras):
        off = project(camera, points) - joints_px[view]
        squares[view] = (off**2).sum(axis=1)
    count = used.sum(axis=0)
    total = np.where(used, squares, 0.0).sum(axis=0)
    return np.asarray(np.sqrt(total / np.where(count > 0, count, np.nan)))
