"""A take as a film: every view with its skeletons and ids, and the scene in 3D beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from calibration.rig import Rig

from .draw import frame_sheet
from .errors import ExportError
from .paint import Image
from .people import F64, Frame

__all__ = ["overlay_pictures", "write_overlay"]

DARK = 46  # of a view whose picture is not at hand
AROUND_POINTS = 400  # that the eye of the scene is placed by


def overlay_pictures(
    frames: Sequence[Frame],
    rig: Rig,
    pictures: Callable[[int], Mapping[str, Image]] | None = None,
    *,
    height: int = 720,
) -> Iterator[Image]:
    """The film's pictures, one per frame.

    Args:
        frames: in order of time, identities given.
        rig: that the take was made with.
        pictures: asked for each frame by its sequence number, in order: BGR by camera as posted;
            cameras may be missing. None, or a camera that is missing, gives a dark view.
        height: of the film in pixels.
    """
    around = _places(frames)
    cameras = [camera for camera in rig.cameras if camera.name in _seen_by(frames)]
    for frame in frames:
        given = {} if pictures is None else pictures(frame.sequence)
        views = {
            camera.name: given[camera.name] if camera.name in given else _dark(camera.frame_size_px)
            for camera in cameras
        }
        sheet = frame_sheet(views, frame, rig, height=height, around=around)
        # Video codecs halve colours both ways.
        yield sheet[: sheet.shape[0] // 2 * 2, : sheet.shape[1] // 2 * 2]


def write_overlay(
    path: Path,
    film: Iterator[Image],
    rate_hz: float,
    progress: Callable[[int], None] | None = None,
) -> None:
    """The film as MPEG-4.

    Args:
        path: ends in .mp4.
        film: BGR, all of one size.
        rate_hz: frames per second.
        progress: called with frames done.

    Raises:
        ExportError: it cannot be written.
    """
    writer: cv2.VideoWriter | None = None
    try:
        for number, picture in enumerate(film, start=1):
            if writer is None:
                code = cv2.VideoWriter.fourcc(*"mp4v")
                writer = cv2.VideoWriter(str(path), code, rate_hz, picture.shape[1::-1])
                if not writer.isOpened():
                    raise ExportError(f"{path} cannot be written as a video; is its folder there?")
            writer.write(np.ascontiguousarray(picture))
            if progress is not None:
                progress(number)
    finally:
        if writer is not None:
            writer.release()


def _seen_by(frames: Sequence[Frame]) -> set[str]:
    """Cameras that saw somebody."""
    names: set[str] = set()
    for frame in frames:
        names.update(frame.single_view)
        for person in frame.people:
            names.update(person.sightings)
    return names


def _places(frames: Sequence[Frame]) -> F64:
    """(N, 3) some of the joints of the take, outliers aside."""
    bodies = [person.positions for frame in frames for person in frame.people]
    points: F64 = np.concatenate([np.zeros((0, 3)), *bodies])
    points = points[np.isfinite(points[:, 0])]
    if not len(points):
        return points
    low, high = np.quantile(points, [0.01, 0.99], axis=0)
    points = points[((points >= low) & (points <= high)).all(axis=1)]
    return points[:: max(1, len(points) // AROUND_POINTS)]


def _dark(size_px: tuple[int, int]) -> Image:
    return np.full((size_px[1], size_px[0], 3), DARK, dtype=np.uint8)
