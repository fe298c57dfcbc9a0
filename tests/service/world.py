"""A small rig and people of coloured dots in front of it, with known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.camera import project
from calibration.rig import Rig
from calibration.rig_file import rig_to_yaml

from ..scenes import ring_rig
from .dots import JOINTS, draw, png

SIZE_PX = (640, 480)
FRAME_NS = 33_333_333
RIG: Rig = ring_rig(4, radius_m=5.0, size_px=SIZE_PX, focal_px=480.0, dist=(0.0,) * 5)
RIG_YAML = rig_to_yaml(RIG).encode()


def person(x: float = 0.0, y: float = 0.0) -> NDArray[np.float64]:
    """(J, 3) a spiral stair of joints, so that no two dots cover each other."""
    turn = np.arange(JOINTS) * 2.4  # the golden angle
    height = np.linspace(0.1, 1.9, JOINTS)
    return np.stack([x + 0.3 * np.cos(turn), y + 0.3 * np.sin(turn), height], axis=1)


def frame_set(people: Sequence[NDArray[np.float64]], rig: Rig = RIG) -> dict[str, bytes]:
    """Encoded pictures by camera."""
    return {
        camera.name: png(draw([project(camera, one) for one in people], camera.frame_size_px))
        for camera in rig.cameras
    }


def as_files(images: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
    """Pictures as a client posts them."""
    return {name: (f"{name}.png", data) for name, data in images.items()}
