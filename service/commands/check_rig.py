"""`quadglass check-rig`: whether a camera has moved since the rig was calibrated."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import BadValue
from .screen import bar, remark, results, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from calibration.drift import Drift
    from calibration.rig import Rig

MOVED = 1  # exit status, so that a script can act on it


def check_rig(
    footage: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|TAKE",
            help="A few new moments of the board, a folder or video per camera; or the take.json "
            "of a capture: then people are looked at.",
        ),
    ],
    rig: Annotated[Path, typer.Option(help="The calibration in force, any format that is known.")],
    board: Annotated[
        str | None, typer.Option(help="Inner corners, columns x rows: 9x6; not for a take.")
    ] = None,
    square_mm: Annotated[
        float | None, typer.Option(help="Side of a printed square; not for a take.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say whether a camera has moved; the exit status is 1 if one has."""
    from .export import read_rig

    calibrated = read_rig(rig)
    if footage.is_file():
        drifts = _by_people(calibrated, footage)
    elif board is None or square_mm is None:
        raise BadValue(
            f"{footage} is a folder of boards: say which with --board 9x6 --square-mm 80, or give "
            "the take.json of a capture"
        )
    else:
        drifts = _by_boards(calibrated, footage, board, square_mm)
    if as_json:
        show_json({"rig": calibrated.name, "cameras": [asdict(drift) for drift in drifts]})
    else:
        results.print(drift_table(drifts))
    moved = [drift.camera for drift in drifts if drift.moved]
    if moved:
        remark(f"{', '.join(moved)} moved: fix the mount and calibrate again")
        raise typer.Exit(MOVED)
    remark("no camera has moved")


def _by_people(rig: Rig, take: Path) -> tuple[Drift, ...]:
    from ..rig_check import check_by_people
    from .export import read_take

    frames, _ = read_take(take)
    return check_by_people(rig, frames)


def _by_boards(rig: Rig, folder: Path, board: str, square_mm: float) -> tuple[Drift, ...]:
    from calibration.board import parse_board
    from calibration.drift import check_rig as run
    from calibration.prepare import footage_from_dir
    from calibration.views import find_boards

    from .named_paths import only_cameras_of

    target = parse_board(board, square_mm)
    pictures = footage_from_dir(folder)
    only_cameras_of(rig, dict.fromkeys(pictures.cameras, folder))
    workers = len(os.sched_getaffinity(0))
    with bar("looking for the board") as step:
        sightings = find_boards(pictures, target, progress=step, workers=workers)
    return run(rig, sightings.views, target)


def drift_table(drifts: Sequence[Drift]) -> Table:
    """One line a camera: moved or not, by how much, and how sure."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("camera", "moved", "turn mrad", "shift mm", "moments", "median px"):
        table.add_column(heading, justify="left" if heading in ("camera", "moved") else "right")
    for drift in drifts:
        turn, shift = "-", "-"
        if drift.moved:
            turn = f"{1e3 * drift.turn_rad:.2f} ± {1e3 * drift.sigma_turn_rad:.2f}"
            shift = f"{1e3 * drift.shift_m:.1f} ± {1e3 * drift.sigma_shift_m:.1f}"
        said = "[red]moved[/]" if drift.moved else "no"
        table.add_row(drift.camera, said, turn, shift, str(drift.moments), f"{drift.median_px:.2f}")
    return table
