"""A pinhole lens: points in a camera's frame to distorted pixels, with every derivative.

Brown's model as OpenCV has it, with five or eight coefficients (the latter is called rational):
`x' = x/z`, `r2 = x'^2 + y'^2`, `q = (1 + k1 r2 + k2 r2^2 + k3 r2^3) / (1 + k4 r2 + k5 r2^2 +
k6 r2^3)`, `x'' = x' q + 2 p1 x' y' + p2 (r2 + 2 x'^2)` and likewise y. Five are eight of which
k4, k5 and k6 are zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

NEWTON_STEPS = 12
# What is left of a pixel after that has no direction: the lens never puts anything there.
LEFT_NORM = 1e-7
# A rational lens never has its pole among the corners: no closer than this the denominator comes to
# zero, so that a step across the pole shows as the catastrophe it is.
MIN_BELOW = 0.05


def project(points_cam: F64, lens: F64) -> F64:
    """(V, 2, N) distorted pixels of (V, N, 3) points under lenses (V, 12)."""
    x = points_cam[..., 0] / points_cam[..., 2]
    y = points_cam[..., 1] / points_cam[..., 2]
    fx, fy, cx, cy = (lens[:, column, None] for column in range(4))
    u, v = _distorted(x, y, lens)
    pixels = np.empty((len(x), 2, x.shape[1]))
    pixels[:, 0] = fx * u + cx
    pixels[:, 1] = fy * v + cy
    return pixels


def project_with_derivatives(points_cam: F64, lens: F64) -> tuple[F64, F64, F64]:
    """Pixels and how they change.

    Args:
        points_cam: (V, N, 3) points in the cameras' frames.
        lens: (V, 12) `fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6`.

    Returns:
        (V, 2, N) pixels, (V, 3, 2, N) by the point, (V, 12, 2, N) by the lens.
    """
    inverse_z = 1.0 / points_cam[..., 2]
    x = points_cam[..., 0] * inverse_z  # (V, N)
    y = points_cam[..., 1] * inverse_z
    fx, fy, cx, cy, _, _, p1, p2 = (lens[:, column, None] for column in range(8))
    xx, yy, xy = x * x, y * y, x * y
    r2 = xx + yy
    r4, r6 = r2 * r2, r2 * r2 * r2
    below, radial, slope = _radial(r2, lens)
    a, b = r2 + 2.0 * xx, r2 + 2.0 * yy
    u = x * radial + 2.0 * p1 * xy + p2 * a
    v = y * radial + p1 * b + 2.0 * p2 * xy
    views, count = x.shape
    pixels = np.empty((views, 2, count))
    pixels[:, 0], pixels[:, 1] = fx * u + cx, fy * v + cy

    u_x = radial + 2.0 * xx * slope + 2.0 * p1 * y + 6.0 * p2 * x
    u_y = 2.0 * xy * slope + 2.0 * p1 * x + 2.0 * p2 * y  # equals d v / d x
    v_y = radial + 2.0 * yy * slope + 6.0 * p1 * y + 2.0 * p2 * x
    by_point = np.empty((views, 3, 2, count))
    gain_x, gain_y = fx * inverse_z, fy * inverse_z
    by_point[:, 0, 0], by_point[:, 0, 1] = gain_x * u_x, gain_y * u_y
    by_point[:, 1, 0], by_point[:, 1, 1] = gain_x * u_y, gain_y * v_y
    by_point[:, 2, 0] = -gain_x * (u_x * x + u_y * y)
    by_point[:, 2, 1] = -gain_y * (u_y * x + v_y * y)

    by_lens = np.zeros((views, 12, 2, count))
    by_lens[:, 0, 0], by_lens[:, 1, 1] = u, v
    by_lens[:, 2, 0], by_lens[:, 3, 1] = 1.0, 1.0
    over_x, over_y = fx * x / below, fy * y / below
    for column, power in ((4, r2), (5, r4), (8, r6)):
        by_lens[:, column, 0], by_lens[:, column, 1] = over_x * power, over_y * power
    under_x, under_y = -over_x * radial, -over_y * radial
    for column, power in ((9, r2), (10, r4), (11, r6)):
        by_lens[:, column, 0], by_lens[:, column, 1] = under_x * power, under_y * power
    by_lens[:, 6, 0], by_lens[:, 6, 1] = fx * 2.0 * xy, fy * b
    by_lens[:, 7, 0], by_lens[:, 7, 1] = fx * a, fy * 2.0 * xy
    return pixels, by_point, by_lens


def undistort_from(norm: F64, distorted: F64, lens: F64) -> F64:
    """Undistorted (N, 2) at z = 1, by Newton's method from a guess; NaN where it finds none.

    OpenCV's fixed-point iteration does not settle at the rim of a wide lens.

    Args:
        norm: (N, 2) guess.
        distorted: (N, 2) pixels with focal length and centre taken off.
        lens: (12,).
    """
    x, y = norm[:, 0].copy(), norm[:, 1].copy()
    p1, p2 = lens[6], lens[7]
    rows = lens[None]
    for _ in range(NEWTON_STEPS):
        u, v = _distorted(x[None], y[None], rows)
        off_u, off_v = u[0] - distorted[:, 0], v[0] - distorted[:, 1]
        _, radial, slope = (part[0] for part in _radial((x * x + y * y)[None], rows))
        u_x = radial + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
        u_y = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y
        v_y = radial + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scale = 1.0 / (u_x * v_y - u_y * u_y)
            x = x - scale * (v_y * off_u - u_y * off_v)
            y = y - scale * (u_x * off_v - u_y * off_u)
        lost = ~(np.abs(x) + np.abs(y) < 1e3)
        x[lost], y[lost] = norm[lost, 0], norm[lost, 1]
    u, v = _distorted(x[None], y[None], rows)
    left = np.abs(u[0] - distorted[:, 0]) + np.abs(v[0] - distorted[:, 1])
    return np.where((left < LEFT_NORM)[:, None], np.stack([x, y], axis=1), np.nan)


def reach_norm(dist: F64) -> float:
    """Largest undistorted radius at which the lens still bends outward; infinity if everywhere.

    Beyond it two directions share a pixel, so nothing there can be undistorted.

    Args:
        dist: (5,) or (8,), OpenCV's order.
    """
    k1, k2, k3 = float(dist[0]), float(dist[1]), float(dist[4])
    k4, k5, k6 = (float(value) for value in dist[5:8]) if dist.size == 8 else (0.0, 0.0, 0.0)
    over, under = np.array([k3, k2, k1, 1.0]), np.array([k6, k5, k4, 1.0])  # in s = r^2
    # d/dr (r N/D) = 0: N D + 2 s (N' D - N D') = 0; and nothing passes a pole, D = 0.
    bent: F64 = np.polysub(np.polymul(np.polyder(over), under), np.polymul(over, np.polyder(under)))
    turning = np.polyadd(np.polymul(over, under), np.polymul([2.0, 0.0], bent))
    roots = np.concatenate([np.roots(turning), np.roots(under)])
    real = roots[np.abs(roots.imag) < 1e-12 + 1e-9 * np.abs(roots.real)].real
    positive = real[real > 0]
    return float(np.sqrt(positive.min())) if positive.size else float("inf")


def _radial(r2: F64, lens: F64) -> tuple[F64, F64, F64]:
    """The denominator, the radial factor, and how that grows with r2."""
    _, _, _, _, k1, k2, _, _, k3, k4, k5, k6 = (lens[:, column, None] for column in range(12))
    below = np.maximum(1.0 + r2 * (k4 + r2 * (k5 + r2 * k6)), MIN_BELOW)
    radial = (1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))) / below
    below_slope = k4 + r2 * (2.0 * k5 + r2 * 3.0 * k6)
    slope = (k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3) - radial * below_slope) / below
    return below, radial, slope


def _distorted(x: F64, y: F64, lens: F64) -> tuple[F64, F64]:
    _, _, _, _, k1, k2, p1, p2, k3, k4, k5, k6 = (lens[:, column, None] for column in range(12))
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    if lens[:, 9:].any():
        radial = radial / np.maximum(1.0 + r2 * (k4 + r2 * (k5 + r2 * k6)), MIN_BELOW)
    u = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    v = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    return u, v
