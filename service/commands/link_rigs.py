"""`quadglass link-rigs`: where a second rig that was filmed together stands in a rig's world."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .screen import bar, remark, results, show_json


def link_rigs(
    footage: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Moments both see: a folder or video per camera."),
    ],
    rig: Annotated[Path, typer.Option(help="The rig that gets the link.")],
    other: Annotated[Path, typer.Option(help="The rig that is linked to it.")],
    board: Annotated[str, typer.Option(help="Inner corners, columns x rows: 9x6.")],
    square_mm: Annotated[float, typer.Option(help="Side of a printed square.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Rig file to write.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
) -> None:
    """Write a rig file that says where another rig stands in its world."""
    import numpy as np

    from calibration.board import parse_board
    from calibration.link import link_rigs as run
    from calibration.prepare import footage_from_dir
    from calibration.rig_file import rig_to_yaml
    from calibration.views import find_boards

    from .export import read_rig

    target = parse_board(board, square_mm)
    this, second = read_rig(rig), read_rig(other)
    pictures = footage_from_dir(footage)
    workers = len(os.sched_getaffinity(0))
    with bar("looking for the board") as step:
        sightings = find_boards(pictures, target, progress=step, workers=workers)
    link = run(this, second, sightings.views, target)
    kept = tuple(one for one in this.links if one.rig != link.rig)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(rig_to_yaml(replace(this, links=(*kept, link))), encoding="utf-8")
    away = float(np.linalg.norm(link.this_from_other[:3, 3]))
    if as_json:
        show_json(
            {"rig": this.name, "other": second.name, "distance_m": away, "rms_px": link.rms_px}
        )
        remark(f"-> {out}")
        return
    results.print(
        f"{second.name}: its origin is {away:.3f} m from that of {this.name}, corners fit to "
        f"{link.rms_px:.3f} px",
        highlight=False,
    )
    remark(f"-> {out}")
