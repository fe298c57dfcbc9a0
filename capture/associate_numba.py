"""The loops behind `capture.votes` and `capture.associate`, compiled.

Same steps as its plain definitions, pair by pair instead of array by array.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calibration.compiled import jit

from .people import F64

__all__ = ["all_content", "between_views", "contract", "rays", "to_tracks"]

Ints = NDArray[np.int64]


@jit
def rays(
    view: Ints, norm: F64, scores: F64, rotation: F64, center: F64, min_score: float
) -> tuple[F64, F64, F64]:
    """Directions (J, S, 3), moments (J, S, 3) and weights (J, S) of all joints of all sightings.

    Args:
        view: (S,) which camera's.
        norm: (S, J, 2) undistorted at z = 1.
        scores: (S, J).
        rotation: (V, 3, 3) of cam_from_world.
        center: (V, 3).
        min_score: below, a joint weighs nothing and looks along the optical axis.
    """
    count, joints = scores.shape
    direction, moment = np.empty((joints, count, 3)), np.empty((joints, count, 3))
    weight = np.zeros((joints, count))
    for s in range(count):
        R, c = rotation[view[s]], center[view[s]]
        for j in range(joints):
            x = y = 0.0
            if scores[s, j] >= min_score:
                x, y = norm[s, j, 0], norm[s, j, 1]
                weight[j, s] = math.sqrt(scores[s, j])
            long = math.sqrt(x * x + y * y + 1.0)
            d, m = direction[j, s], moment[j, s]
            for i in range(3):
                d[i] = (x * R[0, i] + y * R[1, i] + R[2, i]) / long
            m[0] = c[1] * d[2] - c[2] * d[1]
            m[1] = c[2] * d[0] - c[0] * d[2]
            m[2] = c[0] * d[1] - c[1] * d[0]
    return direction, moment, weight


@jit
def _log_ratio(distance2: float, variance: float, behind: bool, spread_m: float) -> float:
    gain = -0.5 * math.log(variance * (2 * math.pi / spread_m**2))
    floor = -abs(gain)
    return floor if behind else max(gain - 0.5 * distance2 / variance, floor)


@jit
def between_views(
    view: Ints, center: F64, direction: F64, moment: F64, weight: F64, noise: F64,
    noise_m: float, spread_m: float, min_joints: int, min_sin2: float, min_depth_m: float,
) -> F64:  # fmt: skip
    """(S, S) log-likelihood ratio that two sightings are one person; -inf within one view.

    Args:
        view: (S,) which camera's.
        center: (S, 3) of that camera.
        direction: (J, S, 3) unit rays.
        moment: (J, S, 3) center x direction.
        weight: (J, S) square root of score, 0 unseen.
        noise: (S,) metres of noise per metre of depth.
        noise_m: of a joint on the body.
        spread_m: how far apart two people's rays pass.
        min_joints: fewer in common say nothing.
        min_sin2: rays more parallel than this say nothing.
        min_depth_m: nearer than this is behind the camera.
    """
    joints, count = weight.shape
    total = np.full((count, count), -np.inf)
    for a in range(count):
        for b in range(a + 1, count):
            if view[a] == view[b]:
                continue
            apart_x = center[b, 0] - center[a, 0]
            apart_y = center[b, 1] - center[a, 1]
            apart_z = center[b, 2] - center[a, 2]
            votes, common = 0.0, 0
            for j in range(joints):
                both = weight[j, a] * weight[j, b]
                if both == 0.0:
                    continue
                d, e = direction[j, a], direction[j, b]
                cos = d[0] * e[0] + d[1] * e[1] + d[2] * e[2]
                sin2 = 1.0 - cos * cos
                if sin2 < min_sin2:
                    continue
                common += 1
                m, n = moment[j, a], moment[j, b]
                # Pluecker: two lines' reciprocal product over the sine of their angle.
                cross = d[0] * n[0] + d[1] * n[1] + d[2] * n[2]
                cross += e[0] * m[0] + e[1] * m[1] + e[2] * m[2]
                ahead_a = apart_x * d[0] + apart_y * d[1] + apart_z * d[2]
                ahead_b = -(apart_x * e[0] + apart_y * e[1] + apart_z * e[2])
                depth_a = (ahead_a + cos * ahead_b) / sin2
                depth_b = (ahead_b + cos * ahead_a) / sin2
                variance = 2 * noise_m**2 + (depth_a * noise[a]) ** 2 + (depth_b * noise[b]) ** 2
                behind = depth_a < min_depth_m or depth_b < min_depth_m
                votes += both * _log_ratio(cross * cross / sin2, variance, behind, spread_m)
            total[a, b] = total[b, a] = votes if common >= min_joints else 0.0
    return total


@jit
def to_tracks(
    center: F64, direction: F64, weight: F64, noise: F64, positions: F64, sigma_m: F64,
    noise_m: float, spread_m: float, min_joints: int, min_depth_m: float,
) -> F64:  # fmt: skip
    """(S, T) log-likelihood ratio that a sighting shows a tracked person.

    Args:
        center: (S, 3) as in `between_views`, with the next three.
        direction: (J, S, 3).
        weight: (J, S).
        noise: (S,).
        positions: (T, J, 3) metres, NaN for joints never seen.
        sigma_m: (T, J).
        noise_m: of a joint on the body.
        spread_m: how far apart two people pass.
        min_joints: fewer in common say nothing.
        min_depth_m: nearer than this is behind the camera.
    """
    joints, count = weight.shape
    total = np.zeros((count, len(positions)))
    for s in range(count):
        for t in range(len(positions)):
            votes, common = 0.0, 0
            for j in range(joints):
                known = np.isfinite(positions[t, j, 0])
                if weight[j, s] == 0.0 or not known:
                    continue
                common += 1
                x = positions[t, j, 0] - center[s, 0]
                y = positions[t, j, 1] - center[s, 1]
                z = positions[t, j, 2] - center[s, 2]
                d = direction[j, s]
                depth = x * d[0] + y * d[1] + z * d[2]
                distance2 = max(x * x + y * y + z * z - depth * depth, 0.0)
                variance = (depth * noise[s]) ** 2 + noise_m**2 + sigma_m[t, j] ** 2
                ratio = _log_ratio(distance2, variance, depth < min_depth_m, spread_m)
                votes += weight[j, s] * ratio
            if common >= min_joints:
                total[s, t] = votes
    return total


@jit
def contract(total: F64) -> Ints:
    """(S,) labels: joined pair by pair, the largest total first, while that is positive.

    Each row remembers its largest entry, so a step reads one row and not the whole table.
    """
    total = total.copy()
    count = len(total)
    labels = np.arange(count)
    best = np.empty(count, dtype=np.int64)
    for row in range(count):
        best[row] = np.argmax(total[row])
    while True:
        keep = 0
        for row in range(1, count):
            if total[row, best[row]] > total[keep, best[keep]]:
                keep = row
        drop = best[keep]
        if not total[keep, drop] > 0:
            return labels
        for node in range(count):
            if labels[node] == drop:
                labels[node] = keep
        for other in range(count):
            # Sums of a forbidden pair stay -inf: the parts can never share a view.
            total[keep, other] += total[drop, other]
            total[other, keep] = total[keep, other]
            total[drop, other] = total[other, drop] = -np.inf
        total[keep, keep] = -np.inf
        for row in range(count):
            if row in (keep, drop) or best[row] in (keep, drop):
                best[row] = np.argmax(total[row])
            elif total[row, keep] > total[row, best[row]] or (
                total[row, keep] == total[row, best[row]] and keep < best[row]
            ):
                best[row] = keep


@jit
def all_content(gain: F64, group: Ints) -> bool:
    """Whether every sighting is in the group (S,) that it fits best, or alone if none.

    Args:
        gain: (S, S) of putting two together; 0 for one's own view.
        group: (S,) numbered from 0.
    """
    count = len(gain)
    fits = np.zeros(count)
    for node in range(count):
        fits[:] = 0.0
        for other in range(count):
            fits[group[other]] += gain[node, other]
        if fits[group[node]] < max(fits.max(), 0.0):
            return False
    return True
