"""The 2D people of every view, in the files of 2D tools: OpenPose and COCO, one zip each.

Pixels are those of the frames as posted. Both formats write a joint that was not seen as 0, 0, 0.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.sighting import Sighting
from models.skeleton import BODY_25, from_coco17

from ..people import F64, NO_ID, Frame

__all__ = ["coco_zip", "openpose_zip", "zipped"]

EPOCH = (1980, 1, 1, 0, 0, 0)  # a zip's first date: the same take gives the same bytes
PERSON = 1  # COCO's category
# Neither OpenPose nor COCO knows who is who over time; both let files carry more keys.


def openpose_zip(frames: Sequence[Frame]) -> bytes:
    """`CAMERA/CAMERA_000000000012_keypoints.json` for every camera and frame, BODY_25 joints.

    Joints that COCO-17 lacks are left at 0 (feet), or half way between two (neck, middle of hips).
    """
    files: dict[str, Any] = {}
    for frame in frames:
        for camera in _cameras(frames):
            people = [
                {
                    "person_id": [identity],
                    "pose_keypoints_2d": _flat(from_coco17(BODY_25, _rows(sighting))),
                }
                for name, identity, sighting in _sightings(frame)
                if name == camera
            ]
            path = f"{camera}/{camera}_{frame.sequence:012}_keypoints.json"
            files[path] = {"version": 1.3, "people": people}
    return zipped({name: _compact(content) for name, content in files.items()})


def coco_zip(frames: Sequence[Frame]) -> bytes:
    """`CAMERA.json` for every camera: COCO keypoint results, image ids are sequence numbers."""
    files: dict[str, Any] = {f"{camera}.json": [] for camera in _cameras(frames)}
    for frame in frames:
        for camera, identity, sighting in _sightings(frame):
            files[f"{camera}.json"].append(
                {
                    "image_id": frame.sequence,
                    "category_id": PERSON,
                    "keypoints": _flat(_rows(sighting)),
                    "score": round(sighting.score, 4),
                    "person_id": identity,
                }
            )
    return zipped({name: _compact(content) for name, content in files.items()})


def _cameras(frames: Sequence[Frame]) -> list[str]:
    return sorted({name for frame in frames for name, _, _ in _sightings(frame)})


def _sightings(frame: Frame) -> Iterator[tuple[str, int, Sighting]]:
    """Camera, identity and joints of everybody in the frame's views."""
    for person in frame.people:
        for name, sighting in person.sightings.items():
            yield name, person.id, sighting
    for name, alone in frame.single_view.items():
        for sighting in alone:
            yield name, NO_ID, sighting


def _rows(sighting: Sighting) -> F64:
    """(17, 3) x, y, score, NaN unseen."""
    rows = np.column_stack([sighting.joints_px, sighting.scores])
    return np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, np.nan)


def _flat(rows: F64) -> list[float]:
    values = np.round(np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, 0.0), 4)
    return [float(value) for value in values.ravel()]


def _compact(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False)


def zipped(files: Mapping[str, str]) -> bytes:
    """A zip of these texts by name; the same texts give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)
    return out.getvalue()
