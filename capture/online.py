"""Estimates that follow a stream in constant memory: one correction per observation, nothing kept.

Robbins and Monro (1951): a value is corrected by each observation with steps a / (n + n0)^g, which
sum to infinity while their squares do not, for g in (1/2, 1]. With g < 1 the value itself stays
noisy, but the mean of all its values (Polyak and Juditsky 1992) is as good as the best estimator
that keeps everything: variance s^2 / n for a mean, p (1 - p) / (n f(q)^2) for a quantile. Where the
quantity itself moves the step stays constant, c, and the variance is s^2 c / (2 - c).

All functions work element by element; NaN is no observation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .people import F64

__all__ = ["Running", "Steps", "following", "mean_after", "quantile_after", "started"]


# A quantile's average starts when so many observations came on its rarer side; the way there
# would stay in it as a bias of 0.1 standard deviations after 20 000 observations of a 99th.
SETTLED = 20.0


@dataclass(frozen=True, slots=True)
class Steps:
    """Step sizes a / (n + n0)^g for n = 1, 2, ..."""

    a: float = 1.0
    n0: float = 0.0
    g: float = 0.7  # nearer 1/2 forgets the start sooner, nearer 1 is steadier

    def __post_init__(self) -> None:
        assert 0.5 < self.g <= 1.0, f"g is {self.g}; the sum of the squares converges above 1/2"
        assert self.a > 0, f"a is {self.a}"
        assert self.n0 >= 0, f"n0 is {self.n0}"

    def at(self, count: F64) -> F64:
        """The step of the observation with that number, from 1."""
        return np.asarray(self.a / (np.maximum(count, 1.0) + self.n0) ** self.g)


@dataclass(frozen=True, slots=True)
class Running:
    """Where estimates stand; arrays of one shape."""

    last: F64  # the value the next correction starts at, NaN before the first observation
    average: F64  # the mean of the values so far: the estimate to use
    count: F64  # observations
    center: F64  # plain mean of the observations
    spread: F64  # their mean distance from it


def started(shape: tuple[int, ...] = ()) -> Running:
    """Estimates of nothing yet."""
    unknown = np.full(shape, np.nan)
    return Running(unknown, unknown, np.zeros(shape), np.zeros(shape), np.zeros(shape))


def mean_after(running: Running, observed: F64, steps: Steps | None = None) -> Running:
    """The means after one more observation of each.

    Args:
        running: the means so far.
        observed: of the same shape, NaN where nothing was observed.
        steps: sizes; a = 1, n0 = 0 and g = 1 make `last` the plain mean of all observations.
    """
    off, count = _off(running, observed)
    size = (steps or Steps()).at(count)
    return _corrected(running, observed, count, size * off)


def quantile_after(
    running: Running, observed: F64, share: float, steps: Steps | None = None
) -> Running:
    """The quantiles after one more observation of each.

    A correction is up by `share` or down by `1 - share`, in units of the mean distance over the
    rarer of both shares: in the tail, where observations are rare, steps must be longer to arrive
    (the best length is one over the density there). They start no longer than one mean distance.

    Args:
        running: the quantiles so far.
        observed: of the same shape, NaN where nothing was observed.
        share: of the observations below the quantile, in (0, 1).
        steps: sizes, before that scaling; a = 0.6 lets the curvature of the density count least.
    """
    assert 0.0 < share < 1.0, f"share is {share}"
    steps = steps or Steps(a=0.6)
    off, count = _off(running, observed)
    rarer = min(share, 1.0 - share)
    slow = Steps(steps.a, steps.n0 + rarer ** (-1.0 / steps.g), steps.g)
    size = slow.at(count) * running.spread / rarer
    correction = size * np.where(off > 0, share, share - 1.0)
    return _corrected(running, observed, count, correction, SETTLED / rarer)


def following(value: F64, observed: F64, step: float) -> F64:
    """The values moved by a constant step towards the observations; for what itself moves."""
    assert 0.0 < step <= 1.0, f"step is {step}"
    moved = value + step * (observed - value)
    return np.where(np.isnan(observed), value, np.where(np.isnan(value), observed, moved))


def _off(running: Running, observed: F64) -> tuple[F64, F64]:
    """How far the observations are from the values, 0 at the first, and their numbers."""
    known = np.isfinite(observed) & np.isfinite(running.last)
    off = np.where(known, observed - running.last, 0.0)
    return off, running.count + np.isfinite(observed)


def _corrected(
    running: Running, observed: F64, count: F64, correction: F64, skipped: float = 0.0
) -> Running:
    there = np.isfinite(observed)
    first = there & (running.count == 0)
    last = np.where(first, observed, np.where(there, running.last + correction, running.last))
    share = np.where(there, 1.0 / np.maximum(count - skipped, 1.0), 0.0)
    average = np.where(first, observed, running.average + share * (last - running.average))
    plain = np.where(there, 1.0 / np.maximum(count, 1.0), 0.0)
    seen = np.where(there, observed, 0.0)
    center = running.center + plain * (seen - running.center)
    # The first distance, of the second observation, stands for the spread until there are more.
    plain = np.where(running.count > 1, plain, np.where(there & ~first, 1.0, 0.0))
    spread = running.spread + plain * (np.abs(seen - running.center) - running.spread)
    return Running(last, average, count, center, spread)
