"""Motion files as clips: which way trunk, head and limbs point at an even rate, for any body.

Axes of a clip: x forward at rest, y to the person's left, z up.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from ..errors import BadTrainingData
from .acclaim import acclaim_places, read_asf
from .motions import DEEPMIMIC_LENGTH, bvh_joints, deepmimic_pose

__all__ = ["LIMBS", "RATE_HZ", "Clip", "read_clips"]

F64: TypeAlias = NDArray[np.float64]

RATE_HZ = 30.0  # of every clip once read
# Left and right in turn; each bone ends at one COCO joint: 7 to 10, then 13 to 16.
LIMBS = ("upper_arm", "forearm", "thigh", "shank")
_AMC_HZ = 15.0
_DEEPMIMIC_LEG = 0.421 + 0.410  # of its humanoid, in its lengths
_DEEPMIMIC_LIMBS = ("Arm", "ForeArm", "UpLeg", "Leg")
# The files' y up, z forward, x left; `Pose` has x left, y back, z up.
_FROM_FILES = np.asarray([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=np.float64)
_FROM_POSE = np.asarray([[0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float64)
_NECK_LEAN = np.asarray([0.35, 0, 1.0])  # of a head held upright, seen from the chest
_PLACES = ("Thigh", "Shin", "Foot", "Shldr", "ForeArm", "Hand", "chest", "neck", "head")
# What the files call the places where bones meet; the first naming is the CMU conversion's.
_BVH_NAMES = (
    {
        "left": ("lThigh", "lShin", "lFoot", "lShldr", "lForeArm", "lHand"),
        "right": ("rThigh", "rShin", "rFoot", "rShldr", "rForeArm", "rHand"),
        "trunk": ("chest", "neck", "head"),
    },
    {
        "left": ("LeftHip", "LeftKnee", "LeftAnkle", "LeftShoulder", "LeftElbow", "LeftWrist"),
        "right": (
            *("RightHip", "RightKnee", "RightAnkle"),
            *("RightShoulder", "RightElbow", "RightWrist"),
        ),
        "trunk": ("Chest", "Neck", "Head"),
    },
)  # fmt: skip
_AMC_NAMES = {
    "left": ("lhipjoint", "lfemur", "ltibia", "lclavicle", "lhumerus", "lradius"),
    "right": ("rhipjoint", "rfemur", "rtibia", "rclavicle", "rhumerus", "rradius"),
    "trunk": ("lowerback", "thorax", "lowerneck"),
}


@dataclass(frozen=True, slots=True)
class Clip:
    """F moments of a motion, `RATE_HZ` apart, without a body."""

    name: str  # of the file, without suffix
    source: str  # the folder it came from
    trunk: F64  # (F, 3, 3, 3) clip_from_part of pelvis, chest and head
    limbs: F64  # (F, 4, 2, 3) unit vectors along `LIMBS`, left and right
    root: F64  # (F, 3) middle of the hips, in leg lengths, floor at about 0


def read_clips(folder: Path, names: frozenset[str] | None = None) -> list[Clip]:
    """All motions below a folder, in order of source and name.

    Args:
        folder: holds ``humanoid3d_*.txt`` (DeepMimic), ``*.bvh`` with the joints of a CMU
            conversion, ``*.amc`` beside the ``*.asf`` of their subject; others are passed over.
        names: only these; None reads all.

    Raises:
        BadTrainingData: not one motion was found.
    """
    clips = [
        clip
        for path in sorted(folder.rglob("*"))
        if names is None or path.stem in names
        for clip in _read(path)
    ]
    if not clips:
        raise BadTrainingData(
            f"no motion in {folder}; give a folder with DeepMimic, BVH or AMC files"
        )
    return clips


def _read(path: Path) -> Iterator[Clip]:
    if path.name.startswith("humanoid3d_"):
        yield _deepmimic(path)
    elif path.suffix == ".bvh":
        yield from _bvh(path)
    elif path.suffix == ".amc":
        bones = read_asf(path.parent / f"{path.stem.split('_')[0]}.asf")
        yield _from_places(path, _named(acclaim_places(bones, path), _AMC_NAMES), _AMC_HZ)


def _deepmimic(path: Path) -> Clip:
    frames = np.asarray(json.loads(path.read_text(encoding="utf-8"))["Frames"])
    assert frames.shape[1] == DEEPMIMIC_LENGTH, f"{path}: {frames.shape[1]} numbers a frame"
    poses = [deepmimic_pose(frame) for frame in frames]
    trunk = np.stack([[pose.pelvis, pose.chest, pose.head] for pose in poses])
    limbs = np.stack(
        [[[p.bones[side + limb] for side in ("Left", "Right")] for limb in _DEEPMIMIC_LIMBS]
         for p in poses]
    )  # (F, 4, 2, 3)  # fmt: skip
    forward, up, right = frames[:, 1:4].T
    root = np.stack([forward, -right, up], axis=1) / _DEEPMIMIC_LEG
    return _even(
        path,
        _FROM_POSE @ trunk @ _FROM_POSE.T,
        limbs @ _FROM_POSE.T,
        root,
        1.0 / float(frames[0, 0]),
    )


def _bvh(path: Path) -> Iterator[Clip]:
    hierarchy, _, motion = path.read_text(encoding="utf-8").partition("MOTION")
    joints = bvh_joints(hierarchy.split())
    names = next((n for n in _BVH_NAMES if n["trunk"][0] in {j.name for j in joints}), None)
    lines = motion.strip().splitlines()
    if names is None or not {*names["left"]} <= {joint.name for joint in joints}:
        return  # a rig of another naming, or a single pose
    values = np.asarray([line.split() for line in lines[2:] if line.strip()], dtype=np.float64)
    places: dict[str, F64] = {}
    turned: list[F64] = []
    at: list[F64] = []
    for joint in joints:
        own = np.eye(3)
        shift = np.asarray(joint.offset)
        for column, channel in enumerate(joint.channels, start=joint.first):
            if channel.endswith("rotation"):
                spin = Rotation.from_euler(
                    channel[0].lower(), values[:, column, None], degrees=True
                )
                own = own @ spin.as_matrix()
            elif joint.parent < 0:
                axis = np.eye(3)["XYZ".index(channel[0])]
                shift = shift + values[:, column, None] * axis
        above = turned[joint.parent] if joint.parent >= 0 else np.eye(3)
        at.append(
            (at[joint.parent] if joint.parent >= 0 else 0.0) + (above @ shift[..., None])[..., 0]
        )
        turned.append(above @ own)
        places[joint.name] = np.broadcast_to(at[-1], (len(values), 3))
    yield _from_places(path, _named(places, names), 1.0 / float(lines[1].split()[-1]))


def _named(places: Mapping[str, F64], names: Mapping[str, tuple[str, ...]]) -> dict[str, F64]:
    """By our names, in our axes, lengths as in the file."""
    ours = [side + place for side in ("l", "r") for place in _PLACES[:6]] + list(_PLACES[6:])
    theirs = [*names["left"], *names["right"], *names["trunk"]]
    return {our: places[their] @ _FROM_FILES.T for our, their in zip(ours, theirs, strict=True)}


def _from_places(path: Path, at: Mapping[str, F64], rate_hz: float) -> Clip:
    middle = (at["lThigh"] + at["rThigh"]) / 2
    pelvis = _frames(at["lThigh"] - at["rThigh"], at["chest"] - middle)
    chest = _frames(at["lShldr"] - at["rShldr"], at["neck"] - at["chest"])
    head = _swung(chest, at["head"] - at["neck"])
    chains = (("Shldr", "ForeArm"), ("ForeArm", "Hand"), ("Thigh", "Shin"), ("Shin", "Foot"))
    limbs = np.stack(
        [
            np.stack([at[s + end] - at[s + start] for s in ("l", "r")], axis=1)
            for start, end in chains
        ],
        axis=1,
    )  # (F, 4, 2, 3)
    length = np.linalg.norm(limbs, axis=3, keepdims=True)
    leg = float(length[:, 2:].sum(axis=1).mean())
    return _even(
        path, np.stack([pelvis, chest, head], axis=1), limbs / length, middle / leg, rate_hz
    )


def _frames(left: F64, up: F64) -> F64:
    """(F, 3, 3) rotations whose z is ``up`` and whose y is as near to ``left`` as that allows."""
    z = up / np.linalg.norm(up, axis=1, keepdims=True)
    y = left - z * (left * z).sum(axis=1, keepdims=True)
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    return np.stack([np.cross(y, z), y, z], axis=2)


def _swung(chest: F64, neck: F64) -> F64:
    """(F, 3, 3) heads: the chest turned the smallest way that puts the neck where it is."""
    start = chest @ (_NECK_LEAN / np.linalg.norm(_NECK_LEAN))
    end = neck / np.linalg.norm(neck, axis=1, keepdims=True)
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.arctan2(sine, (start * end).sum(axis=1, keepdims=True))
    turn = Rotation.from_rotvec(axis / np.maximum(sine, 1e-9) * angle)
    return np.asarray(turn.as_matrix() @ chest)


def _even(path: Path, trunk: F64, limbs: F64, root: F64, rate_hz: float) -> Clip:
    """The clip at `RATE_HZ`, by splines through directions, which are made unit again."""
    spans = len(root) - 1
    times = np.arange(int(spans * RATE_HZ / rate_hz) + 1) * (rate_hz / RATE_HZ)
    flat = np.concatenate(
        [trunk.reshape(spans + 1, -1), limbs.reshape(spans + 1, -1), root], axis=1
    )
    even = CubicSpline(np.arange(spans + 1), flat)(times)
    axes = even[:, :27].reshape(-1, 3, 3, 3)  # (F, part, row, column)
    frames = _frames(axes[..., 1].reshape(-1, 3), axes[..., 2].reshape(-1, 3))
    bones = even[:, 27:-3].reshape(-1, 4, 2, 3)
    bones /= np.linalg.norm(bones, axis=3, keepdims=True)
    return Clip(
        path.stem, path.parent.name, frames.reshape(-1, 3, 3, 3), bones, even[:, -3:].copy()
    )
