"""A live stream of frame sets over a WebSocket: views in, results out."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import cast

from fastapi import APIRouter
from starlette.websockets import WebSocket

from ..captures import LiveCapture
from ..errors import BadValue
from ..frame_sets import calibration_for
from ..outbox import ReaderGone
from ..sockets import ENDED, refuse_socket, take_socket
from ..state import Service, ServiceDep
from ..stream import Mode, Stream, StreamOptions

router = APIRouter(prefix="/v1", tags=["streams"])

_TOLERANCE_MS = 10.0  # less than a third of a frame at 30 Hz
_MOST_TOLERANCE_MS = 1000.0


@router.websocket("/rigs/{rig}/stream")
async def stream(socket: WebSocket, rig: str, service: ServiceDep) -> None:
    """Frame sets as binary messages in, results as text messages out; docs/api.md has both."""
    await take_socket(socket)
    try:
        with service.connection():
            options, capture = await _options(socket, rig, service)
            await socket.send_json(
                {
                    "type": "hello",
                    "rig": rig,
                    "capture": options.capture,
                    "cameras": list(options.cameras),
                    "mode": options.mode,
                    "tolerance_ms": options.tolerance_ms,
                    "max_message_bytes": service.settings.stream.message_bytes,
                    "last_timestamp_ns": None if capture is None else capture.newest_ns,
                }
            )
            with nullcontext() if capture is None else capture.sending():
                await Stream(socket, service, options).run()
            await socket.close(ENDED)
    except ReaderGone:
        return
    except Exception as error:
        await refuse_socket(socket, error)


async def _options(
    socket: WebSocket, rig: str, service: Service
) -> tuple[StreamOptions, LiveCapture | None]:
    query = socket.query_params
    mode = query.get("mode", "all")
    if mode not in ("latest", "all"):
        raise BadValue(f"mode is {mode[:40]!r}, needs latest or all", field="/mode")
    try:
        tolerance_ms = float(query.get("tolerance_ms", _TOLERANCE_MS))
    except ValueError:
        tolerance_ms = math.nan
    if not 0 <= tolerance_ms <= _MOST_TOLERANCE_MS:
        raise BadValue(
            f"tolerance_ms is {query['tolerance_ms'][:40]!r}, needs a number from 0 to "
            f"{_MOST_TOLERANCE_MS:g}; less than half the time between two frames",
            field="/tolerance_ms",
        )
    name = query.get("capture")
    capture = None if name is None else await service.captures.get(name)
    _, cameras = calibration_for(service, rig, capture)
    return StreamOptions(rig, cameras.names, name, cast(Mode, mode), tolerance_ms), capture
