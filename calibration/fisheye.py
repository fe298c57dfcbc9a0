"""A fisheye lens: points in a camera's frame to pixels, with every derivative, and back.

Kannala and Brandt's model (PAMI 2006) with four coefficients, as `cv2.fisheye` has it: the angle
`t` to the axis becomes `d = t (1 + k1 t^2 + k2 t^4 + k3 t^6 + k4 t^8)`, and the pixel lies at `f d`
from the centre. Its last four of twelve numbers are not used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

NEWTON_STEPS = 12
# Directions at z = 1 grow without bound towards a right angle; beyond this they are of no use.
MAX_ANGLE = np.radians(89.0)
# What is left of a distorted angle after that: the lens never puts anything there.
LEFT_RAD = 1e-9


def project(points_cam: F64, lens: F64) -> F64:
    """(V, 2, N) distorted pixels of (V, N, 3) points under lenses (V, 12)."""
    x, y, z = points_cam[..., 0], points_cam[..., 1], points_cam[..., 2]
    r = _radius(x, y, z)
    angle = np.arctan2(r, z)
    scale = _distorted(angle, lens)[0] / r
    fx, fy, cx, cy = (lens[:, column, None] for column in range(4))
    pixels = np.empty((len(x), 2, x.shape[1]))
    pixels[:, 0] = fx * scale * x + cx
    pixels[:, 1] = fy * scale * y + cy
    return pixels


def project_with_derivatives(points_cam: F64, lens: F64) -> tuple[F64, F64, F64]:
    """Pixels and how they change.

    Args:
        points_cam: (V, N, 3) points in the cameras' frames.
        lens: (V, 12) `fx fy cx cy k1 k2 k3 k4` and four that are not used.

    Returns:
        (V, 2, N) pixels, (V, 3, 2, N) by the point, (V, 12, 2, N) by the lens.
    """
    x, y, z = points_cam[..., 0], points_cam[..., 1], points_cam[..., 2]
    r = _radius(x, y, z)
    far2 = r * r + z * z
    angle = np.arctan2(r, z)
    distorted, slope = _distorted(angle, lens)
    fx, fy, cx, cy = (lens[:, column, None] for column in range(4))
    scale = distorted / r
    u, v = scale * x, scale * y
    views, count = x.shape
    pixels = np.empty((views, 2, count))
    pixels[:, 0], pixels[:, 1] = fx * u + cx, fy * v + cy

    # d scale / d x = x bend, d scale / d y = y bend, d scale / d z = -slope / far2
    bend = (slope * z / far2 - scale) / (r * r)
    by_point = np.empty((views, 3, 2, count))
    cross = x * y * bend
    by_point[:, 0, 0], by_point[:, 0, 1] = fx * (scale + x * x * bend), fy * cross
    by_point[:, 1, 0], by_point[:, 1, 1] = fx * cross, fy * (scale + y * y * bend)
    inward = -slope / far2
    by_point[:, 2, 0], by_point[:, 2, 1] = fx * x * inward, fy * y * inward

    by_lens = np.zeros((views, 12, 2, count))
    by_lens[:, 0, 0], by_lens[:, 1, 1] = u, v
    by_lens[:, 2, 0], by_lens[:, 3, 1] = 1.0, 1.0
    power = angle / r
    for column in range(4, 8):
        power = power * angle * angle
        by_lens[:, column, 0], by_lens[:, column, 1] = fx * x * power, fy * y * power
    return pixels, by_point, by_lens


def undistort(pixels: F64, lens: F64) -> F64:
    """Undistorted (N, 2) at z = 1 of (N, 2) pixels; NaN where the lens puts nothing.

    OpenCV's own inverse gives wrong directions without a word from about 84 degrees on.
    """
    rays = directions(pixels, lens)
    wide = rays[:, 2] < np.cos(MAX_ANGLE)
    norm = rays[:, :2] / np.where(wide, 1.0, rays[:, 2])[:, None]
    return np.where(wide[:, None], np.nan, norm)


def directions(pixels: F64, lens: F64) -> F64:
    """Unit vectors (N, 3) in the camera through (N, 2) pixels; NaN where the lens puts nothing."""
    u = (pixels[:, 0] - lens[2]) / lens[0]
    v = (pixels[:, 1] - lens[3]) / lens[1]
    distorted = np.hypot(u, v)
    rows = lens[None]
    angle = np.minimum(distorted, reach_rad(lens[4:8]))[None]
    for _ in range(NEWTON_STEPS):
        value, slope = _distorted(angle, rows)
        angle = np.clip(angle - (value - distorted) / np.maximum(slope, 1e-6), 0.0, np.pi)
    value, slope = _distorted(angle, rows)
    found = (np.abs(value - distorted) < LEFT_RAD) & (slope > 0)
    t = np.where(found, angle, np.nan)[0]
    across = np.sin(t) / np.maximum(distorted, 1e-300)
    return np.stack([u * across, v * across, np.cos(t)], axis=1)


def reach_rad(dist: F64) -> float:
    """Largest angle to the axis at which pixels still move outward; pi if at every angle.

    Args:
        dist: (4,) k1 k2 k3 k4.
    """
    k1, k2, k3, k4 = (float(value) for value in dist[:4])
    roots = np.roots(np.array([9.0 * k4, 7.0 * k3, 5.0 * k2, 3.0 * k1, 1.0]))  # in t^2
    real = roots[np.abs(roots.imag) < 1e-12 + 1e-9 * np.abs(roots.real)].real
    positive = real[real > 0]
    return min(float(np.sqrt(positive.min())), np.pi) if positive.size else float(np.pi)


def distorted_angle(angle: float, dist: F64) -> float:
    """How far from the centre, in focal lengths, a direction at an angle lands."""
    lens = np.zeros((1, 12))
    lens[0, 4:8] = dist
    return float(_distorted(np.array([[angle]]), lens)[0][0, 0])


def _radius(x: F64, y: F64, z: F64) -> F64:
    """Distance from the axis, kept off zero, where all that is divided by it has a limit."""
    return np.asarray(np.sqrt(x * x + y * y + 1e-24 * z * z))


def _distorted(angle: F64, lens: F64) -> tuple[F64, F64]:
    """The distorted angle and its growth; (V, N) under lenses (V, 12)."""
    k1, k2, k3, k4 = (lens[:, column, None] for column in range(4, 8))
    t2 = angle * angle
    distorted = angle * (1.0 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    slope = 1.0 + t2 * (3.0 * k1 + t2 * (5.0 * k2 + t2 * (7.0 * k3 + t2 * 9.0 * k4)))
    return distorted, slope
