"""A rendered scene whose truth is known: a rig of four cameras, a board, and people who walk.

World as everywhere: right-handed, z up, origin on the floor, metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibration.camera import Camera
from calibration.rig import Rig
from models.skeleton import COCO17

__all__ = [
    "BOARD_CORNERS",
    "BOARD_SQUARE_M",
    "RATE_HZ",
    "Body",
    "board_poses",
    "people_at",
    "truth_rig",
]

F64 = NDArray[np.float64]

SIZE_PX = (1280, 720)
FOCAL_PX = 1000.0
RING_M = 4.2
AZIMUTHS_DEG = (40.0, 130.0, 225.0, 310.0)
HEIGHTS_M = (1.7, 2.3, 1.9, 2.5)
BOARD_CORNERS = (9, 6)  # columns x rows
BOARD_SQUARE_M = 0.08
RATE_HZ = 30.0
STEP_HZ = 0.9  # full strides (left and right) a second
PATH_M = 0.9  # radius of the circle on which people walk
WALK_RAD_S = 0.6  # angular speed on it


@dataclass(frozen=True, slots=True)
class Body:
    """One person at one moment."""

    joints: F64  # (17, 3) world, COCO order
    toes: F64  # (2, 3) left and right, for the picture only
    hands: F64  # (2, 3)
    head: F64  # (3,) middle of the skull
    heading: F64  # (3,) unit vector, forward
    look: int  # which clothes


def truth_rig() -> Rig:
    """Four cameras on a ring, looking slightly down at the middle, no two the same height."""
    cameras = []
    for index, (azimuth_deg, height_m) in enumerate(zip(AZIMUTHS_DEG, HEIGHTS_M, strict=True)):
        angle = np.deg2rad(azimuth_deg)
        center = np.array([RING_M * np.cos(angle), RING_M * np.sin(angle), height_m])
        K = np.array([[FOCAL_PX, 0, 640 + 6 * index], [0, FOCAL_PX, 360 - 4 * index], [0, 0, 1.0]])
        dist = np.array([-0.08 + 0.01 * index, 0.03, 0.0005, -0.0004, 0.0])
        look_at = _looking_at(center, np.array([0.0, 0.0, 0.95]))
        cameras.append(Camera(f"cam{index}", SIZE_PX, K, dist, look_at))
    return Rig("rendered", "quad", "cam0", "floor", tuple(cameras))


def board_poses(shared: int = 28, close: int = 12, seed: int = 7) -> list[F64]:
    """Where somebody holds a board, (4, 4) `world_from_board`.

    First on the floor, print up, where all cameras see it: that is the world. Then in the middle,
    turned so that two neighbouring cameras see it; then close to one camera after the other and
    all over its picture, which is what tells its lens. Board coordinates start at the first inner
    corner, x along the columns, y along the rows, z out of the back.
    """
    rng = np.random.default_rng(seed)
    poses = [np.diag([1.0, -1.0, -1.0, 1.0])]
    for number in range(shared + close):
        near = number >= shared
        facing = np.deg2rad(AZIMUTHS_DEG[number % 4] + (0 if near else 45) + rng.uniform(-18, 18))
        away = rng.uniform(1.6, 3.0) if near else RING_M
        across, above = away * rng.uniform(-0.3, 0.3), away * rng.uniform(-0.18, 0.18)
        outward = np.array([np.cos(facing), np.sin(facing)])
        beside = np.array([-outward[1], outward[0]])
        depth = RING_M - away if near else rng.uniform(-0.7, 0.7)
        place = np.append(depth * outward + across * beside, max(0.6, 1.1 + above))
        pitch, roll = rng.uniform(-0.6, 0.6), rng.uniform(-0.5, 0.5)
        poses.append(_held(place, facing, pitch, roll))
    return poses


def _held(place: F64, facing: float, pitch: float, roll: float) -> F64:
    """(4, 4) world from a board whose middle is at a place; its columns run right as it is seen."""
    middle = np.array([(n - 1) * BOARD_SQUARE_M / 2 for n in BOARD_CORNERS] + [0.0])
    outward = np.array(
        [np.cos(facing) * np.cos(pitch), np.sin(facing) * np.cos(pitch), np.sin(pitch)]
    )
    side = np.cross([0.0, 0.0, 1.0], outward)
    side /= np.linalg.norm(side)
    x_axis = np.cos(roll) * side + np.sin(roll) * np.cross(outward, side)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([x_axis, np.cross(-outward, x_axis), -outward], axis=1)
    pose[:3, 3] = place - pose[:3, :3] @ middle
    return pose


def people_at(time_s: float, count: int = 2) -> list[Body]:
    """Who stands where: people on opposite sides of a circle, walking round it."""
    bodies = []
    for number in range(count):
        angle = WALK_RAD_S * time_s + 2 * np.pi * number / count
        place = PATH_M * np.array([np.cos(angle), np.sin(angle)])
        heading = angle + np.pi / 2
        stride = 2 * np.pi * STEP_HZ * time_s + 1.3 * number
        bodies.append(_walker(place, heading, stride, height=1.0 - 0.04 * number, look=number))
    return bodies


def _walker(
    place: NDArray[np.float64], heading: float, stride: float, height: float, look: int
) -> Body:
    """A walking person; lengths are those of an adult of 1.78 m, times `height`."""
    local: dict[str, F64] = {"nose": np.array([0.115, 0.0, 1.60])}
    toes, hands = [], []
    for side, sign in (("left", 1.0), ("right", -1.0)):
        local[f"{side}_eye"] = np.array([0.09, 0.033 * sign, 1.64])
        local[f"{side}_ear"] = np.array([0.0, 0.078 * sign, 1.62])
        shoulder = np.array([0.0, 0.18 * sign, 1.44])
        hip = np.array([0.0, 0.10 * sign, 0.93])
        swing = 0.42 * np.sin(stride + (0.0 if sign > 0 else np.pi))
        knee = hip + 0.44 * _forward(swing)
        bend = 0.12 + 0.45 * max(0.0, -np.cos(stride + (0.0 if sign > 0 else np.pi)))
        ankle = knee + 0.42 * _forward(swing - bend)
        elbow = shoulder + 0.29 * _forward(-0.8 * swing) + np.array([0.0, 0.04 * sign, 0.0])
        wrist = elbow + 0.25 * _forward(-0.8 * swing + 0.35)
        hands.append(wrist + 0.09 * _forward(-0.8 * swing + 0.35))
        toes.append(ankle + np.array([0.16, 0.0, -0.05]))
        names = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
        for name, point in zip(names, (shoulder, elbow, wrist, hip, knee, ankle), strict=True):
            local[f"{side}_{name}"] = point
    # The lower foot stands on the floor; an ankle is 8 cm above its sole.
    lift = 0.08 - min(local["left_ankle"][2], local["right_ankle"][2])
    up = np.array([0.0, 0.0, lift])
    world_from_local = _upright(place, heading)

    def world(point: F64) -> F64:
        return np.asarray(world_from_local @ np.append(height * (point + up), 1.0))[:3]

    return Body(
        joints=np.stack([world(local[name]) for name in COCO17.joints]),
        toes=np.stack([world(toe) for toe in toes]),
        hands=np.stack([world(hand) for hand in hands]),
        head=world(np.array([0.01, 0.0, 1.63])),
        heading=world_from_local[:3, 0],
        look=look,
    )


def _forward(angle: float) -> F64:
    """A limb that hangs down, swung forward by an angle."""
    return np.array([np.sin(angle), 0.0, -np.cos(angle)])


def _upright(place: F64, heading: float) -> F64:
    """(4, 4) world from a person's own axes: x forward, y left, z up."""
    c, s = np.cos(heading), np.sin(heading)
    return np.array([[c, -s, 0, place[0]], [s, c, 0, place[1]], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def _looking_at(center: F64, target: F64) -> F64:
    """(4, 4) `cam_from_world` of an upright camera."""
    z_axis = (target - center) / np.linalg.norm(target - center)
    x_axis = np.cross(z_axis, [0.0, 0.0, 1.0])
    x_axis /= np.linalg.norm(x_axis)
    R = np.stack([x_axis, np.cross(z_axis, x_axis), z_axis])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = R, -R @ center
    return pose
