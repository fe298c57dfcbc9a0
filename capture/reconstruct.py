"""People in metres from 2D people that another tool found: `quadglass reconstruct`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from calibration.rig import Rig
from models.sighting import Sighting
from models.skeleton import COCO17

from .complete import CompleteSettings, complete_take
from .detections import Detections, read_detections
from .errors import TooFewCameras
from .frame import CaptureSettings, PriorSettings, people_in_frame
from .people import F64, Frame
from .plausible import UPRIGHT_WORLDS
from .refined import refine_take
from .resample import Coverage, common_moments, coverage, resampled
from .smooth import SmoothSettings, smooth_take
from .streams import Stream
from .sync import Sync, SyncSettings, synchronize
from .sync_tracks import Clock
from .timestamps import Stamped, stamped
from .track import Tracker, TrackSettings

__all__ = [
    "Moment",
    "ReconstructSettings",
    "files_as_model",
    "read_streams",
    "reconstruct",
    "synchronized",
    "take_of",
    "timestamped",
]


@dataclass(frozen=True, slots=True)
class ReconstructSettings:
    """What a take made from files goes by."""

    capture: CaptureSettings = field(default_factory=CaptureSettings)
    track: TrackSettings = field(default_factory=TrackSettings)
    smooth: SmoothSettings | None = field(default_factory=SmoothSettings)  # None: as measured
    prior: PriorSettings | None = field(default_factory=PriorSettings)  # None: geometry alone
    complete: CompleteSettings | None = None  # fills joints that no camera saw, marked `completed`
    # The learned refiner in place of the low pass; what it gains is in docs/motion.md.
    refine: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """What all cameras see at one time."""

    sequence: int
    timestamp_ns: int
    sightings: Mapping[str, Sequence[Sighting]]  # by camera, frame pixels


def reconstruct(
    rig: Rig,
    folders: Mapping[str, Path],
    *,
    skeleton: str | None = None,
    rate_hz: float = 30.0,
    settings: ReconstructSettings | None = None,
    name: str = "take",
    progress: Callable[[int, int], None] | None = None,
) -> list[Frame]:
    """The take, frame by frame, identities kept, smoothed unless the settings say otherwise.

    Args:
        rig: the calibrated cameras.
        folders: by camera name, JSON files of OpenPose, MMPose or MediaPipe (`read_detections`).
        skeleton: the joints' layout in the files; None goes by the number of points.
        rate_hz: frames per second; time 0 is frame number 0.
        settings: noise, tracking, smoothing.
        name: of the capture.
        progress: called with (frames done, frames in all).

    Raises:
        UnknownCamera: a name that the rig does not have.
        TooFewCameras: fewer than two folders.
        BadDetections: the files cannot be read or used.
    """
    detections = _detections(rig, folders, skeleton)
    moments = (
        Moment(number, round(number * 1e9 / rate_hz), sightings) for number, sightings in detections
    )
    return take_of(
        rig,
        moments,
        rate_hz,
        settings,
        name=name,
        model=files_as_model(skeleton),
        total=len(detections),
        progress=progress,
    )


def files_as_model(skeleton: str | None) -> dict[str, str]:
    """What stands for the network in a take that was made from files."""
    return {"name": f"files ({skeleton})" if skeleton else "files", "sha256": ""}


def read_streams(
    rig: Rig, folders: Mapping[str, Path], *, skeleton: str | None = None, rate_hz: float = 30.0
) -> dict[str, Stream]:
    """Each camera's frames by its own count, for cameras that were not started together.

    Args:
        rig: the calibrated cameras.
        folders: as for `reconstruct`.
        skeleton: as for `reconstruct`.
        rate_hz: frames per second; a camera's time 0 is its frame number 0.

    Raises:
        UnknownCamera: a name that the rig does not have.
        TooFewCameras: fewer than two folders.
        BadDetections: the files cannot be read or used.
    """
    detections = _detections(rig, folders, skeleton)
    numbers: dict[str, list[int]] = {name: [] for name in folders}
    people: dict[str, list[list[Sighting]]] = {name: [] for name in folders}
    for number, sightings in detections:
        for name, found in sightings.items():
            numbers[name].append(number)
            people[name].append(found)
    return {name: Stream(np.array(numbers[name]) / rate_hz, people[name]) for name in folders}


def take_of(
    rig: Rig,
    moments: Iterable[Moment],
    rate_hz: float,
    settings: ReconstructSettings | None = None,
    *,
    name: str = "take",
    model: Mapping[str, str],
    total: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Frame]:
    """People of each moment put together in metres, named, and smoothed.

    Args:
        rig: the calibrated cameras.
        moments: in order of time.
        rate_hz: of the moments.
        settings: noise, tracking, smoothing.
        name: of the capture.
        model: name and sha256 of what found the people in 2D.
        total: how many moments there are, for `progress`.
        progress: called with (frames done, frames in all).
    """
    settings = settings or ReconstructSettings()
    # Who came back is found when the take is whole (`reidentify.py`), not while it is made.
    tracker, frames = Tracker(replace(settings.track, reidentify=False)), []
    for done, moment in enumerate(moments, start=1):
        expected = tracker.predict(moment.timestamp_ns)
        found = people_in_frame(rig, moment.sightings, settings.capture, expected, settings.prior)
        frames.append(
            Frame(
                rig=rig.name,
                calibration="",
                capture=name,
                sequence=moment.sequence,
                timestamp_ns=moment.timestamp_ns,
                skeleton=COCO17.name,
                model=model,
                people=tracker.update(found.people, moment.timestamp_ns),
                single_view=found.single_view,
            )
        )
        if progress is not None:
            progress(done, total)
    if settings.complete is not None and rig.world in UPRIGHT_WORLDS:
        frames = complete_take(frames, rate_hz, settings.complete)
    if settings.refine:
        return refine_take(frames, rate_hz)
    if settings.smooth is None:
        return frames
    return smooth_take(frames, rate_hz, settings.smooth)


def synchronized(
    rig: Rig, streams: Mapping[str, Stream], rate_hz: float, settings: SyncSettings | None = None
) -> tuple[Sync, tuple[Coverage, ...], list[Moment]]:
    """The cameras' clocks, what they cover, and their people read at common moments.

    Args:
        rig: the calibrated cameras.
        streams: two or more, the first is the reference.
        rate_hz: of the common moments.
        settings: reach and effort.

    Raises:
        NotSynchronizable: the motion does not tell the clocks.
    """
    sync = synchronize(rig, streams, settings)
    clocks = sync.clocks()
    times = common_moments(streams, clocks, rate_hz)
    return sync, coverage(streams, clocks, times), _moments(streams, clocks, times)


def timestamped(
    streams: Mapping[str, Stream],
    stamps_ns: Mapping[str, Sequence[int]],
    rate_hz: float,
) -> tuple[Stamped, tuple[Coverage, ...], list[Moment]]:
    """The cameras at the times that they were stamped, and their people at common moments.

    Args:
        streams: two or more, at times that are the frames' numbers over `rate_hz`.
        stamps_ns: by camera, of one clock.
        rate_hz: of the common moments too.

    Raises:
        BadTimestamps: they are not such as a camera has.
    """
    numbers = {name: np.round(s.times_s * rate_hz).astype(np.int64) for name, s in streams.items()}
    found = stamped(streams, numbers, stamps_ns)
    clocks = {name: Clock() for name in streams}
    times = common_moments(found.streams, clocks, rate_hz)
    return found, coverage(found.streams, clocks, times), _moments(found.streams, clocks, times)


def _moments(
    streams: Mapping[str, Stream], clocks: Mapping[str, Clock], times: F64
) -> list[Moment]:
    """People at common moments; time 0 is the first: a negative one would be no timestamp."""
    return [
        Moment(number, round((time_s - times[0]) * 1e9), views)
        for number, (time_s, views) in enumerate(
            zip(times.tolist(), resampled(streams, clocks, times), strict=True)
        )
    ]


def _detections(rig: Rig, folders: Mapping[str, Path], skeleton: str | None) -> Detections:
    sizes_px = {name: rig.camera(name).frame_size_px for name in folders}
    if len(folders) < 2:
        raise TooFewCameras(
            f"{len(folders)} camera given; positions in metres need the folders of two or more"
        )
    return read_detections(folders, skeleton, sizes_px)
