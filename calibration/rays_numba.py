"""Points and rays one at a time, compiled: what `rays.py` and `camera.project` do for arrays."""

from __future__ import annotations

import numpy as np

from .camera import F64
from .compiled import jit
from .rays import MIN_DEPTH_M, SINGULAR, Bool

__all__ = ["error", "nearest", "reproject"]


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
def nearest(ray: F64, foot: F64, weight: F64, work: F64, point: F64) -> bool:
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
def error(pose: F64, place: F64, scale: float, point: F64) -> float:
    """Sigmas between a view's pixel and the point; inf behind the camera or without a point."""
    z = pose[2, 0] * point[0] + pose[2, 1] * point[1] + pose[2, 2] * point[2] + pose[2, 3]
    if not z > MIN_DEPTH_M:
        return np.inf
    x = pose[0, 0] * point[0] + pose[0, 1] * point[1] + pose[0, 2] * point[2] + pose[0, 3]
    y = pose[1, 0] * point[0] + pose[1, 1] * point[1] + pose[1, 2] * point[2] + pose[1, 3]
    return float(scale * np.sqrt((x / z - place[0]) ** 2 + (y / z - place[1]) ** 2))


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
