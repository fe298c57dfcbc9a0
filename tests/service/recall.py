"""A network that recalls what a detector said of a scene: the picture only says which moment it is.

So a crowd with noise, misses and outliers goes through the whole service, byte for byte the same
each time. A real implementation of `Predictor`; `scenes.py` makes the sightings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.rig import Rig
from models.candidates import Candidates
from models.grouping import DecodeSettings, group
from models.sighting import Sighting
from models.skeleton import COCO17

from ..scenes import Seen
from .dots import png

JOINTS = len(COCO17.joints)
_CELLS = 24  # bits of the number


def marked(rig: Rig, moment: int) -> dict[str, bytes]:
    """A picture for each camera that says which moment and whose it is, and nothing else."""
    images = {}
    for place, camera in enumerate(rig.cameras):
        width, height = camera.frame_size_px
        image = np.zeros((height, width, 3), dtype=np.uint8)
        for bit in range(_CELLS):
            image[:8, 8 * bit : 8 * bit + 8] = 255 * ((moment * 16 + place) >> bit & 1)
        images[camera.name] = png(image)
    return images


class Recall:
    """Says what the scene's detector said at the moment that the picture names."""

    name = "recall"
    sha256 = "1" * 64
    skeleton = COCO17
    input_side = 160

    def __init__(self, rig: Rig, scene: Sequence[Seen]) -> None:
        self._rig = rig
        self._scene = scene

    def candidates(self, images: Sequence[NDArray[np.uint8]]) -> list[Candidates]:
        return [self._candidates(image) for image in images]

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Sighting]]:
        return [group(one, DecodeSettings()) for one in self.candidates(images)]

    def _candidates(self, image: NDArray[np.uint8]) -> Candidates:
        if image.shape[1] < 8 * _CELLS:  # the warm-up
            image = np.full((8, 8 * _CELLS, 3), 255, dtype=np.uint8)
        bits = [int(image[4, 8 * bit + 4, 0] > 128) for bit in range(_CELLS)]
        number = sum(one << bit for bit, one in enumerate(bits))
        moment, place = divmod(number, 16)
        said = (
            self._scene[moment].sightings[self._rig.names[place]]
            if moment < len(self._scene)  # the warm-up is of no moment
            else []
        )
        count = max(1, len(said))
        joints_px = np.full((JOINTS, count, 2), np.nan)
        scores = np.zeros((JOINTS, count))
        for person, sighting in enumerate(said):
            joints_px[:, person] = sighting.joints_px
            scores[:, person] = np.where(
                np.isfinite(sighting.joints_px[:, 0]), sighting.scores, 0.0
            )
        tags = np.broadcast_to(10.0 * np.arange(count)[None, :, None], (JOINTS, count, 1)).copy()
        return Candidates(
            joints_px=np.nan_to_num(joints_px),
            scores=scores,
            tags=tags,
            cell_px=1.0,
            size_px=(image.shape[1], image.shape[0]),
            centers_px=np.full((JOINTS, count, 2), np.nan),
            sizes_px=np.full((JOINTS, count), np.nan),
            seeds_px=np.zeros((0, 2)),
            seed_scores=np.zeros(0),
            seed_joints_px=np.zeros((0, JOINTS, 2)),
        )
