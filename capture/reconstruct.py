"""People in metres from 2D people that another tool found: `quadglass reconstruct`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calibration.rig import Rig
from models.skeleton import COCO17

from .detections import frame_files, read_detections
from .errors import TooFewCameras
from .frame import CaptureSettings, people_in_frame
from .people import Frame
from .smooth import SmoothSettings, smooth_take
from .track import Tracker, TrackSettings

__all__ = ["ReconstructSettings", "reconstruct"]


@dataclass(frozen=True, slots=True)
class ReconstructSettings:
    """What a take made from files goes by."""

    capture: CaptureSettings = field(default_factory=CaptureSettings)
    track: TrackSettings = field(default_factory=TrackSettings)
    smooth: SmoothSettings | None = field(default_factory=SmoothSettings)  # None: as measured


def reconstruct(
    rig: Rig,
    folders: Mapping[str, Path],
    *,
    skeleton: str = "body25b",
    rate_hz: float = 30.0,
    settings: ReconstructSettings | None = None,
    name: str = "take",
    progress: Callable[[int, int], None] | None = None,
) -> list[Frame]:
    """The take, frame by frame, identities kept, smoothed unless the settings say otherwise.

    Args:
        rig: the calibrated cameras.
        folders: by camera name, OpenPose JSON files, one per frame (see `read_detections`).
        skeleton: the joints' layout in the files.
        rate_hz: frames per second; time 0 is frame number 0.
        settings: noise, tracking, smoothing.
        name: of the capture.
        progress: called with (frames done, frames in all).

    Raises:
        UnknownCamera: a name that the rig does not have.
        TooFewCameras: fewer than two folders.
        BadDetections: the files cannot be read or used.
    """
    settings = settings or ReconstructSettings()
    for camera in folders:
        rig.camera(camera)
    if len(folders) < 2:
        raise TooFewCameras(
            f"{len(folders)} camera given; positions in metres need the folders of two or more"
        )
    total = len(frame_files(folders))
    tracker = Tracker(settings.track)
    frames = []
    for done, (number, sightings) in enumerate(read_detections(folders, skeleton), start=1):
        timestamp_ns = round(number * 1e9 / rate_hz)
        found = people_in_frame(rig, sightings, settings.capture, tracker.predict(timestamp_ns))
        frames.append(
            Frame(
                rig=rig.name,
                calibration="",
                capture=name,
                sequence=number,
                timestamp_ns=timestamp_ns,
                skeleton=COCO17.name,
                model={"name": f"files ({skeleton})", "sha256": ""},
                people=tracker.update(found.people, timestamp_ns),
                single_view=found.single_view,
            )
        )
        if progress is not None:
            progress(done, total)
    if settings.smooth is None:
        return frames
    return smooth_take(frames, rate_hz, settings.smooth)
