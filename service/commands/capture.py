"""`quadglass capture`: people in synchronized videos, in metres, without a service."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .screen import Step, bar, remarks

if TYPE_CHECKING:
    from calibration.rig import Rig
    from capture.people import Frame
    from capture.regions import Region
    from capture.track import Tracker
    from models.predictor import Predictor

    from ..decode import Picture
    from ..videos import FrameSet, Videos


def capture(
    views: Annotated[
        list[str], typer.Argument(metavar="CAMERA=VIDEO...", help="A video for each camera.")
    ],
    rig: Annotated[Path, typer.Option(help="The calibrated cameras, any format that is known.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the take.")],
    model: Annotated[
        str | None, typer.Option(help="Name of shipped weights, or an ONNX file.")
    ] = None,
    rate_hz: Annotated[
        float | None, typer.Option(min=0.1, help="Frames a second, where the videos do not say.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Only the first so many.")] = None,
    cut: Annotated[
        bool, typer.Option("--cut", help="Cut each camera's part (its crop in the rig) first.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="As measured, without smoothing.")] = False,
    regions: Annotated[
        bool, typer.Option("--regions", help="Look closer where people are expected.")
    ] = False,
    sync: Annotated[
        bool, typer.Option("--sync", help="Find the cameras' offsets from the motion first.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Find the people in synchronized videos and write them in metres."""
    import cv2

    from calibration.rig_file import rig_to_yaml
    from capture.draw import frame_sheet
    from capture.smooth import smooth_take
    from capture.track import TrackSettings

    from ..errors import BadValue
    from ..network import load_predictor
    from ..take_summary import best_frame, summarize
    from ..videos import frame_set_at, look_at
    from .after_take import looked_over
    from .export import read_rig
    from .kept_as_found import KeptFrames, run_of
    from .named_paths import named_paths, only_cameras_of
    from .networks import chosen_network
    from .take_files import show_take, write_take

    cameras = read_rig(rig)
    paths = named_paths(views)
    only_cameras_of(cameras, paths)
    videos = look_at(paths, rate_hz)
    if sync and regions:
        raise BadValue(
            "--regions needs cameras that run together: who is expected where is not known before "
            "--sync has found the clocks; give one of the two"
        )
    if sync:
        _synchronized(videos, frames, cameras, model, out, cut, raw, as_json)
        return
    if len(set(videos.counts.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in videos.counts.items())
        remarks.print(
            f"[yellow]note[/] the videos differ in length ({told} frames); are they synchronized? "
            f"Taking the first {videos.frames}; --sync finds their offsets from the motion."
        )
    predictor = load_predictor(chosen_network(model))
    start = time.perf_counter()
    run = run_of(
        videos, predictor.sha256, rig_to_yaml(cameras), frames=frames, cut=cut, regions=regions
    )
    # Who came back is found when the take is whole, in `looked_over`.
    kept = KeptFrames(out, run, TrackSettings(reidentify=False))
    with bar("frames", min(videos.frames, frames or videos.frames)) as step:
        kept.find(
            lambda begin, tracker: _run(
                videos, begin, frames, cameras, predictor, tracker, out.name, cut, regions, step
            )
        )
    seconds = time.perf_counter() - start
    take = looked_over(list(kept.frames()), cameras)
    best = best_frame(take)
    if best is not None:
        images = cut_out(frame_set_at(videos, best), cameras, cut).images
        out.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(out / "take.jpg"), frame_sheet(images, take[best], cameras))
    summary = summarize(take)
    rate = videos.rate_hz
    written = write_take(take if raw else smooth_take(take, rate), cameras, rate, out)
    kept.done()
    show_take(summary, seconds, written, as_json=as_json)


def _run(
    videos: Videos,
    begin: int,
    limit: int | None,
    rig: Rig,
    predictor: Predictor,
    tracker: Tracker,
    name: str,
    cut: bool,
    regions: bool,
    step: Step,
) -> Iterator[Frame]:
    """The frames of a take from number `begin`, people named, as they are found."""
    from capture.people import Frame
    from capture.regions import Lookout

    from ..pipeline import PipelineSettings, run_pictures
    from ..videos import frame_sets

    lookout = Lookout(rig)
    for sequence, whole in enumerate(frame_sets(videos, limit, begin), start=begin):
        frame_set = cut_out(whole, rig, cut)
        expected = tracker.predict(frame_set.timestamp_ns)
        pictures = _pictures(frame_set, lookout.regions(expected) if regions else {})
        seen = run_pictures(pictures, rig, predictor, PipelineSettings(), expected)
        people = tracker.update(seen.people, frame_set.timestamp_ns)
        lookout.saw(expected, people)
        yield Frame(
            rig=rig.name,
            calibration="",
            capture=name,
            sequence=sequence,
            timestamp_ns=frame_set.timestamp_ns,
            skeleton=predictor.skeleton.name,
            model={"name": predictor.name, "sha256": predictor.sha256},
            people=people,
            single_view=seen.single_view,
            timings_ms=seen.timings_ms,
        )
        step(sequence + 1)


def _pictures(frame_set: FrameSet, regions: Mapping[str, Region]) -> dict[str, Picture]:
    """What the network is to see: whole pictures, or the parts where people are expected."""
    import numpy as np

    from ..decode import Picture

    pictures = {}
    for name, image in frame_set.images.items():
        size_px, region = (image.shape[1], image.shape[0]), regions.get(name)
        if region is None:
            pictures[name] = Picture(image, size_px)
        else:
            rows = slice(region.y, region.y + region.height)
            part = np.ascontiguousarray(image[rows, region.x : region.x + region.width])
            pictures[name] = Picture(part, size_px, corner_px=(region.x, region.y))
    return pictures


def _synchronized(
    videos: Videos,
    limit: int | None,
    rig: Rig,
    model: str | None,
    out: Path,
    cut: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """The take of cameras that were not started together: people in 2D, clocks, then metres."""
    from capture.reconstruct import ReconstructSettings
    from capture.smooth import SmoothSettings
    from capture.streams import stream_of

    from ..network import load_predictor
    from ..pipeline import PipelineSettings, run_pictures
    from ..take_summary import summarize
    from ..videos import FrameSet, frames_of
    from .after_take import looked_over
    from .networks import chosen_network
    from .sync_take import synchronized_take
    from .take_files import show_take, write_take

    predictor = load_predictor(chosen_network(model))
    start, streams = time.perf_counter(), {}
    with bar("frames", sum(min(count, limit or count) for count in videos.counts.values())) as step:
        done = 0
        for name in videos.paths:
            people = []
            for image in frames_of(videos, name, limit):
                frame_set = cut_out(FrameSet(0, {name: image}), rig, cut)
                pictures = _pictures(frame_set, {})
                seen = run_pictures(pictures, rig, predictor, PipelineSettings())
                people.append(list(seen.single_view.get(name, ())))
                done += 1
                step(done)
            streams[name] = stream_of(people, videos.rate_hz)
    settings = ReconstructSettings(smooth=None if raw else SmoothSettings())
    told = {"name": predictor.name, "sha256": predictor.sha256}
    take = synchronized_take(rig, streams, videos.rate_hz, settings, out, told)
    take = looked_over(take, rig)
    written = write_take(take, rig, videos.rate_hz, out)
    show_take(summarize(take), time.perf_counter() - start, written, as_json=as_json)


def cut_out(frame_set: FrameSet, rig: Rig, cut: bool) -> FrameSet:
    """The frame set with each camera's part cut out, if asked for."""
    from dataclasses import replace

    if not cut:
        return frame_set
    images = {}
    for name, image in frame_set.images.items():
        x, y, width, height = rig.camera(name).source.crop_xywh or (0, 0, *image.shape[1::-1])
        images[name] = image[y : y + height, x : x + width]
    return replace(frame_set, images=images)
