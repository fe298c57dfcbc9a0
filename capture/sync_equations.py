"""How residuals in pixels follow from clocks: the normal equations of `sync.py`.

A view read at a wrong time shows a joint off its place by its velocity times the error. Position
and clocks are adjusted together; each joint's position is eliminated at once (Schur complement).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.camera import Camera
from calibration.rays import gather
from calibration.triangulate import TriangulateSettings, triangulate

from .people import F64

__all__ = ["UNKNOWNS", "System", "system"]

# Offset in seconds, drift, and two pixels by which the whole picture lies off: what calibrations
# leave (10 px and more are met) would else be taken for time wherever people move one way.
UNKNOWNS = 4

AROUND = 4  # frames before and after that a velocity is taken from


@dataclass(frozen=True, slots=True)
class System:
    """Normal equations of one stretch: K unknowns a camera."""

    matrix: F64  # (VK, VK)
    vector: F64  # (VK,)
    parts: list[F64]  # (VK,) shares of the vector, of half a second each
    sizes: F64  # pixels, of all residuals


def system(
    cameras: tuple[Camera, ...],
    read: list[tuple[F64, F64]],
    moments: F64,
    middle: float,
    settings: TriangulateSettings,
    huber: float,
) -> System:
    """What one stretch says of the clocks, the positions eliminated.

    Args:
        cameras: V cameras.
        read: of each, (T, P, J, 2) directions at z = 1 and (T, P, J) scores at the moments.
        moments: (T,) seconds of the reference.
        middle: of the take, where a drift does nothing.
        settings: of the triangulation.
        huber: residuals beyond so many of their typical size count less.
    """
    views = len(cameras)
    norm = np.stack([n for n, _ in read])  # (V, T, P, J, 2)
    scores = np.stack([s for _, s in read])
    count, people, joints = scores.shape[1:]
    flat = norm.reshape(views, -1, 2)
    focal = np.array([np.sqrt(c.K[0, 0] * c.K[1, 1]) for c in cameras])[:, None, None]
    result = triangulate(cameras, flat * focal, scores.reshape(views, -1),
                         settings, norm=flat)  # fmt: skip
    points = result.points.reshape(count, people, joints, 3)
    velocity = _velocities(points, moments).reshape(-1, 3)
    known = np.isfinite(velocity[:, 0]) & (result.used.sum(axis=0) >= 2)
    rays = gather(cameras, flat[:, known], scores.reshape(views, -1)[:, known],
                  noise=settings.noise, min_score=0.0)  # fmt: skip
    used = result.used[:, known]
    residual, jacobian = _linearized(cameras, result.points[known], rays.norm, focal)
    speed = np.einsum("vnij,nj->vni", jacobian, velocity[known])  # px/s
    size = np.sqrt((residual**2).sum(axis=2))
    typical = float(np.median(size[used])) if used.any() else 1.0
    weight = np.where(used, 1.0 / np.maximum(size / (huber * typical), 1.0), 0.0)
    time = np.repeat(moments - middle, people * joints)[known]
    S = np.zeros((*speed.shape, UNKNOWNS))  # (V, N, 2, K)
    S[..., 0], S[..., 1] = speed, speed * time[:, None]
    S[:, :, 0, 2] = S[:, :, 1, 3] = 1.0
    weighted = weight[..., None, None] * S
    H = np.einsum("vn,vnij,vnik->njk", weight, jacobian, jacobian)
    inverse = np.linalg.pinv(H, hermitian=True)
    C = np.einsum("vnij,vnik->njvk", jacobian, weighted).reshape(len(time), 3, -1)
    D = inverse @ C  # (N, 3, VK)
    g = np.einsum("vn,vnij,vni->nj", weight, jacobian, residual)  # (N, 3)
    matrix = -np.tensordot(C, D, axes=((0, 1), (0, 1)))  # (VK, VK)
    for v in range(views):
        own = slice(UNKNOWNS * v, UNKNOWNS * (v + 1))
        matrix[own, own] += np.tensordot(weighted[v], S[v], axes=((0, 1), (0, 1)))
    each = np.einsum("vnik,vni->nvk", weighted, residual).reshape(len(time), -1)
    each -= np.einsum("njk,nj->nk", D, g)
    block = ((time - time.min(initial=0)) // 0.5).astype(np.int64)
    parts = [each[block == k].sum(axis=0) for k in np.unique(block)]
    return System(matrix, each.sum(axis=0), parts, size[used])


def _velocities(points: F64, moments: F64) -> F64:
    """(T, P, J, 3) metres a second of the line through the moments around, NaN where too few.

    The moment itself is left out, so that its own noise is not in its velocity; noise that is
    makes motion look larger than it is and the way to the solution long.
    """
    count = len(points)
    step = float(np.median(np.diff(moments))) if count > 1 else 1.0
    sums = np.zeros((3, *points.shape[:3], 1))  # of 1, k, k^2
    total, product = np.zeros_like(points), np.zeros_like(points)
    there = np.isfinite(points[..., :1])
    filled = np.where(there, points, 0.0)
    for k in (*range(-AROUND, 0), *range(1, AROUND + 1)):
        at, source = slice(max(0, -k), count - max(0, k)), slice(max(0, k), count - max(0, -k))
        if at.stop <= at.start:
            continue
        for power in range(3):
            sums[power, at] += there[source] * float(k) ** power
        total[at] += filled[source]
        product[at] += k * filled[source]
    n, first, second = sums[0], sums[1], sums[2]
    spread = n * second - first**2
    enough = (n >= AROUND) & (spread > 0)
    slope = (n * product - first * total) / np.where(enough, spread, np.nan)
    return np.asarray(slope / step)


def _linearized(cameras: tuple[Camera, ...], points: F64, norm: F64, focal: F64) -> tuple[F64, F64]:
    """(V, N, 2) pixels from points to what is seen, and (V, N, 2, 3) pixels per metre."""
    R = np.stack([c.cam_from_world[:3, :3] for c in cameras])
    t = np.stack([c.cam_from_world[:3, 3] for c in cameras])
    cam = np.einsum("vij,nj->vni", R, points) + t[:, None]
    depth = np.maximum(cam[..., 2:], 0.1)
    place = cam[..., :2] / depth
    residual = focal * (norm.transpose(1, 2, 0) - place)
    rows = R[:, None, :2] - place[..., None] * R[:, None, 2:]  # (V, N, 2, 3)
    return residual, rows * (focal / depth)[..., None]
