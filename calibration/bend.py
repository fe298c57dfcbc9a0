"""How far the board is bent: two parabolas, one across its columns and one across its rows.

The deformation is mrcal's (its `calobject_warp`, two numbers). Where it was not solved for, one
step of the whole solve says what it would come to: near the optimum that is nearly all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg

from .camera import F64
from .normal_equations import N_BEND, view_jacobians
from .refinement import Refined
from .schur import gauss_newton_step, normal_blocks, reduced, with_prior


@dataclass(frozen=True, slots=True)
class Bend:
    """How far the board's middle lies behind its edges (negative: in front), millimetres."""

    across_mm: float  # along the columns' direction
    down_mm: float
    sigma_across_mm: float
    sigma_down_mm: float
    allowed: bool  # solved for; else only looked for


def bend_of(refined: Refined) -> Bend | None:
    """The board's bend; None where the views cannot tell it."""
    problem, estimate = refined.problem, refined.fit.estimate
    if problem.free_bend:
        bend_m, covariance = estimate.bend_m, refined.precision.bend_covariance
        return _in_mm(bend_m, np.sqrt(np.diag(covariance)), True)
    asked = replace(problem, free_bend=True)
    off, J = view_jacobians(asked, estimate)
    blocks = with_prior(asked, estimate, normal_blocks(asked, off, J))
    step = gauss_newton_step(asked, blocks, 0.0)
    if step is None:
        return None
    S, _, _, _ = reduced(blocks, asked.free_columns, 0.0)
    # The bend comes last: its block of the inverse is the inverse of what is left of it (Schur).
    rest = S[:-N_BEND, :-N_BEND]
    own: F64 = np.asarray(S[-N_BEND:, -N_BEND:], dtype=np.float64)
    if len(rest):
        scale = 1.0 / np.sqrt(np.maximum(np.diag(rest), 1e-300))
        side = S[:-N_BEND, -N_BEND:] * scale[:, None]
        tame = rest * scale[:, None] * scale[None, :]
        own = own - np.asarray(side.T @ scipy.linalg.solve(tame, side, assume_a="pos"))
    try:
        covariance = np.asarray(refined.precision.sigma_px**2 * np.linalg.inv(own))
    except np.linalg.LinAlgError:
        return None
    variance = np.asarray(np.diag(covariance))
    if not (np.isfinite(variance).all() and (variance > 0).all()):
        return None
    return _in_mm(step[2], np.sqrt(variance), False)


def _in_mm(bend_m: F64, sigma_m: F64, allowed: bool) -> Bend:
    across, down = (float(1000.0 * value) for value in bend_m)
    sigma_across, sigma_down = (float(1000.0 * value) for value in sigma_m)
    return Bend(across, down, sigma_across, sigma_down, allowed)
