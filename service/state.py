"""Everything a running app holds, in one place; routes get it as `ServiceDep`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from calibration.rig import Rig

from .calibration_jobs import CalibrationJobs
from .captures import Captures
from .config import Settings
from .errors import DeadlinePassed, NotReady, QueueFull, code_of
from .logs import marks
from .metrics import Metrics
from .once import Once
from .queue import Queue
from .store import Store
from .task import Answer, Hint, Result, Task
from .tickets import Tickets
from .webhooks import Webhooks
from .worker import Worker

if TYPE_CHECKING:
    from .video_jobs import VideoJobs  # its jobs post frame sets, as a route does

__all__ = ["Service", "ServiceDep", "service_of"]

# The worker answers what has expired; this much later the poster stops waiting for it.
_GRACE_S = 0.5
_BUSY_RETRY_S = 1.0


@dataclass(slots=True)
class Service:
    """The parts of a running app (state: whether it is shutting down)."""

    settings: Settings
    store: Store
    captures: Captures
    queue: Queue
    workers: Sequence[Worker]
    jobs: CalibrationJobs
    metrics: Metrics
    tickets: Tickets
    once: Once
    videos: VideoJobs
    webhooks: Webhooks
    draining: bool = False
    held: int = 0  # requests whose pictures are in memory
    connected: int = 0  # streams, and those who watch

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Room for the pictures of one request, as long as the block runs.

        With the body limit this bounds the memory of requests: twice the queue's length of them,
        those that wait in it and as many that are being read or answered.

        Raises:
            QueueFull: too many are under way already; nothing of the body has been read.
        """
        most = 2 * self.settings.queue.length
        if self.held >= most:
            raise QueueFull(
                f"{self.held} requests with pictures are under way, the limit is {most}; "
                f"try again in {_BUSY_RETRY_S:.0f} s",
                retry_after_s=_BUSY_RETRY_S,
            )
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    @contextmanager
    def connection(self) -> Iterator[None]:
        """Room for one more stream or watcher, as long as the block runs.

        Raises:
            QueueFull: there are too many already.
        """
        most = self.settings.stream.connections
        if self.connected >= most:
            raise QueueFull(
                f"{self.connected} streams and watchers are connected, the limit is {most}; "
                "close one, or raise stream.connections",
                retry_after_s=_BUSY_RETRY_S,
            )
        self.connected += 1
        self.metrics.connections.set(self.connected)
        try:
            yield
        finally:
            self.connected -= 1
            self.metrics.connections.set(self.connected)

    async def working(self) -> int:
        """How many workers look at frame sets, 1 at least."""
        return max(1, len(self.workers) or await self.queue.workers())

    async def problems(self) -> list[str]:
        """Why frame sets would not be answered now; empty when they would."""
        if self.draining:
            return ["shutting down"]
        found = await self.queue.problem()
        if found is not None:
            return [found]
        reasons = [problem for worker in self.workers if (problem := worker.problem())]
        # One worker that works is enough.
        return reasons if len(reasons) == len(self.workers) else []

    async def post(
        self,
        images: Mapping[str, bytes],
        rig: Rig | None,
        *,
        preview_side: int = 0,
        patient: bool = False,
        hint: Hint | None = None,
        deadline_s: float | None = None,
    ) -> asyncio.Future[Answer]:
        """Leaves pictures of one moment for a worker.

        Args:
            images: encoded, by camera.
            rig: the calibrated cameras; None: people stay 2D.
            preview_side: longer side of the reduced pictures to get back; 0: none.
            patient: a poster that tries again itself; its refusals are not counted.
            hint: what a capture expects to be seen.
            deadline_s: until the answer; None: as the settings say.

        Raises:
            NotReady: nobody would look at them.
            QueueFull: too many wait already.
        """
        reasons = await self.problems()
        if reasons:
            raise NotReady(f"not ready: {'; '.join(reasons)}; see /health/ready")
        now_ns = time.time_ns()
        deadline_ns = now_ns + int((deadline_s or self.settings.queue.deadline_s) * 1e9)
        try:
            task = Task(
                images, rig, now_ns, deadline_ns, preview_side, hint or Hint(), marks=marks()
            )
            return await self.queue.post(task)
        except QueueFull as error:
            if not patient:
                self.metrics.frame_sets.labels(code_of(error)).inc()
            raise

    async def result(
        self, future: asyncio.Future[Answer], deadline_s: float | None = None
    ) -> Result:
        """The result of what was posted, or its error as an exception.

        Args:
            future: that `post` gave.
            deadline_s: that it was posted with.

        Raises:
            DeadlinePassed: none came in time.
            NotReady: the service shut down first.
        """
        try:
            outcome = (await self._wait(future, deadline_s)).outcome
            if isinstance(outcome, Exception):
                raise outcome
        except Exception as error:
            self.metrics.frame_sets.labels(code_of(error)).inc()
            raise
        self.metrics.frame_sets.labels("ok").inc()
        return outcome

    async def _wait(self, future: asyncio.Future[Answer], deadline_s: float | None) -> Answer:
        deadline_s = deadline_s or self.settings.queue.deadline_s
        await asyncio.wait([future], timeout=deadline_s + _GRACE_S)
        if future.cancelled():
            raise NotReady(
                "the service shut down before the frame set was looked at; post it again"
            )
        if not future.done():
            future.cancel()  # a worker that comes to it later passes it over
            raise DeadlinePassed(
                f"no answer within {deadline_s:g} s: the workers are slower than what is posted; "
                "post fewer at a time, add workers, or raise queue.deadline_s"
            )
        return future.result()


def service_of(connection: HTTPConnection) -> Service:
    """The service that a request or socket came to."""
    service = connection.app.state.service
    assert isinstance(service, Service), "the app's lifespan has not run"
    return service


ServiceDep = Annotated[Service, Depends(service_of)]
