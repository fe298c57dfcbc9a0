from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from models.errors import WeightsMissing
from service.config import BatchSettings, QueueSettings
from service.errors import BrokenImage, DeadlinePassed, ServiceError
from service.metrics import Metrics
from service.pipeline import PipelineSettings
from service.queue import MemoryQueue
from service.task import Answer, Result, Task
from service.worker import Worker

from .dots import DotPredictor
from .server import until
from .tasks import task
from .world import RIG, frame_set, person


@contextmanager
def working(queue: MemoryQueue, predictor: DotPredictor, batch: BatchSettings) -> Iterator[Worker]:
    worker = Worker(queue, lambda: predictor, PipelineSettings(), batch, Metrics(), "worker-0")
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        worker.join(10)
        assert not worker.is_alive()


def answers(
    tasks: Sequence[Task],
    predictor: DotPredictor,
    batch: BatchSettings = BatchSettings(),  # noqa: B008 - frozen
) -> list[Answer]:
    """How each of some tasks ends that all wait before the worker begins."""

    async def work() -> list[Answer]:
        queue = MemoryQueue(QueueSettings())
        futures = [await queue.post(one) for one in tasks]
        with working(queue, predictor, batch):
            return await asyncio.wait_for(asyncio.gather(*futures), 20)

    return asyncio.run(work())


def test_it_warms_up_with_a_full_batch_before_it_is_ready() -> None:
    hold = threading.Event()
    predictor = DotPredictor()

    def load() -> DotPredictor:
        assert hold.wait(10)
        return predictor

    worker = Worker(
        MemoryQueue(QueueSettings()),
        load,
        PipelineSettings(),
        BatchSettings(pictures=6),
        Metrics(),
        "worker-0",
    )
    worker.start()
    assert worker.problem() == "worker-0: warming up"
    hold.set()
    until(lambda: worker.problem() is None, "ready")
    assert predictor.batches == [6]
    worker.stop()
    worker.join(10)
    assert worker.problem() == "worker-0: has ended"


def test_missing_weights_are_its_problem_not_a_crash(caplog: pytest.LogCaptureFixture) -> None:
    def load() -> DotPredictor:
        raise WeightsMissing("no weights at x.onnx")

    worker = Worker(
        MemoryQueue(QueueSettings()), load, PipelineSettings(), BatchSettings(), Metrics(), "w"
    )
    worker.start()
    worker.join(10)
    assert worker.problem() == "w: no weights at x.onnx"
    assert "does not run" in caplog.text


def test_a_result_comes_with_its_model_and_the_time_it_waited() -> None:
    (answer,) = answers([task(frame_set([person()]), RIG)], DotPredictor())
    assert isinstance(answer.outcome, Result)
    assert answer.outcome.model.name == "dots"
    assert len(answer.outcome.seen.people) == 1
    assert answer.outcome.seen.timings_ms["queue"] > 0
    assert answer.outcome.previews == {}


def test_previews_are_reduced_and_of_the_same_shape() -> None:
    (answer,) = answers([task(frame_set([person()]), RIG, preview_side=320)], DotPredictor())
    assert isinstance(answer.outcome, Result)
    assert set(answer.outcome.previews) == set(RIG.names)
    for data in answer.outcome.previews.values():
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (200, 320, 3)


def test_several_frame_sets_share_a_batch() -> None:
    predictor = DotPredictor()
    tasks = [task(frame_set([person(0.1 * i)]), RIG) for i in range(3)]
    for answer in answers(tasks, predictor, BatchSettings(pictures=12, wait_ms=100)):
        assert isinstance(answer.outcome, Result)
    assert predictor.batches == [12, 12]  # the warm-up, then all three


def test_what_has_expired_is_not_decoded() -> None:
    predictor = DotPredictor()
    late = task({"cam0": b"would be refused as no picture"}, RIG, seconds=-1)
    (answer,) = answers([late], predictor)
    assert isinstance(answer.outcome, DeadlinePassed)
    assert predictor.batches == [8]  # the warm-up alone


def test_a_bad_frame_set_costs_only_itself() -> None:
    good = frame_set([person()])
    bad = {**good, "cam1": good["cam1"][:100]}
    first, second, third = answers(
        [task(good, RIG), task(bad, RIG), task(good, RIG)],
        DotPredictor(),
        BatchSettings(pictures=12, wait_ms=100),
    )
    assert isinstance(first.outcome, Result)
    assert isinstance(second.outcome, BrokenImage)
    assert isinstance(third.outcome, Result)


def test_a_batch_that_fails_is_tried_one_by_one_and_every_failure_is_answered() -> None:
    predictor = DotPredictor()
    predictor.failure = RuntimeError("the network broke")
    tasks = [task(frame_set([person()]), RIG) for _ in range(3)]
    for answer in answers(tasks, predictor, BatchSettings(pictures=12, wait_ms=100)):
        assert str(answer.outcome) == "the network broke"
        assert not isinstance(answer.outcome, ServiceError)
    assert predictor.batches == [12, 12, 4, 4, 4]


def test_stopping_answers_what_was_taken() -> None:
    async def work() -> None:
        hold = threading.Event()
        predictor = DotPredictor(hold=hold)
        queue = MemoryQueue(QueueSettings())
        with working(queue, predictor, BatchSettings()) as worker:
            future = await queue.post(task(frame_set([person()]), RIG))
            await asyncio.to_thread(until, lambda: len(predictor.batches) == 2, "it works")
            worker.stop()
            hold.set()
            assert isinstance((await asyncio.wait_for(future, 10)).outcome, Result)

    asyncio.run(work())
