"""`--sync`: cameras that were not started together, put right before positions are made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .screen import bar, remark

if TYPE_CHECKING:
    from calibration.rig import Rig
    from capture.people import Frame
    from capture.reconstruct import ReconstructSettings
    from capture.streams import Stream

__all__ = ["synchronized_take"]


def synchronized_take(
    rig: Rig,
    streams: Mapping[str, Stream],
    rate_hz: float,
    settings: ReconstructSettings,
    out: Path,
    model: Mapping[str, str],
) -> list[Frame]:
    """The take at common moments; the clocks are said and written to sync.json."""
    from capture.reconstruct import synchronized, take_of
    from capture.sync_report import sync_lines, sync_to_json

    sync, covered, moments = synchronized(rig, streams, rate_hz)
    for line in sync_lines(sync, covered):
        remark(line)
    before, after = sync.residual_px
    remark(f"rays meet to {after:.2f} px, {before:.2f} px at whole frames")
    out.mkdir(parents=True, exist_ok=True)
    told = json.dumps(sync_to_json(sync, covered), indent=2, allow_nan=False)
    (out / "sync.json").write_text(told + "\n", encoding="utf-8")
    with bar("frames", len(moments)) as step:
        return take_of(
            rig,
            moments,
            rate_hz,
            settings,
            name=out.name,
            model=model,
            total=len(moments),
            progress=step,
        )
