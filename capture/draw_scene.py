"""The scene in 3D, drawn with OpenCV: people, their shadows, the floor and the cameras.

The eye stands outside the ring, above head height, and looks at the middle of the people. World
axes are drawn at the origin: x red, y green, z blue.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calibration.camera import F64, Camera
from models.skeleton import COCO17

from .paint import (
    FAINT,
    INK,
    MIDDLE,
    Color,
    Image,
    badge,
    bone_color,
    dot,
    id_color,
    line,
    side_color,
)
from .people import Person

__all__ = ["draw_scene"]

SKY: Color = (52, 44, 38)
GROUND: Color = (30, 25, 22)
GRID: Color = (74, 65, 58)
SHADOW: Color = (22, 18, 15)
HEAD_M = 0.105  # radius of the ball drawn for a head
CAMERA: Color = (190, 180, 168)
OVERSAMPLE = 2  # drawn twice as large and averaged down: thin lines come out even
FOV_RAD = np.radians(38)
LOOK_DOWN_RAD = np.radians(16)
FRUSTUM_M = 0.35


def draw_scene(
    people: Sequence[Person],
    cameras: Sequence[Camera],
    size: tuple[int, int] = (1200, 1080),
    around: F64 | None = None,
) -> Image:
    """A picture of the scene, BGR.

    Args:
        people: with joints in the world.
        cameras: of the rig, drawn as frusta.
        size: (width, height) pixels.
        around: (N, 3) points that the eye takes in, those of a whole film for instance, so that
            it stands still; None takes the people's.
    """
    width, height = size[0] * OVERSAMPLE, size[1] * OVERSAMPLE
    bodies = [person for person in people if np.isfinite(person.positions).any()]
    if around is None or len(around) == 0:
        parts = [body.positions[np.isfinite(body.positions[:, 0])] for body in bodies]
        around = np.concatenate([np.zeros((0, 3)), *parts])
    eye = _Eye(*_place_eye(around, cameras, width / height), width, height)
    canvas = _backdrop(width, height)
    _draw_floor(canvas, eye, around, cameras)
    for camera in cameras:
        _draw_camera(canvas, eye, camera)
    # Far people first, so that near ones cover them.
    for person in sorted(bodies, key=lambda body: -eye.depth(_middle(body))):
        _draw_body(canvas, eye, person)
    small = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


class _Eye:
    """The view the scene is drawn from: world points to pixels of the canvas."""

    def __init__(self, place: F64, target: F64, width: int, height: int):
        forward = (target - place) / np.linalg.norm(target - place)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        self.R = np.stack([right, np.cross(forward, right), forward])
        self.place = place
        self.focal = 0.5 * min(width, height) / np.tan(FOV_RAD / 2)
        self.center = np.array([width / 2, height / 2])
        self.scale = min(width, height) / 1000

    def __call__(self, points: F64) -> F64:
        """(N, 2) pixels of (N, 3) points; NaN behind the eye."""
        cam = (np.atleast_2d(points) - self.place) @ self.R.T
        depth = np.where(cam[:, 2:] > 0.1, cam[:, 2:], np.nan)
        return np.asarray(cam[:, :2] / depth * self.focal + self.center)

    def depth(self, point: F64) -> float:
        """Metres ahead of the eye."""
        return float(self.R[2] @ (point - self.place))


def _middle(person: Person) -> F64:
    return np.asarray(np.nanmean(person.positions, axis=0))


def _place_eye(points: F64, cameras: Sequence[Camera], aspect: float) -> tuple[F64, F64]:
    """Where the eye stands and what it looks at: all points well in view, cameras if they fit."""
    if len(points) == 0 and cameras:
        points = np.stack([camera.center_world for camera in cameras])
    elif len(points) == 0:
        points = np.zeros((1, 3))
    low, high = points.min(axis=0), points.max(axis=0)
    target = (low + high) / 2
    target[2] = max(0.3, 0.45 * high[2])
    radius = max(1.4, float(np.linalg.norm(high - low)) / 2)
    centers = [camera.center_world - target for camera in cameras]
    flat = [center[:2] for center in centers if np.linalg.norm(center[:2]) > 0.1]
    # Stand between the first two cameras of the ring, so that none is in the way.
    angle = float(np.arctan2(flat[0][1], flat[0][0])) + np.radians(38) if flat else -np.pi / 3
    ring = max((float(np.linalg.norm(center)) for center in flat), default=0.0)
    distance = max(1.35 * radius / np.tan(FOV_RAD / 2) / min(1.0, aspect), 1.35 * ring)
    distance = min(distance, 3.2 * radius / np.tan(FOV_RAD / 2))
    level = np.array([np.cos(angle), np.sin(angle), 0.0]) * np.cos(LOOK_DOWN_RAD)
    level[2] = np.sin(LOOK_DOWN_RAD)
    return target + distance * level, target


def _backdrop(width: int, height: int) -> Image:
    """A dusk: lighter at the horizon, which lies above the middle."""
    at = np.linspace(0, 1, height)[:, None]
    glow = np.exp(-(((at - 0.3) / 0.28) ** 2))
    column = np.array(GROUND) + glow * (np.array(SKY) - np.array(GROUND))  # (H, 3)
    return np.ascontiguousarray(np.repeat(column[:, None], width, axis=1).astype(np.uint8))


def _draw_floor(canvas: Image, eye: _Eye, around: F64, cameras: Sequence[Camera]) -> None:
    """A grid of one metre that fades with the distance, and the axes at the origin."""
    middle = around[:, :2].mean(axis=0) if len(around) else np.zeros(2)
    out = [float(np.linalg.norm(c.center_world[:2] - middle)) for c in cameras]
    reach = min(float(np.ceil(max([4.0, *out]) + 1.0)), 14.0)
    low, high = np.floor(middle - reach), np.ceil(middle + reach)
    for axis in (0, 1):
        for at in np.arange(low[axis], high[axis] + 0.5):
            along = np.arange(low[1 - axis], high[1 - axis] + 0.01, 0.5)
            points = np.zeros((len(along), 3))
            points[:, axis], points[:, 1 - axis] = at, along
            pixels = eye(points)
            far = np.linalg.norm(points[:, :2] - middle, axis=1) / reach
            for a, b, fade in zip(pixels[:-1], pixels[1:], far, strict=False):
                strength = float(np.clip(1.15 - fade, 0, 1))
                base = canvas[_inside(canvas, a)].astype(np.float64)
                line(canvas, a, b, _mix(base, GRID, strength), 1.6 * eye.scale)
    origin = eye(np.zeros(3))[0]
    for axis, color in ((0, (92, 92, 235)), (1, (110, 210, 110)), (2, (240, 150, 90))):
        line(canvas, origin, eye(0.4 * np.eye(3)[axis])[0], color, 3.2 * eye.scale)


def _draw_camera(canvas: Image, eye: _Eye, camera: Camera) -> None:
    """A frustum in the camera's own proportions, with its name."""
    half = np.array(camera.size_px) / (2 * camera.K[0, 0])
    half = half * FRUSTUM_M / max(1.0, half.max())
    corners = np.array([[x, y, FRUSTUM_M] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
    corners[:, :2] *= half
    world = corners @ camera.cam_from_world[:3, :3] + camera.center_world
    tip, ends = eye(camera.center_world)[0], eye(world)
    for number in range(4):
        line(canvas, tip, ends[number], CAMERA, 2.0 * eye.scale)
        line(canvas, ends[number], ends[(number + 1) % 4], CAMERA, 2.6 * eye.scale)
    foot = eye(camera.center_world * [1, 1, 0])[0]
    line(canvas, tip, foot, GRID, 1.6 * eye.scale)
    dot(canvas, tip, INK, 5 * eye.scale)
    height, width = canvas.shape[:2]
    if 0 <= tip[0] < width and 0 <= tip[1] < height:  # False for NaN
        badge(canvas, camera.name, (tip[0], tip[1] - 30 * eye.scale), FAINT, 0.62 * eye.scale)


def _draw_body(canvas: Image, eye: _Eye, person: Person) -> None:
    """Bones as tubes lit from above, joints as balls, and a shadow on the floor."""
    known = np.isfinite(person.positions[:, 0])
    pixels = np.full((len(known), 2), np.nan)
    pixels[known] = eye(person.positions[known])
    floor = pixels.copy()
    floor[known] = eye(person.positions[known] * [1, 1, 0])
    size = 26 * eye.scale * 5.0 / max(1.0, eye.depth(_middle(person)))
    bones = [edge for edge in COCO17.edges if known[edge[0]] and known[edge[1]]]
    _draw_head(canvas, eye, person.positions, size)
    for first, second in bones:
        line(canvas, floor[first], floor[second], SHADOW, size * 0.9)
    bones.sort(key=lambda edge: -eye.depth(person.positions[list(edge)].mean(axis=0)))
    for first, second in bones:
        color = bone_color(first, second, person.id)
        thick = size * (0.45 if max(first, second) <= 4 else 1.0)
        line(canvas, pixels[first], pixels[second], _darker(color, 0.42), thick * 1.3)
        line(canvas, pixels[first], pixels[second], _darker(color, 0.85), thick * 0.95)
        lift = np.array([-0.12, -0.2]) * thick
        line(canvas, pixels[first] + lift, pixels[second] + lift, _lighter(color), thick * 0.28)
    for joint in np.flatnonzero(known):
        radius = size * (0.32 if joint <= 4 else 0.62)
        dot(canvas, pixels[joint], _darker(side_color(int(joint)), 0.4), radius * 1.2)
        dot(canvas, pixels[joint], side_color(int(joint)), radius)
    if person.id >= 0 and known.any():
        top = pixels[known][pixels[known][:, 1].argmin()]
        place = (float(top[0]), float(top[1] - 2.4 * size))
        badge(canvas, f"id {person.id}", place, id_color(person.id), 0.8 * eye.scale)


def _draw_head(canvas: Image, eye: _Eye, positions: F64, size: float) -> None:
    """A ball where the ears, or else what is known of the face, have their middle, and a neck."""
    ears, face = positions[3:5], positions[:5]
    center = ears.mean(axis=0) if np.isfinite(ears).all() else None
    if center is None and np.isfinite(face[:, 0]).any():
        center = np.nanmean(face, axis=0)
    if center is None:
        return
    middle = eye(center)[0]
    neck = eye(positions[5:7].mean(axis=0))[0]  # NaN draws nothing
    radius = HEAD_M * eye.focal / max(0.5, eye.depth(center))
    line(canvas, neck, middle, _darker(MIDDLE, 0.45), size * 1.1)
    line(canvas, neck, middle, _darker(MIDDLE, 0.75), size * 0.8)
    dot(canvas, middle, _darker(MIDDLE, 0.4), radius * 1.06)
    dot(canvas, middle, _darker(MIDDLE, 0.62), radius)
    dot(canvas, middle - 0.18 * radius, _darker(MIDDLE, 0.72), radius * 0.7)
    dot(canvas, middle - 0.3 * radius, _darker(MIDDLE, 0.82), radius * 0.38)


def _inside(canvas: Image, point: F64) -> tuple[int, int]:
    height, width = canvas.shape[:2]
    x, y = np.nan_to_num(point)
    return int(np.clip(y, 0, height - 1)), int(np.clip(x, 0, width - 1))


def _mix(base: F64, color: Color, strength: float) -> Color:
    b, g, r = np.round(base + strength * (np.array(color) - base)).astype(int).tolist()
    return b, g, r


def _darker(color: Color, factor: float) -> Color:
    b, g, r = (round(channel * factor) for channel in color)
    return b, g, r


def _lighter(color: Color) -> Color:
    b, g, r = (round(255 - 0.55 * (255 - channel)) for channel in color)
    return b, g, r
