"""Looking on at a capture while it runs: a WebSocket, with pictures too, or server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocket

from ..captures import LiveCapture
from ..errors import BadValue
from ..framing import Message, packed
from ..outbox import Outbox, ReaderGone
from ..sockets import refuse_socket, take_socket
from ..state import Service, ServiceDep
from ..watchers import Shown, Watcher, reduced

router = APIRouter(prefix="/v1/captures", tags=["streams"])

_AHEAD = 2  # messages that wait for a slow reader; what comes meanwhile is passed over
_WIDTHS = (16, 4096)
_QUIET_S = 15.0  # then a word is sent, or a proxy would cut the line


@router.websocket("/{capture}/watch")
async def watch(socket: WebSocket, capture: str, service: ServiceDep) -> None:
    """Results of a capture as they come, with `pictures=WIDTH` reduced pictures too."""
    await take_socket(socket)
    try:
        with service.connection():
            width = _whole(socket, "pictures")
            live = await service.captures.get(capture)
            outbox = Outbox(socket, service.settings.stream.stall_s, length=_AHEAD)
            with live.watchers.watching(pictures=width is not None) as watcher:
                await _show(socket, outbox, watcher, width)
    except ReaderGone:
        return
    except Exception as error:
        await refuse_socket(socket, error)


@router.get("/{capture}/events", response_class=StreamingResponse)
async def events(capture: str, service: ServiceDep) -> StreamingResponse:
    """Server-sent events: `result` for every result that the reader is quick enough for."""
    live = await service.captures.get(capture)
    with service.connection():
        pass  # one too many is told before the response begins
    return StreamingResponse(
        _events(service, live),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _show(socket: WebSocket, outbox: Outbox, watcher: Watcher, width: int | None) -> None:
    """Sends what the watcher sees until the reader goes; what it says is not listened to."""

    async def told() -> None:
        while True:
            shown = await watcher.next()
            await outbox.put({"type": "result", "result": shown.result})
            if width is not None and shown.previews:
                await outbox.put(await run_in_threadpool(_pictures, shown, width))

    async def heard() -> None:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass
        raise ReaderGone("disconnected")

    tasks = [asyncio.ensure_future(work) for work in (told(), heard(), outbox.run())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


def _pictures(shown: Shown, width: int) -> bytes:
    images = {name: reduced(data, width) for name, data in shown.previews.items()}
    return packed(Message(shown.result["timestamp_ns"], shown.result["sequence"], images))


async def _events(service: Service, live: LiveCapture) -> AsyncIterator[str]:
    with service.connection(), live.watchers.watching(pictures=False) as watcher:
        while True:
            try:
                shown = await asyncio.wait_for(watcher.next(), _QUIET_S)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            text = json.dumps(shown.result, separators=(",", ":"))
            yield f"id: {shown.result['sequence']}\nevent: result\ndata: {text}\n\n"


def _whole(socket: WebSocket, name: str) -> int | None:
    text = socket.query_params.get(name)
    if text is None:
        return None
    low, high = _WIDTHS
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise BadValue(
            f"{name} is {text[:40]!r}, needs a width from {low} to {high} pixels", field=f"/{name}"
        )
    return int(text)
