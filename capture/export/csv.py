"""CSV, one row per joint of a person in a frame: what a spreadsheet or pandas wants.

World axes (z up), metres. Missing is an empty cell, and `source` says why.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

import numpy as np

from ..people import Frame
from ..result import SKELETONS

__all__ = ["COLUMNS", "csv_text"]

COLUMNS = (
    "sequence",
    "time_s",
    "person",
    "joint",
    "x_m",
    "y_m",
    "z_m",
    "sigma_mm",
    "score",
    "views",
    "reprojection_px",
    "source",
)


def csv_text(frames: Sequence[Frame]) -> str:
    """The take as CSV text with a header line; time counts from the first frame."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in _rows(frames):
        writer.writerow(row)
    return out.getvalue()


def _rows(frames: Sequence[Frame]) -> Iterator[list[str | int]]:
    for frame in frames:
        joints = SKELETONS[frame.skeleton].joints
        time_s = f"{(frame.timestamp_ns - frames[0].timestamp_ns) * 1e-9:.6f}"
        for person in frame.people:
            for j, joint in enumerate(joints):
                yield [
                    frame.sequence,
                    time_s,
                    person.id,
                    joint,
                    *(_cell(value, 6) for value in person.positions[j]),
                    _cell(person.sigma_mm[j], 2),
                    _cell(person.scores[j], 4),
                    int(person.views[j]),
                    _cell(person.reprojection_px[j], 3),
                    person.sources[j],
                ]


def _cell(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else ""
