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

from .captures import LiveCapture
from .errors import Conflict, NoViews
from .forms import Form, integer
from .logs import marked
from .state import Service
from .task import Answer, Hint, Posted, Result
from .turn import Turn

__all__ = ["Accepted", "accept", "calibration_for", "finish", "posted_in"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A frame set that a worker will look at, and the capture it goes into."""

    rig: str
    calibration: str
    timestamp_ns: int
    cameras: tuple[str, ...]  # whose pictures were posted
    future: asyncio.Future[Answer]
    capture: LiveCapture | None
    turn: Turn | None
    hint: Hint | None = None  # that went with it
    deadline_s: float | None = None


def posted_in(form: Form) -> Posted:
    """The frame set in a form.

    Raises:
        BadValue: a value is unknown or no whole number.
    """
    form.only("timestamp_ns", "capture")
    return Posted(form.files, integer(form.values, "timestamp_ns"), form.values.get("capture"))


async def accept(
    service: Service,
    rig: str,
    posted: Posted,
    *,
    patient: bool = False,
    deadline_s: float | None = None,
) -> Accepted:
    """Checks what can be checked without decoding, and queues it.

    Args:
        service: the running app.
        rig: the name of its rig.
        posted: the frame set.
        patient: the poster tries again itself when the queue is full, so that is no outcome.
        deadline_s: until the answer; None: as the settings say.

    Raises:
        ServiceError, CalibrationError: it cannot be used; see `errors.py`.
    """
    capture = None if posted.capture is None else await service.captures.get(posted.capture)
    calibration, cameras = calibration_for(service, rig, capture)
    _check_views(posted.images, cameras)
    stated_ns = posted.timestamp_ns
    timestamp_ns = time.time_ns() if stated_ns is None else stated_ns
    if capture is not None:
        capture.check_time(timestamp_ns)
    store = service.settings.store
    keeps = capture is not None and (store.keep_frames != "none" or capture.watched_in_pictures)
    hint = None if capture is None else capture.expect(timestamp_ns)
    with marked(capture=posted.capture):
        future = await service.post(
            posted.images,
            cameras,
            preview_side=store.preview_side if keeps else 0,
            patient=patient,
            hint=hint,
            deadline_s=deadline_s,
        )
    try:
        turn = None if capture is None else capture.enter(timestamp_ns)
    except BaseException:
        future.cancel()
        raise
    names = tuple(posted.images)
    return Accepted(rig, calibration, timestamp_ns, names, future, capture, turn, hint, deadline_s)


async def finish(service: Service, accepted: Accepted) -> dict[str, Any]:
    """The result of an accepted frame set, as it is sent and kept."""
    capture, turn = accepted.capture, accepted.turn
    if capture is None or turn is None:
        result = await service.result(accepted.future)
        service.metrics.people.inc(len(result.seen.people))
        frame = _frame(accepted, result)
        return {**frame_to_json(frame), "capture": None, "sequence": None}
    try:
        result = await service.result(accepted.future, accepted.deadline_s)
        await turn.come()
        kept = await capture.keep(_frame(accepted, result), result.previews, accepted.hint)
    finally:
        capture.leave(turn)
    service.metrics.people.inc(len(kept["people"]))
    return kept


def calibration_for(service: Service, rig: str, capture: LiveCapture | None) -> tuple[str, Rig]:
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
        posted=accepted.cameras,
    )
