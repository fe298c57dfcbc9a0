"""The joint refinement: Levenberg-Marquardt over all lenses, cameras and boards at once.

First with a Cauchy loss, which a spoiled view cannot pull; then what disagrees is set aside (see
`rejection.py`); then plain least squares on the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from .camera import F64
from .normal_equations import (
    N_BEND,
    N_CAMERA,
    Estimate,
    Problem,
    followers,
    residuals,
    view_jacobians,
)
from .schur import gauss_newton_step, normal_blocks, prior_cost, reduced, with_prior

logger = logging.getLogger(__name__)

MAX_ITERATIONS = 60
# Relative fall of the cost at which there is nothing left to gain.
LOOSE, TIGHT = 1e-4, 1e-11
FIRST_DAMPING = 1e-4
# 95 % efficiency of the Cauchy loss on normal noise (Holland and Welsch 1977).
CAUCHY_SIGMAS = 2.385
# Normal noise: standard deviation over median of absolute values.
MAD_TO_SIGMA = 1.4826
MIN_SIGMA_PX = 0.01


@dataclass(frozen=True, slots=True)
class Fit:
    """A refined estimate and how it got there."""

    estimate: Estimate
    cost: float
    iterations: int
    converged: bool


@dataclass(frozen=True, slots=True)
class Precision:
    """How sure the estimate is."""

    covariance: F64  # (D, D) of all camera parameters, zero where fixed; D = 18 C
    sigma_px: float  # noise per axis, from the residuals
    dof: int
    bend_covariance: F64  # (2, 2) of the board's bend, metres squared; zero where not solved for


def minimize(
    problem: Problem,
    estimate: Estimate,
    *,
    cauchy_px: float | None = None,
    tolerance: float = TIGHT,
    check: Callable[[], None] = lambda: None,
) -> Fit:
    """The estimate that fits the corners best.

    Args:
        problem: the corners.
        estimate: where to start.
        cauchy_px: scale of the Cauchy loss; None for least squares.
        tolerance: relative fall of the cost at which to stop.
        check: called every iteration; may raise to stop.
    """
    damping, raise_by = FIRST_DAMPING, 2.0
    off, J = view_jacobians(problem, estimate)
    cost, weights = _loss(off, cauchy_px)
    cost += prior_cost(problem, estimate)
    for iteration in range(1, MAX_ITERATIONS + 1):
        check()
        blocks = with_prior(problem, estimate, normal_blocks(problem, off, J, weights))
        while True:
            step = gauss_newton_step(problem, blocks, damping)
            if step is not None:
                tried = _stepped(problem, estimate, *step)
                # Nearly every step is taken, so its derivatives are computed at once.
                tried_off, tried_J = view_jacobians(problem, tried)
                tried_cost, tried_weights = _loss(tried_off, cauchy_px)
                tried_cost += prior_cost(problem, tried)
                if tried_cost <= cost:
                    break
            damping, raise_by = damping * raise_by, raise_by * 2.0
            if damping > 1e12:  # no direction helps: this is the minimum, to rounding
                return Fit(estimate, cost, iteration, True)
        fall = (cost - tried_cost) / max(cost, 1e-300)
        estimate, damping, raise_by = tried, damping / 10.0, 2.0
        off, J, cost, weights = tried_off, tried_J, tried_cost, tried_weights
        if fall < tolerance:
            return Fit(estimate, cost, iteration, True)
    logger.info("joint refinement stopped after %d iterations, still falling", MAX_ITERATIONS)
    return Fit(estimate, cost, MAX_ITERATIONS, False)


def robust_start(
    problem: Problem, estimate: Estimate, check: Callable[[], None] = lambda: None
) -> Estimate:
    """The estimate with the Cauchy loss, wide first, then as narrow as the noise."""
    first = np.linalg.norm(residuals(problem, estimate), axis=-1)[problem.used]
    wide = max(float(np.median(first)), CAUCHY_SIGMAS * MIN_SIGMA_PX)
    estimate = minimize(problem, estimate, cauchy_px=wide, tolerance=LOOSE, check=check).estimate
    narrow = CAUCHY_SIGMAS * noise_px(problem, residuals(problem, estimate))
    if narrow < wide:
        estimate = minimize(
            problem, estimate, cauchy_px=narrow, tolerance=LOOSE, check=check
        ).estimate
    return estimate


def noise_px(problem: Problem, off: F64) -> float:
    """Noise per axis from residuals (V, N, 2), deaf to outliers."""
    values = np.abs(off[problem.used])
    return max(MAD_TO_SIGMA * float(np.median(values)), MIN_SIGMA_PX)


def precision(problem: Problem, estimate: Estimate) -> Precision:
    """Covariance of the camera parameters at the minimum, scaled by the noise seen."""
    off, J = view_jacobians(problem, estimate)
    columns = problem.free_columns
    blocks = with_prior(problem, estimate, normal_blocks(problem, off, J))
    S, _, _, _ = reduced(blocks, columns, 0.0)
    boards_used = int(np.count_nonzero(np.bincount(problem.board_of, problem.used.sum(axis=1))))
    dof = 2 * int(problem.used.sum()) - len(columns) - 6 * boards_used
    sigma2 = float((off**2).sum()) / max(dof, 1)
    scale = 1.0 / np.sqrt(np.maximum(np.diag(S), 1e-300))
    scaled = S * scale[:, None] * scale[None, :]
    inverse = scipy.linalg.pinvh(scaled) * scale[:, None] * scale[None, :]
    size = problem.free.size
    covariance = np.zeros((size + N_BEND, size + N_BEND))
    covariance[np.ix_(columns, columns)] = sigma2 * inverse
    for camera, aspect in zip(*followers(problem, estimate), strict=True):
        fx = int(camera) * N_CAMERA
        covariance[fx + 1] = aspect * covariance[fx]
        covariance[:, fx + 1] = aspect * covariance[:, fx]
    return Precision(
        covariance[:size, :size], float(np.sqrt(sigma2)), dof, covariance[size:, size:]
    )


def _stepped(
    problem: Problem, estimate: Estimate, cameras: F64, boards: F64, bend_m: F64
) -> Estimate:
    which, aspect = followers(problem, estimate)
    cameras[which, 1] = aspect * cameras[which, 0]
    return estimate.stepped(cameras, boards, bend_m)


def _loss(off: F64, cauchy_px: float | None) -> tuple[float, F64 | None]:
    """Half the sum of the loss, and the weights (V, N) of the iteratively reweighted squares.

    What is not used has no residual and no derivative, so its weight does not matter.
    """
    squared = off[..., 0] ** 2 + off[..., 1] ** 2  # (V, N)
    if cauchy_px is None:
        return float(squared.sum()) / 2.0, None
    relative = squared / cauchy_px**2
    return float((cauchy_px**2 / 2.0) * np.log1p(relative).sum()), 1.0 / (1.0 + relative)
