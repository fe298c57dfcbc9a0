"""Our own JSON: every frame's result as the service sends it, and the rig's cameras."""

from __future__ import annotations

import json
from collections.abc import Sequence

from calibration.rig import Rig

from ..people import Frame
from ..result import frame_to_json

__all__ = ["TAKE_FORMAT", "json_text"]

TAKE_FORMAT = "quadglass-take/1"


def json_text(frames: Sequence[Frame], rig: Rig, rate_hz: float) -> str:
    """The take as JSON text; missing is null. `frames` holds one line per frame."""
    head = {
        "format": TAKE_FORMAT,
        "rig": rig.name,
        "cameras": {camera.name: list(camera.frame_size_px) for camera in rig.cameras},
        "rate_hz": round(rate_hz, 6),
    }
    rows = ",\n".join(_compact(frame_to_json(frame)) for frame in frames)
    return _compact(head)[:-1] + ',"frames":[\n' + rows + "\n]}\n"


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
