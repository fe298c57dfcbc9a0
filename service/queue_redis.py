"""The queue over Redis Streams: posters and workers in any number of processes and machines.

    PREFIX:tasks                one entry a frame set; XDEL when answered, so XLEN is the depth
    PREFIX:answers:SERVICE      what comes back to one service process
    PREFIX:workers              when each warmed-up worker was last heard of, plus its patience
    PREFIX:lost                 frame sets given up, with the reason

A worker's claim is renewed while it works; one that is silent for `claim_idle_s` loses it, and
XAUTOCLAIM gives the entry to another. The acknowledgement decides who answers: exactly one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import redis
import redis.asyncio

from calibration.errors import CalibrationError
from calibration.rig import Rig
from calibration.rig_file import rig_to_yaml

from .config import QueueSettings
from .errors import NotReady, QueueFull, WorkerLost
from .queue import Depth, DrainRate
from .task import Answer, Task
from .wire import answer_from_fields, answer_to_fields, task_from_fields, task_to_fields

logger = logging.getLogger(__name__)

_GROUP = "workers"
_REPLY_TO = b"reply_to"
_ANSWERS_LIVE_S = 600  # a service that does not fetch its answers for this long is gone
_LOST_KEPT = 1000
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
# Only the first acknowledgement may answer.
_ANSWER = """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
"""


class RedisQueue:
    """The poster's side (state: the connection, and the futures that wait)."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._tasks_key = f"{settings.prefix}:tasks"
        self._answers_key = f"{settings.prefix}:answers:{secrets.token_hex(8)}"
        self._client: Any = redis.asyncio.from_url(settings.url, protocol=2)
        self._post = self._client.register_script(_POST)
        self._open: dict[str, tuple[Task, asyncio.Future[Answer]]] = {}
        self._drain = DrainRate()
        self._closing = False
        self._reader: asyncio.Task[None] | None = None
        self._known: tuple[float, str | None] = (0.0, None)
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
            _REPLY_TO: self._answers_key.encode(),
        }
        self._open[task.id] = (task, future)
        future.add_done_callback(lambda _: self._open.pop(task.id, None))
        try:
            accepted, waiting = await self._post(
                keys=[self._tasks_key], args=[self._settings.length, *_flat(fields)]
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
            tasks = int(await self._client.xlen(self._tasks_key))
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
            live = await self._client.zcount(
                f"{self._settings.prefix}:workers", time.time(), "+inf"
            )
            found = None if live else "no worker has been heard of; start one: quadglass work"
        except redis.RedisError as error:
            found = f"Redis at {_address(self._settings.url)} does not answer: {error}"
        self._known = (time.monotonic(), found)
        return found

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


class RedisSource:
    """The worker's side (state: the connection, and the entries it has claimed)."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._tasks_key = f"{settings.prefix}:tasks"
        self._workers_key = f"{settings.prefix}:workers"
        self.name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._client: Any = redis.from_url(settings.url, protocol=2)
        self._answer = self._client.register_script(_ANSWER)
        self._taken: dict[str, tuple[bytes, bytes]] = {}  # task -> entry, reply stream
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._renewer: threading.Thread | None = None
        self._looked = 0.0

    def take(self, wait_s: float) -> Task | None:
        """The next task, or None after waiting that long. The first call says: I am warm."""
        if self._renewer is None:
            self._renewer = threading.Thread(target=self._renew, name="claims", daemon=True)
            self._renewer.start()
        try:
            return self._reclaimed() or self._next(wait_s)
        except redis.ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            self._make_group()
        except redis.RedisError as error:
            logger.warning("%s: tasks from Redis: %s; trying again", self.name, error)
            self._closed.wait(max(wait_s, 0.1))
        return None

    def answer(self, answer: Answer) -> None:
        """Hands an answer to whoever posted the task, unless another worker was first."""
        with self._lock:
            entry, reply_to = self._taken.pop(answer.task_id)
        args: list[Any] = [_GROUP, entry, _ANSWERS_LIVE_S, *_flat(answer_to_fields(answer))]
        until = time.monotonic() + self._settings.claim_idle_s
        while True:
            try:
                self._answer(keys=[self._tasks_key, reply_to], args=args)
                return
            except redis.RedisError as error:
                # After that time another worker has the claim and will answer.
                if time.monotonic() > until:
                    logger.warning("%s: an answer was lost: %s", self.name, error)
                    return
                self._closed.wait(0.2)

    def leave(self) -> None:
        """Says good-bye; what is claimed and unanswered goes to another worker."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._renewer is not None:
            self._renewer.join()
        with contextlib.suppress(redis.RedisError):
            self._client.zrem(self._workers_key, self.name)
        self._client.close()

    def _next(self, wait_s: float) -> Task | None:
        block = int(wait_s * 1e3) or None  # 0 would mean for ever
        found = self._client.xreadgroup(
            _GROUP, self.name, {self._tasks_key: ">"}, count=1, block=block
        )
        for _, entries in found or ():
            for entry, fields in entries:
                return self._claimed(entry, fields)
        return None

    def _reclaimed(self) -> Task | None:
        """A task whose worker has been silent too long."""
        if time.monotonic() - self._looked < self._settings.claim_idle_s / 4:
            return None
        idle_ms = int(self._settings.claim_idle_s * 1e3)
        _, entries, *_ = self._client.xautoclaim(
            self._tasks_key, _GROUP, self.name, min_idle_time=idle_ms, count=1
        )
        if not entries:
            self._looked = time.monotonic()
            return None
        entry, fields = entries[0]
        task = self._claimed(entry, fields)
        if task is None:
            return None
        pending = self._client.xpending_range(self._tasks_key, _GROUP, entry, entry, 1)
        lost = pending[0]["times_delivered"] - 1 if pending else 0
        logger.warning("%s: frame set %s: its worker was lost (%d times)", self.name, task.id, lost)
        if lost < self._settings.losses:
            return task
        self._give_up(task, lost)
        return None

    def _give_up(self, task: Task, lost: int) -> None:
        error = WorkerLost(
            f"{lost} workers that took this frame set died; its pictures may be what kills them: "
            f"see the stream {self._settings.prefix}:lost and the workers' logs"
        )
        self._client.xadd(
            f"{self._settings.prefix}:lost",
            {"id": task.id, "reason": str(error), "cameras": " ".join(task.images)},
            maxlen=_LOST_KEPT,
        )
        self.answer(Answer(task.id, error))

    def _claimed(self, entry: bytes, fields: Mapping[bytes, bytes]) -> Task | None:
        try:
            task = task_from_fields(fields)
        except (KeyError, ValueError, CalibrationError) as error:
            # Of another version, or not ours at all: it would kill one worker after another.
            logger.warning("%s: entry %r cannot be read: %s", self.name, entry, error)
            self._client.xack(self._tasks_key, _GROUP, entry)
            self._client.xdel(self._tasks_key, entry)
            return None
        with self._lock:
            self._taken[task.id] = (entry, fields[_REPLY_TO])
        return task

    def _renew(self) -> None:
        """Keeps the claims and the word of being alive while the worker is busy."""
        while not self._closed.is_set():
            try:
                until = time.time() + self._settings.claim_idle_s
                self._client.zadd(self._workers_key, {self.name: until})
                self._client.zremrangebyscore(self._workers_key, "-inf", time.time() - 60)
                with self._lock:
                    entries = [entry for entry, _ in self._taken.values()]
                if entries:
                    self._client.xclaim(self._tasks_key, _GROUP, self.name, 0, entries, justid=True)
            except redis.RedisError as error:
                logger.warning("%s: claims could not be renewed: %s", self.name, error)
            self._closed.wait(self._settings.claim_idle_s / 4)

    def _make_group(self) -> None:
        with contextlib.suppress(redis.ResponseError):  # another worker was first
            self._client.xgroup_create(self._tasks_key, _GROUP, id="0", mkstream=True)


def _flat(fields: Mapping[bytes, bytes]) -> list[bytes]:
    return [item for pair in fields.items() for item in pair]


def _address(url: str) -> str:
    """A Redis address without its password."""
    return url.rpartition("@")[2]
