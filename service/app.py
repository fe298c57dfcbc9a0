"""The application: an explicit list of parts, its resources in the lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from capture.track import TrackSettings
from models.predictor import Predictor

from . import problems
from .answers import Answers
from .calibration_jobs import CalibrationJobs
from .captures import Captures
from .config import Settings
from .edge import Edge
from .jobs import JobBoard
from .keys import KeyGate
from .limits import BodyLimit, body_limit
from .metrics import Metrics
from .once import Once
from .queue import Queue
from .routes import (
    boards,
    calibrations,
    captures,
    docs,
    frames,
    health,
    images,
    jobs,
    page,
    rig_checks,
    rigs,
    streams,
    videos,
    watch,
)
from .state import Service
from .store import Store
from .take_up import take_up_tickets
from .takes import Takes
from .tickets import Tickets
from .video_jobs import VideoJobs
from .webhooks import Webhooks
from .worker import Worker
from .workers import make_queue

__all__ = ["create_app"]

_DESCRIPTION = "A board in, a calibrated rig out; frames in, people in metres out."
_DRAIN_S = 10.0  # that the workers get to answer what they have taken


def create_app(
    settings: Settings, *, queue: Queue | None = None, predictor: Predictor | None = None
) -> FastAPI:
    """The service.

    Args:
        settings: everything it is told.
        queue: instead of the one that the settings name; its workers are the caller's.
        predictor: instead of the network that the settings name.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = await run_in_threadpool(_assemble, settings, queue, predictor, metrics)
        app.state.service = service
        await service.queue.open()
        service.webhooks.start(service.jobs.board.job, jobs.job_to_json)
        service.jobs.start()
        for worker in service.workers:
            worker.start()
        taking_up = asyncio.create_task(take_up_tickets(service))
        service.videos.start(service)
        try:
            yield
        finally:
            service.draining = True
            await service.videos.stop()
            await asyncio.wait([taking_up])
            await service.tickets.finish()
            for worker in service.workers:
                worker.stop()
            for worker in service.workers:
                await run_in_threadpool(worker.join, _DRAIN_S)
            await run_in_threadpool(service.jobs.stop)
            await run_in_threadpool(service.webhooks.stop)
            await service.queue.close()
            service.captures.close()

    app = FastAPI(
        title="Quadglass",
        version=version("quadglass"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page loads from elsewhere; ours is routes/docs.py
        redoc_url=None,
    )
    problems.install(app)
    for part in (health, boards, rigs, calibrations, jobs, images, frames, captures, docs, page):
        app.include_router(part.router)
    for part in (rig_checks, streams, watch, videos):
        app.include_router(part.router)
    page.mount(app)
    # The last one added is the outermost: everything is marked and counted, refusals too.
    app.add_middleware(BodyLimit, limit_of=partial(body_limit, settings=settings.limits))
    app.add_middleware(KeyGate, settings=settings)
    app.add_middleware(Edge, metrics=metrics)
    return app


def _assemble(
    settings: Settings, queue: Queue | None, predictor: Predictor | None, metrics: Metrics
) -> Service:
    store = Store(settings.data_dir)
    own: tuple[Queue, Sequence[Worker]]
    own = make_queue(settings, predictor, metrics) if queue is None else (queue, ())
    webhooks = Webhooks(settings.data_dir, settings.webhooks, metrics)
    board = JobBoard(settings.data_dir, webhooks.telling)
    return Service(
        settings=settings,
        store=store,
        captures=Captures(
            Takes(settings.data_dir), store.calibrated_rig, TrackSettings(), settings.store
        ),
        queue=own[0],
        workers=own[1],
        jobs=CalibrationJobs(board, store, settings.store, metrics),
        metrics=metrics,
        tickets=Tickets(settings.data_dir / "tickets", settings.store),
        once=Once(Answers(settings.data_dir / "answers", settings.store)),
        videos=VideoJobs(board),
        webhooks=webhooks,
    )
