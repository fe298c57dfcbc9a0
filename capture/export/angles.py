"""Joint angles and segment lengths as CSV, one row per person and frame (see `capture.angles`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from ..angles import ANGLES, SEGMENTS, joint_angles_deg, segment_lengths_m
from ..people import Frame

__all__ = ["angles_text"]


def angles_text(frames: Sequence[Frame]) -> str:
    """The take's angles in degrees and lengths in metres; missing is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    angles, segments = (f"{name}_deg" for name in ANGLES), (f"{name}_m" for name in SEGMENTS)
    writer.writerow(["sequence", "time_s", "person", *angles, *segments])
    for frame in frames:
        time_s = (frame.timestamp_ns - frames[0].timestamp_ns) * 1e-9
        for person in frame.people:
            body = person.positions[None]
            values = np.concatenate([joint_angles_deg(body)[0], segment_lengths_m(body)[0]])
            digits = [2] * len(ANGLES) + [4] * len(SEGMENTS)
            cells = [
                f"{value:.{places}f}" if np.isfinite(value) else ""
                for value, places in zip(values, digits, strict=True)
            ]
            writer.writerow([frame.sequence, f"{time_s:.6f}", person.id, *cells])
    return out.getvalue()
