"""Another world for a rig: through three points that somebody marked in the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .camera import F64, to_rays
from .errors import BadInput
from .rig import Rig
from .transforms import inverse, transform

__all__ = ["point_world", "world_from_points"]

Marks = Mapping[str, tuple[float, float]]  # camera name -> calibrated pixel

# Points closer together than this, or nearer to one line, give no direction.
MIN_APART_M = 0.05
# Rays that pass each other farther than this were not marked on one point.
MAX_MISS_M = 0.1


def world_from_points(rig: Rig, origin: Marks, along_x: Marks, in_floor: Marks) -> Rig:
    """The rig in a world whose floor goes through three marked points, z up toward the cameras.

    Args:
        rig: the rig, in any world.
        origin: where the origin is seen, in two cameras or more.
        along_x: a point in the direction of x.
        in_floor: a third point of the floor, off the line of the other two.

    Raises:
        UnknownCamera: a mark in a camera that the rig does not have.
        BadInput: a point seen by one camera, marks that do not meet, or three points on one line.
    """
    marks = {"origin": origin, "along_x": along_x, "in_floor": in_floor}
    start, second, third = (point_world(rig, seen, name) for name, seen in marks.items())
    x = second - start
    aside = third - start
    normal = np.cross(x, aside)
    length = float(np.linalg.norm(x))
    if length < MIN_APART_M or np.linalg.norm(normal) / max(length, 1e-12) < MIN_APART_M:
        raise BadInput(
            f"the three points span no floor: the second is {length:.3f} m from the origin, the "
            f"third {np.linalg.norm(normal) / max(length, 1e-12):.3f} m off their line, need "
            f"{MIN_APART_M:g}; mark points farther apart"
        )
    x, z = x / length, normal / np.linalg.norm(normal)
    heights = [float(z @ (camera.center_world - start)) for camera in rig.cameras]
    if np.median(heights) < 0.0:  # a mirrored world has its cameras under the floor
        z = -z
    R = np.stack([x, np.cross(z, x), z])
    new_from_old = transform(R, -R @ start)
    cameras = tuple(
        replace(camera, cam_from_world=camera.cam_from_world @ inverse(new_from_old))
        for camera in rig.cameras
    )
    links = tuple(
        replace(link, this_from_other=new_from_old @ link.this_from_other) for link in rig.links
    )
    return replace(rig, cameras=cameras, links=links, world="floor")


def point_world(rig: Rig, marks: Marks, name: str = "point") -> F64:
    """(3,) the point nearest to the rays through its marks, metres.

    Raises:
        UnknownCamera: a mark in a camera that the rig does not have.
        BadInput: marked in one camera only, or rays that miss each other.
    """
    if len(marks) < 2:
        raise BadInput(
            f"{name} is marked in {len(marks)} camera(s), need two or more to know its place"
        )
    A, b = np.zeros((3, 3)), np.zeros(3)
    rays = []
    for camera_name, pixel in marks.items():
        camera = rig.camera(camera_name)
        ray = to_rays(camera, np.array([pixel], dtype=np.float64))[0]
        across = np.eye(3) - np.outer(ray, ray)
        A, b = A + across, b + across @ camera.center_world
        rays.append((camera.center_world, across))
    point = np.linalg.solve(A, b)
    miss = max(float(np.linalg.norm(across @ (point - center))) for center, across in rays)
    if not np.isfinite(point).all() or miss > MAX_MISS_M:
        raise BadInput(
            f"{name}: the marks in {', '.join(marks)} pass each other by {miss:.2f} m; mark the "
            "same point in each camera"
        )
    return np.asarray(point)
