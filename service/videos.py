"""Synchronized videos as frame sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .errors import BadValue

__all__ = ["FrameSet", "Videos", "frame_set_at", "frame_sets", "frames_of", "look_at"]

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class FrameSet:
    """Pictures of one moment."""

    timestamp_ns: int
    images: Mapping[str, Image]  # BGR, by camera


@dataclass(frozen=True, slots=True)
class Videos:
    """Videos of one take, and what their files say of themselves."""

    paths: Mapping[str, Path]  # by camera
    rate_hz: float
    counts: Mapping[str, int]  # frames of each

    @property
    def frames(self) -> int:
        """Frame sets that all of them have."""
        return min(self.counts.values())


def look_at(paths: Mapping[str, Path], rate_hz: float | None = None) -> Videos:
    """The videos' rate and lengths.

    Args:
        paths: by camera.
        rate_hz: of all of them, where the files do not say or lie.

    Raises:
        BadValue: a file is no video, or their rates differ.
    """
    rates, counts = {}, {}
    for name, path in paths.items():
        with _opened(name, path) as reader:
            rates[name] = reader.get(cv2.CAP_PROP_FPS)
            counts[name] = int(reader.get(cv2.CAP_PROP_FRAME_COUNT))
    if rate_hz is None:
        slowest, fastest = min(rates.values()), max(rates.values())
        if not slowest > 0 or fastest - slowest > 0.01 * fastest:
            told = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
            raise BadValue(
                f"the videos' frame rates are {told} Hz; synchronized videos have one rate: "
                "convert them, or say which it is with --rate-hz"
            )
        rate_hz = fastest
    return Videos(dict(paths), rate_hz, counts)


def frame_sets(videos: Videos, limit: int | None = None, begin: int = 0) -> Iterator[FrameSet]:
    """The frame sets in order from number `begin`, until the shortest video ends or `limit` is met.

    Frames before `begin` are read past: seeking lands on the nearest key frame.
    """
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(_opened(name, path)) for name, path in videos.paths.items()
        }
        for _ in range(begin):
            if not all(reader.grab() for reader in readers.values()):
                return
        sequence = begin
        while limit is None or sequence < limit:
            images: dict[str, Image] = {}
            for name, reader in readers.items():
                there, image = reader.read()
                if not there:
                    return
                images[name] = np.asarray(image, dtype=np.uint8)
            yield FrameSet(round(sequence * 1e9 / videos.rate_hz), images)
            sequence += 1


def frames_of(videos: Videos, camera: str, limit: int | None = None) -> Iterator[Image]:
    """One camera's frames, all that it has or the first `limit`, whatever the others have."""
    with _opened(camera, videos.paths[camera]) as reader:
        number = 0
        while limit is None or number < limit:
            there, image = reader.read()
            if not there:
                return
            yield np.asarray(image, dtype=np.uint8)
            number += 1


def frame_set_at(videos: Videos, sequence: int) -> FrameSet:
    """One frame set; read from the start, because seeking lands on the nearest key frame.

    Raises:
        BadValue: the videos end before it.
    """
    for number, frame_set in enumerate(frame_sets(videos, sequence + 1)):
        if number == sequence:
            return frame_set
    raise BadValue(f"the videos end before frame {sequence}")


@contextmanager
def _opened(name: str, path: Path) -> Iterator[cv2.VideoCapture]:
    reader = cv2.VideoCapture(str(path))
    try:
        if not reader.isOpened():
            raise BadValue(
                f"camera {name!r}: {path} is no video that can be read here; convert it to H.264"
            )
        yield reader
    finally:
        reader.release()
