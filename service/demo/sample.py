"""The demonstration on the sample footage: lenses from the photos, the rig as it was shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rich.table import Table

from calibration.board import Board, parse_board
from calibration.camera import Source
from calibration.footage import Footage as BoardFootage
from calibration.footage import clips_in
from calibration.formats import read_any
from calibration.intrinsics import Lens, calibrate_lenses
from calibration.rig import Rig
from calibration.views import find_boards

from ..commands.screen import Step
from .footage import SCALED, Footage

__all__ = ["BOARD", "lens_table", "lenses_of", "shipped_rig"]

BOARD: Board = parse_board("4x7", 60.0)
VIDEO_PX = (1080, 1920)  # of the videos in SCALED


def shipped_rig(footage: Footage, name: str) -> Rig:
    """The rig that came with the footage, told how the narrower videos map to its pixels."""
    rig = read_any(footage.rig_file.read_bytes(), name=name)
    cameras = []
    for camera in rig.cameras:
        if camera.name in SCALED:
            scale, offset_px = SCALED[camera.name]
            whole = (0, 0, *VIDEO_PX)
            source = Source(footage.videos[camera.name].name, whole, scale, offset_px)
            camera = replace(camera, source=source)
        cameras.append(camera)
    return replace(rig, name=name, cameras=tuple(cameras))


def lenses_of(boards: Path, step: Step) -> dict[str, Lens]:
    """Each camera's lens from its photos of the chessboard.

    The photos were taken by hand, one camera after the other, so they say nothing of where the
    cameras stand.
    """
    clips = clips_in(boards)
    sightings = find_boards(BoardFootage((), clips), BOARD, progress=step)
    return calibrate_lenses(sightings, [clip.camera for clip in clips], BOARD)


def lens_table(lenses: dict[str, Lens], shipped: Rig, photos: int) -> Table:
    """The lenses from the photos beside those that were shipped."""
    table = Table(title="Lenses: from the chessboard photos, and as shipped", title_justify="left")
    for heading in ("camera", "photos used", "rms px", "focal px", "shipped", "difference"):
        table.add_column(heading, justify="left" if heading == "camera" else "right")
    for name, lens in lenses.items():
        ours, theirs = lens.K[0, 0], shipped.camera(name).K[0, 0]
        table.add_row(
            name,
            f"{len(lens.views)} of {photos}",
            f"{lens.rms_px:.3f}",
            f"{ours:.1f}",
            f"{theirs:.1f}",
            f"{100 * (ours / theirs - 1):+.2f} %",
        )
    return table
