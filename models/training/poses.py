"""Joints of many bodies in motion, and which of them a model may learn from.

The split is by a fixed rule, so that everybody who trains or measures on motion agrees on it:

- **clips**: SHA-256 of the take's name, its first byte modulo 10; 0 and 1 are held out, 2 is for
  validation (stopping early), the rest is for training. The two dancers of a salsa take
  (``salsa_01`` and ``salsa_16``, ...) count as one take.
- **bodies**: numbered; the number is the seed. Those from 100,000 on are held out.

Figures for users are measured on held-out clips with held-out bodies, nothing else.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..skeleton import COCO17
from .motion_clips import RATE_HZ, Clip, read_clips

__all__ = [
    "FIRST_HELD_OUT_BODY",
    "BodyShape",
    "Split",
    "Track",
    "body_shape",
    "joints_of",
    "mirrored_track",
    "read_split",
    "split_of",
    "tracks_of",
]

F64: TypeAlias = NDArray[np.float64]
Split: TypeAlias = Literal["train", "validation", "held_out"]

FIRST_HELD_OUT_BODY = 100_000
_TENTHS: tuple[Split, ...] = ("held_out", "held_out", "validation", *("train",) * 7)
_SALSA_TAKES = 15  # of each dancer
_LIMB_JOINTS = ((5, 7), (7, 9), (11, 13), (13, 15))  # left; the right one is the next number
_LOW_TRUNK = 0.4  # share of the trunk that the pelvis carries, the rest follows the chest
_MIRROR = np.array([1.0, -1.0, 1.0])


@dataclass(frozen=True, slots=True)
class BodyShape:
    """Lengths of one body in metres; means as in `capture.anatomy`."""

    limbs: F64  # (4,) upper arm, forearm, thigh, shank
    trunk: float  # middle of the hips to middle of the shoulders, upright
    hips: float  # half of the distance
    shoulders: float  # half of the distance
    shrug: float  # how far a shoulder rises with its arm
    neck: float  # middle of the shoulders to middle of the ears
    face: F64  # (5, 3) nose, eyes, ears from the middle of the ears, in the head's axes


@dataclass(frozen=True, slots=True)
class Track:
    """One body in one motion, on a floor."""

    name: str  # of the clip
    source: str
    body: int  # its number
    joints: F64  # (F, 17, 3) metres, z up, `RATE_HZ` apart


def split_of(name: str) -> Split:
    """Which split a clip belongs to, by the name of its file without suffix."""
    salsa = re.fullmatch(r"salsa_(\d+)", name)
    take = f"salsa_{(int(salsa[1]) - 1) % _SALSA_TAKES + 1:02d}" if salsa else name
    return _TENTHS[hashlib.sha256(take.encode()).digest()[0] % len(_TENTHS)]


def read_split(folder: Path, split: Split) -> list[Clip]:
    """The clips of one split.

    Raises:
        BadTrainingData: there are none below the folder.
    """
    names = frozenset(path.stem for path in folder.rglob("*") if split_of(path.stem) == split)
    return read_clips(folder, names)


def body_shape(number: int) -> BodyShape:
    """A body: 1.75 m give or take 7 %, each part give or take another 5 % (widths 7 %)."""
    rng = np.random.default_rng([17, number])
    size = float(np.clip(rng.normal(1.0, 0.07), 0.8, 1.15))

    def part(metres: float, spread: float = 0.05) -> float:
        return size * metres * float(np.clip(rng.normal(1.0, spread), 0.8, 1.2))

    width, forward = part(1.0, 0.07), part(1.0, 0.07)
    scale = np.array([forward, width, part(1.0, 0.07)])
    face = np.array(
        [[0.11, 0, -0.015], [0.085, 0.032, 0.03], [0.085, -0.032, 0.03], [0, 0.075, 0],
         [0, -0.075, 0]]
    )  # fmt: skip
    return BodyShape(
        limbs=np.array([part(0.29), part(0.25), part(0.42), part(0.42)]),
        trunk=part(0.50),
        hips=part(0.11, 0.07),
        shoulders=part(0.175, 0.07),
        shrug=part(0.05, 0.2),
        neck=part(0.21),
        face=face * scale,
    )


def joints_of(clip: Clip, shape: BodyShape, gaze: F64 | None = None) -> F64:
    """COCO-17 joints of a body in a motion.

    Args:
        clip: F moments.
        shape: of the body.
        gaze: (F, 2) how far the head turns left and nods, radians; the clips do not say.

    Returns:
        (F, 17, 3) metres in the clip's axes, floor at about z = 0.
    """
    pelvis, chest, head = np.moveaxis(clip.trunk, 1, 0)  # (F, 3, 3) each
    if gaze is not None:
        head = head @ Rotation.from_euler("zy", gaze).as_matrix()
    joints = np.empty((len(clip.root), 17, 3))
    leg = shape.limbs[2] + shape.limbs[3]
    middle = clip.root * leg
    breast = middle + shape.trunk * (
        _LOW_TRUNK * pelvis[:, :, 2] + (1 - _LOW_TRUNK) * chest[:, :, 2]
    )
    ears = breast + shape.neck * (0.3 * chest[:, :, 2] + 0.7 * head[:, :, 2])
    joints[:, :5] = ears[:, None] + shape.face @ head.transpose(0, 2, 1)
    for side, sign in ((0, 1.0), (1, -1.0)):
        arm = clip.limbs[:, 0, side]
        # Above 60 degrees the shoulder blade turns with the arm and lifts the joint.
        raised = np.arccos(np.clip(-(arm * chest[:, :, 2]).sum(axis=1), -1, 1))
        lift = shape.shrug * np.clip((raised - np.pi / 3) / (2 * np.pi / 3), 0, 1)
        shoulder = breast + sign * (shape.shoulders - 0.3 * lift)[:, None] * chest[:, :, 1]
        joints[:, 5 + side] = shoulder + lift[:, None] * chest[:, :, 2]
        joints[:, 11 + side] = middle + sign * shape.hips * pelvis[:, :, 1]
        for limb, (start, end) in enumerate(_LIMB_JOINTS):
            bone = shape.limbs[limb] * clip.limbs[:, limb, side]
            joints[:, end + side] = joints[:, start + side] + bone
    return joints


def tracks_of(clips: Iterable[Clip], bodies: Iterable[int], seed: int = 0) -> Iterator[Track]:
    """Every clip with every body, each facing its own way, the middle of its path at the origin.

    Args:
        clips: of one split.
        bodies: numbers of shapes, of the same split.
        seed: of facing and of where the head looks.
    """
    bodies = tuple(bodies)
    for clip in clips:
        for number in bodies:
            rng = np.random.default_rng([seed, number, int.from_bytes(clip.name.encode()[-8:])])
            joints = joints_of(clip, body_shape(number), _gaze(len(clip.root), rng))
            yaw = Rotation.from_euler("z", rng.uniform(-np.pi, np.pi)).as_matrix()
            joints = joints @ yaw.T
            joints[..., :2] -= joints[:, 11:13, :2].mean(axis=(0, 1))
            yield Track(clip.name, clip.source, number, joints)


def mirrored_track(joints: F64) -> F64:
    """(..., 17, 3) the mirror image: left becomes right."""
    return np.asarray(joints[..., COCO17.flip_order, :] * _MIRROR)


def _gaze(frames: int, rng: np.random.Generator) -> F64:
    """(F, 2) a head that looks around slowly: up to 45 degrees sideways, 20 up and down."""
    time = np.arange(frames) / RATE_HZ
    rates, phases = rng.uniform(0.3, 2.0, (2, 2)), rng.uniform(0, 2 * np.pi, (2, 2))
    waves = np.sin(rates * time[:, None, None] + phases).mean(axis=2)  # (F, 2)
    offset = rng.normal(0, [0.15, 0.12])
    return np.asarray(waves * rng.uniform(0.1, [0.8, 0.35]) + offset)
