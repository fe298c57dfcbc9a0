"""Paying for compilation before the first frame set comes."""

from __future__ import annotations

import time

import numpy as np

from calibration.camera import Camera
from calibration.compiled import compiled
from calibration.rig import Rig
from models.sighting import Sighting
from models.skeleton import COCO17

from .frame import people_in_frame
from .people import NO_ID, Prediction

__all__ = ["warm_up"]


def warm_up() -> float:
    """Seconds it took to make the 3D part ready, 0.0 if numba is not there to compile it.

    Some twenty seconds of processor time on a new machine, under one after that: compiled code is
    kept beside the source, or in the user's cache folder.
    """
    if not compiled():
        return 0.0
    start = time.perf_counter()
    K = np.array([[1000.0, 0, 500], [0, 1000.0, 500], [0, 0, 1.0]])
    cameras = []
    for number in range(2):
        pose = np.eye(4)
        pose[0, 3] = -number  # side by side, a metre apart, looking along +z
        cameras.append(Camera(f"cam{number}", (1001, 1001), K, np.zeros(5), pose))
    rig = Rig("warm-up", "stereo", "cam0", "imported", tuple(cameras))
    joints = len(COCO17.joints)
    row = np.linspace(-0.5, 0.5, joints)
    body = np.stack([row, row, np.full(joints, 4.0)], axis=1)  # (J, 3) four metres ahead
    sightings = {}
    for number, camera in enumerate(cameras):
        pixels = 500 + 250 * (body[:, :2] - [number, 0])
        one = Sighting(pixels, np.ones(joints), 1.0, np.zeros(joints, dtype=np.bool_))
        sightings[camera.name] = [one, one]
    people_in_frame(rig, sightings, None, (Prediction(NO_ID, body, np.full(joints, 0.1)),))
    return time.perf_counter() - start
