"""Points in a camera's frame to distorted pixels, with every derivative.

Brown's model with five coefficients, as in OpenCV: `x' = x/z`, `r2 = x'^2 + y'^2`,
`x'' = x' (1 + k1 r2 + k2 r2^2 + k3 r2^3) + 2 p1 x' y' + p2 (r2 + 2 x'^2)` and likewise y.
"""

from __future__ import annotations

import numpy as np

from .camera import F64

# Order of the nine numbers of a lens.
INTRINSIC_NAMES = ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3")
N_INTRINSICS = len(INTRINSIC_NAMES)
# What a short lens (k1 and k2 only) leaves at zero: p1, p2, k3.
SHORT_LENS_ZEROS = [6, 7, 8]


def pack(K: F64, dist: F64) -> F64:
    """(9,) `fx fy cx cy k1 k2 p1 p2 k3`."""
    k1, k2, p1, p2, k3 = (float(value) for value in dist.reshape(-1)[:5])
    return np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2], k1, k2, p1, p2, k3])


def unpack(intrinsics: F64) -> tuple[F64, F64]:
    """K (3, 3) and dist (5,) of nine numbers."""
    fx, fy, cx, cy = intrinsics[:4]
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), intrinsics[4:9].copy()


def project(points_cam: F64, intrinsics: F64) -> F64:
    """(..., 2) distorted pixels of (..., 3) points; `intrinsics` (..., 9) broadcasts."""
    x = points_cam[..., 0] / points_cam[..., 2]
    y = points_cam[..., 1] / points_cam[..., 2]
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = (intrinsics[..., i] for i in range(N_INTRINSICS))
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    u = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    v = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    return np.stack([fx * u + cx, fy * v + cy], axis=-1)


def project_with_derivatives(points_cam: F64, intrinsics: F64) -> tuple[F64, F64, F64]:
    """Pixels and how they change.

    Args:
        points_cam: (..., 3) points in the camera's frame.
        intrinsics: (..., 9), broadcasting against the points.

    Returns:
        (..., 2) pixels, (..., 2, 3) by the point, (..., 2, 9) by the intrinsics.
    """
    inverse_z = 1.0 / points_cam[..., 2]
    x = points_cam[..., 0] * inverse_z
    y = points_cam[..., 1] * inverse_z
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = (intrinsics[..., i] for i in range(N_INTRINSICS))
    xx, yy, xy = x * x, y * y, x * y
    r2 = xx + yy
    r4 = r2 * r2
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = k1 + 2.0 * k2 * r2 + 3.0 * k3 * r4  # d radial / d r2
    u = x * radial + 2.0 * p1 * xy + p2 * (r2 + 2.0 * xx)
    v = y * radial + p1 * (r2 + 2.0 * yy) + 2.0 * p2 * xy
    pixels = np.stack([fx * u + cx, fy * v + cy], axis=-1)

    u_x = radial + 2.0 * xx * slope + 2.0 * p1 * y + 6.0 * p2 * x
    u_y = 2.0 * xy * slope + 2.0 * p1 * x + 2.0 * p2 * y  # equals d v / d x
    v_y = radial + 2.0 * yy * slope + 6.0 * p1 * y + 2.0 * p2 * x
    by_point = np.empty((*pixels.shape, 3))
    by_point[..., 0, 0] = fx * u_x * inverse_z
    by_point[..., 0, 1] = fx * u_y * inverse_z
    by_point[..., 0, 2] = -fx * (u_x * x + u_y * y) * inverse_z
    by_point[..., 1, 0] = fy * u_y * inverse_z
    by_point[..., 1, 1] = fy * v_y * inverse_z
    by_point[..., 1, 2] = -fy * (u_y * x + v_y * y) * inverse_z

    by_lens = np.zeros((*pixels.shape, N_INTRINSICS))
    by_lens[..., 0, 0] = u
    by_lens[..., 1, 1] = v
    by_lens[..., 0, 2] = 1.0
    by_lens[..., 1, 3] = 1.0
    radials = ((4, r2), (5, r4), (8, r4 * r2))
    for column, power in radials:
        by_lens[..., 0, column] = fx * x * power
        by_lens[..., 1, column] = fy * y * power
    by_lens[..., 0, 6] = fx * 2.0 * xy
    by_lens[..., 1, 6] = fy * (r2 + 2.0 * yy)
    by_lens[..., 0, 7] = fx * (r2 + 2.0 * xx)
    by_lens[..., 1, 7] = fy * 2.0 * xy
    return pixels, by_point, by_lens


def reach_norm(dist: F64) -> float:
    """Largest undistorted radius at which the lens still bends outward; infinity if everywhere.

    Beyond it two directions share a pixel, so nothing there can be undistorted.
    """
    k1, k2, k3 = float(dist[0]), float(dist[1]), float(dist[4])
    # d/dr (r + k1 r^3 + k2 r^5 + k3 r^7) = 0, in s = r^2
    roots = np.roots(np.array([7.0 * k3, 5.0 * k2, 3.0 * k1, 1.0]))
    real = roots[np.abs(roots.imag) < 1e-12].real
    positive = real[real > 0]
    return float(np.sqrt(positive.min())) if positive.size else float("inf")
