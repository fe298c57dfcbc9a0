"""2D people that another tool found, read from its files.

One folder per camera with one JSON per frame: the frame number is the last number in a file's name
(`cam01_000000000012_keypoints.json`, `cam01.0012.json`). Or one JSON per camera that holds all
frames of a video, with the numbers that it gives them. Frames of one number belong together. What
may be in the files is told in `detection_formats.py`; points that were not found are NaN here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.sighting import Sighting
from models.skeleton import LAYOUTS, to_coco17

from .detection_formats import Found, found_in, layout_of
from .errors import BadDetections
from .people import F64

__all__ = ["Detections", "frame_files", "read_detections", "read_people"]

FrameFiles = dict[int, dict[str, Path]]  # frame number -> camera -> file

# "..._keypoints" ends every OpenPose name; what counts is the last number before it.
_LAST_NUMBER = re.compile(r"(\d+)\D*$")
MAX_FILE_BYTES = 32 * 1024 * 1024  # a crowd of a hundred people is 0.3 MB
MAX_VIDEO_BYTES = 1024 * 1024 * 1024  # ten minutes of 133 points with indents are 0.4 GB


@dataclass(frozen=True, slots=True)
class Detections:
    """All frames of all cameras in order; a file of one frame is read when its turn comes."""

    files: FrameFiles
    videos: Mapping[str, Mapping[int, list[Sighting]]]  # by camera, those with all in one file
    skeleton: str | None
    sizes_px: Mapping[str, tuple[int, int]]

    @property
    def numbers(self) -> list[int]:
        """Of the frames, in order."""
        return sorted({*self.files, *(n for frames in self.videos.values() for n in frames)})

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[tuple[int, dict[str, list[Sighting]]]]:
        """(Frame number, people by camera).

        A camera without a file for a frame is left out, one that saw nobody has an empty list.
        """
        for number in self.numbers:
            views = {
                camera: read_people(file, self.skeleton, self.sizes_px.get(camera))
                for camera, file in self.files.get(number, {}).items()
            }
            for camera, frames in self.videos.items():
                if number in frames:
                    views[camera] = frames[number]
            yield number, views


def read_detections(
    paths: Mapping[str, Path],
    skeleton: str | None = None,
    sizes_px: Mapping[str, tuple[int, int]] | None = None,
) -> Detections:
    """Frame by frame, the people in each camera, in COCO-17 joints.

    Args:
        paths: by camera name, a folder of JSON files, or one JSON file of a video.
        skeleton: the layout that OpenPose or MMPose wrote: body25b, body25, coco17 or halpe26;
            None goes by the number of points, 25 being body25b.
        sizes_px: (width, height) of each camera's frames; MediaPipe's files need them.

    Raises:
        BadDetections: see `frame_files` and `read_people`; or the layout is not known.
    """
    if skeleton is not None and skeleton not in LAYOUTS:
        raise BadDetections(
            f"skeleton {skeleton!r} is not known; use one of {', '.join(LAYOUTS)}",
            field="skeleton",
        )
    sizes_px = sizes_px or {}
    videos: dict[str, Mapping[int, list[Sighting]]] = {}
    folders: dict[str, Path] = {}
    for camera, path in paths.items():
        only = _only_file(path)
        frames = None if only is None else _video(only, skeleton, sizes_px.get(camera))
        if frames is None:
            folders[camera] = path
        else:
            videos[camera] = frames
    return Detections(_joined(folders, videos), videos, skeleton, sizes_px)


def frame_files(folders: Mapping[str, Path]) -> FrameFiles:
    """Which files belong to which frame, in order of the frame number.

    Args:
        folders: by camera name, a folder of JSON files with one frame each.

    Raises:
        BadDetections: a folder is missing or holds no JSON, a name has no number, two names have
            the same, or no frame is in two cameras.
    """
    return _joined(folders, {})


def _joined(
    folders: Mapping[str, Path], videos: Mapping[str, Mapping[int, list[Sighting]]]
) -> FrameFiles:
    frames: FrameFiles = {}
    for camera, folder in folders.items():
        if not folder.is_dir():
            raise BadDetections(
                f"camera {camera!r}: {folder} is not a folder of JSON files, nor one JSON with the "
                "frames of a video",
                field=camera,
            )
        files = sorted(folder.glob("*.json"))
        if not files:
            raise BadDetections(
                f"camera {camera!r}: {folder} holds no .json file; "
                "give the folder with one JSON per frame",
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
    counts = Counter({number: len(views) for number, views in frames.items()})
    counts.update(number for numbers in videos.values() for number in numbers)
    cameras = [*folders, *videos]
    if len(cameras) > 1 and max(counts.values(), default=0) < 2:
        raise BadDetections(
            f"no frame number is in two of the cameras {', '.join(cameras)}; frames belong "
            "together by the last number in their file names, or by frame_id in a video's file"
        )
    return dict(sorted(frames.items()))


def read_people(
    file: Path, skeleton: str | None = None, size_px: tuple[int, int] | None = None
) -> list[Sighting]:
    """The people of one frame's file, in COCO-17 joints.

    Args:
        file: OpenPose's, MMPose's or MediaPipe's JSON.
        skeleton: see `read_detections`.
        size_px: (width, height) of the frame, which MediaPipe's files need.

    Raises:
        BadDetections: not JSON, none of the formats, several frames, another number of points,
            or numbers that are not finite.
    """
    found = _parsed(file, size_px, MAX_FILE_BYTES)
    if None not in found.frames:
        raise BadDetections(
            f"{file} holds {len(found.frames)} frames of a video; give that file alone as the "
            "camera's path"
        )
    return [_sighting(file, found, row, skeleton) for row in found.frames[None]]


def _only_file(path: Path) -> Path | None:
    """The file that may hold all frames of a camera: the path itself or the folder's only JSON."""
    if path.is_file():
        return path
    files = list(path.glob("*.json")) if path.is_dir() else []
    return files[0] if len(files) == 1 else None


def _video(
    file: Path, skeleton: str | None, size_px: tuple[int, int] | None
) -> dict[int, list[Sighting]] | None:
    """The people by frame number, if the file holds the frames of a video."""
    found = _parsed(file, size_px, MAX_VIDEO_BYTES)
    return (
        None
        if None in found.frames
        else {
            number: [_sighting(file, found, row, skeleton) for row in people]
            for number, people in found.frames.items()
            if number is not None
        }
    )


def _parsed(file: Path, size_px: tuple[int, int] | None, max_bytes: int) -> Found:
    size = file.stat().st_size
    if size > max_bytes:
        raise BadDetections(f"{file}: {size} bytes, the limit is {max_bytes}")
    try:
        content: Any = json.loads(file.read_bytes())
        return found_in(content, size_px)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadDetections(
            f"{file} is not the JSON of OpenPose (people[].pose_keypoints_2d), MMPose "
            "([].keypoints and keypoint_scores) or MediaPipe (pose_landmarks): "
            f"{type(error).__name__}: {error}"
        ) from error


def _sighting(file: Path, found: Found, numbers: F64, skeleton: str | None) -> Sighting:
    try:
        points = to_coco17(layout_of(found, len(numbers), skeleton), numbers)  # (17, 3)
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
