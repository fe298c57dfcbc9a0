"""`quadglass plot`: a finished take as pictures and a film."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .screen import bar, remark

if TYPE_CHECKING:
    from calibration.rig import Rig
    from capture.paint import Image

    from ..videos import FrameSet


def plot(
    take: Annotated[
        Path, typer.Argument(help="Folder of a take (take.json and rig.yaml), or its take.json.")
    ],
    views: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CAMERA=VIDEO]...", help="What it was made from; dark views without."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the pictures; else the take's.")
    ] = None,
    film: Annotated[bool, typer.Option(help="Write take.mp4 too.")] = True,
    height: Annotated[int, typer.Option(min=240, max=2160, help="Of the film, pixels.")] = 720,
    cut: Annotated[
        bool, typer.Option("--cut", help="Cut each camera's part (its crop in the rig) first.")
    ] = False,
) -> None:
    """Draw trajectories, quality over time, joint angles, and a film of all views and the scene."""
    from capture.overlay import overlay_pictures, write_overlay

    from .export import read_rig, read_take
    from .named_paths import named_paths, only_cameras_of
    from .take_files import write_plots

    file = take / "take.json" if take.is_dir() else take
    frames, rate_hz = read_take(file)
    rig = read_rig(file.parent / "rig.yaml")
    paths = named_paths(views or [])
    only_cameras_of(rig, paths, at_least=0)
    folder = out or file.parent
    written = write_plots(frames, rig, folder)
    if film:
        pictures = _pictures(paths, rig, cut) if paths else None
        target = folder / "take.mp4"
        with bar("frames", len(frames)) as step:
            sheets = overlay_pictures(frames, rig, pictures, height=height)
            write_overlay(target, sheets, rate_hz, step)
        written.append(target)
    remark(f"-> {', '.join(map(str, written))}")


def _pictures(
    paths: Mapping[str, Path], rig: Rig, cut: bool
) -> Callable[[int], Mapping[str, Image]]:
    """The videos' pictures by frame number; numbers must rise."""
    from ..videos import frame_sets, look_at
    from .capture import cut_out

    # The take has its own rate; here pictures are counted.
    sets = enumerate(frame_sets(look_at(paths, rate_hz=1.0)))
    last: tuple[int, FrameSet | None] = (-1, None)

    def at(sequence: int) -> Mapping[str, Image]:
        nonlocal last
        while last[0] < sequence:
            following = next(sets, None)
            if following is None:
                return {}
            last = following
        found = last[1]
        return {} if found is None else cut_out(found, rig, cut).images

    return at
