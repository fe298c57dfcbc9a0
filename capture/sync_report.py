"""What was found of the cameras' clocks, for people and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .resample import Coverage
from .sync import Sync

__all__ = ["sync_lines", "sync_to_json"]


def sync_to_json(sync: Sync, covered: Sequence[Coverage]) -> dict[str, Any]:
    """The clocks as JSON-able values; `reference = own + offset_s + drift_ppm * 1e-6 * own`."""
    missing = {one.camera: one for one in covered}
    return {
        "format": "quadglass-sync/1",
        "reference": sync.reference,
        "residual_px": {"before": sync.residual_px[0], "after": sync.residual_px[1]},
        "cameras": {
            one.camera: {
                "offset_s": one.clock.offset_s,
                "offset_frames": one.offset_frames,
                "sigma_frames": one.sigma_frames,
                "drift_ppm": one.drift_ppm,
                "sigma_ppm": one.sigma_ppm,
                "frames": missing[one.camera].frames,
                "moments_missing": missing[one.camera].missing,
            }
            for one in sync.cameras
        },
    }


def sync_lines(sync: Sync, covered: Sequence[Coverage]) -> list[str]:
    """One line a camera."""
    lines = []
    for one, cover in zip(sync.cameras, covered, strict=True):
        line = f"{one.camera}: {cover.frames} frames"
        if one.camera == sync.reference:
            line += ", the reference"
        else:
            line += f", {one.offset_frames:+.2f} +- {one.sigma_frames:.2f} frames"
        if one.sigma_ppm is not None and one.camera != sync.reference:
            line += f", drift {one.drift_ppm:+.0f} +- {one.sigma_ppm:.0f} ppm"
        if cover.missing:
            line += f"; missing at {cover.missing} moments"
        lines.append(line)
    return lines
