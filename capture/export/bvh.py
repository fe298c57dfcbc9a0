"""BVH for animation programs: a skeleton of constant bone lengths and its joints' rotations.

Centimetres, y up, (X, Y, Z) = world (y, z, x); at rest a person looks along +Z with limbs straight
down. One file per person in a zip, all over the whole take. Bones are as long as their median over
the take, so hands and feet are off by what measured lengths vary. The format cannot leave a joint
out: gaps are bridged linearly and ends held, in this format only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from models.skeleton import COCO17

from ..errors import ExportError
from ..people import F64, Frame
from .markers import markers_of
from .views import zipped

__all__ = ["bvh_text", "bvh_zip"]

CM = 100.0
TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


@dataclass(frozen=True, slots=True)
class _Joint:
    """A joint of the skeleton; its bone leads to `end` and lies along `rest` when at rest."""

    name: str
    parent: str | None
    end: str  # a COCO joint, or a middle point of `_points`
    rest: tuple[float, float, float]
    across: tuple[str, str] | None = None  # left and right points that fix the turn exactly


DOWN, UP = (0.0, -1.0, 0.0), (0.0, 1.0, 0.0)
SKELETON = (
    _Joint("Hips", None, "chest", UP, ("left_hip", "right_hip")),
    _Joint("Spine", "Hips", "chest", UP),
    _Joint("Chest", "Spine", "head", UP, ("left_shoulder", "right_shoulder")),
    _Joint("Neck", "Chest", "head", UP),
    _Joint("LeftArm", "Chest", "left_elbow", DOWN),
    _Joint("LeftForeArm", "LeftArm", "left_wrist", DOWN),
    _Joint("RightArm", "Chest", "right_elbow", DOWN),
    _Joint("RightForeArm", "RightArm", "right_wrist", DOWN),
    _Joint("LeftUpLeg", "Hips", "left_knee", DOWN),
    _Joint("LeftLeg", "LeftUpLeg", "left_ankle", DOWN),
    _Joint("RightUpLeg", "Hips", "right_knee", DOWN),
    _Joint("RightLeg", "RightUpLeg", "right_ankle", DOWN),
)
# Where each joint sits.
ORIGIN = {
    "Hips": "hips", "Spine": "hips", "Chest": "chest", "Neck": "chest",
    "LeftArm": "left_shoulder", "LeftForeArm": "left_elbow",
    "RightArm": "right_shoulder", "RightForeArm": "right_elbow",
    "LeftUpLeg": "left_hip", "LeftLeg": "left_knee",
    "RightUpLeg": "right_hip", "RightLeg": "right_knee",
}  # fmt: skip
LEAVES = ("Neck", "LeftForeArm", "RightForeArm", "LeftLeg", "RightLeg")
# Metres, for a bone whose end was never seen.
USUAL = {"head": 0.22, "left_elbow": 0.29, "right_elbow": 0.29, "left_wrist": 0.25,
         "right_wrist": 0.25, "left_knee": 0.42, "right_knee": 0.42, "left_ankle": 0.42,
         "right_ankle": 0.42}  # fmt: skip


def bvh_zip(frames: Sequence[Frame], rate_hz: float) -> bytes:
    """`p3.bvh` for everybody whose trunk was seen.

    Raises:
        ExportError: that is nobody.
    """
    markers = markers_of(frames, rate_hz)
    bodies = markers.positions[:, :, [1, 2, 0]].reshape(len(markers.positions), -1, 17, 3)
    ids = sorted({person.id for frame in frames for person in frame.people if person.id >= 0})
    torso = [COCO17.joints.index(name) for name in TORSO]
    files = {
        f"p{identity}.bvh": bvh_text(bodies[:, column], rate_hz)
        for column, identity in enumerate(ids)
        if np.isfinite(bodies[:, column, torso, 0]).any(axis=0).all()
    }
    if not files:
        raise ExportError("nobody's shoulders and hips were seen; a BVH skeleton starts there")
    return zipped(files)


def bvh_text(body: F64, rate_hz: float) -> str:
    """One person's BVH.

    Args:
        body: (F, 17, 3) metres, y up, NaN missing.
        rate_hz: of the frames.
    """
    points = _points(body)
    lengths = {joint.name: _length(points, joint) for joint in SKELETON}
    turns, order = _turns(points), [joint.name for joint in _depth_first()]
    columns = [CM * points["hips"]]
    parents = {joint.name: joint.parent for joint in SKELETON}
    for name in order:
        parent = parents[name]
        local = turns[name] if parent is None else turns[parent].inv() * turns[name]
        angles = np.unwrap(local.as_euler("ZXY", degrees=True), period=360.0, axis=0)
        columns.append(np.asarray(angles))
    rows = np.concatenate(columns, axis=1)
    motion = "\n".join(" ".join(f"{value:.4f}" for value in row) for row in rows.tolist())
    head = "\n".join(_hierarchy(SKELETON[0], points, lengths, 0))
    return (
        f"HIERARCHY\n{head}\nMOTION\nFrames: {len(rows)}\nFrame Time: {1 / rate_hz:.8f}\n{motion}\n"
    )


def _points(body: F64) -> dict[str, F64]:
    """Joints and middle points (F, 3), gaps bridged; NaN only if never seen."""
    points = {name: _bridged(body[:, j]) for j, name in enumerate(COCO17.joints)}
    points["hips"] = (points["left_hip"] + points["right_hip"]) / 2
    points["chest"] = (points["left_shoulder"] + points["right_shoulder"]) / 2
    ears = (points["left_ear"] + points["right_ear"]) / 2
    points["head"] = ears if np.isfinite(ears).all() else points["nose"]
    return points


def _bridged(joint: F64) -> F64:
    known = np.flatnonzero(np.isfinite(joint[:, 0]))
    if len(known) == 0:
        return joint
    frame = np.arange(len(joint))
    return np.stack([np.interp(frame, known, joint[known, axis]) for axis in range(3)], axis=1)


def _length(points: dict[str, F64], joint: _Joint) -> float:
    """Median length in metres of a joint's bone."""
    along = points[joint.end] - points[ORIGIN[joint.name]]
    length = np.linalg.norm(along, axis=1)
    return float(np.median(length)) if np.isfinite(length).all() else USUAL[joint.end]


def _turns(points: dict[str, F64]) -> dict[str, Rotation]:
    """Each joint's rotation in the world, per frame."""
    turns: dict[str, Rotation] = {}
    for joint in SKELETON:
        along = points[joint.end] - points[ORIGIN[joint.name]]
        parent = None if joint.parent is None else turns[joint.parent]
        if joint.across is not None:
            left, right = (points[name] for name in joint.across)
            up = along
            if not np.isfinite(along).all():  # no head: as the spine
                assert parent is not None
                up = parent.apply(np.tile(UP, (len(left), 1)))
            turns[joint.name] = _frame(left - right, up)
        else:
            assert parent is not None
            start = parent.apply(np.tile(joint.rest, (len(along), 1)))
            goal = np.where(np.isfinite(along), along, start)
            turns[joint.name] = _swing(start, goal) * parent
    return turns


def _frame(left: F64, up: F64) -> Rotation:
    """X exactly to the left, y as near to up as that allows, z ahead."""
    x = left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-9)
    z = np.cross(x, up)
    z /= np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
    return Rotation.from_matrix(np.stack([x, np.cross(z, x), z], axis=2))


def _swing(start: F64, goal: F64) -> Rotation:
    """The smallest rotations that take each direction to another."""
    a = start / np.linalg.norm(start, axis=1, keepdims=True)
    b = goal / np.maximum(np.linalg.norm(goal, axis=1, keepdims=True), 1e-9)
    quaternion = np.concatenate([np.cross(a, b), 1 + (a * b).sum(axis=1, keepdims=True)], axis=1)
    opposite = quaternion[:, 3] < 1e-6
    if opposite.any():  # half a turn about any axis across
        across = np.cross(a[opposite], [1.0, 0.0, 0.0])
        across = np.where(np.linalg.norm(across, axis=1, keepdims=True) > 1e-3, across,
                          np.cross(a[opposite], [0.0, 0.0, 1.0]))  # fmt: skip
        quaternion[opposite, :3], quaternion[opposite, 3] = across, 0.0
    return Rotation.from_quat(quaternion)


def _depth_first(start: str | None = None) -> list[_Joint]:
    result = []
    for joint in SKELETON:
        if joint.parent == start:
            result += [joint, *_depth_first(joint.name)]
    return result


def _hierarchy(
    joint: _Joint, points: dict[str, F64], lengths: dict[str, float], level: int
) -> list[str]:
    pad = "  " * level
    kind, channels = "JOINT", "3"
    if joint.parent is None:
        kind, channels = "ROOT", "6 Xposition Yposition Zposition"
    lines = [
        f"{pad}{kind} {joint.name}",
        pad + "{",
        f"{pad}  OFFSET {_offset(joint, points, lengths)}",
        f"{pad}  CHANNELS {channels} Zrotation Xrotation Yrotation",
    ]
    for child in SKELETON:
        if child.parent == joint.name:
            lines += _hierarchy(child, points, lengths, level + 1)
    if joint.name in LEAVES:
        tip = CM * lengths[joint.name] * np.array(joint.rest)
        site = f"OFFSET {_cells(tip)}"
        lines += [f"{pad}  End Site", pad + "  {", f"{pad}    {site}", pad + "  }"]
    return [*lines, pad + "}"]


def _offset(joint: _Joint, points: dict[str, F64], lengths: dict[str, float]) -> str:
    """Where a joint sits in its parent's frame, at rest."""
    if joint.parent is None or ORIGIN[joint.name] == ORIGIN[joint.parent]:
        return _cells(np.zeros(3))
    if ORIGIN[joint.name] in TORSO:  # half a shoulder or hip width to its side
        other = ORIGIN[joint.parent]
        width = float(np.median(np.linalg.norm(points[ORIGIN[joint.name]] - points[other], axis=1)))
        sign = 1.0 if joint.name.startswith("Left") else -1.0
        return _cells(CM * width * np.array([sign, 0.0, 0.0]))
    parent = next(p for p in SKELETON if p.name == joint.parent)
    return _cells(CM * lengths[parent.name] * np.array(parent.rest))


def _cells(values: NDArray[np.float64]) -> str:
    return " ".join(f"{value:.4f}" for value in values.tolist())
