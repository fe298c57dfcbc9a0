"""A worker on its own: takes frame sets from Redis until it is told to stop."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType

from models.predictor import Predictor

from .config import Settings
from .errors import BadSettings
from .metrics import Metrics
from .source_redis import RedisSource
from .workers import make_worker

__all__ = ["work"]

logger = logging.getLogger(__name__)

_LOOK_S = 0.5  # how often it is looked whether the worker still lives


def work(settings: Settings, *, predictor: Predictor | None = None) -> None:
    """Works until SIGTERM or SIGINT; what was taken by then is answered first.

    Raises:
        BadSettings: the settings name the memory queue, which no other process can reach.
        ModelError: the network does not load.
    """
    if settings.queue.kind != "redis":
        raise BadSettings(
            "a worker of its own needs queue.kind: redis (QUADGLASS_QUEUE_KIND=redis and "
            "QUADGLASS_QUEUE_URL); the memory queue's workers are threads of the service",
            field="/queue/kind",
        )
    source = RedisSource(settings.queue)
    worker = make_worker(settings, source, predictor, Metrics(), source.name)
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        logger.info("%s: stops after what it has taken", source.name)
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        worker.start()
        while worker.is_alive() and not stopping.wait(_LOOK_S):
            pass
        worker.stop()
        worker.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if worker.failure is not None:
        raise worker.failure
