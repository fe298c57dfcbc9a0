"""What a finished take tells of itself: who came back, which camera seems to have moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .screen import remark

if TYPE_CHECKING:
    from calibration.rig import Rig
    from capture.people import Frame

__all__ = ["looked_over"]


def looked_over(frames: Sequence[Frame], rig: Rig) -> list[Frame]:
    """The take with those who left and came back under their first names; findings are said."""
    from capture.reidentify import reidentified
    from capture.watch import Watch

    named, rejoined = reidentified(frames)
    for one in rejoined:
        remark(f"person {one.new} is {one.old}, back after {one.gap_s:.1f} s (same bones)")
    watch = Watch(rig)
    for frame in named:
        watch.update(frame.people, frame.timestamp_ns, frame.timings_ms)
    for drift in watch.drifting():
        remark(f"warning: {drift.message()}")
    return named
