"""`quadglass prepare`: four-in-one footage cut apart, sharp moments picked, and a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .screen import bar, remark, show_json


def prepare(
    source: Annotated[
        Path, typer.Argument(help="A four-in-one video or image folder, or a folder per camera.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    quad: Annotated[
        str | None,
        typer.Option(metavar="LAYOUT", help="2x2, 4x1, 1x4, or boxes 'x,y,w,h;x,y,w,h;...'."),
    ] = None,
    moments: Annotated[int, typer.Option(min=1, help="Most moments to take from videos.")] = 80,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Cut footage into one folder of pictures per camera, with its manifest.yaml."""
    from calibration.layout import parse_layout
    from calibration.prepare import prepare as prepare_footage

    layout = parse_layout(quad) if quad else None
    with bar("cutting") as step:
        footage = prepare_footage(source, out, layout, moments=moments, progress=step)
    if as_json:
        show_json({clip.camera: len(clip.files) for clip in footage.clips})
    pictures = ", ".join(f"{clip.camera} {len(clip.files)}" for clip in footage.clips)
    remark(f"{out / 'manifest.yaml'}: {pictures} pictures")
