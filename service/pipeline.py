"""A frame's way: encoded pictures of one moment in, people out. Read this file first.

    decode -> network (peaks and tags) -> people in each view -> people across views, in metres

It knows neither HTTP nor any queue. The service's worker runs several frame sets through one
batch of the network; the command line runs one after the other. Identities over time are not
made here: they belong to a capture (`captures.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from calibration.errors import WrongFrameSize
from calibration.rig import Rig
from capture.frame import CaptureSettings, people_in_frame
from capture.people import FramePeople, Person, Prediction
from capture.regions import Region
from models.grouping import DecodeSettings, group
from models.predictor import Predictor
from models.sighting import Sighting

from .decode import Picture, decode, part_of

__all__ = [
    "PipelineSettings",
    "Seen",
    "Timings",
    "Views",
    "check_sizes",
    "decode_views",
    "run_frame_set",
    "run_pictures",
    "run_views",
]

Timings = dict[str, float]  # stage -> milliseconds


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What the steps are told."""

    max_pixels: int = 50_000_000  # of one picture, by its header
    grouping: DecodeSettings = field(default_factory=DecodeSettings)
    people: CaptureSettings = field(default_factory=CaptureSettings)


@dataclass(frozen=True, slots=True)
class Views:
    """Decoded pictures of one moment by camera; without a rig their people stay 2D."""

    pictures: Mapping[str, Picture]
    rig: Rig | None
    timings_ms: Timings = field(default_factory=dict)
    predicted: Sequence[Prediction] = ()  # where tracked people are expected, if that is known
    parts: Mapping[str, Picture] = field(default_factory=dict)  # looked at instead of the whole


@dataclass(frozen=True, slots=True)
class Seen:
    """Who is in a frame set. All pixels are those of the pictures as posted."""

    people: tuple[Person, ...]
    single_view: Mapping[str, tuple[Sighting, ...]]
    sizes_px: Mapping[str, tuple[int, int]]  # (width, height) as posted, by camera
    timings_ms: Timings


def run_frame_set(
    images: Mapping[str, bytes], rig: Rig | None, predictor: Predictor, settings: PipelineSettings
) -> Seen:
    """Who is in the encoded pictures of one moment, by camera."""
    views = decode_views(images, rig, predictor.input_side, settings)
    return run_views([views], predictor, settings)[0]


def run_pictures(
    images: Mapping[str, Picture],
    rig: Rig | None,
    predictor: Predictor,
    settings: PipelineSettings,
    predicted: Sequence[Prediction] = (),
) -> Seen:
    """Who is in pictures that are decoded already, those of a video say.

    Args:
        images: by camera.
        rig: the calibrated cameras; without one people stay 2D.
        predictor: the network.
        settings: of each step.
        predicted: where a tracker expects people; it helps to tell them and their sides apart.
    """
    check_sizes(images, rig)
    return run_views([Views(images, rig, predicted=predicted)], predictor, settings)[0]


def decode_views(
    images: Mapping[str, bytes],
    rig: Rig | None,
    target_side: int,
    settings: PipelineSettings,
    *,
    predicted: Sequence[Prediction] = (),
    regions: Mapping[str, Region] | None = None,
) -> Views:
    """The pictures of one moment, checked against the rig.

    Args:
        images: encoded, by camera.
        rig: the calibrated cameras; without one people stay 2D.
        target_side: of the network's input.
        settings: of each step.
        predicted: where a tracker expects people.
        regions: parts of pictures to look at alone, by camera.

    Raises:
        ServiceError: a picture is too large, of an unknown kind or damaged.
        UnknownCamera: a picture of a camera that the rig does not have.
        WrongFrameSize: a picture of another size than the rig's.
    """
    timings: Timings = {}
    with _timed(timings, "decode"):
        if rig is not None:
            for name in images:
                rig.camera(name)  # before any decoding
        regions = regions or {}
        pictures = {}
        for name, data in images.items():
            side = _side_of_whole(regions.get(name), rig, name, target_side)
            pictures[name] = decode(
                data, max_pixels=settings.max_pixels, target_side=side, field=name
            )
        check_sizes(pictures, rig)
        parts = {
            name: part_of(pictures[name], region)
            for name, region in regions.items()
            if name in pictures
        }
    return Views(pictures, rig, timings, predicted, parts)


def run_views(
    batch: Sequence[Views], predictor: Predictor, settings: PipelineSettings
) -> list[Seen]:
    """Who is in each of some frame sets; all their pictures go through the network at once."""
    network: Timings = {}
    images = [
        views.parts.get(name, picture).image
        for views in batch
        for name, picture in views.pictures.items()
    ]
    with _timed(network, "network"):
        candidates = iter(predictor.candidates(images))
    seen = []
    for views in batch:
        timings = {**views.timings_ms, **network}
        with _timed(timings, "grouping"):
            sightings = {
                name: [
                    replace(
                        one,
                        joints_px=views.parts.get(name, picture).to_posted(one.joints_px),
                    )
                    for one in group(next(candidates), settings.grouping)
                ]
                for name, picture in views.pictures.items()
            }
        found = _in_metres(views, sightings, settings.people, timings)
        sizes_px = {name: picture.size_px for name, picture in views.pictures.items()}
        seen.append(Seen(found.people, found.single_view, sizes_px, timings))
    return seen


def check_sizes(pictures: Mapping[str, Picture], rig: Rig | None) -> None:
    """Refuses pictures of another size than the rig was calibrated for.

    Raises:
        UnknownCamera: the rig has no camera of that name.
        WrongFrameSize: the sizes differ.
    """
    if rig is None:
        return
    for name, picture in pictures.items():
        camera = rig.camera(name)
        if picture.size_px != camera.frame_size_px:
            is_w, is_h = picture.size_px
            want_w, want_h = camera.frame_size_px
            raise WrongFrameSize(
                f"camera {name!r}: the frame is {is_w} x {is_h} px, the rig expects "
                f"{want_w} x {want_h} px; post frames of that size, or say in the rig file how "
                f"frames become calibrated pixels: source.crop_xywh: [0, 0, {is_w}, {is_h}] with "
                "source.scale and source.offset_px "
                "(calibrated pixel = scale * frame pixel + offset_px)",
                camera=name,
                field=f"/{name}",
            )


def _in_metres(
    views: Views,
    sightings: Mapping[str, Sequence[Sighting]],
    settings: CaptureSettings,
    timings: Timings,
) -> FramePeople:
    if views.rig is None:
        return FramePeople((), {name: tuple(people) for name, people in sightings.items()})
    with _timed(timings, "triangulate"):
        return people_in_frame(views.rig, sightings, settings, views.predicted)


def _side_of_whole(region: Region | None, rig: Rig | None, camera: str, target_side: int) -> int:
    """How large a whole picture has to be decoded for its part to fill the network's input."""
    if region is None or rig is None:
        return target_side
    longer = max(rig.camera(camera).frame_size_px)
    return round(target_side * longer / max(region.width, region.height))


@contextmanager
def _timed(timings: Timings, stage: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = (time.perf_counter() - start) * 1e3
