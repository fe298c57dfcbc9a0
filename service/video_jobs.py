"""Synchronized videos into a capture, as a job on the queue that live frame sets use too.

Videos are read a few frame sets at a time and posted as pictures, so any number of workers on any
machines share the work and none needs the files. What has a result in the capture is done: a
restart reads past it and goes on behind it.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
from starlette.concurrency import run_in_threadpool

from .errors import BadUpload, Conflict, NotReady, QueueFull, code_of
from .frame_sets import accept, finish
from .jobs import Job, JobBoard
from .problems import problem_of
from .store import now
from .task import Posted
from .videos import Videos, frame_sets, look_at

if TYPE_CHECKING:
    from .state import Service

__all__ = ["KIND", "VideoJobs", "VideoRequest", "videos_in"]

logger = logging.getLogger(__name__)

KIND = "videos"
_CHUNK = 8  # frame sets that are read and encoded at once
_QUALITY = 95  # of the pictures that workers get; a network sees no difference
_RETRY_S = 0.05
_DEADLINE_S = 3600.0  # nobody waits for a single frame set of a video
_PATIENCE_S = 5.0  # with what workers have when a job stops; the next start does the rest
_SUFFIXES = (".mp4", ".mkv", ".avi", ".mpg")


@dataclass(frozen=True, slots=True)
class VideoRequest:
    """What a poster asked for, besides the files."""

    capture: str
    start_ns: int  # timestamp of the first frame
    rate_hz: float | None = None  # where the files do not say


class VideoJobs:
    """Jobs under way (state: their tasks, and who asked to stop). Used from the event loop."""

    def __init__(self, board: JobBoard) -> None:
        self.board = board
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[str] = set()

    def start(self, service: Service) -> None:
        """Begins with what an earlier run left."""
        for job in self.board.jobs():
            if job.kind == KIND and not job.over:
                self._begin(service, self.board.change(job.id, state="queued"))

    async def stop(self) -> None:
        """Interrupts; what runs goes on after the next start."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def check_room(self, most: int) -> None:
        """Refuses one more when too many are under way.

        Raises:
            QueueFull: come back later.
        """
        if len(self._tasks) >= most:
            raise QueueFull(
                f"{len(self._tasks)} videos are being worked on, the limit is {most}; "
                "wait for one, or cancel it with DELETE /v1/jobs/{job}",
                retry_after_s=60.0,
            )

    def add(self, service: Service, job_id: str, rig: str, request: VideoRequest) -> Job:
        """Begins with videos that lie in the job's directory."""
        values = {name: getattr(request, name) for name in VideoRequest.__slots__}
        job = Job(job_id, KIND, rig, values, now())
        self.board.add(job)
        self._begin(service, job)
        return job

    def cancel(self, job_id: str) -> Job:
        """Stops at the next frame set; results so far stay in the capture.

        Raises:
            Conflict: it is over already.
        """
        job = self.board.job(job_id)
        if job.over:
            raise Conflict(f"job {job_id!r} is {job.state} already; there is nothing to cancel")
        self._cancelled.add(job_id)
        return job

    def _begin(self, service: Service, job: Job) -> None:
        task = asyncio.create_task(self._run(service, job))
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def _run(self, service: Service, job: Job) -> None:
        self.board.change(job.id, state="running")
        try:
            failed, first = await self._work(service, job)
        except Exception as error:
            if code_of(error) == "internal":
                logger.exception("video job %s", job.id)
            self.board.change(job.id, state="failed", problem=problem_of(error))
        else:
            state = "cancelled" if job.id in self._cancelled else "done"
            problem = None
            if first is not None:
                problem = {**problem_of(first), "frame_sets": failed}
            self.board.change(job.id, state=state, problem=problem)
        self._cancelled.discard(job.id)
        shutil.rmtree(self.board.directory(job.id) / "footage", ignore_errors=True)

    async def _work(self, service: Service, job: Job) -> tuple[int, Exception | None]:
        """How many frame sets failed, and why the first of them did."""
        request = VideoRequest(**job.request)
        paths = videos_in(self.board.directory(job.id) / "footage")
        videos = await run_in_threadpool(look_at, paths, request.rate_hz)
        live = await service.captures.get(request.capture)
        begin = _first_missing(videos, request, live.newest_ns)
        reading = _encoded(videos, begin)
        under_way: deque[asyncio.Task[dict[str, Any]]] = deque()
        done, failed, first = begin, 0, None
        self.board.progress(job.id, "frames", done, videos.frames)
        try:
            while job.id not in self._cancelled:
                chunk = await run_in_threadpool(lambda: list(islice(reading, _CHUNK)))
                for timestamp_ns, images in chunk:
                    if job.id in self._cancelled:
                        break
                    posted = Posted(images, request.start_ns + timestamp_ns, request.capture)
                    under_way.append(await _posted(service, job.rig, posted))
                # As many again may be worked on while the next ones are read.
                while under_way and (len(under_way) > _CHUNK or not chunk):
                    error = await _end_of(under_way.popleft())
                    done += 1
                    if error is not None:
                        failed, first = failed + 1, first or error
                        if done == begin + 1:
                            raise error  # the very first: all of them would
                    self.board.progress(job.id, "frames", done, videos.frames)
                if not chunk:
                    break
        finally:
            await _let_go(under_way)
        return failed, first


def videos_in(folder: Path) -> dict[str, Path]:
    """The videos of a folder by camera.

    Raises:
        BadUpload: there is something else in it.
    """
    paths = {path.stem: path for path in sorted(folder.iterdir())}
    for camera, path in paths.items():
        if path.suffix not in _SUFFIXES:
            raise BadUpload(
                f"camera {camera!r}: no video; send one synchronized video for each camera "
                "(MP4, MOV, MKV, WebM, AVI, MPEG)",
                field=f"/{camera}",
            )
    return paths


def _first_missing(videos: Videos, request: VideoRequest, newest_ns: int | None) -> int:
    """Number of the first frame that is behind what the capture has."""
    if newest_ns is None or newest_ns < request.start_ns:
        return 0
    elapsed_s = (newest_ns - request.start_ns) / 1e9
    return int(elapsed_s * videos.rate_hz + 0.5) + 1


def _encoded(videos: Videos, begin: int) -> Iterator[tuple[int, dict[str, bytes]]]:
    """Timestamps and JPEGs by camera. Reads and encodes, so not in the event loop."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    for one in frame_sets(videos, begin=begin):
        yield (
            one.timestamp_ns,
            {
                name: cv2.imencode(".jpg", image, quality)[1].tobytes()
                for name, image in one.images.items()
            },
        )


async def _posted(service: Service, rig: str, posted: Posted) -> asyncio.Task[dict[str, Any]]:
    """A frame set on the queue, once there is room for it."""
    while True:
        try:
            accepted = await accept(service, rig, posted, patient=True, deadline_s=_DEADLINE_S)
            return asyncio.create_task(finish(service, accepted))
        except (QueueFull, NotReady):
            if service.draining:
                raise
            await asyncio.sleep(_RETRY_S)


async def _let_go(answers: Collection[asyncio.Task[dict[str, Any]]]) -> None:
    """Waits a little for those under way, so that no worker's work is thrown away needlessly."""
    if answers:
        _, late = await asyncio.wait(answers, timeout=_PATIENCE_S)
        for one in late:
            one.cancel()
        await asyncio.gather(*answers, return_exceptions=True)


async def _end_of(answer: asyncio.Task[dict[str, Any]]) -> Exception | None:
    with suppress(Exception):
        await asyncio.shield(answer)
    error = answer.exception()
    return error if isinstance(error, Exception) else None
