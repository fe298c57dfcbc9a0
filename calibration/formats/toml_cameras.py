"""Cameras as TOML: aniposelib and Pose2Sim (`[cam_0]`), caliscope (`[cameras.0]`). Lengths: metres.

Each camera has `size`, `matrix`, `distortions` (k1 k2 p1 p2 and perhaps k3), `rotation` (a vector,
or in caliscope a 3x3 matrix) and `translation`, with `x_cam = R @ x_world + t`.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import cv2
import numpy as np

from ..camera import F64, Camera
from ..errors import BadRigFile
from ..rig import Rig
from ..rig_schema import MAX_CAMERAS
from .imported import imported_rig, numbers

__all__ = ["read_toml", "write_toml"]

# aniposelib keeps the board's unit, often millimetres; no rig stands 100 m from its origin.
MAX_DISTANCE_M = 100.0
_FISHEYE = "fisheye"


def read_toml(data: bytes, *, name: str = "rig") -> Rig:
    """The rig in a TOML file of aniposelib, Pose2Sim or caliscope.

    Args:
        data: the file's bytes.
        name: the rig's name; the file holds none.

    Raises:
        BadRigFile: malformed, a matrix of a wrong shape, or lengths that are not metres.
    """
    try:
        content = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRigFile(f"the TOML file is malformed: {error}; export it again") from None
    blocks = content.get("cameras", content)
    if not isinstance(blocks, dict):
        raise BadRigFile("'cameras' must hold one table per camera", field="/cameras")
    tables = {
        key: block
        for key, block in blocks.items()
        if isinstance(block, dict) and "matrix" in block and not block.get("ignore", False)
    }
    if not 1 <= len(tables) <= MAX_CAMERAS:
        raise BadRigFile(
            f"the TOML file holds {len(tables)} cameras with a 'matrix'; 1 to {MAX_CAMERAS} are "
            "read: is it a calibration of aniposelib, Pose2Sim or caliscope?"
        )
    return imported_rig(name, [_camera(key, block) for key, block in tables.items()])


def write_toml(rig: Rig) -> str:
    """The rig as aniposelib and Pose2Sim read it, all five coefficients kept.

    Raises:
        BadRigFile: frames that are scaled (`source`), which this format cannot say.
    """
    parts = []
    for index, camera in enumerate(rig.cameras):
        if camera.source.scale != 1.0 or tuple(camera.source.offset_px) != (0.0, 0.0):
            raise BadRigFile(
                f"the frames of camera {camera.name!r} are scaled ('source'), which this format "
                "cannot say; write the rig as YAML",
                camera=camera.name,
            )
        rotation = np.ascontiguousarray(camera.cam_from_world[:3, :3])
        rvec = np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64).reshape(3)
        lines = {
            "name": json.dumps(camera.name),
            "size": f"[{camera.size_px[0]}, {camera.size_px[1]}]",
            "matrix": json.dumps(camera.K.tolist()),
            "distortions": json.dumps(camera.dist.tolist()),
            "rotation": json.dumps(rvec.tolist()),
            "translation": json.dumps(camera.cam_from_world[:3, 3].tolist()),
            _FISHEYE: "true" if camera.model == _FISHEYE else "false",
        }
        text = "\n".join(f"{key} = {value}" for key, value in lines.items())
        parts.append(f"[cam_{index}]\n{text}\n")
    rms = rig.quality.rms_px if rig.quality else 0.0
    parts.append(f"[metadata]\nadjusted = false\nerror = {float(rms)!r}\n")
    return "\n".join(parts)


def _camera(key: str, block: dict[str, Any]) -> Camera:
    name = str(block.get("name") or (f"cam_{block['cam_id']}" if "cam_id" in block else key))
    translation = numbers(block.get("translation"), f"{key}/translation", size=3)
    if float(np.linalg.norm(translation)) > MAX_DISTANCE_M:
        raise BadRigFile(
            f"camera {name!r} stands {np.linalg.norm(translation):.0f} from the origin, which are "
            "millimetres rather than metres; calibrate with the square's size in metres",
            camera=name,
            field=f"/{key}/translation",
        )
    size = numbers(block.get("size"), f"{key}/size", size=2)
    dist = numbers(block.get("distortions"), f"{key}/distortions")
    fisheye = bool(block.get(_FISHEYE, False))
    if not fisheye and dist.size == 4:
        dist = np.append(dist, 0.0)
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = _rotation(block.get("rotation"), key)
    cam_from_world[:3, 3] = translation
    return Camera(
        name=name,
        size_px=(int(size[0]), int(size[1])),
        K=numbers(block.get("matrix"), f"{key}/matrix", size=9).reshape(3, 3),
        dist=dist,
        cam_from_world=cam_from_world,
        model="fisheye" if fisheye else "pinhole",
    )


def _rotation(value: Any, key: str) -> F64:
    rotation = numbers(value, f"{key}/rotation")
    if rotation.size == 9:
        return rotation.reshape(3, 3)
    if rotation.size == 3:
        return np.asarray(cv2.Rodrigues(rotation)[0], dtype=np.float64)
    raise BadRigFile(
        f"{key}/rotation has {rotation.size} numbers, 3 or 9 are wanted", field=f"/{key}/rotation"
    )
