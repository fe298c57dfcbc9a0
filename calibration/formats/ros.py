"""One camera as ROS `camera_info` YAML: lens only, no place in a world."""

from __future__ import annotations

from typing import Any

import numpy as np
import yaml

from ..camera import Camera
from ..errors import BadRigFile
from ..rig import Rig
from .imported import imported_rig, numbers

__all__ = ["is_camera_info", "read_camera_info", "write_camera_info"]

_MODELS = {"plumb_bob": 5, "rational_polynomial": 8, "equidistant": 4}


def is_camera_info(content: Any) -> bool:
    """Whether values read from YAML are a `camera_info`."""
    return isinstance(content, dict) and {"camera_matrix", "distortion_model"} <= set(content)


def read_camera_info(content: dict[str, Any], *, name: str = "rig") -> Rig:
    """A rig of the one camera, at the origin.

    Args:
        content: the file's values.
        name: the rig's name.

    Raises:
        BadRigFile: a matrix of a wrong shape, or an unknown lens model.
    """
    model = content["distortion_model"]
    if model not in _MODELS:
        raise BadRigFile(
            f"distortion_model {str(model)[:40]!r} is not one of {', '.join(_MODELS)}",
            field="/distortion_model",
        )
    if content.get("binning_x", 0) > 1 or content.get("binning_y", 0) > 1:
        raise BadRigFile("binned cameras are not read; calibrate at full size", field="/binning_x")
    count = _MODELS[model]
    dist = numbers(_data(content, "distortion_coefficients"), "distortion_coefficients", size=count)
    size = numbers([content.get("image_width"), content.get("image_height")], "image_width", size=2)
    camera = Camera(
        name=str(content.get("camera_name", "cam0")),
        size_px=(int(size[0]), int(size[1])),
        K=numbers(_data(content, "camera_matrix"), "camera_matrix", size=9).reshape(3, 3),
        dist=dist,
        cam_from_world=np.eye(4),
        model="fisheye" if model == "equidistant" else "pinhole",
    )
    return imported_rig(name, [camera])


def write_camera_info(camera: Camera) -> str:
    """The camera's lens; where it stands is not part of this format."""
    models = {count: model for model, count in _MODELS.items()}
    projection = np.concatenate([camera.K, np.zeros((3, 1))], axis=1)
    content = {
        "image_width": int(camera.size_px[0]),
        "image_height": int(camera.size_px[1]),
        "camera_name": camera.name,
        "camera_matrix": {"rows": 3, "cols": 3, "data": camera.K.ravel().tolist()},
        "distortion_model": models[len(camera.dist)],
        "distortion_coefficients": {
            "rows": 1,
            "cols": len(camera.dist),
            "data": camera.dist.tolist(),
        },
        "rectification_matrix": {"rows": 3, "cols": 3, "data": np.eye(3).ravel().tolist()},
        "projection_matrix": {"rows": 3, "cols": 4, "data": projection.ravel().tolist()},
    }
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=120)


def _data(content: dict[str, Any], key: str) -> Any:
    block = content.get(key)
    return block.get("data") if isinstance(block, dict) else None
