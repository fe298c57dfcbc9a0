"""2D people that another tool found, read from its folders.

One folder per camera, one OpenPose JSON per frame: `{"people": [{"pose_keypoints_2d": [x, y,
score, ...]}, ...]}`. The frame number is the last number in a file's name
(`cam01_000000000012_keypoints.json`, `cam01.0012.json`), and frames of one number belong together.
A point OpenPose did not find is written (0, 0, 0) there and is NaN here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.sighting import Sighting
from models.skeleton import LAYOUTS, Layout, to_coco17

from .errors import BadDetections

__all__ = ["frame_files", "read_detections", "read_people"]

FrameFiles = dict[int, dict[str, Path]]  # frame number -> camera -> file

# "..._keypoints" ends every OpenPose name; what counts is the last number before it.
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
MAX_FILE_BYTES = 32 * 1024 * 1024  # a crowd of a hundred people is 0.3 MB


def frame_files(folders: Mapping[str, Path]) -> FrameFiles:
    """Which files belong to which frame, in order of the frame number.

    Args:
        folders: by camera name, a folder of JSON files.

    Raises:
        BadDetections: a folder is missing or holds no JSON, a name has no number, two names have
            the same, or no frame is in two cameras.
    """
    frames: FrameFiles = {}
    for camera, folder in folders.items():
        if not folder.is_dir():
            raise BadDetections(f"camera {camera!r}: {folder} is not a folder", field=camera)
        files = sorted(folder.glob("*.json"))
        if not files:
            raise BadDetections(
                f"camera {camera!r}: {folder} holds no .json file; "
                "give the folder with one OpenPose JSON per frame",
                field=camera,
            )
        for file in files:
            views = frames.setdefault(_number(camera, file), {})
            if camera in views:
                raise BadDetections(
                    f"camera {camera!r}: {views[camera].name} and {file.name} are both frame "
                    f"{_number(camera, file)}; the last number in a name must be the frame's",
                    field=camera,
                )
            views[camera] = file
    if len(folders) > 1 and not any(len(views) > 1 for views in frames.values()):
        raise BadDetections(
            f"no frame number is in two of the cameras {', '.join(folders)}; "
            "frames belong together by the last number in their file names"
        )
    return dict(sorted(frames.items()))


def read_detections(
    folders: Mapping[str, Path], skeleton: str = "body25b"
) -> Iterator[tuple[int, dict[str, list[Sighting]]]]:
    """Frame by frame, the people in each camera, in COCO-17 joints.

    Args:
        folders: by camera name, a folder of OpenPose JSON files.
        skeleton: the layout they were written in: body25b, body25, coco17 or halpe26.

    Returns:
        (frame number, people by camera) in order; a camera without a file for a frame is left out,
        one that saw nobody has an empty list.

    Raises:
        BadDetections: see `frame_files` and `read_people`; or the layout is not known.
    """
    if skeleton not in LAYOUTS:
        raise BadDetections(
            f"skeleton {skeleton!r} is not known; use one of {', '.join(LAYOUTS)}",
            field="skeleton",
        )
    layout = LAYOUTS[skeleton]
    frames = frame_files(folders)
    return (
        (number, {camera: read_people(file, layout) for camera, file in files.items()})
        for number, files in frames.items()
    )


def read_people(file: Path, layout: Layout) -> list[Sighting]:
    """The people of one OpenPose file, in COCO-17 joints.

    Raises:
        BadDetections: not JSON, not OpenPose's, another number of points, or numbers that are
            not finite.
    """
    size = file.stat().st_size
    if size > MAX_FILE_BYTES:
        raise BadDetections(f"{file}: {size} bytes, the limit is {MAX_FILE_BYTES}")
    try:
        content: Any = json.loads(file.read_bytes())
        rows = [person["pose_keypoints_2d"] for person in content["people"]]
        flat = [np.asarray(row, dtype=np.float64) for row in rows]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadDetections(
            f"{file} is not an OpenPose JSON file ({type(error).__name__}: {error}); "
            "it must hold people[].pose_keypoints_2d"
        ) from error
    return [_sighting(file, layout, numbers) for numbers in flat if numbers.size > 0]


def _sighting(file: Path, layout: Layout, numbers: np.ndarray[Any, Any]) -> Sighting:
    if numbers.ndim != 1 or numbers.size % 3:
        raise BadDetections(f"{file}: {numbers.size} numbers for a person, not a multiple of 3")
    try:
        points = to_coco17(layout, numbers.reshape(-1, 3))  # (17, 3)
    except ValueError as error:
        raise BadDetections(f"{file}: {error}", field="skeleton") from error
    if not np.isfinite(points).all():
        raise BadDetections(f"{file}: a point is not a finite number; write 0, 0, 0 for unseen")
    seen = points[:, 2] > 0
    scores = np.where(seen, np.clip(points[:, 2], 0.0, 1.0), 0.0)
    return Sighting(
        joints_px=np.where(seen[:, None], points[:, :2], np.nan),
        scores=scores,
        score=float(scores[seen].mean()) if seen.any() else 0.0,
        inferred=np.zeros(len(points), dtype=np.bool_),
    )


def _number(camera: str, file: Path) -> int:
    match = _LAST_NUMBER.search(file.stem)
    if match is None:
        raise BadDetections(
            f"camera {camera!r}: {file.name} has no frame number in its name", field=camera
        )
    return int(match.group(1))
