"""The loop behind `calibration.triangulate.triangulate`, compiled.

Same steps as its plain definition, point by point instead of array by array.
"""

from __future__ import annotations

import numpy as np

from .camera import F64
from .compiled import jit
from .rays import HUBER_SIGMA, MIN_DEPTH_M, MIN_WEIGHT, SINGULAR, Bool

__all__ = ["reproject", "solve"]

FAR_SIGMA = 1e6  # stands for infinity where residuals are summed


@jit
def _inverse(m: F64, out: F64) -> bool:
    """Cofactors of a symmetric matrix given as xx xy xz yy yz zz; False where it is singular."""
    a, b, c, d, e, f = m[0], m[1], m[2], m[3], m[4], m[5]
    out[0], out[1], out[2] = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * out[0] + b * out[1] + c * out[2]
    if not determinant > SINGULAR * a * d * f:
        return False
    out[3], out[4], out[5] = a * f - c * c, b * c - a * e, a * d - b * b
    for k in range(6):
        out[k] /= determinant
    return True


@jit
def _nearest(ray: F64, foot: F64, weight: F64, work: F64, point: F64) -> bool:
    """Whether the rays (V, 3) meet, and the point nearest to them; NaN where they do not.

    `foot` (V, 3) is where each ray passes the origin; the inverse normal matrix stays in `work`.
    """
    m, inverse = work[:6], work[6:12]
    m[:] = 0.0
    x = y = z = 0.0
    for v in range(len(ray)):
        w = weight[v]
        if w == 0.0:
            continue
        dx, dy, dz = ray[v, 0], ray[v, 1], ray[v, 2]
        m[0] += w * (1.0 - dx * dx)
        m[1] -= w * dx * dy
        m[2] -= w * dx * dz
        m[3] += w * (1.0 - dy * dy)
        m[4] -= w * dy * dz
        m[5] += w * (1.0 - dz * dz)
        x += w * foot[v, 0]
        y += w * foot[v, 1]
        z += w * foot[v, 2]
    if _inverse(m, inverse):
        point[0] = inverse[0] * x + inverse[1] * y + inverse[2] * z
        point[1] = inverse[1] * x + inverse[3] * y + inverse[4] * z
        point[2] = inverse[2] * x + inverse[4] * y + inverse[5] * z
        return True
    point[:] = np.nan
    return False


@jit
def _error(pose: F64, place: F64, scale: float, point: F64) -> float:
    """Sigmas between a view's pixel and the point; inf behind the camera or without a point."""
    z = pose[2, 0] * point[0] + pose[2, 1] * point[1] + pose[2, 2] * point[2] + pose[2, 3]
    if not z > MIN_DEPTH_M:
        return np.inf
    x = pose[0, 0] * point[0] + pose[0, 1] * point[1] + pose[0, 2] * point[2] + pose[0, 3]
    y = pose[1, 0] * point[0] + pose[1, 1] * point[1] + pose[1, 2] * point[2] + pose[1, 3]
    return float(scale * np.sqrt((x / z - place[0]) ** 2 + (y / z - place[1]) ** 2))


@jit
def _fit(
    poses: F64, place: F64, scale: F64, ray: F64, foot: F64,
    weight: F64, mask: Bool, work: F64, point: F64,
) -> float:  # fmt: skip
    """Put `point` where the masked views' rays pass; their mean error there in sigmas."""
    views = len(mask)
    masked = work[15:]
    for v in range(views):
        masked[v] = weight[v] if mask[v] else 0.0
    _nearest(ray, foot, masked, work, point)
    total, count = 0.0, 0
    for v in range(views):
        if mask[v]:
            total += _error(poses[v], place[v], scale[v], point)
            count += 1
    return total / max(count, 1)


@jit
def _agree(
    poses: F64, place: F64, scale: F64, ray: F64, foot: F64, weight: F64,
    seen: Bool, gate: float, work: F64, point: F64, used: Bool,
) -> None:  # fmt: skip
    """One point from the views that agree, as `triangulate._agreeing`; sets `point` and `used`."""
    views = len(seen)
    count = 0
    for v in range(views):
        used[v] = seen[v]
        count += seen[v]
    if count < 2:
        used[:] = False
        point[:] = np.nan
        return
    disputed = _fit(poses, place, scale, ray, foot, weight, used, work, point) > gate
    for more in range(views, 3, -1):
        if not (disputed and count == more):
            continue
        least, worst = np.inf, 0
        for v in range(views):
            if used[v]:
                used[v] = False
                off = _fit(poses, place, scale, ray, foot, weight, used, work, point)
                used[v] = True
                if off < least:
                    least, worst = off, v
        count -= used[worst]
        used[worst] = False
        disputed = _fit(poses, place, scale, ray, foot, weight, used, work, point) > gate
    if not disputed:
        return
    if count == 2:
        used[:] = False  # two that contradict: neither is right
        return
    least = np.inf
    one, other = -1, -1
    for a in range(views):
        for b in range(a + 1, views):
            if not (seen[a] and seen[b]):
                continue
            used[:] = False
            used[a] = used[b] = True
            _fit(poses, place, scale, ray, foot, weight, used, work, point)
            cost = 0.0
            for v in range(views):
                if seen[v]:
                    off = min(_error(poses[v], place[v], scale[v], point), gate)
                    cost += off * off * weight[v]
            if cost < least:
                least, one, other = cost, a, b
    used[:] = False
    used[one] = used[other] = True
    _fit(poses, place, scale, ray, foot, weight, used, work, point)
    count = 0
    for v in range(views):
        used[v] = seen[v] and _error(poses[v], place[v], scale[v], point) <= gate
        count += used[v]
    if count < 2:
        used[:] = False
        point[:] = np.nan
    elif _fit(poses, place, scale, ray, foot, weight, used, work, point) > gate:
        used[:] = False


@jit
def solve(
    poses: F64, scales: F64, fisheye: Bool, norm: F64, scores: F64,
    min_score: float, gate: float, steps: int,
) -> tuple[F64, F64, F64, Bool, Bool]:  # fmt: skip
    """All points, from the views that agree on each.

    Args:
        poses: (V, 3, 4) cam_from_world.
        scales: (V,) sigmas per unit of norm in the picture's middle.
        fisheye: (V,) whose scale falls towards the rim.
        norm: (V, N, 2) undistorted at z = 1, NaN unseen.
        scores: (V, N).
        min_score: below, a joint counts as unseen.
        gate: mean error in sigmas beyond which views disagree.
        steps: of robust reweighting.

    Returns:
        Points (N, 3); sigmas (N,) as if the noise were as told; chi squared (N,); views used and
        views that saw it (V, N) each.
    """
    views, count = scores.shape
    points, sigma, chi2 = np.empty((count, 3)), np.empty(count), np.zeros(count)
    used_by = np.zeros((views, count), dtype=np.bool_)
    seen_by = np.zeros((views, count), dtype=np.bool_)
    centers = np.empty((views, 3))
    for v in range(views):
        for i in range(3):
            centers[v, i] = -(
                poses[v, 0, i] * poses[v, 0, 3]
                + poses[v, 1, i] * poses[v, 1, 3]
                + poses[v, 2, i] * poses[v, 2, 3]
            )
    place, ray, foot = np.zeros((views, 2)), np.zeros((views, 3)), np.zeros((views, 3))
    scale, weight, robust = np.zeros(views), np.zeros(views), np.zeros(views)
    seen, used = np.zeros(views, dtype=np.bool_), np.zeros(views, dtype=np.bool_)
    work = np.zeros(15 + views)
    for n in range(count):
        for v in range(views):
            x, y, score = norm[v, n, 0], norm[v, n, 1], scores[v, n]
            seen[v] = np.isfinite(x) and np.isfinite(y) and score >= min_score
            seen_by[v, n] = seen[v]
            weight[v] = 0.0
            if not seen[v]:
                continue
            weight[v] = min(max(score, MIN_WEIGHT), 1.0)
            place[v, 0], place[v, 1] = x, y
            length2 = 1.0 + x * x + y * y
            scale[v] = scales[v] / np.sqrt(length2) if fisheye[v] else scales[v]
            along = 0.0
            for i in range(3):
                ray[v, i] = (x * poses[v, 0, i] + y * poses[v, 1, i] + poses[v, 2, i]) / np.sqrt(
                    length2
                )
                along += ray[v, i] * centers[v, i]
            for i in range(3):
                foot[v, i] = centers[v, i] - ray[v, i] * along
        point = points[n]
        _agree(poses, place, scale, ray, foot, weight, seen, gate, work, point, used)
        for _ in range(steps):
            for v in range(views):
                robust[v] = 0.0
                if used[v]:
                    off = _error(poses[v], place[v], scale[v], point)
                    robust[v] = weight[v] * (HUBER_SIGMA / max(off, HUBER_SIGMA))
            _nearest(ray, foot, robust, work, point)
        found, noise2 = 0, 0.0
        for v in range(views):
            robust[v] = weight[v] if used[v] else 0.0
            used_by[v, n] = used[v]
            if used[v]:
                found += 1
                z = poses[v, 2, 3]
                for i in range(3):
                    z += poses[v, 2, i] * point[i]
                noise2 += (z / scale[v]) ** 2
                off = min(_error(poses[v], place[v], scale[v], point), FAR_SIGMA)
                chi2[n] += weight[v] * off * off
        # The covariance is that of the scores alone, without Huber's share.
        if _nearest(ray, foot, robust, work, work[12:15]) and found:
            sigma[n] = np.sqrt((work[6] + work[9] + work[11]) / 3 * noise2 / found)
        else:
            sigma[n] = np.nan
    return points, sigma, chi2, used_by, seen_by


@jit
def reproject(
    poses: F64, K: F64, dist: F64, fisheye: Bool, points: F64, joints_px: F64, used: Bool
) -> F64:
    """(N,) RMS distance in distorted pixels over the views used; NaN where none.

    OpenCV's models, as `calibration.camera.project`.

    Args:
        poses: (V, 3, 4) cam_from_world.
        K: (V, 3, 3).
        dist: (V, 8) k1 k2 p1 p2 k3 k4 k5 k6, fisheye k1 k2 k3 k4; zeros after.
        fisheye: (V,) which model.
        points: (N, 3) metres.
        joints_px: (V, N, 2).
        used: (V, N) views that count.
    """
    views, count = used.shape
    rms = np.empty(count)
    for n in range(count):
        total, found = 0.0, 0
        for v in range(views):
            if not used[v, n]:
                continue
            found += 1
            pose, k, p = poses[v], dist[v], points[n]
            z = pose[2, 0] * p[0] + pose[2, 1] * p[1] + pose[2, 2] * p[2] + pose[2, 3]
            if not z > 1e-9:
                total = np.nan
                continue
            x = (pose[0, 0] * p[0] + pose[0, 1] * p[1] + pose[0, 2] * p[2] + pose[0, 3]) / z
            y = (pose[1, 0] * p[0] + pose[1, 1] * p[1] + pose[1, 2] * p[2] + pose[1, 3]) / z
            r2 = x * x + y * y
            if fisheye[v]:
                r = np.sqrt(r2)
                t = np.arctan(r)
                t2 = t * t
                t *= 1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3])))
                stretch = t / r if r > 1e-8 else 1.0
                u, w = stretch * x, stretch * y
            else:
                radial = 1 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))
                radial /= 1 + r2 * (k[5] + r2 * (k[6] + r2 * k[7]))
                u = x * radial + 2 * k[2] * x * y + k[3] * (r2 + 2 * x * x)
                w = y * radial + k[2] * (r2 + 2 * y * y) + 2 * k[3] * x * y
            off_x = K[v, 0, 0] * u + K[v, 0, 2] - joints_px[v, n, 0]
            off_y = K[v, 1, 1] * w + K[v, 1, 2] - joints_px[v, n, 1]
            total += off_x * off_x + off_y * off_y
        rms[n] = np.sqrt(total / found) if found else np.nan
    return rms
