"""The rig drawn flat: cameras, boards and the triangulation error on the plane they spread over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .camera import F64, Camera
from .quality import own_covariance, point_sigma_m
from .refinement import Refined

STEPS = 16  # cells of the error map per side
MARGIN = 0.25  # of the boards' spread, added around it


def flat_plan(refined: Refined, cameras: Sequence[Camera]) -> dict[str, Any]:
    """Cameras, boards and predicted errors on the plane that cameras and boards spread over most.

    All in the reference camera's frame, metres along the plane's two axes; errors in millimetres.

    Args:
        refined: the final estimate.
        cameras: the rig, in the estimate's order, still in the reference camera's frame.
    """
    problem, estimate = refined.problem, refined.fit.estimate
    shared = np.array([key[0] == "moment" for key in problem.boards])
    counts = np.bincount(problem.board_of, minlength=len(problem.boards))
    boards = estimate.boards[shared & (counts >= 2)][:, :3, 3]
    centers = np.stack([camera.center_world for camera in cameras])
    middle, axes = _plane(np.concatenate([centers, boards]))
    seen = (boards - middle) @ axes.T if len(boards) else np.zeros((1, 2))
    low, high = seen.min(axis=0), seen.max(axis=0)
    grow = MARGIN * float((high - low).max()) + 1e-3
    u = np.linspace(low[0] - grow, high[0] + grow, STEPS)
    v = np.linspace(low[1] - grow, high[1] + grow, STEPS)
    height = np.mean(boards - middle, axis=0) if len(boards) else np.zeros(3)
    off_plane = height - axes.T @ (axes @ height)
    grid = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2) @ axes + middle + off_plane
    sigma_mm = 1000.0 * point_sigma_m(cameras, grid, own_covariance(refined))
    forward = np.stack([camera.cam_from_world[2, :3] for camera in cameras]) @ axes.T
    return {
        "cameras": [
            {"name": camera.name, "at": at.tolist(), "looks": looks.tolist()}
            for camera, at, looks in zip(cameras, (centers - middle) @ axes.T, forward, strict=True)
        ],
        "boards": seen.tolist() if len(boards) else [],
        "u": u.tolist(),
        "v": v.tolist(),
        "sigma_mm": [
            [None if np.isnan(value) else float(value) for value in row]
            for row in sigma_mm.reshape(STEPS, STEPS)
        ],
    }


def _plane(points: F64) -> tuple[F64, F64]:
    """(3,) middle and (2, 3) axes of widest spread."""
    middle = points.mean(axis=0)
    _, _, vt = np.linalg.svd(points - middle, full_matrices=True)
    return middle, np.asarray(vt[:2])
