"""The queue over Redis Streams, the poster's side; `source_redis.py` is the worker's.

    PREFIX:tasks                one entry a frame set; XDEL when answered, so XLEN is the depth
    PREFIX:answers:SERVICE      what comes back to one service process
    PREFIX:workers              when each warmed-up worker was last heard of, plus its patience
    PREFIX:lost                 frame sets given up, with the reason

Posters and workers may be any number of processes on any machines.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import redis
import redis.asyncio

from calibration.rig import Rig
from calibration.rig_file import rig_to_yaml

from .config import QueueSettings
from .errors import NotReady, QueueFull
from .queue import Depth, DrainRate
from .task import Answer, Task
from .wire import REPLY_TO, Keys, answer_from_fields, flat, task_to_fields

__all__ = ["RedisQueue"]

logger = logging.getLogger(__name__)

_POLL_S = 1.0  # how long one blocking read waits
_RIGS_IN_MEMORY = 32
_KNOWN_S = 1.0  # how long the state of the workers is believed

# Refusal and entry are one step: two services may not both take the last place.
_POST = """
local waiting = redis.call('XLEN', KEYS[1])
if waiting >= tonumber(ARGV[1]) then return {0, waiting} end
redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
return {1, waiting}
"""


class RedisQueue:
    """The poster's side (state: the connection, and the futures that wait)."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
        self._answers_key = self._keys.answers(secrets.token_hex(8))
        self._client: Any = redis.asyncio.from_url(settings.url, protocol=2)
        self._post = self._client.register_script(_POST)
        self._open: dict[str, tuple[Task, asyncio.Future[Answer]]] = {}
        self._drain = DrainRate()
        self._closing = False
        self._reader: asyncio.Task[None] | None = None
        self._known: tuple[float, str | None] = (0.0, None)
        self._live = 0  # workers, as of then
        # A rig is the same object from one frame set to the next, so its text is made once.
        self._rig_texts: deque[tuple[Rig, str]] = deque(maxlen=_RIGS_IN_MEMORY)

    async def open(self) -> None:
        """Starts to listen for answers."""
        self._reader = asyncio.create_task(self._read_answers())

    async def close(self) -> None:
        """Gives up what was not answered."""
        self._closing = True
        if self._reader is not None:
            # redis-py may turn a cancellation into an error of its own; then the flag ends it.
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        for _, future in self._open.values():
            future.cancel()
        self._open.clear()
        with contextlib.suppress(redis.RedisError):
            await self._client.delete(self._answers_key)
        await self._client.aclose()

    async def post(self, task: Task) -> asyncio.Future[Answer]:
        """Leaves a task; the future is its answer.

        Raises:
            QueueFull: as many wait as may.
            NotReady: Redis does not answer.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        fields = {
            **task_to_fields(task, self._text_of(task)),
            REPLY_TO: self._answers_key.encode(),
        }
        self._open[task.id] = (task, future)
        future.add_done_callback(lambda _: self._open.pop(task.id, None))
        try:
            accepted, waiting = await self._post(
                keys=[self._keys.tasks], args=[self._settings.length, *flat(fields)]
            )
        except redis.RedisError as error:
            future.cancel()
            raise NotReady(f"the queue in Redis does not answer: {error}; try again") from error
        if accepted:
            return future
        future.cancel()
        retry_after_s = self._drain.retry_after_s(waiting)
        raise QueueFull(
            f"{waiting} frame sets wait or are worked on, the limit is {self._settings.length}; "
            f"try again in {retry_after_s:.0f} s",
            retry_after_s=retry_after_s,
        )

    async def depth(self) -> Depth:
        """How full the queue is, and how long this process has waited for its oldest answer."""
        try:
            tasks = int(await self._client.xlen(self._keys.tasks))
        except redis.RedisError:
            tasks = len(self._open)
        posted_ns = [task.posted_ns for task, _ in self._open.values()]
        return Depth(tasks, (time.time_ns() - min(posted_ns)) / 1e9 if posted_ns else 0.0)

    async def problem(self) -> str | None:
        """Why nobody would answer; asked of Redis once a second."""
        at, known = self._known
        if time.monotonic() - at < _KNOWN_S:
            return known
        try:
            live = await self._client.zcount(self._keys.workers, time.time(), "+inf")
            self._live = int(live)
            found = None if live else "no worker has been heard of; start one: quadglass work"
        except redis.RedisError as error:
            found = f"Redis at {_address(self._settings.url)} does not answer: {error}"
        self._known = (time.monotonic(), found)
        return found

    async def workers(self) -> int:
        """How many workers were heard of, asked of Redis once a second."""
        await self.problem()
        return self._live

    def _text_of(self, task: Task) -> str:
        if task.rig is None:
            return ""
        for rig, text in self._rig_texts:
            if rig is task.rig:
                return text
        text = rig_to_yaml(task.rig)
        self._rig_texts.append((task.rig, text))
        return text

    async def _read_answers(self) -> None:
        last: bytes | str = "0"
        while not self._closing:
            try:
                found = await self._client.xread(
                    {self._answers_key: last}, block=int(_POLL_S * 1e3), count=64
                )
                for _, entries in found or ():
                    for entry, fields in entries:
                        last = entry
                        self._take_answer(fields)
                    await self._client.xtrim(self._answers_key, minid=last, approximate=False)
            except redis.RedisError as error:
                logger.warning("answers from Redis: %s; trying again", error)
                await asyncio.sleep(_POLL_S)

    def _take_answer(self, fields: Mapping[bytes, bytes]) -> None:
        answer = answer_from_fields(fields)
        waiting = self._open.get(answer.task_id)
        if waiting is not None and not waiting[1].done():
            self._drain.note()
            waiting[1].set_result(answer)


def _address(url: str) -> str:
    """A Redis address without its password."""
    return url.rpartition("@")[2]
