"""The queue and the workers that the settings ask for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from models.predictor import Predictor

from .config import Settings
from .metrics import Metrics
from .network import load_predictor
from .pipeline import PipelineSettings
from .queue import MemoryQueue, Queue, Source
from .queue_redis import RedisQueue
from .source_redis import RedisSource
from .worker import Worker

__all__ = ["make_queue", "make_worker"]


def make_queue(
    settings: Settings, predictor: Predictor | None, metrics: Metrics
) -> tuple[Queue, Sequence[Worker]]:
    """The queue, and the workers of this process on it, not started yet."""
    names = [f"worker-{index}" for index in range(settings.worker.threads)]
    if settings.queue.kind == "memory":
        memory = MemoryQueue(settings.queue)
        return memory, [make_worker(settings, memory, predictor, metrics, name) for name in names]
    sources = [RedisSource(settings.queue) for _ in names]
    return RedisQueue(settings.queue), [
        make_worker(settings, source, predictor, metrics, source.name) for source in sources
    ]


def make_worker(
    settings: Settings, source: Source, predictor: Predictor | None, metrics: Metrics, name: str
) -> Worker:
    """A worker on a queue, not started yet; each loads a network of its own."""
    load = partial(load_predictor, settings.model) if predictor is None else lambda: predictor
    pipeline = PipelineSettings(max_pixels=settings.limits.picture_pixels)
    return Worker(source, load, pipeline, settings.batch, metrics, name)
