"""The normal equations of a whole calibration, solved with the boards' poses eliminated.

A board's pose touches only the few cameras that saw it, so its 6x6 block is eliminated (Schur
complement) and what is left to solve has 18 unknowns per camera and the bend, however many boards
there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .camera import F64
from .normal_equations import N_BEND, N_CAMERA, N_POSE, Estimate, Jacobian, Problem
from .projection import N_INTRINSICS

# A rational lens hardly changes when numerator and denominator take up the same factor, and its
# coefficients run away along that valley. As in mrcal, k4, k5 and k6 are held near zero by a light
# hand: one unit of any costs as much as this many pixels of one corner.
RATIONAL = slice(9, 12)
PRIOR_PX = 0.1


@dataclass(frozen=True, slots=True)
class Blocks:
    """The normal equations, by block; D = 18 C + 2."""

    cameras: F64  # (D, D)
    boards: F64  # (B, 6, 6)
    coupling: F64  # (B, 6, D)
    camera_gradient: F64  # (D,)
    board_gradient: F64  # (B, 6)


def normal_blocks(problem: Problem, off: F64, J: Jacobian, weights: F64 | None = None) -> Blocks:
    """The normal equations of weighted residuals; `weights` (V, N) as in `sum w r^2`, or ones."""
    V, P = J.rows.shape[:2]
    rows, right = J.rows, np.swapaxes(off, 1, 2)
    if weights is not None:
        root = np.sqrt(weights)[:, None]
        rows, right = rows * root[:, None], right * root
    rows = rows.reshape(V, P, -1)  # (V, P, 2N)
    H = rows @ np.swapaxes(rows, 1, 2)  # (V, P, P)
    g = (rows @ right.reshape(V, -1, 1))[..., 0]  # (V, P)
    C, B = len(problem.cameras), len(problem.boards)
    own = np.concatenate([J.lens, np.arange(N_INTRINSICS, N_CAMERA)])  # of a camera's 18 numbers
    k, D = len(own), C * N_CAMERA + N_BEND
    of_camera = (problem.camera_of[None] == np.arange(C)[:, None]).astype(np.float64)
    of_board = (problem.board_of[None] == np.arange(B)[:, None]).astype(np.float64)
    board = slice(k, k + N_POSE)
    boards = _summed(of_board, H[:, board, board])
    board_gradient = _summed(of_board, g[:, board])
    # One more "camera" holds the bend.
    cameras = np.zeros((D, D))
    camera_gradient = np.zeros(D)
    coupling = np.zeros((B, N_POSE, D))
    at = np.arange(C)[:, None] * N_CAMERA + own  # (C, k)
    cameras[at[:, :, None], at[:, None, :]] = _summed(of_camera, H[:, :k, :k])
    camera_gradient[at] = _summed(of_camera, g[:, :k])
    # A camera sees a board once, so no two views write the same place.
    columns = at[problem.camera_of]  # (V, k)
    coupling[problem.board_of[:, None], :, columns] = H[:, :k, board]
    if problem.free_bend:
        bend = slice(k + N_POSE, None)
        cameras[-N_BEND:, -N_BEND:] = H[:, bend, bend].sum(axis=0)
        camera_gradient[-N_BEND:] = g[:, bend].sum(axis=0)
        both = _summed(of_camera, H[:, :k, bend])  # (C, k, 2)
        cameras[at, -N_BEND:] = both
        cameras[-N_BEND:, at] = np.moveaxis(both, 2, 0)
        coupling[:, :, -N_BEND:] = _summed(of_board, H[:, board, bend])
    return Blocks(cameras, boards, coupling, camera_gradient, board_gradient)


def prior_cost(problem: Problem, estimate: Estimate) -> float:
    """What the denominator's coefficients cost, beside the residuals."""
    lens = np.where(problem.free[:, RATIONAL], estimate.intrinsics[:, RATIONAL], 0.0)
    return 0.5 * PRIOR_PX**2 * float((lens**2).sum())


def with_prior(problem: Problem, estimate: Estimate, blocks: Blocks) -> Blocks:
    """The same blocks, which are changed, with that cost in them."""
    cameras, which = np.nonzero(problem.free[:, RATIONAL])
    columns = cameras * N_CAMERA + RATIONAL.start + which
    blocks.cameras[columns, columns] += PRIOR_PX**2
    blocks.camera_gradient[columns] += (
        PRIOR_PX**2 * estimate.intrinsics[:, RATIONAL][cameras, which]
    )
    return blocks


def reduced(blocks: Blocks, columns: NDArray[np.intp], damping: float) -> tuple[F64, F64, F64, F64]:
    """What is left for F free numbers (`Problem.free_columns`) without the boards' poses.

    Returns:
        (F, F) matrix, (F,) right side, and (B, 6, F), (B, 6) to get the boards' steps back.
    """
    A = blocks.cameras[np.ix_(columns, columns)]
    A[np.diag_indices_from(A)] *= 1.0 + damping
    board = blocks.boards.copy()
    diagonal = np.arange(N_POSE)
    board[:, diagonal, diagonal] *= 1.0 + damping
    # A board without a used corner leaves a zero block; its pose stays.
    board[:, diagonal, diagonal] += (board[:, diagonal, diagonal] == 0.0) * 1.0
    W = blocks.coupling[:, :, columns]
    # Scaled to a unit diagonal the small blocks are tame (radians beside metres), and one inverse
    # each is four times as fast as solving for all columns.
    scale = 1.0 / np.sqrt(board[:, diagonal, diagonal])  # (B, 6)
    both = scale[:, :, None] * scale[:, None, :]
    inverses = np.linalg.inv(board * both) * both
    back = inverses @ W  # (B, 6, F)
    own = (inverses @ blocks.board_gradient[..., None])[..., 0]  # (B, 6)
    flat = W.reshape(len(W) * N_POSE, len(columns))
    S = A - flat.T @ back.reshape(flat.shape)
    right = blocks.camera_gradient[columns] - flat.T @ own.reshape(-1)
    return (S + S.T) / 2.0, right, back, own


def gauss_newton_step(
    problem: Problem, blocks: Blocks, damping: float
) -> tuple[F64, F64, F64] | None:
    """Steps (18 C + 2,) and (B, 6), or None where the matrix is not positive definite."""
    columns = problem.free_columns
    S, right, back, own = reduced(blocks, columns, damping)
    step = np.zeros(problem.free.size + N_BEND)
    if not len(S):
        return _apart(problem, step, -own)
    scale = 1.0 / np.sqrt(np.maximum(np.diag(S), 1e-300))
    try:
        factor = scipy.linalg.cho_factor(S * scale[:, None] * scale[None, :], check_finite=False)
    except np.linalg.LinAlgError:
        return None
    solution = scale * scipy.linalg.cho_solve(factor, scale * right, check_finite=False)
    step[columns] = -solution
    return _apart(problem, step, -(own - back @ solution))


def _apart(problem: Problem, step: F64, boards: F64) -> tuple[F64, F64, F64]:
    return step[:-N_BEND].reshape(problem.free.shape), boards, step[-N_BEND:]


def _summed(member: F64, values: F64) -> F64:
    """(M, ...) sums of (V, ...) by membership (M, V)."""
    flat = member @ values.reshape(len(values), -1)
    return np.asarray(flat.reshape(len(member), *values.shape[1:]))
