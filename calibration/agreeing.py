"""Which of the views of a point agree with each other, and the point that those make."""

from __future__ import annotations

import numpy as np

from .camera import F64
from .rays import Bool, Rays, errors, nearest, refine

__all__ = ["TRIM_MEDIANS", "agreeing", "trimmed"]

TRIM_MEDIANS = 4.0  # so that a detector worse than told keeps its views


def agreeing(rays: Rays, gate: float) -> tuple[F64, Bool]:
    """Points (3, N) with the fewest views left out that make the others agree, and the mask (V, N).

    One view after the other is left out, each time the one without which the rest agree best; what
    is still disputed at three views is decided by pairs. The work grows with the square of the
    number of views, and only disputed points pay it.
    """
    used = rays.seen & (rays.seen.sum(axis=0) >= 2)
    points = nearest(rays, rays.weight * used)
    disputed = _mean_error(rays, points, used) > gate
    for more in range(len(rays.seen), 3, -1):
        which = np.flatnonzero(disputed & (used.sum(axis=0) == more))
        if len(which):
            part = rays.take(which)
            mask = used[:, which] = _without_worst(part, used[:, which])
            points[:, which] = nearest(part, part.weight * mask)
            disputed[which] = _mean_error(part, points[:, which], mask) > gate
    used[:, disputed & (used.sum(axis=0) == 2)] = False  # two that contradict: neither is right
    which = np.flatnonzero(disputed & used.any(axis=0))
    if len(which):
        part = rays.take(which)
        mask = _best_pair(part, gate)
        points[:, which] = nearest(part, part.weight * mask)
        used[:, which] = mask & (_mean_error(part, points[:, which], mask) <= gate)
    return points, used


def trimmed(rays: Rays, points: F64, used: Bool, trim_sigma: float, steps: int) -> tuple[F64, Bool]:
    """Points and views without those far off, where three are left; refined anew."""
    error = np.where(used, errors(rays, points), np.nan)
    count = used.sum(axis=0)
    # NaN sorts last: the lower middle of those used.
    place = np.maximum(count - 1, 0) // 2
    median = np.take_along_axis(np.sort(error, axis=0), place[None], axis=0)[0]
    gate = np.maximum(trim_sigma, TRIM_MEDIANS * median)  # NaN where none is used
    bad = used & (error > gate)
    which = np.flatnonzero(bad.any(axis=0) & (count - bad.sum(axis=0) >= 3))
    if len(which) == 0:
        return points, used
    part, points, used = rays.take(which), points.copy(), used.copy()
    used[:, which] &= ~bad[:, which]
    points[:, which] = refine(part, used[:, which], points[:, which], steps)
    return points, used


def _mean_error(rays: Rays, points: F64, used: Bool) -> F64:
    """(N,) sigmas, over the views used; 0 where there are none, inf where there is no point."""
    total = np.where(used, errors(rays, points), 0.0).sum(axis=0)
    return np.asarray(total / np.maximum(used.sum(axis=0), 1))


def _without_worst(rays: Rays, used: Bool) -> Bool:
    """(V, N) the views used but one: the one without which the others agree best."""
    views, count = used.shape
    # One copy of the points for each view left out, side by side.
    repeated = rays.take(np.tile(np.arange(count), views))
    masks = used[:, None] & ~np.eye(views, dtype=np.bool_)[:, :, None]  # (V, out, N)
    mask = masks.reshape(views, views * count)
    error = _mean_error(repeated, nearest(repeated, repeated.weight * mask), mask)
    error = np.where(used, error.reshape(views, count), np.inf)  # leaving out an unused one: no
    return np.asarray(masks[:, error.argmin(axis=0), np.arange(count)])


def _best_pair(rays: Rays, gate: float) -> Bool:
    """(V, N) the views within the gate of the point that the best pair of views proposes.

    The cost of a proposal is each view's squared error, cut off at the gate, weighted by score.
    """
    views, count = rays.seen.shape
    first, second = np.triu_indices(views, 1)
    number = np.arange(len(first))
    pairs = np.zeros((views, len(first)), dtype=np.bool_)
    pairs[first, number] = pairs[second, number] = True
    both = rays.seen[first] & rays.seen[second]  # (K, N)
    repeated = rays.take(np.tile(np.arange(count), len(first)))
    mask = np.repeat(pairs, count, axis=1) & both.reshape(-1)
    error = errors(repeated, nearest(repeated, repeated.weight * mask))
    cost = (np.minimum(error, gate) ** 2 * repeated.weight).sum(axis=0)
    cost = np.where(both, cost.reshape(len(first), count), np.inf)
    best = cost.argmin(axis=0) * count + np.arange(count)
    used = (error[:, best] <= gate) & rays.seen
    return np.asarray(used & (used.sum(axis=0) >= 2))
