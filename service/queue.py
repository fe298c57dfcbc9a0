"""Where frame sets wait for a worker: what a queue promises, and the one in this process.

A task that was accepted is answered exactly once, with a result or an error; one too many is
refused at the door with the time after which to come back.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from .config import QueueSettings
from .errors import QueueFull
from .task import Answer, Task

__all__ = ["Depth", "DrainRate", "MemoryQueue", "Queue", "Source"]

_WINDOW_S = 10.0  # over which the drain rate is measured
_RETRY_S = (1.0, 60.0)  # bounds of Retry-After


@dataclass(frozen=True, slots=True)
class Depth:
    """How full a queue is."""

    tasks: int  # waiting or worked on
    oldest_s: float  # age of the oldest of them


class Queue(Protocol):
    """The poster's side."""

    async def open(self) -> None:
        """Makes ready to post."""

    async def close(self) -> None:
        """Stops waiting for answers."""

    async def post(self, task: Task) -> asyncio.Future[Answer]:
        """Leaves a task; the future is its answer. Raises QueueFull."""

    async def depth(self) -> Depth:
        """How full it is now."""

    async def problem(self) -> str | None:
        """Why nothing would be answered at the moment, or None."""

    async def workers(self) -> int:
        """How many workers are known to live."""


class Source(Protocol):
    """The worker's side, called from the worker's thread."""

    def take(self, wait_s: float) -> Task | None:
        """The next task, or None after waiting that long."""

    def answer(self, answer: Answer) -> None:
        """Hands an answer to whoever posted the task."""

    def leave(self) -> None:
        """Says that the worker is gone."""


class DrainRate:
    """How fast answers have come lately (state: their times)."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=4096)
        self._lock = threading.Lock()

    def note(self) -> None:
        """One more answer, now."""
        with self._lock:
            self._times.append(time.monotonic())

    def retry_after_s(self, waiting: int) -> float:
        """When what waits now should be done, bounded; the upper bound before any answer."""
        now = time.monotonic()
        with self._lock:
            while self._times and now - self._times[0] > _WINDOW_S:
                self._times.popleft()
            count = len(self._times)
            span = now - self._times[0] if count else 0.0
        if not count:
            return _RETRY_S[1]
        return min(max(waiting * span / count, _RETRY_S[0]), _RETRY_S[1])


@dataclass(slots=True)
class _Open:
    """A task without an answer yet, and who waits for it."""

    task: Task
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Answer]


class MemoryQueue:
    """Tasks waiting in this process (state: the waiting and the unanswered ones).

    Memory is bounded by `settings.length` tasks and `settings.waiting_bytes` of pictures.
    """

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._waiting: deque[Task] = deque()
        self._open: dict[str, _Open] = {}
        self._bytes = 0
        self._changed = threading.Condition()
        self._drain = DrainRate()

    async def open(self) -> None:
        """Makes ready to post."""

    async def close(self) -> None:
        """Gives up what nobody will answer any more."""
        with self._changed:
            left, self._open = list(self._open.values()), {}
            self._waiting.clear()
            self._bytes = 0
        for entry in left:
            entry.future.cancel()

    async def post(self, task: Task) -> asyncio.Future[Answer]:
        """Leaves a task; the future is its answer.

        Raises:
            QueueFull: as many tasks or bytes wait as may.
        """
        loop = asyncio.get_running_loop()
        with self._changed:
            waiting, waiting_bytes = len(self._open), self._bytes
            full = waiting >= self._settings.length
            # A single large frame set must get in while nothing else waits.
            heavy = waiting > 0 and waiting_bytes + task.size_bytes > self._settings.waiting_bytes
            if not full and not heavy:
                entry = _Open(task, loop, loop.create_future())
                self._open[task.id] = entry
                self._waiting.append(task)
                self._bytes += task.size_bytes
                self._changed.notify()
                return entry.future
        retry_after_s = self._drain.retry_after_s(waiting)
        raise QueueFull(
            f"{waiting} frame sets ({waiting_bytes} bytes) wait or are worked on, the limit is "
            f"{self._settings.length} ({self._settings.waiting_bytes} bytes); "
            f"try again in {retry_after_s:.0f} s",
            retry_after_s=retry_after_s,
        )

    async def depth(self) -> Depth:
        """How full it is now."""
        with self._changed:
            oldest_ns = min((one.task.posted_ns for one in self._open.values()), default=0)
            count = len(self._open)
        return Depth(count, (time.time_ns() - oldest_ns) / 1e9 if count else 0.0)

    async def problem(self) -> str | None:
        """None: what hinders the workers is asked of them."""
        return None

    async def workers(self) -> int:
        """None is known here: they are threads of this process."""
        return 0

    def take(self, wait_s: float) -> Task | None:
        """The next task that somebody waits for, or None after waiting that long."""
        until = time.monotonic() + wait_s
        with self._changed:
            while True:
                while self._waiting:
                    task = self._waiting.popleft()
                    entry = self._open.get(task.id)
                    if entry is not None and not entry.future.cancelled():
                        return task
                    self._forget(task.id)
                left = until - time.monotonic()
                too_late = left <= 0 or not self._changed.wait(left)
                if too_late and not self._waiting:
                    return None

    def answer(self, answer: Answer) -> None:
        """Hands an answer to whoever posted the task; the first one counts."""
        with self._changed:
            entry = self._forget(answer.task_id)
        if entry is not None:
            self._drain.note()
            try:
                entry.loop.call_soon_threadsafe(_resolve, entry.future, answer)
            except RuntimeError:  # the poster's loop is closed: nobody waits
                return

    def leave(self) -> None:
        """Nothing to do: the poster's side asks the worker itself whether it lives."""

    def _forget(self, task_id: str) -> _Open | None:
        entry = self._open.pop(task_id, None)
        if entry is not None:
            self._bytes -= entry.task.size_bytes
        return entry


def _resolve(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)
