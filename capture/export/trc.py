"""TRC, the track row column files of OpenSim and Pose2Sim.

Metres, y up: TRC (X, Y, Z) = world (y, z, x), as Pose2Sim turns its axes. Markers are COCO-17
joints by name. A take of one person has plain names (`left_knee`); with more people all are in the
one file and each name starts with the person's id (`p3_left_knee`). Missing is an empty cell. Rows
are evenly spaced: a dropped frame is a row of empty cells.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from ..people import F64, Frame
from .markers import markers_of

__all__ = ["trc_text", "write_trc"]


def write_trc(frames: Sequence[Frame], target: Path | io.TextIOBase, rate_hz: float) -> None:
    """Write the take's people as TRC, to a path or an open text file.

    Raises:
        ExportError: there is nobody in the take.
    """
    if isinstance(target, Path):
        target.write_text(trc_text(frames, rate_hz, name=target.name), encoding="utf-8")
    else:
        target.write(trc_text(frames, rate_hz))


def trc_text(frames: Sequence[Frame], rate_hz: float, *, name: str = "take.trc") -> str:
    """The take as the text of a TRC file.

    Args:
        frames: in order of time.
        rate_hz: of the rows.
        name: that the file's first line gives it.

    Raises:
        ExportError: there is nobody in the take, or its timestamps span years.
    """
    markers = markers_of(frames, rate_hz)
    body = markers.positions[:, :, [1, 2, 0]]  # y up
    lines = _header(name, rate_hz, len(body), markers.names)
    lines += [_row(number, rate_hz, row) for number, row in enumerate(body)]
    return "\n".join(lines) + "\n"


def _header(name: str, rate_hz: float, rows: int, markers: Sequence[str]) -> list[str]:
    rate = f"{rate_hz:.6g}"
    facts = {
        "DataRate": rate,
        "CameraRate": rate,
        "NumFrames": str(rows),
        "NumMarkers": str(len(markers)),
        "Units": "m",
        "OrigDataRate": rate,
        "OrigDataStartFrame": "1",
        "OrigNumFrames": str(rows),
    }
    axes = [f"{axis}{number + 1}" for number in range(len(markers)) for axis in "XYZ"]
    return [
        f"PathFileType\t4\t(X/Y/Z)\t{name}",
        "\t".join(facts),
        "\t".join(facts.values()),
        "Frame#\tTime\t" + "\t\t\t".join(markers) + "\t\t",
        "\t\t" + "\t".join(axes),
    ]


def _row(number: int, rate_hz: float, positions: F64) -> str:
    """One line from (M, 3) positions in TRC axes."""
    cells = [
        cell
        for x, y, z in positions.tolist()
        for cell in ((f"{x:.6f}", f"{y:.6f}", f"{z:.6f}") if x == x else ("", "", ""))
    ]
    return f"{number + 1}\t{number / rate_hz:.6f}\t" + "\t".join(cells)
