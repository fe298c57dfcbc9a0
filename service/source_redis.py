"""The queue over Redis Streams, the worker's side; `queue_redis.py` says what lies where.

A worker's claim is renewed while it works; one that is silent for `claim_idle_s` loses it, and
XAUTOCLAIM gives the entry to another. The acknowledgement decides who answers: exactly one does.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import redis

from calibration.errors import CalibrationError

from .config import QueueSettings
from .errors import WorkerLost
from .logs import marked
from .task import Answer, Task
from .wire import REPLY_TO, Keys, answer_to_fields, flat, task_from_fields

__all__ = ["RedisSource"]

logger = logging.getLogger(__name__)

_GROUP = "workers"
_ANSWERS_LIVE_S = 600  # a service that does not fetch its answers for this long is gone
_LOST_KEPT = 1000

# Only the first acknowledgement may answer.
_ANSWER = """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XDEL', KEYS[1], ARGV[2])
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[2], ARGV[3])
return 1
"""


class RedisSource:
    """The worker's side (state: the connection, and the entries it has claimed)."""

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._keys = Keys(settings.prefix)
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
        args: list[Any] = [_GROUP, entry, _ANSWERS_LIVE_S, *flat(answer_to_fields(answer))]
        until = time.monotonic() + self._settings.claim_idle_s
        while True:
            try:
                self._answer(keys=[self._keys.tasks, reply_to], args=args)
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
            self._client.zrem(self._keys.workers, self.name)
        self._client.close()

    def _next(self, wait_s: float) -> Task | None:
        block = int(wait_s * 1e3) or None  # 0 would mean for ever
        found = self._client.xreadgroup(
            _GROUP, self.name, {self._keys.tasks: ">"}, count=1, block=block
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
            self._keys.tasks, _GROUP, self.name, min_idle_time=idle_ms, count=1
        )
        if not entries:
            self._looked = time.monotonic()
            return None
        entry, fields = entries[0]
        task = self._claimed(entry, fields)
        if task is None:
            return None
        pending = self._client.xpending_range(self._keys.tasks, _GROUP, entry, entry, 1)
        lost = pending[0]["times_delivered"] - 1 if pending else 0
        with marked(**task.marks, task=task.id):
            logger.warning("%s: the worker of a frame set was lost (%d times)", self.name, lost)
        if lost < self._settings.losses:
            return task
        self._give_up(task, lost)
        return None

    def _give_up(self, task: Task, lost: int) -> None:
        error = WorkerLost(
            f"{lost} workers that took this frame set died; its pictures may be what kills them: "
            f"see the stream {self._keys.lost} and the workers' logs"
        )
        self._client.xadd(
            self._keys.lost,
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
            self._client.xack(self._keys.tasks, _GROUP, entry)
            self._client.xdel(self._keys.tasks, entry)
            return None
        with self._lock:
            self._taken[task.id] = (entry, fields[REPLY_TO])
        return task

    def _renew(self) -> None:
        """Keeps the claims and the word of being alive while the worker is busy."""
        while not self._closed.is_set():
            try:
                until = time.time() + self._settings.claim_idle_s
                self._client.zadd(self._keys.workers, {self.name: until})
                self._client.zremrangebyscore(self._keys.workers, "-inf", time.time() - 60)
                with self._lock:
                    entries = [entry for entry, _ in self._taken.values()]
                if entries:
                    self._client.xclaim(
                        self._keys.tasks, _GROUP, self.name, 0, entries, justid=True
                    )
            except redis.RedisError as error:
                logger.warning("%s: claims could not be renewed: %s", self.name, error)
            self._closed.wait(self._settings.claim_idle_s / 4)

    def _make_group(self) -> None:
        with contextlib.suppress(redis.ResponseError):  # another worker was first
            self._client.xgroup_create(self._keys.tasks, _GROUP, id="0", mkstream=True)
