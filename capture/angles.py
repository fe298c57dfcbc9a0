"""Joint angles and segment lengths of a person, from joint centres alone.

Degrees, 0 standing with arms and legs straight down; flexion is forward for hip and shoulder, and
bending for knee and elbow; abduction is away from the body. Hip and shoulder are the direction of
thigh and upper arm in an anatomical frame (Wu et al. 2002 and 2005, ISB recommendations, reduced
to what joint centres can tell): y from the middle of the hips to the middle of the shoulders, z
along the line from right to left hip (hip) or shoulder (shoulder), made square, x ahead. Knee and
elbow are the angle between their two segments. COCO-17 has no feet, so there is no ankle.
"""

from __future__ import annotations

import numpy as np

from models.skeleton import COCO17

from .people import F64

__all__ = ["ANGLES", "SEGMENTS", "joint_angles_deg", "segment_lengths_m"]

ANGLES: tuple[str, ...] = tuple(
    f"{side}_{name}"
    for side in ("left", "right")
    for name in (
        "hip_flexion",
        "hip_abduction",
        "knee_flexion",
        "shoulder_flexion",
        "shoulder_abduction",
        "elbow_flexion",
    )
)
_AT = {name: number for number, name in enumerate(COCO17.joints)}
SEGMENTS: dict[str, tuple[int, int]] = {
    f"{side}_{name}": (_AT[f"{side}_{first}"], _AT[f"{side}_{second}"])
    for side in ("left", "right")
    for name, first, second in (
        ("thigh", "hip", "knee"),
        ("shank", "knee", "ankle"),
        ("upper_arm", "shoulder", "elbow"),
        ("forearm", "elbow", "wrist"),
    )
} | {
    "hips": (_AT["left_hip"], _AT["right_hip"]),
    "shoulders": (_AT["left_shoulder"], _AT["right_shoulder"]),
}


def segment_lengths_m(positions: F64) -> F64:
    """(F, len(SEGMENTS)) lengths of (F, 17, 3) joints; NaN where an end is missing."""
    ends = np.array(list(SEGMENTS.values()))
    along = positions[:, ends[:, 1]] - positions[:, ends[:, 0]]
    return np.asarray(np.sqrt((along * along).sum(axis=2)))


def joint_angles_deg(positions: F64) -> F64:
    """(F, len(ANGLES)) angles of (F, 17, 3) joints; NaN where a joint they need is missing."""
    hips, shoulders = _middle(positions, "hip"), _middle(positions, "shoulder")
    up = shoulders - hips
    columns = []
    for side, sign in (("left", 1.0), ("right", -1.0)):
        pelvis = _frame(up, _joint(positions, "left_hip") - _joint(positions, "right_hip"))
        girdle = _frame(
            up, _joint(positions, "left_shoulder") - _joint(positions, "right_shoulder")
        )
        hip, knee, ankle, shoulder, elbow, wrist = (
            _joint(positions, f"{side}_{name}")
            for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
        )
        columns += [*_swing(pelvis, knee - hip, sign), _bend(knee - hip, ankle - knee)]
        columns += [*_swing(girdle, elbow - shoulder, sign), _bend(elbow - shoulder, wrist - elbow)]
    return np.stack(columns, axis=1)


def _joint(positions: F64, name: str) -> F64:
    return positions[:, _AT[name]]


def _middle(positions: F64, name: str) -> F64:
    return np.asarray((_joint(positions, f"left_{name}") + _joint(positions, f"right_{name}")) / 2)


def _frame(up: F64, left: F64) -> F64:
    """(F, 3, 3) rows: ahead, up, left; up is kept, left made square to it."""
    y = _unit(up)
    z = _unit(left - (left * y).sum(axis=1, keepdims=True) * y)
    return np.stack([np.cross(z, y), y, z], axis=1)


def _swing(frame: F64, segment: F64, sign: float) -> tuple[F64, F64]:
    """(F,) flexion and abduction of a segment in its frame, degrees."""
    ahead, up, left = np.einsum("fij,fj->if", frame, _unit(segment))
    flexion = np.degrees(np.arctan2(ahead, -up))
    abduction = np.degrees(np.arcsin(np.clip(sign * left, -1.0, 1.0)))
    return np.asarray(flexion), np.asarray(abduction)


def _bend(upper: F64, lower: F64) -> F64:
    """(F,) degrees by which the lower segment departs from the upper one's direction."""
    cos = (_unit(upper) * _unit(lower)).sum(axis=1)
    return np.asarray(np.degrees(np.arccos(np.clip(cos, -1.0, 1.0))))


def _unit(vectors: F64) -> F64:
    length = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return np.asarray(vectors / np.where(length > 0, length, np.nan))
