"""`quadglass reconstruct`: the 3D part alone, on 2D people of another detector."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .screen import bar


def reconstruct(
    views: Annotated[
        list[str],
        typer.Argument(
            metavar="CAMERA=PATH...",
            help="JSON of OpenPose, MMPose or MediaPipe: a folder with a file per frame, or one "
            "file with all frames.",
        ),
    ],
    rig: Annotated[Path, typer.Option(help="The calibrated cameras, any format that is known.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the take.")],
    skeleton: Annotated[
        Literal["body25b", "body25", "coco17", "halpe26"] | None,
        typer.Option(
            help="Order of the joints in OpenPose's or MMPose's files; else by their number, "
            "25 being body25b."
        ),
    ] = None,
    rate_hz: Annotated[float, typer.Option(min=0.1, help="Frames a second.")] = 30.0,
    raw: Annotated[bool, typer.Option("--raw", help="As measured, without smoothing.")] = False,
    refine: Annotated[
        bool, typer.Option("--refine", help="The learned refiner in place of the low pass.")
    ] = False,
    sync: Annotated[
        bool, typer.Option("--sync", help="Find the cameras' offsets from the motion first.")
    ] = False,
    timestamps: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CAMERA=FILE",
            help="When a camera's frames were taken, by one clock: a time a line, or a CSV; "
            "once for every camera.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Make a take from 2D people that another tool found."""
    from capture.reconstruct import ReconstructSettings, files_as_model, read_streams
    from capture.reconstruct import reconstruct as run
    from capture.smooth import SmoothSettings

    from ..take_summary import summarize
    from .after_take import looked_over
    from .export import read_rig
    from .named_paths import named_paths, only_cameras_of
    from .sync_take import synchronized_take, timestamped_take
    from .take_files import show_take, write_take

    cameras = read_rig(rig)
    folders = named_paths(views)
    only_cameras_of(cameras, folders)
    settings = ReconstructSettings(
        smooth=None if raw else SmoothSettings(), refine=refine and not raw
    )
    if sync or timestamps:
        streams = read_streams(cameras, folders, skeleton=skeleton, rate_hz=rate_hz)
        model = files_as_model(skeleton)
        if timestamps:
            frames = timestamped_take(
                cameras, streams, timestamps, rate_hz, settings, out, model, sync=sync
            )
        else:
            frames = synchronized_take(cameras, streams, rate_hz, settings, out, model)
    else:
        with bar("frames") as step:
            frames = run(
                cameras,
                folders,
                skeleton=skeleton,
                rate_hz=rate_hz,
                settings=settings,
                name=out.name,
                progress=step,
            )
    frames = looked_over(frames, cameras)
    written = write_take(frames, cameras, rate_hz, out)
    show_take(summarize(frames), None, written, as_json=as_json)
