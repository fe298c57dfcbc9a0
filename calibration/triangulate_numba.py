"""The loop behind `calibration.triangulate.triangulate`, compiled.

Same steps as its plain definition, point by point instead of array by array.
"""

from __future__ import annotations

import numpy as np

from .camera import F64
from .compiled import jit
from .rays import HUBER_SIGMA, MIN_WEIGHT, Bool
from .rays_numba import error, nearest

__all__ = ["solve"]

FAR_SIGMA = 1e6  # stands for infinity where residuals are summed


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
    nearest(ray, foot, masked, work, point)
    total, count = 0.0, 0
    for v in range(views):
        if mask[v]:
            total += error(poses[v], place[v], scale[v], point)
            count += 1
    return total / max(count, 1)


@jit
def _agree(
    poses: F64, place: F64, scale: F64, ray: F64, foot: F64, weight: F64,
    seen: Bool, gate: float, work: F64, point: F64, used: Bool,
) -> None:  # fmt: skip
    """One point from the views that agree, as `agreeing.agreeing`; sets `point` and `used`."""
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
                    off = min(error(poses[v], place[v], scale[v], point), gate)
                    cost += off * off * weight[v]
            if cost < least:
                least, one, other = cost, a, b
    used[:] = False
    used[one] = used[other] = True
    _fit(poses, place, scale, ray, foot, weight, used, work, point)
    count = 0
    for v in range(views):
        used[v] = seen[v] and error(poses[v], place[v], scale[v], point) <= gate
        count += used[v]
    if count < 2:
        used[:] = False
        point[:] = np.nan
    elif _fit(poses, place, scale, ray, foot, weight, used, work, point) > gate:
        used[:] = False


@jit
def _refine(
    poses: F64, place: F64, scale: F64, ray: F64, foot: F64, weight: F64,
    used: Bool, steps: int, work: F64, robust: F64, point: F64,
) -> None:  # fmt: skip
    """Move `point` with far views trusted less, as `rays.refine`."""
    for _ in range(steps):
        for v in range(len(used)):
            robust[v] = 0.0
            if used[v]:
                off = error(poses[v], place[v], scale[v], point)
                robust[v] = weight[v] * (HUBER_SIGMA / max(off, HUBER_SIGMA))
        nearest(ray, foot, robust, work, point)


@jit
def _trim(
    poses: F64, place: F64, scale: F64, trim: float, medians: float,
    work: F64, off: F64, point: F64, used: Bool,
) -> bool:  # fmt: skip
    """Whether views far off were left out of `used`, as `agreeing.trimmed`."""
    ordered, count = work[15:], 0
    for v in range(len(used)):
        if used[v]:
            off[v] = error(poses[v], place[v], scale[v], point)
            at = count
            while at > 0 and ordered[at - 1] > off[v]:
                ordered[at] = ordered[at - 1]
                at -= 1
            ordered[at] = off[v]
            count += 1
    if count < 4:
        return False
    gate = max(trim, medians * ordered[(count - 1) // 2])
    bad = 0
    for v in range(len(used)):
        bad += used[v] and off[v] > gate
    if bad == 0 or count - bad < 3:
        return False
    for v in range(len(used)):
        used[v] = used[v] and off[v] <= gate
    return True


@jit
def solve(
    poses: F64, scales: F64, fisheye: Bool, norm: F64, scores: F64,
    min_score: float, gate: float, trim: float, medians: float, steps: int,
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
        trim: error in sigmas beyond which a view is left out after the fit,
        medians: and this many times the median error.
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
        _refine(poses, place, scale, ray, foot, weight, used, steps, work, robust, point)
        if _trim(poses, place, scale, trim, medians, work, robust, point, used):
            _refine(poses, place, scale, ray, foot, weight, used, steps, work, robust, point)
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
                off = min(error(poses[v], place[v], scale[v], point), FAR_SIGMA)
                chi2[n] += weight[v] * off * off
        # The covariance is that of the scores alone, without Huber's share.
        if nearest(ray, foot, robust, work, work[12:15]) and found:
            sigma[n] = np.sqrt((work[6] + work[9] + work[11]) / 3 * noise2 / found)
        else:
            sigma[n] = np.nan
    return points, sigma, chi2, used_by, seen_by
