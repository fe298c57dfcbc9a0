"""Where to put cameras: what a planned rig would see, and how well, before anything is screwed on.

A point's covariance is the inverse of the information of the views that see it, each with the
noise of a joint in that view (Hartley and Zisserman, Multiple View Geometry, 5.1). A joint is
located to a share of the person's height in the picture, since a network sees people at its own
size; the calibration is taken as exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .camera import F64, Camera, project
from .errors import BadInput

__all__ = ["Placement", "Volume", "placement", "ring"]

PERSON_M = 1.75
JOINT_SHARE = 0.01  # of the person's height in the picture: one axis of a joint's noise
MIN_PERSON_PX = 120.0  # below it joints run into each other for any network
STEP_M = 1e-4
PLAN_HEIGHT_M = 1.0  # of the level that is drawn
PLAN_STEPS = 24


@dataclass(frozen=True, slots=True)
class Volume:
    """The box people are in: centred on the origin, standing on the floor, metres."""

    across: float = 3.0  # x
    along: float = 3.0  # y
    height: float = 2.0


@dataclass(frozen=True, slots=True)
class Placement:
    """What the cameras would see of the volume; shares are 0 to 1, points evenly spread."""

    seen_by_two: float
    seen_by_three: float
    sigma_mm: tuple[float, float, float]  # median, 95th percentile and worst; NaN where none
    sigma_center_mm: float  # a metre above the origin
    person_px: tuple[float, float]  # height of a person in the views: least and most
    seen_per_camera: tuple[tuple[str, float], ...]
    findings: tuple[str, ...]  # what is wrong, and what to do
    plan: dict[str, Any]  # one level from above, as `report_pictures.plan_drawing` takes it


def ring(
    count: int, radius_m: float, height_m: float, hfov_deg: float, size_px: tuple[int, int]
) -> tuple[Camera, ...]:
    """Cameras evenly on a circle, looking at a point a metre above its middle.

    Args:
        count: 2 to 16; two stand a quarter turn apart, since opposite ones measure no depth.
        radius_m: of the circle.
        height_m: of the cameras above the floor.
        hfov_deg: horizontal angle of view, 10 to 150.
        size_px: (width, height) of their pictures.

    Raises:
        BadInput: a number outside these.
    """
    if not (2 <= count <= 16 and radius_m > 0.2 and 10 <= hfov_deg <= 150 and min(size_px) >= 64):
        raise BadInput(
            f"a ring of {count} cameras, {radius_m:g} m, {hfov_deg:g} degrees, "
            f"{size_px[0]}x{size_px[1]} px is not possible; 2 to 16 cameras, over 0.2 m, "
            "10 to 150 degrees, 64 px and more are"
        )
    turn = 2 * np.pi / (count if count > 2 else 4)
    focal = size_px[0] / 2 / np.tan(np.radians(hfov_deg) / 2)
    K = np.array([[focal, 0, (size_px[0] - 1) / 2], [0, focal, (size_px[1] - 1) / 2], [0, 0, 1.0]])
    cameras = []
    for index in range(count):
        angle = index * turn
        center = np.array([radius_m * np.cos(angle), radius_m * np.sin(angle), height_m])
        pose = _looking_at(center, np.array([0.0, 0.0, PLAN_HEIGHT_M]))
        cameras.append(Camera(f"cam{index}", size_px, K, np.zeros(5), pose))
    return tuple(cameras)


def placement(
    cameras: Sequence[Camera], volume: Volume, joint_share: float = JOINT_SHARE
) -> Placement:
    """What cameras see of a volume, and how well joints are located in it.

    Args:
        cameras: planned or calibrated, in a world whose z is up and whose floor is z = 0.
        volume: where people will be.
        joint_share: a joint's noise per axis, as a share of the person's height in the picture.
    """
    axes = [
        np.linspace(-volume.across / 2, volume.across / 2, 9),
        np.linspace(-volume.along / 2, volume.along / 2, 9),
        np.linspace(0.1, volume.height, 6),
    ]
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3)
    seen, sigma_mm, person_px = _at(cameras, points, joint_share)
    views = seen.sum(axis=0)
    middle = _at(cameras, np.array([[0.0, 0.0, PLAN_HEIGHT_M]]), joint_share)[1][0]
    covered = sigma_mm[np.isfinite(sigma_mm)]
    low, typical, high = (
        (float(np.median(covered)), float(np.percentile(covered, 95)), float(covered.max()))
        if len(covered)
        else (np.nan, np.nan, np.nan)
    )
    sizes = person_px[seen]
    return Placement(
        seen_by_two=float((views >= 2).mean()),
        seen_by_three=float((views >= 3).mean()),
        sigma_mm=(low, typical, high),
        sigma_center_mm=float(middle),
        person_px=(float(sizes.min()), float(sizes.max())) if len(sizes) else (np.nan, np.nan),
        seen_per_camera=tuple(
            (camera.name, float(share))
            for camera, share in zip(cameras, seen.mean(axis=1), strict=True)
        ),
        findings=tuple(_findings(cameras, seen, sizes, middle)),
        plan=_plan(cameras, volume, joint_share),
    )


def _at(
    cameras: Sequence[Camera], points: F64, joint_share: float
) -> tuple[NDArray[np.bool_], F64, F64]:
    """(V, N) who sees which point, (N,) sigma in mm per axis, (V, N) a person's height in px."""
    seen = np.zeros((len(cameras), len(points)), dtype=bool)
    person_px = np.full((len(cameras), len(points)), np.nan)
    information = np.zeros((len(points), 3, 3))
    for row, camera in enumerate(cameras):
        at = project(camera, points)
        size = np.array(camera.size_px)
        seen[row] = np.isfinite(at).all(axis=1) & ((at > -0.5) & (at < size - 0.5)).all(axis=1)
        steps = [project(camera, points + STEP_M * axis) for axis in np.eye(3)]
        J = np.stack([(step - at) / STEP_M for step in steps], axis=2)  # (N, 2, 3)
        # A person stands along z: how long a metre of it is here, times their height.
        person_px[row] = PERSON_M * np.linalg.norm(J[:, :, 2], axis=1)
        # From above a person is short but no better located: at least as if seen from the side.
        widest = PERSON_M * np.linalg.norm(J, axis=1).max(axis=1)
        noise = joint_share * widest
        weighted = np.einsum("nij,nik->njk", J, J) / noise[:, None, None] ** 2
        information += np.where(seen[row][:, None, None], weighted, 0.0)
    enough = seen.sum(axis=0) >= 2
    sigma_mm = np.full(len(points), np.nan)
    if enough.any():
        # Two cameras on one line with the point know nothing along it; pinv would say zero there.
        known = np.linalg.cond(information[enough]) < 1e10
        covariance = np.linalg.inv(information[enough][known])
        rows = np.flatnonzero(enough)[known]
        sigma_mm[rows] = 1000.0 * np.sqrt(np.trace(covariance, axis1=1, axis2=2) / 3)
    return seen, sigma_mm, person_px


def _findings(
    cameras: Sequence[Camera], seen: NDArray[np.bool_], sizes: F64, middle: float
) -> list[str]:
    said = []
    share = float((seen.sum(axis=0) >= 2).mean())
    if share < 0.95:
        said.append(
            f"only {100 * share:.0f} % of the volume is seen by two cameras; move them back, use "
            "wider lenses or add a camera"
        )
    for camera, part in zip(cameras, seen.mean(axis=1), strict=True):
        if part < 0.5:
            said.append(
                f"{camera.name} sees {100 * part:.0f} % of the volume; aim it at the middle, move "
                "it back or give it a wider lens"
            )
    if len(sizes) and sizes.min() < MIN_PERSON_PX:
        said.append(
            f"the farthest person is {sizes.min():.0f} px tall; over {MIN_PERSON_PX:.0f} px joints "
            "are found well: come nearer, use a longer lens or more pixels"
        )
    widest = _widest_angle_deg(cameras)
    if widest < 30:
        said.append(
            f"seen from the middle no two cameras are more than {widest:.0f} degrees apart, so "
            "depth is weak; put them 60 to 120 degrees apart"
        )
    if np.isnan(middle):
        said.append("the middle of the volume is not seen by two cameras; aim them at it")
    return said


def _widest_angle_deg(cameras: Sequence[Camera]) -> float:
    """Between the rays from the middle to two cameras; 150 and 30 degrees measure alike."""
    middle = np.array([0.0, 0.0, PLAN_HEIGHT_M])
    rays = np.stack([camera.center_world - middle for camera in cameras])
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip(np.abs(rays @ rays.T), 0.0, 1.0)).max()))


def _plan(cameras: Sequence[Camera], volume: Volume, joint_share: float) -> dict[str, Any]:
    u = np.linspace(-volume.across / 2, volume.across / 2, PLAN_STEPS)
    v = np.linspace(-volume.along / 2, volume.along / 2, PLAN_STEPS)
    flat = np.stack(np.meshgrid(u, v), axis=-1).reshape(-1, 2)
    level = np.column_stack([flat, np.full(len(flat), PLAN_HEIGHT_M)])
    sigma_mm = _at(cameras, level, joint_share)[1].reshape(PLAN_STEPS, PLAN_STEPS)
    return {
        "cameras": [
            {
                "name": camera.name,
                "at": camera.center_world[:2].tolist(),
                "looks": camera.cam_from_world[2, :2].tolist(),
            }
            for camera in cameras
        ],
        "boards": [],
        "u": u.tolist(),
        "v": v.tolist(),
        "sigma_mm": [
            [None if np.isnan(value) else float(value) for value in row] for row in sigma_mm
        ],
    }


def _looking_at(center: F64, target: F64) -> F64:
    """(4, 4) cam_from_world, the picture's x axis level."""
    forward = (target - center) / np.linalg.norm(target - center)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward])
    pose = np.eye(4)
    pose[:3, :3] = R
    pose[:3, 3] = -R @ center
    return pose
