"""A take made by code: people walk before four cameras, and the pictures say which moment they are.

Pictures are drawn, not photographed, so the network of the tests does not look for people: it
reads the moment and the camera from a row of squares at the foot of the picture and answers with
the truth projected into it. Everything behind that answer is the real service.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.camera import Camera, project
from calibration.rig_file import rig_to_yaml
from models.candidates import Candidates
from models.grouping import DecodeSettings, group
from models.sighting import Sighting
from models.skeleton import COCO17

from ..scenes import ring_rig, walkers

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]

SIZE_PX = (640, 360)
RATE_HZ = 30.0
FRAMES = 30
RIG = ring_rig(4, radius_m=4.6, height_m=2.4, size_px=SIZE_PX, focal_px=430.0)
RIG_YAML = rig_to_yaml(RIG).encode()
PEOPLE = walkers(2, FRAMES / RATE_HZ, RATE_HZ, area_m=1.1, seed=5)  # (frames, people, 17, 3)

_BITS = 10  # moment * cameras + camera, lowest first
_SQUARE_PX = 20
_JOINTS = len(COCO17.joints)
_CLOTHES = ((176, 122, 62), (72, 104, 190))  # BGR
_FLOOR, _WALL = (104, 116, 122), (148, 156, 160)


def picture(moment: int, camera: Camera) -> U8:
    """What a camera sees at a moment: a floor of one-metre tiles and dressed stick people."""
    image = np.empty((SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8)
    image[:] = _WALL
    _draw_floor(image, camera)
    order = np.argsort([-_depth(camera, person) for person in PEOPLE[moment]])
    for who in order:
        _draw_person(image, project(camera, PEOPLE[moment, who]), _CLOTHES[who])
    word = moment * len(RIG.cameras) + RIG.names.index(camera.name)
    for bit in range(_BITS):
        x = bit * _SQUARE_PX
        image[-_SQUARE_PX:, x : x + _SQUARE_PX] = 255 if word >> bit & 1 else 0
    return image


def jpeg(image: U8) -> bytes:
    """The picture as a JPEG."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


class Prompter:
    """Answers with the truth that a picture's squares name; see the module."""

    name = "prompter"
    sha256 = "5" * 64
    input_side = 640  # as large as the pictures: they come in unreduced
    skeleton = COCO17

    def candidates(self, images: Sequence[U8]) -> list[Candidates]:
        """The projected truth of each picture; nobody in one without squares."""
        return [_candidates(image) for image in images]

    def predict(self, images: Sequence[U8]) -> list[list[Sighting]]:
        """People of each picture."""
        return [group(one, DecodeSettings()) for one in self.candidates(images)]


def _candidates(image: U8) -> Candidates:
    people = PEOPLE.shape[1]
    joints_px = np.zeros((_JOINTS, people, 2))
    scores = np.zeros((_JOINTS, people))
    read = _read(image)
    if read is not None:
        moment, camera = read
        for who in range(people):
            pixels = project(camera, PEOPLE[moment, who])
            inside = ((pixels > 0) & (pixels < np.array(SIZE_PX))).all(axis=1)
            joints_px[inside, who] = pixels[inside]
            scores[inside, who] = 0.9
    # Tags this far apart cannot be mixed up.
    tags = np.broadcast_to(10.0 * np.arange(people)[None, :, None], (_JOINTS, people, 1)).copy()
    return Candidates(
        joints_px=joints_px,
        scores=scores,
        tags=tags,
        centers_px=np.full((_JOINTS, people, 2), np.nan),
        sizes_px=np.full((_JOINTS, people), np.nan),
        seeds_px=np.zeros((0, 2)),
        seed_scores=np.zeros(0),
        seed_joints_px=np.zeros((0, _JOINTS, 2)),
        cell_px=1.0,
        size_px=(image.shape[1], image.shape[0]),
    )


def _read(image: U8) -> tuple[int, Camera] | None:
    """Moment and camera of a picture of ours, None of another (a warming-up one is black)."""
    if image.shape[:2] != (SIZE_PX[1], SIZE_PX[0]) or not image[0, 0].any():
        return None
    centers = np.arange(_BITS) * _SQUARE_PX + _SQUARE_PX // 2
    word = sum(1 << bit for bit, x in enumerate(centers) if image[-_SQUARE_PX // 2, x, 1] > 127)
    moment, camera = divmod(word, len(RIG.cameras))
    return (moment, RIG.cameras[camera]) if moment < FRAMES else None


def _depth(camera: Camera, person: F64) -> float:
    return float(np.linalg.norm(person.mean(axis=0) - camera.center_world))


def _draw_floor(image: U8, camera: Camera) -> None:
    """Tiles as short segments: `project` gives NaN behind the camera, and lenses bend lines."""
    steps = np.linspace(-4, 4, 81)
    for line in range(-4, 5):
        for points in (
            np.stack([np.full_like(steps, line), steps, np.zeros_like(steps)], axis=1),
            np.stack([steps, np.full_like(steps, line), np.zeros_like(steps)], axis=1),
        ):
            pixels = project(camera, points)
            for a, b in pairwise(pixels):
                if np.isfinite([a, b]).all() and np.abs([a, b]).max() < 4000:
                    _line(image, a, b, _FLOOR, 1)


def _draw_person(image: U8, joints_px: F64, colour: tuple[int, int, int]) -> None:
    height = np.nanmax(joints_px[:, 1]) - np.nanmin(joints_px[:, 1])
    width = max(2, round(height / 16))
    trunk = joints_px[[5, 6, 12, 11]]
    if np.isfinite(trunk).all():
        cv2.fillConvexPoly(image, np.round(trunk).astype(np.int32), colour, cv2.LINE_AA)
    for first, second in COCO17.edges[:12]:
        if np.isfinite(joints_px[[first, second]]).all():
            _line(image, joints_px[first], joints_px[second], colour, width)
    head = joints_px[:5].mean(axis=0)
    if np.isfinite(head).all():
        center = (round(head[0]), round(head[1]))
        cv2.circle(image, center, max(3, round(height / 13)), (150, 176, 214), -1, cv2.LINE_AA)


def _line(image: U8, a: F64, b: F64, colour: tuple[int, int, int], width: int) -> None:
    start, end = (round(a[0]), round(a[1])), (round(b[0]), round(b[1]))
    cv2.line(image, start, end, colour, width, cv2.LINE_AA)
