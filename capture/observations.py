"""Everybody in every view of one frame set as arrays, undistorted once for all later steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.camera import Camera, calibrated_from_frame, undistort
from calibration.rig import Rig
from models.sighting import Sighting

from .people import F64

__all__ = ["Observations", "observe"]


@dataclass(frozen=True, slots=True)
class Observations:
    """S sightings of one frame set, camera by camera."""

    cameras: tuple[Camera, ...]  # V, those of the rig that took part, in the rig's order
    view: NDArray[np.int64]  # (S,) index into cameras
    index: NDArray[np.int64]  # (S,) place in that camera's sightings
    joints_px: F64  # (S, J, 2) calibrated distorted pixels, NaN unseen
    norm: F64  # (S, J, 2) undistorted at z = 1, NaN unseen
    scores: F64  # (S, J), 0 where unseen

    def names(self, sighting: int) -> tuple[str, int]:
        """The camera's name and the place in its sightings."""
        return self.cameras[self.view[sighting]].name, int(self.index[sighting])


def observe(rig: Rig, sightings: Mapping[str, Sequence[Sighting]]) -> Observations:
    """The sightings of one frame set, in calibrated pixels and undistorted.

    Args:
        rig: the calibrated cameras.
        sightings: by camera name, in pixels of the frames as posted; cameras may be missing.

    Raises:
        UnknownCamera: a name that the rig does not have.
    """
    for name in sightings:
        rig.camera(name)
    cameras = tuple(camera for camera in rig.cameras if camera.name in sightings)
    joints, norms, scores = [], [], []
    views: list[int] = []
    indices: list[int] = []
    for view, camera in enumerate(cameras):
        people = sightings[camera.name]
        if not people:
            continue
        frame_px = np.stack([person.joints_px for person in people])  # (S_v, J, 2)
        pixels = calibrated_from_frame(camera, frame_px)
        joints.append(pixels)
        norms.append(undistort(camera, pixels.reshape(-1, 2)).reshape(pixels.shape))
        scores.append(np.stack([person.scores for person in people]))
        views += [view] * len(people)
        indices += range(len(people))
    if not joints:
        empty = np.zeros((0, 0, 2))
        none = np.zeros(0, dtype=np.int64)
        return Observations(cameras, none, none, empty, empty, np.zeros((0, 0)))
    norm = np.concatenate(norms)
    unseen = ~np.isfinite(norm).all(axis=2)
    return Observations(
        cameras,
        np.array(views, dtype=np.int64),
        np.array(indices, dtype=np.int64),
        np.concatenate(joints),
        norm,
        np.where(unseen, 0.0, np.nan_to_num(np.concatenate(scores))),
    )
