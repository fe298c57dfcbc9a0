"""Kalibr's camchain YAML: `cam0`, `cam1`, … each with its pose relative to the one before."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import yaml

from ..camera import F64, Camera
from ..errors import BadRigFile
from ..projection import pack, project, project_with_derivatives
from ..rig import Rig
from ..rig_schema import MAX_CAMERAS
from ..transforms import inverse
from .imported import imported_rig, numbers

__all__ = ["is_camchain", "read_camchain", "without_k3", "write_camchain"]

_CAM = re.compile(r"cam\d{1,2}")
# Beyond this a lens without k3 is another lens.
MAX_REFIT_PX = 0.5
_K3 = 8


def is_camchain(content: Any) -> bool:
    """Whether values read from YAML are a camchain."""
    first = content.get("cam0") if isinstance(content, dict) else None
    return isinstance(first, dict) and "intrinsics" in first and "camera_model" in first


def read_camchain(content: dict[str, Any], *, name: str = "rig") -> Rig:
    """The rig, its world the frame of `cam0`.

    Args:
        content: the file's values.
        name: the rig's name.

    Raises:
        BadRigFile: another lens model, or a matrix of a wrong shape.
    """
    keys = sorted((key for key in content if _CAM.fullmatch(str(key))), key=lambda k: int(k[3:]))
    if len(keys) > MAX_CAMERAS or [int(key[3:]) for key in keys] != list(range(len(keys))):
        raise BadRigFile(f"the cameras {', '.join(keys)[:80]} are not cam0, cam1, … without gaps")
    cameras: list[Camera] = []
    cam_from_world = np.eye(4)
    for key in keys:
        block = content[key]
        if not isinstance(block, dict):
            raise BadRigFile(f"{key} must be a block of values", field=f"/{key}")
        if key != "cam0":
            step = numbers(block.get("T_cn_cnm1"), f"{key}/T_cn_cnm1", size=16).reshape(4, 4)
            cam_from_world = step @ cam_from_world
        cameras.append(_camera(key, block, cam_from_world))
    return imported_rig(name, cameras)


def write_camchain(rig: Rig) -> tuple[str, float]:
    """The rig as a camchain, and the pixels (RMS) lost because radtan has no k3.

    Lenses with k3 are fitted anew without it over the whole picture.

    Raises:
        BadRigFile: a lens without k3 would be more than half a pixel off.
    """
    content: dict[str, Any] = {}
    lost = 0.0
    before: Camera | None = None
    for index, camera in enumerate(rig.cameras):
        fisheye = camera.model == "fisheye"
        K, dist = camera.K, camera.dist[:4]
        if not fisheye:
            K, dist, off = without_k3(camera)
            lost = max(lost, off)
        block: dict[str, Any] = {
            "camera_model": "pinhole",
            "intrinsics": [float(v) for v in (K[0, 0], K[1, 1], K[0, 2], K[1, 2])],
            "distortion_model": "equidistant" if fisheye else "radtan",
            "distortion_coeffs": dist.tolist(),
            "resolution": [int(side) for side in camera.size_px],
            "rostopic": f"/{camera.name}/image_raw",
        }
        if before is not None:
            step = camera.cam_from_world @ inverse(before.cam_from_world)
            block["T_cn_cnm1"] = step.tolist()
        content[f"cam{index}"] = block
        before = camera
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120), lost


def without_k3(camera: Camera) -> tuple[F64, F64, float]:
    """K, (4,) k1 k2 p1 p2 that come nearest over the picture, and how far they stay off (RMS px).

    Raises:
        BadRigFile: more than half a pixel, or a lens of eight coefficients.
    """
    if camera.dist.size > 5 and camera.dist[5:].any():
        raise BadRigFile(
            f"camera {camera.name!r} has eight coefficients, this format four; write it as YAML",
            camera=camera.name,
        )
    lens = pack(camera.K, camera.dist)
    if camera.dist.size == 5 and camera.dist[4] == 0.0:
        return camera.K, camera.dist[:4], 0.0
    width, height = camera.size_px
    x = (np.linspace(0, width - 1, 25) - camera.K[0, 2]) / camera.K[0, 0]
    y = (np.linspace(0, height - 1, 15) - camera.K[1, 2]) / camera.K[1, 1]
    grid = np.stack([*np.meshgrid(x, y), np.ones((15, 25))], axis=-1).reshape(-1, 3)
    target = project(grid, lens)
    inside = (target > -1).all(axis=1) & (target < np.array([width, height])).all(axis=1)
    grid, target = grid[inside], target[inside]
    fitted = lens.copy()
    fitted[_K3] = 0.0
    columns = list(range(_K3))  # fx fy cx cy k1 k2 p1 p2
    for _ in range(20):  # Gauss-Newton; nearly linear, three steps settle it
        pixels, _, by_lens = project_with_derivatives(grid, fitted)
        J = by_lens[..., columns].reshape(-1, len(columns))
        step, *_ = np.linalg.lstsq(J, (target - pixels).ravel(), rcond=None)
        fitted[columns] += step
    off = float(np.sqrt(((project(grid, fitted) - target) ** 2).sum(axis=1).mean()))
    if off > MAX_REFIT_PX:
        raise BadRigFile(
            f"camera {camera.name!r} needs k3, which this format lacks: without it pixels are "
            f"{off:.2f} px off; write the rig as YAML",
            camera=camera.name,
        )
    K = camera.K.copy()
    K[0, 0], K[1, 1], K[0, 2], K[1, 2] = fitted[:4]
    return K, fitted[4:8], off


def _camera(key: str, block: dict[str, Any], cam_from_world: F64) -> Camera:
    model, lens = str(block.get("camera_model")), str(block.get("distortion_model"))
    if model != "pinhole" or lens not in ("radtan", "equidistant", "none"):
        raise BadRigFile(
            f"{key} is {model}-{lens}; only pinhole with radtan, equidistant or none is read",
            field=f"/{key}/camera_model",
        )
    fx, fy, cx, cy = numbers(block.get("intrinsics"), f"{key}/intrinsics", size=4)
    size = numbers(block.get("resolution"), f"{key}/resolution", size=2)
    coefficients = np.zeros(4)
    if lens != "none":
        coefficients = numbers(block.get("distortion_coeffs"), f"{key}/distortion_coeffs", size=4)
    fisheye = lens == "equidistant"
    return Camera(
        name=key,
        size_px=(int(size[0]), int(size[1])),
        K=np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]),
        dist=coefficients if fisheye else np.append(coefficients, 0.0),
        cam_from_world=cam_from_world,
        model="fisheye" if fisheye else "pinhole",
    )
