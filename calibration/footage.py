"""Pictures of a board on disk: which camera, which moment, and how to read them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .camera import Source
from .errors import BadFootage
from .layout import Box, Layout
from .rig_numbers import check_name
from .rig_schema import MAX_CAMERAS

logger = logging.getLogger(__name__)

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm"})
VIDEOS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})

Gray = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Clip:
    """One camera's pictures: image files, or frames of one video, perhaps a part of each."""

    camera: str
    files: tuple[Path, ...]  # one per moment; for a video its one file
    moments: tuple[str, ...]  # pictures of one moment share this word in every camera
    frames: tuple[int, ...] = ()  # video frames, rising; empty for images
    crop_xywh: Box | None = None
    frame_count: int = 0  # frames of the whole video
    cut_from: Source = field(
        default_factory=Source
    )  # the file and the part of it that these pictures are

    @property
    def is_video(self) -> bool:
        """Whether the pictures are frames of a video."""
        return bool(self.files) and self.files[0].suffix.lower() in VIDEOS


@dataclass(frozen=True, slots=True)
class Footage:
    """What a calibration is made from."""

    clips: tuple[Clip, ...]  # synchronized: moments are shared
    intrinsics: tuple[Clip, ...] = ()  # each camera on its own

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the rig's cameras, in order."""
        return tuple(clip.camera for clip in self.clips)


def clips_in(folder: Path) -> tuple[Clip, ...]:
    """One clip per folder of images or per video in `folder`; of videos every frame.

    Raises:
        BadFootage: nothing there, unusable names, too many cameras.
    """
    if not folder.is_dir():
        raise BadFootage(f"{folder} is not a folder; give one with a folder or a video per camera")
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    folders = [entry for entry in entries if entry.is_dir() and _images(entry)]
    videos = [entry for entry in entries if entry.suffix.lower() in VIDEOS]
    if folders and videos:
        raise BadFootage(f"{folder} holds folders of images and videos; keep one of the two kinds")
    if not folders and not videos:
        flat = len(_images(folder))
        hint = f" ({flat} images lie directly in it)" if flat else ""
        raise BadFootage(
            f"{folder} holds neither folders of images nor videos{hint}; make one folder per "
            "camera, or give a four-in-one folder with its layout"
        )
    if len(folders) + len(videos) > MAX_CAMERAS:
        raise BadFootage(
            f"{folder} holds {len(folders) + len(videos)} cameras; {MAX_CAMERAS} are possible"
        )
    if videos:
        clips = tuple(
            Clip(_camera_name(video.stem), (video,), (), cut_from=Source(file=video.name))
            for video in videos
        )
    else:
        clips = tuple(_image_clip(_camera_name(entry.name), _images(entry)) for entry in folders)
    names = [clip.camera for clip in clips]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadFootage(
            f"two videos are named {', '.join(twice)}; every camera needs its own name"
        )
    return clips


def quad_clips(path: Path, layout: Layout) -> tuple[Clip, ...]:
    """The cameras of one four-in-one image folder, image or video, as crops of it.

    Raises:
        BadFootage: nothing readable.
        BadLayout: the layout does not fit the pictures.
    """
    if path.is_dir():
        files = _images(path)
        videos = sorted(p for p in path.iterdir() if p.suffix.lower() in VIDEOS)
        if not files and len(videos) == 1:
            return quad_clips(videos[0], layout)
        if not files:
            raise BadFootage(f"{path} holds no images and not exactly one video")
        clip = _image_clip("all", files)
    elif path.suffix.lower() in VIDEOS:
        clip = Clip("all", (path,), ())
    elif path.suffix.lower() in IMAGES and path.is_file():
        clip = _image_clip("all", [path])
    else:
        raise BadFootage(f"{path} is neither a folder of images nor a video that can be read")
    width, height = _first_size(clip)
    boxes = layout.boxes_in((width, height))
    return tuple(
        replace(
            clip,
            camera=f"cam{index}",
            crop_xywh=box,
            cut_from=Source(file=path.name, crop_xywh=box),
        )
        for index, box in enumerate(boxes)
    )


def pictures(clips: Sequence[Clip]) -> Iterator[tuple[Clip, str, Gray]]:
    """Every picture of every clip in grey; a file shared by several clips is decoded once.

    Raises:
        BadFootage: a file cannot be decoded, or a camera's pictures differ in size.
    """
    sizes: dict[str, tuple[int, int]] = {}
    for group in _by_source(clips):
        for moment, gray in _frames(group[0]):
            for clip in group:
                part = cut(gray, clip)
                size = (part.shape[1], part.shape[0])
                first = sizes.setdefault(clip.camera, size)
                if first != size:
                    raise BadFootage(
                        f"camera {clip.camera!r}: {moment!r} is {size[0]}x{size[1]}, the pictures "
                        f"before it {first[0]}x{first[1]}; a camera's pictures must have one size "
                        "(no change of zoom, crop or resolution)",
                        camera=clip.camera,
                        reason="size_changed",
                    )
                yield clip, moment, part


def cut(gray: Gray, clip: Clip) -> Gray:
    """The clip's part of a whole picture.

    Raises:
        BadFootage: the picture is smaller than the part.
    """
    if clip.crop_xywh is None:
        return gray
    x, y, w, h = clip.crop_xywh
    if x + w > gray.shape[1] or y + h > gray.shape[0]:
        raise BadFootage(
            f"camera {clip.camera!r} is cut at {clip.crop_xywh} from a picture of only "
            f"{gray.shape[1]}x{gray.shape[0]}; all pictures must have the size of the first",
            camera=clip.camera,
        )
    return np.ascontiguousarray(gray[y : y + h, x : x + w])


def read_gray(path: Path) -> Gray:
    """(H, W) the picture in a file.

    Raises:
        BadFootage: it cannot be decoded.
    """
    try:
        gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    except cv2.error:  # too many pixels
        gray = None
    if gray is None:
        raise BadFootage(
            f"{path.name} cannot be decoded as an image; remove or export it again",
            reason="unreadable_image",
        )
    return np.asarray(gray, np.uint8)


def open_video(path: Path) -> cv2.VideoCapture:
    """The opened video.

    Raises:
        BadFootage: it cannot be opened or holds no frame.
    """
    video = cv2.VideoCapture(str(path))
    if not video.isOpened():
        raise BadFootage(
            f"{path.name} cannot be opened as a video; it may be empty, cut short or of an unknown "
            "codec: convert it, say with ffmpeg -i IN -c:v libx264 OUT.mp4",
            reason="unreadable_video" if path.stat().st_size else "empty_video",
        )
    return video


def _frames(clip: Clip) -> Iterator[tuple[str, Gray]]:
    if not clip.is_video:
        for moment, file in zip(clip.moments, clip.files, strict=True):
            yield moment, read_gray(file)
        return
    video = open_video(clip.files[0])
    wanted = dict(zip(clip.frames, clip.moments, strict=True))
    index = -1
    try:
        while wanted and index < max(wanted):
            index += 1
            if not video.grab():
                break
            if index in wanted:
                ok, image = video.retrieve()
                if not ok:
                    break
                gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
                yield wanted.pop(index), np.asarray(gray, np.uint8)
    finally:
        video.release()
    if wanted:
        raise BadFootage(
            f"{clip.files[0].name} ends after {index} frames, {len(wanted)} chosen ones are "
            "missing; the file may be cut short: export it again",
            camera=clip.camera,
            reason="unreadable_video",
        )


def _by_source(clips: Sequence[Clip]) -> list[list[Clip]]:
    groups: dict[tuple[tuple[Path, ...], tuple[int, ...]], list[Clip]] = {}
    for clip in clips:
        groups.setdefault((clip.files, clip.frames), []).append(clip)
    return list(groups.values())


def _images(folder: Path) -> list[Path]:
    found = (p for p in folder.iterdir() if p.suffix.lower() in IMAGES and p.is_file())
    return sorted(p for p in found if not p.name.startswith("."))


def _camera_name(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as error:
        raise BadFootage(f"camera {error}; rename its folder or file") from None


def _image_clip(camera: str, files: Sequence[Path]) -> Clip:
    stems = [file.stem for file in files]
    if len(set(stems)) < len(stems):
        twice = sorted({stem for stem in stems if stems.count(stem) > 1})
        raise BadFootage(
            f"camera {camera!r} has two images named {twice[0]!r}; moments are told by file names",
            camera=camera,
        )
    # left/left01.jpg and right/right01.jpg are one moment: the camera's name says nothing of it.
    bare = [stem.replace(camera, "", 1).strip("_- .") for stem in stems]
    moments = bare if all(bare) and len(set(bare)) == len(bare) else stems
    return Clip(camera, tuple(files), tuple(moments))


def _first_size(clip: Clip) -> tuple[int, int]:
    if not clip.is_video:
        gray = read_gray(clip.files[0])
        return gray.shape[1], gray.shape[0]
    video = open_video(clip.files[0])
    ok, image = video.read()
    video.release()
    if not ok:
        raise BadFootage(
            f"{clip.files[0].name} holds no frame that can be decoded; convert it",
            reason="empty_video",
        )
    return image.shape[1], image.shape[0]
