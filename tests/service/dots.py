"""A network whose answers can be checked by eye: it finds people that are drawn as coloured dots.

Green says which joint a dot is, blue whose it is. A real implementation of `Predictor`, exact on
lossless pictures; slow or broken on request.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.candidates import Candidates
from models.grouping import DecodeSettings, group
from models.sighting import Sighting
from models.skeleton import COCO17

JOINTS = len(COCO17.joints)
PEOPLE = 3
RADIUS_PX = 3.0
FACE = 5  # the first joints; they lie close together, so their dots are smaller
FACE_RADIUS_PX = 1.0
BACKGROUND = 20


def draw(
    people_px: Sequence[NDArray[np.float64]],
    size_px: tuple[int, int],
    radius_px: float = RADIUS_PX,
    face_radius_px: float = FACE_RADIUS_PX,
) -> NDArray[np.uint8]:
    """A picture of people, (J, 2) pixels each, NaN for joints that are not to be seen."""
    image = np.full((size_px[1], size_px[0], 3), BACKGROUND, dtype=np.uint8)
    for person, joints_px in enumerate(people_px):
        for joint, (x, y) in enumerate(joints_px):
            if np.isfinite(x) and 0 <= x < size_px[0] and 0 <= y < size_px[1]:
                colour = (70 * person + 60, 12 * joint + 40, 255)
                radius = face_radius_px if joint < FACE else radius_px
                # Sixteenths of a pixel, so that the centre is where it should be.
                center = (round(x * 16), round(y * 16))
                cv2.circle(image, center, round(radius * 16), colour, -1, cv2.LINE_8, 4)
    return image


def standing(x: float, y: float, height: float) -> NDArray[np.float64]:
    """(J, 2) a person with every joint apart from the others."""
    column = np.arange(JOINTS) % 3 - 1.0
    row = np.arange(JOINTS) / (JOINTS - 1)
    return np.stack([x + column * height / 6, y + (row - 0.5) * height], axis=1)


def png(image: NDArray[np.uint8]) -> bytes:
    """The picture as a file, every pixel kept."""
    return cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def jpeg(image: NDArray[np.uint8], quality: int = 95) -> bytes:
    """The picture as a JPEG."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class DotPredictor:
    """Finds coloured dots. `hold` keeps the worker busy until it is set; `seen` counts pictures."""

    name = "dots"
    sha256 = "0" * 64
    skeleton = COCO17

    def __init__(self, input_side: int = 160, hold: threading.Event | None = None) -> None:
        self.input_side = input_side
        self.hold = hold
        self.batches: list[int] = []
        self.failure: Exception | None = None

    def candidates(self, images: Sequence[NDArray[np.uint8]]) -> list[Candidates]:
        self.batches.append(len(images))
        warming_up = len(self.batches) == 1
        if self.hold is not None and not warming_up:
            assert self.hold.wait(30), "nobody let the predictor go on"
        if self.failure is not None and not warming_up:
            raise self.failure
        return [_candidates(image) for image in images]

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[list[Sighting]]:
        return [group(one, DecodeSettings()) for one in self.candidates(images)]


def _candidates(image: NDArray[np.uint8]) -> Candidates:
    joints_px = np.full((JOINTS, PEOPLE, 2), np.nan)
    scores = np.zeros((JOINTS, PEOPLE))
    bright = (image[:, :, 2] > 128).astype(np.uint8)
    count, _, _, centers = cv2.connectedComponentsWithStats(bright)
    for label in range(1, count):
        x, y = centers[label].round().astype(int)
        blue, green, _ = image[y, x]
        person, joint = round((float(blue) - 60) / 70), round((float(green) - 40) / 12)
        if 0 <= person < PEOPLE and 0 <= joint < JOINTS:
            joints_px[joint, person] = centers[label]
            scores[joint, person] = 0.9
    tags = np.broadcast_to(10.0 * np.arange(PEOPLE)[None, :, None], (JOINTS, PEOPLE, 1)).copy()
    nothing: dict[str, Any] = {
        "centers_px": np.full((JOINTS, PEOPLE, 2), np.nan),
        "sizes_px": np.full((JOINTS, PEOPLE), np.nan),
        "seeds_px": np.zeros((0, 2)),
        "seed_scores": np.zeros(0),
        "seed_joints_px": np.zeros((0, JOINTS, 2)),
    }
    return Candidates(
        joints_px=np.nan_to_num(joints_px),
        scores=scores,
        tags=tags,
        cell_px=1.0,
        size_px=(image.shape[1], image.shape[0]),
        **nothing,
    )
