"""`--sync` and `--timestamps`: cameras that were not started together, put right first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .screen import bar, remark

if TYPE_CHECKING:
    from calibration.rig import Rig
    from capture.people import Frame
    from capture.reconstruct import Moment, ReconstructSettings
    from capture.streams import Stream

__all__ = ["synchronized_take", "timestamped_take"]


def synchronized_take(
    rig: Rig,
    streams: Mapping[str, Stream],
    rate_hz: float,
    settings: ReconstructSettings,
    out: Path,
    model: Mapping[str, str],
) -> list[Frame]:
    """The take at common moments; the clocks are said and written to sync.json."""
    from capture.reconstruct import synchronized
    from capture.sync_report import sync_lines, sync_to_json

    sync, covered, moments = synchronized(rig, streams, rate_hz)
    for line in sync_lines(sync, covered):
        remark(line)
    before, after = sync.residual_px
    remark(f"rays meet to {after:.2f} px, {before:.2f} px at whole frames")
    _write(sync_to_json(sync, covered), out)
    return _made(rig, moments, rate_hz, settings, out, model)


def timestamped_take(
    rig: Rig,
    streams: Mapping[str, Stream],
    files: Sequence[str],
    rate_hz: float,
    settings: ReconstructSettings,
    out: Path,
    model: Mapping[str, str],
    *,
    sync: bool,
) -> list[Frame]:
    """The take by the cameras' timestamps; with `sync` their motion has the last word.

    Args:
        rig: the calibrated cameras.
        streams: at times that are the frames' numbers over `rate_hz`.
        files: `camera=file` for every camera.
        rate_hz: of the take.
        settings: noise, tracking, smoothing.
        out: the take's folder.
        model: what found the people in 2D.
        sync: also look for what the stamps leave over.
    """
    from capture.reconstruct import timestamped
    from capture.timestamps import read_timestamps, stamps_lines, stamps_to_json

    from .named_paths import named_paths, only_cameras_of

    paths = named_paths(files)
    only_cameras_of(rig, paths)
    stamps = {name: read_timestamps(path) for name, path in paths.items()}
    found, covered, moments = timestamped(streams, stamps, rate_hz)
    for line in stamps_lines(found, covered):
        remark(line)
    if sync:
        return synchronized_take(rig, found.streams, rate_hz, settings, out, model)
    _write(stamps_to_json(found, covered), out)
    return _made(rig, moments, rate_hz, settings, out, model)


def _write(told: Mapping[str, Any], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(told, indent=2, allow_nan=False)
    (out / "sync.json").write_text(text + "\n", encoding="utf-8")


def _made(
    rig: Rig,
    moments: Sequence[Moment],
    rate_hz: float,
    settings: ReconstructSettings,
    out: Path,
    model: Mapping[str, str],
) -> list[Frame]:
    from capture.reconstruct import take_of

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
