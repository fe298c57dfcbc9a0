"""A small rig and people of coloured dots in front of it, with known truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.camera import project
from calibration.rig import Rig
from calibration.rig_file import rig_to_yaml

from ..scenes import gait, ring_rig
from .dots import FACE, draw, png

SIZE_PX = (640, 400)
FRAME_NS = 33_333_333
RIG: Rig = ring_rig(4, radius_m=5.0, size_px=SIZE_PX, focal_px=700.0, dist=(0.0,) * 5)
RIG_YAML = rig_to_yaml(RIG).encode()


def person(x: float = 0.0, y: float = 0.0) -> NDArray[np.float64]:
    """(J, 3) somebody standing who looks between two cameras, so that few dots cover each other."""
    body = gait(np.array([0.8]), np.array([0.6]), np.ones(5))[0]  # (J, 3) forward, left, up
    turn = np.pi / 4 + 0.2
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ground = body[:, :2] @ rotation.T + (x, y)
    return np.concatenate([ground, body[:, 2:]], axis=1)


def errors_m(found: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """(J - FACE,) distances of the joints below the head, NaN where there is no position."""
    return np.asarray(np.linalg.norm(found - truth, axis=1)[FACE:])


def frame_set(people: Sequence[NDArray[np.float64]], rig: Rig = RIG) -> dict[str, bytes]:
    """Encoded pictures by camera."""
    return {
        camera.name: png(draw([project(camera, one) for one in people], camera.frame_size_px))
        for camera in rig.cameras
    }


def as_files(images: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
    """Pictures as a client posts them."""
    return {name: (f"{name}.png", data) for name, data in images.items()}
