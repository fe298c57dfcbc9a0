"""What other tools' JSON says about people: OpenPose, MMPose (RTMPose) and MediaPipe.

OpenPose (doc/02_output.md): `{"people": [{"pose_keypoints_2d": [x, y, score, ...]}]}`, one file per
frame; a point that was not found is (0, 0, 0).

MMPose 1.x: its Inferencer writes a list of `{"keypoints": [[x, y], ...], "keypoint_scores": [...]}`
per picture, and for a video `[{"frame_id": 0, "instances": [...]}, ...]`; its demos put the same
lists under `"instance_info"`, beside `"meta_info"`.

MediaPipe has no file format of its own; what people write is its result as it is: the Pose
Landmarker's `{"pose_landmarks": [[{"x", "y", "z", "visibility", "presence"}, ...]]}` (Python) or
`"landmarks"` (JavaScript), or the older Pose's `{"landmark": [...]}`; for a video a list of those,
frame by frame. x and y are shares of the picture's width and height.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from models.skeleton import COCO17, LAYOUTS, Layout

from .people import F64

__all__ = ["Found", "found_in", "layout_of"]

Tool = Literal["OpenPose", "MMPose", "MediaPipe"]

MEDIAPIPE_33 = Layout(
    name="mediapipe33",
    joints=(
        "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
        "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
        "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky",
        "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip",
        "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel",
        "right_heel", "left_foot_index", "right_foot_index",
    ),
    coco17=(0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28),
    midpoints=MappingProxyType({}),
)  # fmt: skip
# COCO-WholeBody begins with COCO's joints; feet, face and hands follow.
WHOLEBODY_133 = Layout(
    name="wholebody133",
    joints=(*COCO17.joints, *(f"point_{number}" for number in range(17, 133))),
    coco17=tuple(range(17)),
    midpoints=MappingProxyType({}),
)
# Where no layout is asked for. OpenPose has two of 25 points: BODY_25B is COCO's order and more.
_BY_POINTS = {
    17: LAYOUTS["coco17"],
    25: LAYOUTS["body25b"],
    26: LAYOUTS["halpe26"],
    133: WHOLEBODY_133,
}


@dataclass(frozen=True, slots=True)
class Found:
    """The people in one file."""

    tool: Tool
    # (K, 3) x, y in frame pixels and score of each person, by frame number; None stands for the
    # one frame of a file that does not say its number.
    frames: Mapping[int | None, Sequence[F64]]


def found_in(content: Any, size_px: tuple[int, int] | None) -> Found:
    """The people in a file's content.

    Args:
        content: as parsed.
        size_px: (width, height) of the camera's frames, which MediaPipe's shares need.

    Raises:
        ValueError, KeyError, TypeError: it is none of the formats, or a damaged one.
    """
    if isinstance(content, dict) and "people" in content:
        rows = [np.asarray(p["pose_keypoints_2d"], dtype=np.float64) for p in content["people"]]
        return Found("OpenPose", {None: [_triples(row) for row in rows if row.size]})
    if isinstance(content, dict) and "instance_info" in content:
        return Found("MMPose", _mmpose(content["instance_info"]))
    if _landmarks_of(content) is not None:
        return Found("MediaPipe", {None: _mediapipe(content, size_px)})
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        if content and all(_landmarks_of(row) is not None for row in content):
            frames = (_mediapipe(row, size_px) for row in content)
            return Found("MediaPipe", dict(enumerate(frames)))
        return Found("MMPose", _mmpose(content))
    raise ValueError("not OpenPose's, MMPose's or MediaPipe's")


def layout_of(found: Found, points: int, skeleton: str | None) -> Layout:
    """The order of a file's joints.

    Args:
        found: the file.
        points: of a person in it.
        skeleton: asked for by name, for OpenPose and MMPose; None goes by the number of points.

    Raises:
        ValueError: no layout has so many points.
    """
    if found.tool == "MediaPipe":
        return MEDIAPIPE_33
    if skeleton is not None:
        return LAYOUTS[skeleton]
    if points not in _BY_POINTS:
        known = ", ".join(f"{layout.name} {count}" for count, layout in _BY_POINTS.items())
        raise ValueError(f"{points} points for a person; layouts that are known have {known}")
    return _BY_POINTS[points]


def _triples(row: F64) -> F64:
    if row.ndim != 1 or row.size % 3:
        raise ValueError(f"{row.size} numbers for a person, not a multiple of 3")
    return row.reshape(-1, 3)


def _mmpose(rows: Sequence[Mapping[str, Any]]) -> dict[int | None, list[F64]]:
    """Instances of one picture, or of a video's frames."""
    if rows and all("instances" in row for row in rows):
        frames: dict[int | None, list[F64]] = {
            int(row["frame_id"]): _instances(row["instances"]) for row in rows
        }
        if len(frames) != len(rows):
            raise ValueError("a frame_id is there twice")
        return frames
    return {None: _instances(rows)}


def _instances(rows: Sequence[Mapping[str, Any]]) -> list[F64]:
    people = []
    for row in rows:
        places = np.asarray(row["keypoints"], dtype=np.float64)
        scores = np.asarray(row["keypoint_scores"], dtype=np.float64)
        if places.ndim != 2 or places.shape[1] != 2 or scores.shape != places.shape[:1]:
            raise ValueError(f"keypoints {places.shape} with keypoint_scores {scores.shape}")
        people.append(np.concatenate([places, scores[:, None]], axis=1))
    return people


def _landmarks_of(content: Any) -> Sequence[Any] | None:
    """MediaPipe's people in one frame, each a list of landmarks; None if it is not MediaPipe's."""
    if not isinstance(content, dict):
        return None
    for key in ("pose_landmarks", "landmarks"):
        if key in content:
            value = content[key]
            if isinstance(value, dict):  # the older Pose: one person
                return [value["landmark"]]
            return value or []
    return [content["landmark"]] if "landmark" in content else None


def _mediapipe(content: Any, size_px: tuple[int, int] | None) -> list[F64]:
    if size_px is None:
        raise ValueError("MediaPipe's shares of a picture need the picture's size")
    people = []
    for landmarks in _landmarks_of(content) or []:
        table = np.array(
            [
                [mark["x"], mark["y"], mark.get("visibility", 1.0), mark.get("presence") or 0.0]
                for mark in landmarks
            ],
            dtype=np.float64,
        ).reshape(-1, 4)
        visible, present = table[:, 2], table[:, 3]
        if not present.any():  # not set: the older Pose has none
            present = np.ones_like(present)
        inside = ((table[:, :2] >= 0) & (table[:, :2] <= 1)).all(axis=1)  # beyond, it guesses
        # A share counts from the picture's edge, our pixels from the middle of the first.
        places = table[:, :2] * np.array(size_px) - 0.5
        scores = np.where(inside, np.minimum(visible, present), 0.0)
        people.append(np.concatenate([places, scores[:, None]], axis=1))
    return people
