"""Qualisys Track Manager calibrations (`.qca.txt`, XML), read only.

Lengths are millimetres, focal lengths and centres 1/64 pixel. `transform` holds the camera's
position and its axes in the world, x right, y up, z backward, so y and z change sign. The
distortion coefficients are plain Brown coefficients (k1 k2 p1 p2 k3); some readers divide them by
64 like the pixel units, but chessboards filmed with the same cameras give them as written.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np

from ..camera import F64, Camera
from ..errors import BadRigFile
from ..rig import Rig
from .imported import imported_rig

__all__ = ["read_qca"]

SUBPIXELS = 64.0
MM_PER_M = 1000.0
# Qualisys axes (x right, y up, z backward) to ours (x right, y down, z forward).
_FLIP = np.diag([1.0, -1.0, -1.0])
# In OpenCV's order; "tangental" is the format's own spelling.
_DISTORTION = (
    "radialDistortion1",
    "radialDistortion2",
    "tangentalDistortion1",
    "tangentalDistortion2",
    "radialDistortion3",
)


def read_qca(data: bytes, *, name: str = "rig") -> Rig:
    """The rig in a Qualisys calibration; its world is Qualisys's, in metres.

    Args:
        data: the file's bytes.
        name: the rig's name; the file holds none.

    Raises:
        BadRigFile: malformed, or a camera with skew, a turned view or another lens model.
    """
    root = _parse(data)
    blocks = root.findall("./cameras/camera")
    if root.tag != "calibration" or not blocks:
        raise BadRigFile(
            "the XML file holds no <calibration><cameras><camera>; a Qualisys .qca.txt is wanted"
        )
    cameras = tuple(_camera(block) for block in blocks if block.get("active", "1") != "0")
    if not cameras:
        raise BadRigFile("every camera of the Qualisys file is inactive; export it again")
    return imported_rig(name, cameras)


def _parse(data: bytes) -> ET.Element:
    # Entities can expand without end; a calibration needs none.
    if b"\0" in data or b"<!" in data.replace(b"<!--", b""):
        raise BadRigFile("the XML file declares a document type or entities; remove them")
    try:
        return ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadRigFile(f"the XML file is malformed: {error}; export it again") from None


def _camera(block: ET.Element) -> Camera:
    name = block.get("serial", "")
    intrinsic = _child(block, "intrinsic", name)
    transform = _child(block, "transform", name)
    if block.get("viewrotation", "0") != "0" or block.get("model", "none") == "fisheye":
        raise BadRigFile(
            f"camera {name!r} has viewrotation {block.get('viewrotation')} and model "
            f"{block.get('model')}; only unturned views with the standard lens are read",
            camera=name,
        )
    if _number(intrinsic, "skew", name, default=0.0) != 0.0:
        raise BadRigFile(f"camera {name!r} has a skew, which our model does not hold", camera=name)
    K = np.eye(3)
    K[0, 0] = _number(intrinsic, "focalLengthU", name) / SUBPIXELS
    K[1, 1] = _number(intrinsic, "focalLengthV", name) / SUBPIXELS
    K[0, 2] = _number(intrinsic, "centerPointU", name) / SUBPIXELS
    K[1, 2] = _number(intrinsic, "centerPointV", name) / SUBPIXELS
    dist = np.array([_number(intrinsic, key, name, default=0.0) for key in _DISTORTION])
    return Camera(
        name=name,
        size_px=_size_px(block, intrinsic, name),
        K=K,
        dist=dist,
        cam_from_world=_cam_from_world(transform, name),
    )


def _cam_from_world(transform: ET.Element, name: str) -> F64:
    keys = [[f"r{row}{column}" for column in (1, 2, 3)] for row in (1, 2, 3)]
    axes = np.array([[_number(transform, key, name) for key in row] for row in keys])
    center_world = np.array([_number(transform, key, name) for key in "xyz"]) / MM_PER_M
    cam_from_world = np.eye(4)
    cam_from_world[:3, :3] = _FLIP @ axes
    cam_from_world[:3, 3] = -cam_from_world[:3, :3] @ center_world
    return cam_from_world


def _size_px(block: ET.Element, intrinsic: ET.Element, name: str) -> tuple[int, int]:
    view = block.find("fov_video")
    if view is not None:
        left, top, right, bottom = (
            int(_number(view, key, name)) for key in ("left", "top", "right", "bottom")
        )
        if left or top:
            raise BadRigFile(
                f"camera {name!r} uses a part of its sensor from ({left}, {top}); "
                "calibrate with the full view",
                camera=name,
            )
        return right + 1, bottom + 1
    largest = [_number(intrinsic, key, name) for key in ("sensorMaxU", "sensorMaxV")]
    return int(largest[0] / SUBPIXELS) + 1, int(largest[1] / SUBPIXELS) + 1


def _child(block: ET.Element, tag: str, name: str) -> ET.Element:
    child = block.find(tag)
    if child is None:
        raise BadRigFile(f"camera {name!r} has no <{tag}>; export it again", camera=name)
    return child


def _number(element: ET.Element, key: str, name: str, *, default: float | None = None) -> float:
    text = element.get(key)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise BadRigFile(
            f"camera {name!r}: <{element.tag} {key}> is {text!r}, a finite number is wanted",
            camera=name,
            field=f"/cameras/{name}/{element.tag}/{key}",
        )
    return value
