"""Joints that several cameras saw, free in the world, under poses that are fixed or freed.

Levenberg-Marquardt with a Cauchy loss; every joint is eliminated by its own 3x3 block, as boards
are in the calibration. Residuals are pixels across the ray that was seen, so that any lens will do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bundle import CAUCHY_SIGMAS
from .camera import F64, to_rays
from .errors import BadInput, TooFewViews
from .rig import Rig
from .transforms import skew, updated

__all__ = [
    "MIN_JOINTS",
    "Joints",
    "Scene",
    "State",
    "equations",
    "fit",
    "mean_shift_px",
    "nearest",
    "prior",
    "residuals",
    "scene_of",
    "settled",
]

# Joints looked at; more say nothing new of a pose.
MAX_JOINTS = 800
MIN_JOINTS = 60
ITERATIONS, LAST_FALL = 20, 1e-6
# A detector is never better than this; without it a rendered world would look infinitely sure.
MIN_NOISE_PX = 0.05
# What is known of a camera's pose beforehand, far looser than any measurement: of a rig of two it
# keeps the baseline's length, which joints of unknown size do not tell.
PRIOR_TURN_RAD, PRIOR_SHIFT_M = 0.5, 1.0
_PRIOR = np.repeat([PRIOR_TURN_RAD, PRIOR_SHIFT_M], 3) ** -2.0


@dataclass(frozen=True, slots=True)
class Joints:
    """The same points at the same moments in the cameras of a rig."""

    pixels: F64  # (N, C, 2) distorted calibrated pixels in the rig's order, NaN where unseen
    moments: NDArray[np.int64]  # (N,) frame that each is of


@dataclass(frozen=True, slots=True)
class Scene:
    """What was seen: rays in each camera's own frame."""

    rays: F64  # (N, C, 3) unit vectors, zero where unseen
    across: F64  # (N, C, 2, 3) two directions across each ray
    seen: NDArray[np.bool_]  # (N, C)
    focal_px: F64  # (C,) pixels per radian
    moments: NDArray[np.int64]  # (N,)


@dataclass(frozen=True, slots=True)
class State:
    """What is solved for."""

    cams: F64  # (C, 4, 4) cam_from_world
    points: F64  # (N, 3) world


def scene_of(rig: Rig, joints: Joints) -> Scene:
    """The joints that two cameras or more saw, as rays; evenly thinned if they are very many.

    Raises:
        BadInput: shapes that do not fit the rig.
        TooFewViews: too few such joints.
    """
    pixels = np.asarray(joints.pixels, dtype=np.float64)
    moments = np.asarray(joints.moments, dtype=np.int64)
    count = len(rig.cameras)
    if pixels.ndim != 3 or pixels.shape[1:] != (count, 2) or moments.shape != pixels.shape[:1]:
        raise BadInput(
            f"joints are {pixels.shape} with moments {moments.shape}; rig {rig.name!r} wants "
            f"(N, {count}, 2) and (N,)"
        )
    seen: NDArray[np.bool_] = np.asarray(np.isfinite(pixels).all(axis=-1))
    rays = np.zeros((*seen.shape, 3))
    for index, camera in enumerate(rig.cameras):
        world = to_rays(camera, pixels[:, index])
        rays[:, index] = np.nan_to_num(world @ camera.cam_from_world[:3, :3].T)
        seen[:, index] &= np.isfinite(world).all(axis=1)
    useful: NDArray[np.bool_] = np.asarray(seen.sum(axis=1) >= 2)
    if useful.sum() < MIN_JOINTS:
        raise TooFewViews(
            f"{int(useful.sum())} joints are seen by two cameras of rig {rig.name!r} or more, "
            f"{MIN_JOINTS} are needed; let somebody walk where the cameras' views overlap"
        )
    chosen = np.flatnonzero(useful)
    if len(chosen) > MAX_JOINTS:
        chosen = chosen[np.linspace(0, len(chosen) - 1, MAX_JOINTS).astype(np.intp)]
    rays, seen = rays[chosen], seen[chosen]
    focal = np.array([math.sqrt(camera.K[0, 0] * camera.K[1, 1]) for camera in rig.cameras])
    return Scene(rays, _across(rays), seen, focal, moments[chosen])


def _across(rays: F64) -> F64:
    """(..., 2, 3) two unit vectors at right angles to each ray and to each other."""
    helper = np.zeros_like(rays)
    helper[..., 0] = 1.0  # rays point forward, never along x
    first = np.cross(rays, helper)
    first /= np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-12)
    return np.stack([first, np.cross(rays, first)], axis=-2)


def nearest(scene: Scene, cams: F64) -> F64:
    """(N, 3) the points nearest to all rays, in metres."""
    world = np.einsum("cji,ncj->nci", cams[:, :3, :3], scene.rays)
    centers = -np.einsum("cji,cj->ci", cams[:, :3, :3], cams[:, :3, 3])
    across = np.eye(3) - world[..., :, None] * world[..., None, :]
    across = across * scene.seen[..., None, None]
    A = across.sum(axis=1) + 1e-9 * np.eye(3)
    b = np.einsum("ncij,cj->ni", across, centers)
    return np.asarray(np.linalg.solve(A, b[..., None])[..., 0])


def residuals(scene: Scene, state: State) -> F64:
    """(N, C, 2) pixels across each ray to where its point is; zero where unseen."""
    inside = np.einsum("cij,nj->nci", state.cams[:, :3, :3], state.points) + state.cams[:, :3, 3]
    unit = inside / np.maximum(np.linalg.norm(inside, axis=-1, keepdims=True), 1e-9)
    off = np.einsum("ncki,nci->nck", scene.across, unit) * scene.focal_px[:, None]
    return np.asarray(off * scene.seen[..., None])


def _jacobians(scene: Scene, state: State) -> tuple[F64, F64]:
    """(N, C, 2, 6) by a turn and a shift of the camera, (N, C, 2, 3) by the point."""
    R = state.cams[:, :3, :3]
    turned = np.einsum("cij,nj->nci", R, state.points)
    inside = turned + state.cams[:, :3, 3]
    length = np.maximum(np.linalg.norm(inside, axis=-1, keepdims=True), 1e-9)
    unit = inside / length
    by_inside = (
        scene.across
        - np.einsum("ncki,nci->nck", scene.across, unit)[..., None] * (unit[..., None, :])
    )
    by_inside *= (scene.focal_px / length[..., 0] * scene.seen)[..., None, None]
    by_pose = np.concatenate([by_inside @ -skew(turned), by_inside], axis=-1)
    return by_pose, np.einsum("nckj,cji->ncki", by_inside, R)


def settled(scene: Scene, state: State, free: NDArray[np.bool_]) -> tuple[State, float, float]:
    """The robust minimum with a loss as narrow as the noise seen, its cost, and that scale."""
    scale_px = CAUCHY_SIGMAS * noise_px(scene, state)
    for _ in range(2):
        state, _ = fit(scene, state, free, scale_px)
        scale_px = CAUCHY_SIGMAS * noise_px(scene, state)
    state, cost = fit(scene, state, free, scale_px)
    return state, cost, scale_px


def noise_px(scene: Scene, state: State) -> float:
    """Noise per axis, deaf to joints that are wrong.

    Taken joint by joint: seen by n cameras, its squares are those of 2n - 3 values, whose median
    is as Wilson and Hilferty (1931) have it. (Single residuals would not do: two views share what
    contradicts them in any way, and a robust loss likes to give one of them everything.)
    """
    squares = (residuals(scene, state) ** 2).sum(axis=(1, 2))
    freedom = 2.0 * scene.seen.sum(axis=1) - 3.0
    middle = freedom * (1.0 - 2.0 / (9.0 * freedom)) ** 3
    return max(float(np.sqrt(np.median(squares / middle))), MIN_NOISE_PX)


def fit(
    scene: Scene, state: State, free: NDArray[np.bool_], scale_px: float
) -> tuple[State, float]:
    """Levenberg-Marquardt over the freed poses and all points, points eliminated."""
    cost = _cost(scene, state, scale_px)
    damping = 1e-4
    for _ in range(ITERATIONS):
        S, g, back = _reduced(scene, state, free, scale_px, damping)
        step: F64 = np.asarray(-np.linalg.solve(S, g)) if free.any() else np.zeros(0)
        tried = _stepped(state, free, step, back)
        tried_cost = _cost(scene, tried, scale_px)
        if tried_cost > cost:
            damping *= 10.0
            if damping > 1e8:
                break
            continue
        fall = (cost - tried_cost) / max(cost, 1e-300)
        state, cost, damping = tried, tried_cost, max(damping / 10.0, 1e-9)
        if fall < LAST_FALL:
            break
    return state, cost


def _cost(scene: Scene, state: State, scale_px: float) -> float:
    squared = (residuals(scene, state) ** 2).sum(axis=-1)
    return float((scale_px**2 / 2.0) * np.log1p(squared / scale_px**2).sum())


def _reduced(
    scene: Scene, state: State, free: NDArray[np.bool_], scale_px: float, damping: float
) -> tuple[F64, F64, tuple[F64, F64, F64]]:
    """The normal equations of the freed poses, and what gives the points back."""
    off = residuals(scene, state)
    by_pose, by_point = _jacobians(scene, state)
    weight = 1.0 / (1.0 + (off**2).sum(axis=-1) / scale_px**2)
    weighted = by_point * weight[..., None, None]
    V = np.einsum("nckd,ncke->nde", weighted, by_point)
    V += (damping * np.trace(V, axis1=1, axis2=2)[:, None, None] + 1e-9) * np.eye(3)
    Vi = np.linalg.inv(V)
    gp = np.einsum("nckd,nck->nd", weighted, off)
    S, g, W = _by_joint(by_pose, by_point, off, weight, Vi, gp, free)
    full = S.sum(axis=0) + prior(int(free.sum()))
    full += damping * np.diag(np.diag(full))
    return full, g.sum(axis=0), (Vi, gp, W)


def _by_joint(
    by_pose: F64,
    by_point: F64,
    off: F64,
    weight: F64,
    Vi: F64,
    gp: F64,
    free: NDArray[np.bool_],
) -> tuple[F64, F64, F64]:
    """(N, D, D) and (N, D) what each joint adds to the equations, and (N, D, 3) its coupling."""
    index = np.flatnonzero(free)
    count, D = len(off), 6 * len(index)
    S, g, W = np.zeros((count, D, D)), np.zeros((count, D)), np.zeros((count, D, 3))
    for k, camera in enumerate(index):
        rows = slice(6 * k, 6 * k + 6)
        J = by_pose[:, camera]
        weighted = np.swapaxes(J * weight[:, camera, None, None], 1, 2)  # (N, 6, 2)
        S[:, rows, rows] = weighted @ J
        g[:, rows] = (weighted @ off[:, camera, :, None])[..., 0]
        W[:, rows] = weighted @ by_point[:, camera]
    WV = W @ Vi
    return S - WV @ np.swapaxes(W, 1, 2), g - (WV @ gp[..., None])[..., 0], W


def equations(
    scene: Scene, state: State, free: NDArray[np.bool_], scale_px: float
) -> tuple[F64, F64]:
    """(N, D, D) and (N, D) curvature and slope that each joint adds, at the robust minimum."""
    _, _, (Vi, gp, _) = _reduced(scene, state, free, scale_px, 0.0)
    off = residuals(scene, state)
    by_pose, by_point = _jacobians(scene, state)
    squared = (off**2).sum(axis=-1) / scale_px**2
    weight = 1.0 / (1.0 + squared)
    S, g, _ = _by_joint(by_pose, by_point, off, weight, Vi, gp, free)
    # Weighted squares bend up more than the loss does, whose pull falls where the weight does.
    bent = weight - weight**2 * squared
    return S * float(bent[scene.seen].sum() / weight[scene.seen].sum()), g


def prior(cameras: int) -> F64:
    """(6 cameras, 6 cameras) curvature that the poses have without any joint."""
    return np.diag(np.tile(_PRIOR, cameras))


def mean_shift_px(scene: Scene, state: State, before: F64, index: int) -> tuple[F64, F64]:
    """How far the picture of what a camera sees has moved, and how that hangs on its pose.

    Args:
        scene: what was seen.
        state: the estimate.
        before: (4, 4) the camera's pose as it was calibrated.
        index: the camera.

    Returns:
        (2,) pixels, and (2, 6) pixels per turn and shift.
    """
    rows = scene.seen[:, index]
    cams = state.cams.copy()
    cams[index] = before
    moved = residuals(scene, state) - residuals(scene, State(cams, state.points))
    by_pose, _ = _jacobians(scene, state)
    return moved[rows, index].mean(axis=0), by_pose[rows, index].mean(axis=0)


def _stepped(state: State, free: NDArray[np.bool_], step: F64, back: tuple[F64, F64, F64]) -> State:
    Vi, gp, W = back
    points = state.points - np.einsum("nde,ne->nd", Vi, gp + np.einsum("nid,i->nd", W, step))
    cams = state.cams.copy()
    for k, camera in enumerate(np.flatnonzero(free)):
        cams[camera] = updated(cams[camera], step[6 * k : 6 * k + 6])
    return State(cams, points)
