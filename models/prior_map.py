"""Joints where measurement and prior agree best, for those that the views tell too little of."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .prior import MIN_JOINTS, PosePrior
from .prior_frame import frame_of, from_frame, to_frame

__all__ = ["most_likely"]

F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

STEPS = 3  # two views: error x 0.764 after 3, 0.732 after 6, 0.731 after 12
_HALVINGS = 4
_PRIOR_SIGMA_M = 0.03  # of a joint given the others, for the first step's length only
_LARGEST_STEP_M = 0.15
_DESCENT = 1e-4  # Armijo


def most_likely(
    prior: PosePrior,
    joints: F64,
    information: F64,
    free: Bool,
    *,
    weight: float = 1.0,
    steps: int = STEPS,
) -> F64:
    """Maximum a posteriori joints: minus log likelihood of measurement and prior, by BFGS.

    The measurement is a Gaussian per joint, the prior's density is over all joints that have a
    place. Nocedal and Wright, Numerical Optimization, algorithm 6.1, all bodies at once.

    Args:
        prior: the density.
        joints: (P, 17, 3) metres, z up: where the views alone put them, NaN where nowhere.
        information: (P, 17, 3, 3) inverse covariances of the measurement, 1 / m^2, world axes;
            a direction about which the views say nothing has none.
        free: (P, 17) joints that may move; the others stay as they are.
        weight: of the prior.
        steps: of the search.

    Returns:
        (P, 17, 3)
    """
    seen = np.asarray(np.isfinite(joints).all(axis=2))
    free = free & seen
    able = free.any(axis=1) & (seen.sum(axis=1) >= MIN_JOINTS)
    if not able.any():
        return joints
    result = joints.copy()
    result[able] = _searched(
        prior, joints[able], information[able], seen[able], free[able], weight, steps
    )
    return result


def _searched(
    prior: PosePrior,
    joints: F64,
    information: F64,
    seen: Bool,
    free: Bool,
    weight: float,
    steps: int,
) -> F64:
    frame = frame_of(joints, seen)
    start = np.where(seen[..., None], to_frame(frame, joints), 0.0)
    turn = frame.turn[:, None]
    local = (turn @ information @ turn.mT) * frame.size[:, None, None, None] ** 2
    people, moving = len(joints), np.repeat(free, 3, axis=1)  # (P, 51)

    def judge(place: F64) -> tuple[F64, F64]:
        """What is to be small, and its gradient (P, 51)."""
        value, gradient = prior.value_and_gradient(place, seen)
        pull = np.einsum("pjab,pjb->pja", local, place - start)
        cost = 0.5 * (pull * (place - start)).sum(axis=(1, 2)) - weight * value
        slope = (pull - weight * gradient).reshape(people, -1)
        return cost, np.where(moving, slope, 0.0)

    inverse = np.zeros((people, 51, 51))
    blocks = np.linalg.inv(local + np.eye(3) / _PRIOR_SIGMA_M**2)  # (P, 17, 3, 3)
    for joint in range(17):
        rows = slice(3 * joint, 3 * joint + 3)
        inverse[:, rows, rows] = blocks[:, joint] * free[:, joint, None, None]
    place, (cost, slope) = start, judge(start)
    for _ in range(steps):
        step = -np.einsum("pij,pj->pi", inverse, slope)
        largest = np.abs(step).max(axis=1, keepdims=True)
        step *= np.minimum(1.0, _LARGEST_STEP_M / np.maximum(largest, 1e-12))
        expected = (step * slope).sum(axis=1)
        share = np.ones(people)
        for _ in range(_HALVINGS):
            trial = place + (share[:, None] * step).reshape(place.shape)
            new_cost, new_slope = judge(trial)
            good = new_cost <= cost + _DESCENT * share * expected
            if good.all():
                break
            share = np.where(good, share, share / 2)
        taken = np.where(good, share, 0.0)[:, None] * step
        change = np.where(good[:, None], new_slope - slope, 0.0)
        inverse = _updated(inverse, taken, change)
        place = place + taken.reshape(place.shape)
        cost = np.where(good, new_cost, cost)
        slope = np.where(good[:, None], new_slope, slope)
        if not good.any():
            break
    moved = from_frame(frame, place)
    return np.where(free[..., None], moved, joints)


def _updated(inverse: F64, step: F64, change: F64) -> F64:
    """The inverse Hessian after a step, where the curvature along it is positive."""
    curvature = (step * change).sum(axis=1)
    sound = curvature > 1e-10
    rho = np.where(sound, 1 / np.where(sound, curvature, 1.0), 0.0)[:, None, None]
    turned = np.einsum("pij,pj->pi", inverse, change)
    gain = 1 + rho[:, 0, 0] * (change * turned).sum(axis=1)
    outer = step[:, :, None] * step[:, None]
    cross = turned[:, :, None] * step[:, None]
    return np.asarray(inverse + rho * (gain[:, None, None] * outer - cross - cross.mT))
