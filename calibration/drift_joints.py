"""Whether a camera has moved, from people's joints that several cameras saw at the same moments.

No board is needed: what a camera sees must lie where the others put it. Lenses and poses are taken
as calibrated and every joint is free (eliminated by its own 3x3 block, as boards are in the
calibration); then one camera's pose after the other is freed, the one kept that explains most, and
so again. A Cauchy loss keeps joints that a detector put elsewhere from pulling.

Joints err alike in frames that follow each other, so how sure a measured move is comes not from
the count of joints but from how windows of the take differ (`joint_precision.py`).
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import F64
from .drift import MOVED_SIGMAS, NOISE_PX, Drift
from .joint_equations import (
    MIN_JOINTS,
    Joints,
    Scene,
    State,
    fit,
    mean_shift_px,
    nearest,
    residuals,
    scene_of,
    settled,
)
from .joint_precision import covariance as covariance_of
from .rig import Rig
from .transforms import inverse, skew

__all__ = ["Joints", "check_rig_by_joints"]


def check_rig_by_joints(rig: Rig, joints: Joints) -> tuple[Drift, ...]:
    """Every camera of the rig, moved or not.

    Of a rig of two nobody can say which of them moved (the second is named), nor whether it moved
    along the line between them. `Drift.moments` counts frames.

    Args:
        rig: the calibration in force, any lens.
        joints: sightings of the same people; some may be wrong.

    Raises:
        BadInput: shapes that do not fit the rig.
        TooFewViews: too few joints that two cameras see.
    """
    scene = scene_of(rig, joints)
    start = np.stack([camera.cam_from_world for camera in rig.cameras])
    median_px = np.zeros(len(start))
    state = State(start, nearest(scene, start))
    none = np.zeros(len(start), dtype=bool)
    state, cost, scale_px = settled(scene, state, none)
    off = np.linalg.norm(residuals(scene, state), axis=-1)
    for index in range(len(start)):
        own = off[:, index][scene.seen[:, index]]
        median_px[index] = float(np.median(own)) if own.size else 0.0
    free = none
    found: dict[int, Drift] = {}
    while len(found) < max(len(start) - 2, 1):
        best = _most_moved(scene, state, free, scale_px)
        if best is None or best[2] >= cost:
            break
        index, moved_state, moved_cost = best
        opened = free.copy()
        opened[index] = True
        # What was an outlier before may fit now: the loss becomes as narrow as the noise.
        moved_state, moved_cost, narrow_px = settled(scene, moved_state, opened)
        drift = _measure(rig, scene, moved_state, opened, index, narrow_px)
        if not drift.moved:
            break
        state, free, cost, scale_px = moved_state, opened, moved_cost, narrow_px
        found[index] = drift
    frames = [len(np.unique(scene.moments[scene.seen[:, i]])) for i in range(len(start))]
    return tuple(
        replace(
            found.get(index, Drift(name, 0, False, 0.0, 0.0, 0.0, 0.0, 0.0)),
            moments=frames[index],
            median_px=float(median_px[index]),
        )
        for index, name in enumerate(rig.names)
    )


def _most_moved(
    scene: Scene, state: State, free: NDArray[np.bool_], scale_px: float
) -> tuple[int, State, float] | None:
    """The camera whose freed pose explains most; of a pair, where both explain all, the second."""
    best: tuple[int, State, float] | None = None
    for index in range(1 if len(free) == 2 else 0, len(free)):
        rows = scene.seen[:, index].sum()
        if free[index] or rows < MIN_JOINTS:
            continue
        opened = free.copy()
        opened[index] = True
        # A camera that moved pulled the points with it: begin from what the others say.
        others = replace(scene, seen=scene.seen & ~_only(index, len(free)))
        enough = others.seen.sum(axis=1) >= 2
        points = np.where(enough[:, None], nearest(others, state.cams), state.points)
        tried, cost = fit(scene, State(state.cams, points), opened, scale_px)
        if best is None or cost < best[2] * (1 - 1e-6):
            best = (index, tried, cost)
    return best


def _only(index: int, count: int) -> NDArray[np.bool_]:
    return np.asarray(np.arange(count) == index)


def _measure(
    rig: Rig,
    scene: Scene,
    state: State,
    free: NDArray[np.bool_],
    index: int,
    scale_px: float,
) -> Drift:
    """How far a camera has moved, how sure that is, and whether it is more than chance."""
    camera = rig.cameras[index]
    T = state.cams[index]
    turned = _turn(T[:3, :3] @ camera.cam_from_world[:3, :3].T)
    shifted = inverse(T)[:3, 3] - camera.center_world
    turn, shift = float(np.linalg.norm(turned)), float(np.linalg.norm(shifted))
    at = 6 * int(free[:index].sum())
    covariance = covariance_of(scene, state, free, scale_px)[at : at + 6, at : at + 6]
    by_step = -T[:3, :3].T @ np.hstack([skew(T[:3, 3]), np.eye(3)])  # the centre by turn and shift
    sigma_turn = _sigma_along(turned, covariance[:3, :3])
    sigma_shift = _sigma_along(shifted, by_step @ covariance @ by_step.T)
    own = [c.sigma for c in rig.cameras if c.sigma is not None]
    had_turn = max((k.rotation_rad for k in own), default=0.0)
    had_shift = max((k.translation_m for k in own), default=0.0)
    # A turn and a shift aside look alike, so each alone is loose where both together are not.
    moved_px, by_pose = mean_shift_px(scene, state, camera.cam_from_world, index)
    had_px = rig.quality.rms_px if rig.quality else NOISE_PX
    loose = by_pose @ covariance @ by_pose.T + had_px**2 * np.eye(2)
    sigmas = max(
        turn / math.hypot(sigma_turn, had_turn),
        shift / math.hypot(sigma_shift, had_shift),
        math.sqrt(moved_px @ np.linalg.solve(loose, moved_px)),
    )
    return Drift(camera.name, 0, sigmas > MOVED_SIGMAS, turn, shift, sigma_turn, sigma_shift, 0.0)


def _turn(R: F64) -> F64:
    """(3,) rotation vector, radians."""
    return np.asarray(cv2.Rodrigues(R)[0], dtype=np.float64).reshape(3)


def _sigma_along(measured: F64, covariance: F64) -> float:
    """Sigma of a vector's length: how loose it is along its own direction."""
    direction = measured / max(float(np.linalg.norm(measured)), 1e-12)
    return math.sqrt(float(direction @ covariance @ direction))
