"""A posted frame set from its form to its result: checked, queued, answered, named, kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calibration.errors import UnknownCamera
from calibration.rig import Rig
from capture.people import Frame
from capture.result import frame_to_json

from .captures import LiveCapture, Turn
from .errors import Conflict, NoViews
from .forms import Form, integer
from .state import Service
from .task import Answer, Result

__all__ = ["Accepted", "accept", "finish"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A frame set that a worker will look at, and the capture it goes into."""

    rig: str
    calibration: str
    timestamp_ns: int
    future: asyncio.Future[Answer]
    capture: LiveCapture | None
    turn: Turn | None


async def accept(service: Service, rig: str, form: Form) -> Accepted:
    """Checks what can be checked without decoding, and queues it.

    Raises:
        ServiceError, CalibrationError: it cannot be used; see `errors.py`.
    """
    form.only("timestamp_ns", "capture")
    name = form.values.get("capture")
    capture = None if name is None else await service.captures.get(name)
    calibration, cameras = _calibration(service, rig, capture)
    _check_views(form.files, cameras)
    stated_ns = integer(form.values, "timestamp_ns")
    timestamp_ns = time.time_ns() if stated_ns is None else stated_ns
    if capture is not None:
        capture.check_time(timestamp_ns)
    store = service.settings.store
    keeps = capture is not None and store.keep_frames != "none"
    future = await service.post(
        form.files, cameras, preview_side=store.preview_side if keeps else 0
    )
    try:
        turn = None if capture is None else capture.enter(timestamp_ns)
    except BaseException:
        future.cancel()
        raise
    return Accepted(rig, calibration, timestamp_ns, future, capture, turn)


async def finish(service: Service, accepted: Accepted) -> dict[str, Any]:
    """The result of an accepted frame set, as it is sent and kept."""
    capture, turn = accepted.capture, accepted.turn
    if capture is None or turn is None:
        result = await service.result(accepted.future)
        service.metrics.people.inc(len(result.seen.people))
        return {**frame_to_json(_frame(accepted, result)), "capture": None, "sequence": None}
    try:
        result = await service.result(accepted.future)
        await turn.come()
        frame = await capture.keep(_frame(accepted, result), result.previews)
    finally:
        capture.leave(turn)
    service.metrics.people.inc(len(frame.people))
    return frame_to_json(frame)


def _calibration(service: Service, rig: str, capture: LiveCapture | None) -> tuple[str, Rig]:
    """A capture keeps the calibration that it began with; else the rig's active one counts."""
    if capture is None:
        return service.store.active_rig(rig)
    record = capture.take.record
    service.store.rig(rig)
    if record.rig != rig:
        raise Conflict(
            f"capture {record.name!r} belongs to rig {record.rig!r}, not {rig!r}; "
            f"post to /v1/rigs/{record.rig}/frames or make another capture",
            field="/capture",
        )
    return record.calibration, service.store.calibrated_rig(record.calibration)


def _check_views(files: Mapping[str, bytes], rig: Rig) -> None:
    for name in files:
        try:
            rig.camera(name)
        except UnknownCamera as error:
            raise UnknownCamera(str(error), camera=name, field=f"/{name}") from error
    if not files:
        raise NoViews(
            f"no picture in the form; send one file for each camera: {', '.join(rig.names)} "
            "(some may be missing)"
        )


def _frame(accepted: Accepted, result: Result) -> Frame:
    capture, turn = accepted.capture, accepted.turn
    return Frame(
        rig=accepted.rig,
        calibration=accepted.calibration,
        capture=capture.take.record.name if capture else "",
        sequence=turn.sequence if turn else 0,
        timestamp_ns=accepted.timestamp_ns,
        skeleton=result.model.skeleton,
        model={"name": result.model.name, "sha256": result.model.sha256},
        people=result.seen.people,
        single_view=result.seen.single_view,
        timings_ms=result.seen.timings_ms,
    )
