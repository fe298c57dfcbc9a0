"""The report of a calibration as plain values, for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .bend import Bend
from .board import Board
from .camera import Camera
from .extrinsics import Edge
from .intrinsics import Lens
from .normal_equations import N_CAMERA, own_parameters, residuals
from .projection import names_of
from .quality import CameraFigures, Edges, own_covariance
from .refinement import Refined
from .rig import Rejected, Rig, Stereo
from .views import Sightings

FORMAT = "quadglass-calibration-report/1"
# Enough for a picture of the misfits, without a megabyte of them.
SAMPLE = 400
POSE_NAMES = ("rot_x", "rot_y", "rot_z", "t_x", "t_y", "t_z")


def rig_report(
    rig: Rig,
    refined: Refined,
    figures: Mapping[str, CameraFigures],
    lengths: Edges,
    edges: Sequence[Edge],
    sightings: Sightings,
    lenses: Mapping[str, Lens],
    plan: Mapping[str, Any],
    bend: Bend | None = None,
) -> dict[str, Any]:
    """Everything known about how good a rig is; `plan` as `plan.flat_plan` draws it."""
    assert rig.quality is not None, "a calibrated rig has its quality"
    assert rig.verdict is not None, "a calibrated rig has its verdict"
    assert rig.target is not None, "a calibrated rig has its target"
    return {
        "format": FORMAT,
        "rig": rig.name,
        "kind": rig.kind,
        "created": rig.created,
        "board": asdict(rig.target),
        "grade": rig.verdict.grade,
        "findings": [asdict(finding) for finding in rig.verdict.findings],
        "quality": asdict(rig.quality),
        "edges": asdict(lengths),
        "bend": None if bend is None else asdict(bend),
        "noise_px": refined.precision.sigma_px,
        "solve": _solve(refined),
        "cameras": {
            camera.name: _camera(camera, refined, figures[camera.name], sightings)
            | {"lens_alone_rms_px": _finite(lenses[camera.name].rms_px)}
            for camera in rig.cameras
        },
        "pairs": _pairs(rig, edges),
        "stereo": None if rig.stereo is None else _stereo(rig.stereo),
        "plan": plan,
        "views": _views(refined),
        "rejected": [asdict(item) for item in rig.rejected],
        "covariance": _covariance(rig, refined),
    }


def lens_report(
    cameras: Sequence[Camera],
    refined: Refined,
    figures: Mapping[str, CameraFigures],
    sightings: Sightings,
    rejected: Sequence[Rejected],
    board: Board,
) -> dict[str, Any]:
    """Everything known about how good lenses are that were calibrated alone."""
    return {
        "format": FORMAT,
        "board": asdict(board.target),
        "noise_px": refined.precision.sigma_px,
        "solve": _solve(refined),
        "cameras": {
            camera.name: _camera(camera, refined, figures[camera.name], sightings)
            for camera in cameras
        },
        "views": _views(refined),
        "rejected": [asdict(item) for item in rejected],
    }


def _pairs(rig: Rig, edges: Sequence[Edge]) -> list[dict[str, Any]]:
    centers = {camera.name: camera.center_world for camera in rig.cameras}
    return [
        {
            "first": edge.first,
            "second": edge.second,
            "moments": edge.moments,
            "agreeing": edge.agreeing,
            "distance_m": float(np.linalg.norm(centers[edge.first] - centers[edge.second])),
        }
        for edge in edges
    ]


def _stereo(stereo: Stereo) -> dict[str, Any]:
    return {
        "left": stereo.left,
        "right": stereo.right,
        "baseline_m": float(np.linalg.norm(stereo.t)),
        "epipolar_rms_px": stereo.epipolar_rms_px,
    }


def _covariance(rig: Rig, refined: Refined) -> dict[str, Any]:
    models = [refined.fit.estimate.model(index) for index in range(len(rig.cameras))]
    named = [
        f"{camera.name}.{name}"
        for camera, model in zip(rig.cameras, models, strict=True)
        for name in names_of(model) + POSE_NAMES
    ]
    return {
        "parameters": named,
        "units": "pixels, radians and metres; poses relative to the reference camera, rotations "
        "as small turns after the pose",
        "matrix": own_covariance(refined).tolist(),
    }


def _solve(refined: Refined) -> dict[str, Any]:
    return {
        "iterations": refined.fit.iterations,
        "converged": refined.fit.converged,
        "views": len(refined.problem.views),
        "corners": int(refined.problem.used.sum()),
        "dropped_corners": refined.dropped_corners,
        "degrees_of_freedom": refined.precision.dof,
    }


def _camera(
    camera: Camera, refined: Refined, figures: CameraFigures, sightings: Sightings
) -> dict[str, Any]:
    index = refined.problem.cameras.index(camera.name)
    model = refined.fit.estimate.model(index)
    sigma = np.sqrt(np.diag(refined.precision.covariance)).reshape(-1, N_CAMERA)[index]
    sigma = sigma[own_parameters([model])[0]]
    return {
        "size_px": list(camera.size_px),
        "model": model,
        "K": camera.K.tolist(),
        "distortion": camera.dist.tolist(),
        "center_world_m": camera.center_world.tolist(),
        "looked_at": sightings.looked_at.get(camera.name, 0),
        "found": sum(view.camera == camera.name for view in sightings.views),
        "quality": asdict(figures.quality),
        "max_px": figures.max_px,
        "tilt_range_deg": figures.tilt_range_deg,
        "coverage_counts": [list(row) for row in figures.coverage_counts],
        "residual_sample": _sample(refined, index),
        "sigma": dict(zip(names_of(model) + POSE_NAMES, sigma.tolist(), strict=True)),
    }


def _sample(refined: Refined, index: int) -> list[list[float]]:
    """`x, y, dx, dy` in pixels of evenly chosen corners of one camera."""
    problem = refined.problem
    rows = problem.camera_of == index
    used = problem.used[rows]
    at = problem.pixels[rows][used]
    off = residuals(problem, refined.fit.estimate)[rows][used]
    step = max(1, len(at) // SAMPLE)
    both = np.concatenate([at, off], axis=1)[::step]
    return [[round(float(value), 3) for value in row] for row in both]


def _views(refined: Refined) -> list[dict[str, Any]]:
    problem = refined.problem
    off = np.linalg.norm(residuals(problem, refined.fit.estimate), axis=-1)
    rows = []
    for row, view in enumerate(problem.views):
        values = off[row][problem.used[row]]
        rows.append(
            {
                "camera": view.camera,
                "moment": view.moment,
                "use": "rig" if problem.boards[problem.board_of[row]][0] == "moment" else "lens",
                "corners": len(values),
                "rms_px": float(np.sqrt(np.mean(values**2))) if len(values) else None,
                "max_px": float(values.max()) if len(values) else None,
            }
        )
    return rows


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
