"""A live stream of frame sets over one socket: views in, results out in order.

    socket -> views put together by time -> waiting -> queue -> results in order -> socket

`latest`: one frame set waits, and a newer one takes its place; as many are worked on as there are
workers. `all`: what was read is answered; the window full, nothing more is read, so the sender's
own send blocks. Either way a stream holds `stream.window` frame sets, `stream.window_bytes` of
pictures and one message at most, and a reader that stalls is let go.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from starlette.websockets import WebSocket

from .errors import Malformed, NotReady, QueueFull, ServiceError, code_of
from .frame_sets import Accepted, accept, finish
from .framing import Message, unpacked
from .moments import Moments, ViewSet
from .outbox import Outbox, ReaderGone
from .problems import problem_of
from .state import Service
from .tally import Tally
from .task import Posted

__all__ = ["Mode", "Stream", "StreamOptions"]

logger = logging.getLogger(__name__)

Mode = Literal["latest", "all"]
_RETRY_S = 0.05  # when the queue was full
_REPORT_S = 1.0


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What the address of a stream says."""

    rig: str
    cameras: tuple[str, ...]
    capture: str | None
    mode: Mode
    tolerance_ms: float


@dataclass(slots=True)
class _UnderWay:
    """A frame set that a worker has, or that waits to be sent."""

    views: ViewSet
    answer: asyncio.Task[dict[str, Any]]


class Stream:
    """One connection (state: what was read and not yet answered, and the counts)."""

    def __init__(self, socket: WebSocket, service: Service, options: StreamOptions) -> None:
        self._socket = socket
        self._service = service
        self._options = options
        self._settings = service.settings.stream
        self._moments = Moments(options.cameras, round(options.tolerance_ms * 1e6))
        self._outbox = Outbox(socket, self._settings.stall_s)
        self._waiting: deque[ViewSet] = deque()
        self._under_way: deque[_UnderWay] = deque()
        self._held_bytes = 0
        self._ended = False  # the sender said so
        self._all_read = self._all_posted = False
        self._changed = asyncio.Condition()
        self._tally = Tally()

    async def run(self) -> None:
        """Until the sender ends it; what it sent before is answered.

        Raises:
            ReaderGone: it went without a word; what workers have is finished for the capture.
            ServiceError: it sends what cannot be read.
        """
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._outbox.run())
                reporting = group.create_task(self._report_for_ever())
                working = [group.create_task(self._work()), group.create_task(self._answer())]
                await self._read()
                await asyncio.gather(*working)
                reporting.cancel()
                await self._outbox.put(self._tally.report())
                await self._outbox.finish()
                await sending
        except BaseExceptionGroup as found:
            raise _first(found) from found
        finally:
            # They have their places in the capture; nobody else may wait for those for ever.
            await asyncio.gather(*(one.answer for one in self._under_way), return_exceptions=True)

    async def _read(self) -> None:
        """Messages, until the sender says `end`."""
        coming: asyncio.Task[Any] = asyncio.ensure_future(self._socket.receive())
        try:
            while not self._ended:
                wait_s = self._moments.wait_s(time.monotonic())
                await asyncio.wait([coming], timeout=wait_s)
                if coming.done():
                    event = coming.result()
                    coming = asyncio.ensure_future(self._socket.receive())
                    await self._take(event)
                else:
                    await self._offer(self._moments.due(time.monotonic()))
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError, RuntimeError):
                await coming
        await self._offer(self._moments.rest())
        self._all_read = True
        await self._tell()

    async def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "websocket.disconnect":
            raise ReaderGone("disconnected")
        if event.get("bytes") is None:
            self._ended = _says_end(event["text"])
            return
        message = unpacked(event["bytes"], self._settings.message_bytes)
        unknown = sorted(set(message.images) - set(self._options.cameras))
        if unknown:
            self._tally.receive()
            problem = problem_of(
                Malformed(
                    f"rig {self._options.rig!r} has no camera {unknown[0]!r}; it has "
                    f"{', '.join(self._options.cameras)}",
                    field="/views",
                    camera=unknown[0],
                )
            )
            await self._drop(message, message.images, "unknown_camera", problem)
            return
        ready, late = self._moments.add(message, time.monotonic())
        if late:
            self._tally.receive()
            await self._drop(message, late, "late")
        await self._offer(ready)

    async def _offer(self, sets: Sequence[ViewSet]) -> None:
        """Leaves frame sets for the queue; with `all` only once there is room."""
        for one in sets:
            self._tally.receive()
            if self._options.mode == "latest":
                while self._waiting:
                    await self._drop_set(self._waiting.popleft(), "overtaken")
            else:
                start = time.monotonic()
                await self._until(partial(self._has_room, one))
                self._moments.paused(time.monotonic() - start)
            self._held_bytes += one.size_bytes
            self._waiting.append(one)
            await self._tell()

    def _has_room(self, one: ViewSet) -> bool:
        held = len(self._waiting) + len(self._under_way)
        if held == 0:
            return True
        fits = self._held_bytes + one.size_bytes <= self._settings.window_bytes
        return held < self._settings.window and fits

    def _can_post(self, most: int) -> bool:
        """Whether there is something to post, or never will be."""
        if not self._waiting:
            return self._all_read
        return len(self._under_way) < most

    async def _work(self) -> None:
        """Brings frame sets to the queue, until all are there."""
        latest = self._options.mode == "latest"
        while True:
            most = await self._service.working() if latest else self._settings.window
            await self._until(partial(self._can_post, most))
            if not self._waiting:
                self._all_posted = True
                await self._tell()
                return
            one = self._waiting.popleft()
            accepted = await self._accepted(one)
            if accepted is not None:
                answer = asyncio.create_task(finish(self._service, accepted))
                self._under_way.append(_UnderWay(one, answer))
            await self._tell()

    async def _accepted(self, one: ViewSet) -> Accepted | None:
        """The frame set on the queue, or nothing where it was dropped."""
        posted = Posted(one.images, one.timestamp_ns, self._options.capture)
        until = time.monotonic() + self._service.settings.queue.deadline_s
        while True:
            try:
                return await accept(self._service, self._options.rig, posted, patient=True)
            except (QueueFull, NotReady) as error:
                if time.monotonic() > until or self._service.draining:
                    await self._drop_set(one, code_of(error), problem_of(error))
                    return None
                await asyncio.sleep(_RETRY_S)
                if self._waiting and self._options.mode == "latest":
                    await self._drop_set(one, "overtaken")
                    return None
            except Exception as error:
                await self._drop_set(one, code_of(error), _told(error))
                return None

    async def _answer(self) -> None:
        """Sends results in the order of the frame sets, until all are sent."""
        while True:
            await self._until(lambda: bool(self._under_way) or self._all_posted)
            if not self._under_way:
                return
            first = self._under_way[0]
            await asyncio.wait([first.answer])
            error = first.answer.exception()
            if error is None:
                self._held_bytes -= first.views.size_bytes
                self._tally.answer(time.monotonic() - first.views.since_s)
                await self._outbox.put(
                    {
                        "type": "result",
                        "sequence": first.views.sequence,
                        "result": first.answer.result(),
                    }
                )
            else:
                assert isinstance(error, Exception), error
                await self._drop_set(first.views, code_of(error), _told(error))
            self._under_way.popleft()
            await self._tell()

    async def _drop_set(
        self, one: ViewSet, reason: str, problem: dict[str, Any] | None = None
    ) -> None:
        self._held_bytes -= one.size_bytes
        await self._drop(one, one.images, reason, problem)

    async def _drop(
        self,
        one: ViewSet | Message,
        views: Iterable[str],
        reason: str,
        problem: dict[str, Any] | None = None,
    ) -> None:
        self._tally.drop(reason)
        self._service.metrics.stream_dropped.labels(reason).inc()
        told: dict[str, Any] = {
            "type": "dropped",
            "sequence": one.sequence,
            "timestamp_ns": one.timestamp_ns,
            "reason": reason,
            "views": list(views),
        }
        await self._outbox.put(told | ({"problem": problem} if problem else {}))

    async def _report_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            await self._outbox.put(self._tally.report())

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _says_end(text: str) -> bool:
    """Whether a text message is the polite end.

    Raises:
        Malformed: it is something else.
    """
    with suppress(ValueError):
        said = json.loads(text)
        if isinstance(said, dict) and said.get("type") == "end":
            return True
    raise Malformed(
        f"text message {text[:80]!r} is not known here; frames are binary messages, and "
        '{"type": "end"} ends the stream'
    )


def _told(error: Exception) -> dict[str, Any]:
    if code_of(error) == "internal":
        logger.error("a frame set of a stream", exc_info=error)
    return problem_of(error)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a group of tasks: ours, before those that only followed from it."""
    flat: list[BaseException] = []
    for error in group.exceptions:
        flat.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    ours = [error for error in flat if isinstance(error, ServiceError | ReaderGone)]
    return (ours or flat)[0]
