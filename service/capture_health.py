"""How a capture's cameras fare: residuals, latency, and who seems to have been moved.

    captures/NAME/watch.json     what was known at some result; later results are looked at again

So a restart goes on as if there had been none, without a line more in each result.
"""

from __future__ import annotations

import logging
import math
from typing import Any

from calibration.rig import Rig
from capture.errors import BadResult
from capture.people import Frame
from capture.result import frame_from_json
from capture.watch import Watch

from .files import read_json, write_json
from .takes import Take

__all__ = ["CaptureHealth"]

logger = logging.getLogger(__name__)

_SAVED_EVERY = 300  # results; so many are looked at again at most after a crash
_FIX = "check it with `quadglass check-rig`, or calibrate again"


class CaptureHealth:
    """One capture's running estimates (state: the estimates, and of how many results)."""

    def __init__(self, take: Take, rig: Rig) -> None:
        self._path = take.directory / "watch.json"
        self._rig = rig
        self._watch, self._results = self._as_left(take)

    def update(self, frame: Frame) -> None:
        """Takes in the next result, which is on the disk."""
        self._watch.update(frame.people, frame.timestamp_ns, frame.timings_ms)
        self._results += 1
        if self._results % _SAVED_EVERY == 0:
            self.save()

    def save(self) -> None:
        """Writes down what is known."""
        write_json(self._path, {"results": self._results, "watch": self._watch.state()})

    def to_json(self) -> dict[str, Any]:
        """As it is told: numbers of each camera, and findings with advice."""
        usual, high = self._watch.residual_px(0.5), self._watch.residual_px(0.95)
        drifts = {drift.camera: drift for drift in self._watch.drifting()}
        return {
            "cameras": {
                name: {
                    "residual_px": _number(usual[name]),
                    "residual_p95_px": _number(high[name]),
                    "drifts": name in drifts,
                }
                for name in self._rig.names
            },
            "latency_ms": {
                "p50": _number(self._watch.latency_ms(0.5)),
                "p95": _number(self._watch.latency_ms(0.95)),
            },
            "findings": [
                {
                    "code": "camera_drifts",
                    "camera": drift.camera,
                    "message": drift.message(),
                    "fix": _FIX,
                    "recent_px": round(drift.recent_px, 2),
                    "usual_px": round(drift.usual_px, 2),
                }
                for drift in drifts.values()
            ],
        }

    def _as_left(self, take: Take) -> tuple[Watch, int]:
        watch, results = Watch(self._rig), 0
        if self._path.exists():
            try:
                saved = read_json(self._path)
                if saved["results"] <= len(take):
                    watch = Watch.restore(self._rig, None, saved["watch"])
                    results = saved["results"]
            except (ValueError, KeyError, BadResult) as error:
                logger.warning("%s: cameras are watched anew: %s", self._path, error)
        # What came before is old news to a watch that looks at the last seconds.
        results = max(results, len(take) - 4 * _SAVED_EVERY)
        for result in take.frames(results):
            frame = frame_from_json(result)
            watch.update(frame.people, frame.timestamp_ns, frame.timings_ms)
            results += 1
        return watch, results


def _number(value: float) -> float | None:
    return round(value, 2) if math.isfinite(value) else None
