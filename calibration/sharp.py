"""Which frames of synchronized videos are worth looking at: sharp, spread over time, not twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from .camera import F64
from .errors import BadFootage
from .footage import Clip, cut, open_video

logger = logging.getLogger(__name__)

# Longer videos are looked at in steps.
MAX_CANDIDATES = 3000
# Sharpness is judged on a reduced picture; noise of single pixels averages out.
LOOK_SIDE_PX = 480
THUMB_PX = 24
TOLD_EVERY = 10  # frames
# Mean grey levels: closer frames are the same frame encoded twice; darker ones are black.
SAME_LEVELS = 0.4
BLACK_LEVEL = 6.0


@dataclass(frozen=True, slots=True)
class _Look:
    """What one pass over a video saw; one row per frame looked at."""

    frames: tuple[int, ...]
    sharpness: F64  # (F,) variance of the Laplacian
    level: F64  # (F,) mean grey level
    thumbs: F64  # (F, THUMB_PX * THUMB_PX)
    frame_count: int


def choose_frames(
    clips: Sequence[Clip],
    count: int,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Clip, ...]:
    """The clips with the chosen frames of their videos; image clips as they are.

    The videos are cut into `count` spans of time and each gives the frame whose least sharp view is
    sharpest, the same for all cameras. Black frames and repeated ones are left out.

    Args:
        clips: synchronized clips.
        count: how many moments to keep.
        progress: called with frames read and about how many there are; may raise to stop.

    Raises:
        BadFootage: a video holds no frame.
    """
    videos = [clip for clip in clips if clip.is_video]
    if not videos:
        return tuple(clips)
    cache: dict[Path, list[_Look]] = {}
    paths = list(dict.fromkeys(clip.files[0] for clip in videos))
    announced = [_announced(path) for path in paths]
    total, before = sum(announced), 0
    for path, length in zip(paths, announced, strict=True):
        own = [c for c in videos if c.files[0] == path]
        cache[path] = _look(path, own, partial(_told, progress, before, total))
        before += length
    order: dict[Path, int] = dict.fromkeys(cache, 0)
    looks: dict[str, _Look] = {}
    for clip in videos:
        looks[clip.camera] = cache[clip.files[0]][order[clip.files[0]]]
        order[clip.files[0]] += 1
    frames = _spread(list(looks.values()), count)
    if not frames:
        raise BadFootage(
            "every frame of the videos is black; take the lens caps off, open the apertures and "
            "film the board again",
            reason="black_frames",
        )
    moments = tuple(f"{frame:06d}" for frame in frames)
    return tuple(
        replace(
            clip,
            frames=frames,
            moments=moments,
            frame_count=looks[clip.camera].frame_count,
        )
        if clip.is_video
        else clip
        for clip in clips
    )


def _told(progress: Callable[[int, int], None], before: int, total: int, frame: int) -> None:
    if frame % TOLD_EVERY == 0:
        progress(min(before + frame, total), total)


def _announced(path: Path) -> int:
    """How many frames the file says it has; not all tell the truth."""
    video = open_video(path)
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return max(count, 1)


def _look(path: Path, clips: Sequence[Clip], read: Callable[[int], None]) -> list[_Look]:
    video = open_video(path)
    step = max(1, int(video.get(cv2.CAP_PROP_FRAME_COUNT)) // MAX_CANDIDATES)
    rows: list[list[tuple[int, float, float, F64]]] = [[] for _ in clips]
    index = -1
    try:
        while video.grab():
            index += 1
            if index % step:
                continue
            read(index)
            ok, image = video.retrieve()
            if not ok:
                break
            gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
            for clip, seen in zip(clips, rows, strict=True):
                seen.append((index, *_judge(cut(gray, clip))))
    finally:
        video.release()
    if index < 0 or not rows[0]:
        raise BadFootage(
            f"{path.name} holds no frame that can be decoded; it may be empty or of an unknown "
            "codec: convert it, say with ffmpeg -i IN -c:v libx264 OUT.mp4",
            camera=clips[0].camera,
            reason="empty_video",
        )
    return [
        _Look(
            frames=tuple(row[0] for row in seen),
            sharpness=np.array([row[1] for row in seen]),
            level=np.array([row[2] for row in seen]),
            thumbs=np.stack([row[3] for row in seen]),
            frame_count=index + 1,
        )
        for seen in rows
    ]


def _judge(gray: np.ndarray) -> tuple[float, float, F64]:
    scale = min(1.0, LOOK_SIDE_PX / max(gray.shape))
    small = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    sharpness = float(np.var(np.asarray(cv2.Laplacian(small, cv2.CV_32F))))
    thumb = cv2.resize(small, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
    return sharpness, float(np.mean(small)), np.asarray(thumb, dtype=np.float64).ravel()


def _spread(looks: Sequence[_Look], count: int) -> tuple[int, ...]:
    common = sorted(set.intersection(*(set(look.frames) for look in looks)))
    rows = [np.searchsorted(look.frames, common) for look in looks]
    relative = np.stack(
        [
            look.sharpness[row] / max(float(np.median(look.sharpness[row])), 1e-9)
            for look, row in zip(looks, rows, strict=True)
        ]
    ).min(axis=0)  # (F,)
    levels = np.stack([look.level[row] for look, row in zip(looks, rows, strict=True)])  # (V, F)
    dark = np.asarray(levels.max(axis=0) < BLACK_LEVEL)
    chosen: list[int] = []
    previous: int | None = None
    for span in np.array_split(np.arange(len(common)), min(count, len(common))):
        bright = span[~dark[span]]
        if bright.size == 0:
            continue
        best = int(bright[np.argmax(relative[bright])])
        if previous is not None and _same(looks, rows, previous, best):
            continue
        previous = best
        chosen.append(int(common[best]))
    return tuple(chosen)


def _same(looks: Sequence[_Look], rows: Sequence[np.ndarray], first: int, second: int) -> bool:
    return all(
        float(np.abs(look.thumbs[row[first]] - look.thumbs[row[second]]).mean()) < SAME_LEVELS
        for look, row in zip(looks, rows, strict=True)
    )
