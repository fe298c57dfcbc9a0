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
    people = [person for camera in cameras for person in sightings[camera.name]]
    if not people:
        empty, none = np.zeros((0, 0, 2)), np.zeros(0, dtype=np.int64)
        return Observations(cameras, none, none, empty, empty, np.zeros((0, 0)))
    counts = [len(sightings[camera.name]) for camera in cameras]
    pixels = np.array([person.joints_px for person in people], dtype=np.float64)  # (S, J, 2)
    norm, start = np.empty_like(pixels), 0
    for camera, count in zip(cameras, counts, strict=True):
        if count:
            part = calibrated_from_frame(camera, pixels[start : start + count])
            pixels[start : start + count] = part
            flat = undistort(camera, part.reshape(-1, 2))
            norm[start : start + count] = flat.reshape(part.shape)
            start += count
    scores = np.array([person.scores for person in people], dtype=np.float64)
    unseen = ~(np.isfinite(norm).all(axis=2) & (scores > 0))  # NaN scores are unseen too
    scores[unseen] = 0.0
    return Observations(
        cameras,
        np.repeat(np.arange(len(cameras)), counts),
        np.concatenate([np.arange(count) for count in counts]),
        pixels,
        norm,
        scores,
    )
