"""Body poses out of motion files: which way the trunk and each limb point.

Axes of all directions here: x to the person's left, y backwards, z up, as the body model stands.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..errors import BadTrainingData

__all__ = [
    "DEEPMIMIC_LENGTH",
    "BvhJoint",
    "Pose",
    "bvh_joints",
    "deepmimic_pose",
    "read_motions",
    "swing",
]

F64: TypeAlias = NDArray[np.float64]

_DEEPMIMIC_STEP = 5  # frames of 30 to 60 Hz: neighbours are nearly the same pose
_BVH_STEP = 8
DEEPMIMIC_LENGTH = 44  # numbers in a frame
# DeepMimic: x forward, y up, z to the right. BVH: x left, y up, z forward.
_FROM_DEEPMIMIC = np.asarray([[0, 0, -1], [-1, 0, 0], [0, 1, 0]], dtype=np.float64)
_FROM_BVH = np.asarray([[1, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=np.float64)
_DOWN = np.asarray([0.0, -1, 0])
# Where a relaxed foot points, seen from its shin; no file has toes worth following.
_DEEPMIMIC_FOOT = np.asarray([0.902, -0.431, 0]) / np.hypot(0.902, 0.431)
_FOOT = np.asarray([0, -0.9, -0.43])
_NECK_LEAN = np.asarray([0, -0.35, 1.0])  # of a head held upright


@dataclass(frozen=True, slots=True)
class Pose:
    """One moment of a body."""

    pelvis: F64  # (3, 3) world_from_pelvis, rotation only
    chest: F64  # (3, 3)
    head: F64  # (3, 3)
    bones: Mapping[str, F64]  # LeftUpLeg, RightForeArm, ...: (3,) unit vectors along the bone


def read_motions(folder: Path, chosen: Callable[[Path], bool] | None = None) -> list[Pose]:
    """Poses of motion files below a folder, thinned out.

    Args:
        folder: holds ``humanoid3d_*.txt`` (DeepMimic) and ``*.bvh`` files with the joint names of
            the CMU conversion (lThigh, rShldr, ...); others are passed over.
        chosen: which of the files to read; None reads all.

    Raises:
        BadTrainingData: not one pose was found.
    """
    poses: list[Pose] = []
    files = [path for path in sorted(folder.rglob("*")) if chosen is None or chosen(path)]
    for path in (path for path in files if path.match("humanoid3d_*.txt")):
        frames = json.loads(path.read_text(encoding="utf-8"))["Frames"][::_DEEPMIMIC_STEP]
        poses += [deepmimic_pose(np.asarray(f)) for f in frames if len(f) == DEEPMIMIC_LENGTH]
    for path in (path for path in files if path.suffix == ".bvh"):
        poses += [_from_places(places) for places in _bvh(path) if "lThigh" in places]
    if not poses:
        raise BadTrainingData(f"no motion in {folder}; give a folder with DeepMimic or BVH files")
    return poses


def swing(start: F64, end: F64) -> F64:
    """The smallest rotation that turns one direction into another.

    Args:
        start: (3,) not zero.
        end: (3,) not zero.

    Returns:
        (3, 3)
    """
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = np.cross(start, end)
    sine, cosine = float(np.linalg.norm(axis)), float(start @ end)
    if sine < 1e-6:  # no axis: nothing to turn, or half a turn about any axis across
        turned = Rotation.from_rotvec(np.pi * _across(start)) if cosine < 0 else Rotation.identity()
    else:
        turned = Rotation.from_rotvec(axis / sine * np.arctan2(sine, cosine))
    return np.asarray(turned.as_matrix(), dtype=np.float64)


def _across(direction: F64) -> F64:
    """Any unit vector at a right angle."""
    axis = np.cross(direction, np.eye(3)[int(np.argmin(np.abs(direction)))])
    return np.asarray(axis / np.linalg.norm(axis), dtype=np.float64)


def deepmimic_pose(frame: F64) -> Pose:
    """One line of DeepMimic's format: quaternions (w first) and hinge angles down the tree."""
    root = _quaternion(frame[4:8])
    chest = root * _quaternion(frame[8:12])
    neck = chest * _quaternion(frame[12:16])
    bones = {}
    for side, leg, arm in (("Right", 16, 25), ("Left", 30, 39)):
        hip = root * _quaternion(frame[leg : leg + 4])
        knee = hip * Rotation.from_rotvec([0, 0, frame[leg + 4]])
        ankle = knee * _quaternion(frame[leg + 5 : leg + 9])
        shoulder = chest * _quaternion(frame[arm : arm + 4])
        elbow = shoulder * Rotation.from_rotvec([0, 0, frame[arm + 4]])
        for name, rotation, rest in (
            ("UpLeg", hip, _DOWN),
            ("Leg", knee, _DOWN),
            ("Foot", ankle, _DEEPMIMIC_FOOT),
            ("Arm", shoulder, _DOWN),
            ("ForeArm", elbow, _DOWN),
        ):
            bones[side + name] = _FROM_DEEPMIMIC @ rotation.apply(rest)
    pelvis, ribs, head = (
        _FROM_DEEPMIMIC @ part.as_matrix() @ _FROM_DEEPMIMIC.T for part in (root, chest, neck)
    )
    return Pose(pelvis, ribs, head, bones)


def _quaternion(wxyz: F64) -> Rotation:
    return Rotation.from_quat([*wxyz[1:], wxyz[0]])


def _from_places(places: Mapping[str, F64]) -> Pose:
    """A pose out of joint places, x left, y back, z up."""
    middle = (places["lThigh"] + places["rThigh"]) / 2
    pelvis = _frame(places["lThigh"] - places["rThigh"], places["chest"] - middle)
    chest = _frame(places["lShldr"] - places["rShldr"], places["neck"] - places["chest"])
    head = swing(chest @ _NECK_LEAN, places["head"] - places["neck"]) @ chest
    bones = {}
    for side, letter in (("Left", "l"), ("Right", "r")):
        at = {name: places[letter + name] for name in _LIMBS}
        shin = at["Foot"] - at["Shin"]
        bones[side + "UpLeg"] = at["Shin"] - at["Thigh"]
        bones[side + "Leg"] = shin
        bones[side + "Foot"] = swing(pelvis @ np.asarray([0, 0, -1.0]), shin) @ pelvis @ _FOOT
        bones[side + "Arm"] = at["ForeArm"] - at["Shldr"]
        bones[side + "ForeArm"] = at["Hand"] - at["ForeArm"]
    return Pose(pelvis, chest, head, {k: v / np.linalg.norm(v) for k, v in bones.items()})


_LIMBS = ("Thigh", "Shin", "Foot", "Shldr", "ForeArm", "Hand")


def _frame(left: F64, up: F64) -> F64:
    """A rotation whose z is ``up`` and whose x is as near to ``left`` as that allows."""
    z = up / np.linalg.norm(up)
    x = left - z * (left @ z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


@dataclass(slots=True)
class BvhJoint:
    """A joint of a BVH file, or the end of a chain."""

    name: str
    parent: int
    offset: F64
    channels: tuple[str, ...]
    first: int  # its first column in a frame


def _bvh(path: Path) -> Iterator[Mapping[str, F64]]:
    """Joint places of every few frames of a BVH file."""
    hierarchy, _, motion = path.read_text(encoding="utf-8").partition("MOTION")
    joints = bvh_joints(hierarchy.split())
    lines = motion.strip().splitlines()[2:]  # after the number of frames and their spacing
    for line in lines[::_BVH_STEP]:
        values = np.asarray(line.split(), dtype=np.float64)
        if len(values):
            yield _places(joints, values)


def bvh_joints(words: list[str]) -> list[BvhJoint]:
    """The joints of a BVH file's HIERARCHY part, parents first, given its words."""
    joints: list[BvhJoint] = []
    open_joints: list[int] = []
    columns = 0
    for index, word in enumerate(words):
        if word in ("ROOT", "JOINT", "End"):
            parent = open_joints[-1] if open_joints else -1
            joints.append(BvhJoint(words[index + 1], parent, np.zeros(3), (), columns))
        elif word == "{":
            open_joints.append(len(joints) - 1)
        elif word == "}":
            open_joints.pop()
        elif word == "OFFSET":
            joints[-1].offset = np.asarray(words[index + 1 : index + 4], dtype=np.float64)
        elif word == "CHANNELS":
            count = int(words[index + 1])
            joints[-1].channels = tuple(words[index + 2 : index + 2 + count])
            joints[-1].first = columns
            columns += count
    return joints


def _places(joints: list[BvhJoint], values: F64) -> Mapping[str, F64]:
    """Forward kinematics of one frame, in our axes; the root stays at the origin."""
    turned: list[F64] = []
    places: list[F64] = []
    for joint in joints:
        spins = [
            (channel[0], values[joint.first + k])
            for k, channel in enumerate(joint.channels)
            if channel.endswith("rotation")
        ]
        own = np.eye(3)
        if spins:
            order = "".join(axis for axis, _ in spins)
            angles = [angle for _, angle in spins]
            own = Rotation.from_euler(order, angles, degrees=True).as_matrix()
        if joint.parent < 0:
            turned.append(own)
            places.append(np.zeros(3))
        else:
            above = turned[joint.parent]
            places.append(places[joint.parent] + above @ joint.offset)
            turned.append(above @ own)
    return {j.name: _FROM_BVH @ place for j, place in zip(joints, places, strict=True)}
