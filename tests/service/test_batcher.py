from __future__ import annotations

import asyncio
import threading
import time

from service.batcher import gather
from service.config import BatchSettings, QueueSettings
from service.queue import MemoryQueue

from .tasks import task


def queue_of(*pictures: int) -> MemoryQueue:
    """Tasks with so many pictures each."""
    queue = MemoryQueue(QueueSettings())

    async def post() -> None:
        for count in pictures:
            await queue.post(task({f"cam{index}": b"x" for index in range(count)}))

    asyncio.run(post())
    return queue


def sizes(queue: MemoryQueue, settings: BatchSettings) -> list[int]:
    return [len(one.images) for one in gather(queue, settings, 0.01)]


def test_a_batch_is_full_at_its_number_of_pictures() -> None:
    queue = queue_of(4, 4, 4)
    settings = BatchSettings(pictures=8, wait_ms=1000)
    start = time.monotonic()
    assert sizes(queue, settings) == [4, 4]
    assert time.monotonic() - start < 0.5  # full: nothing to wait for


def test_a_batch_is_due_after_its_time() -> None:
    queue = queue_of(4)
    start = time.monotonic()
    assert sizes(queue, BatchSettings(pictures=8, wait_ms=100)) == [4]
    assert 0.09 < time.monotonic() - start < 2


def test_views_and_single_pictures_share_a_batch() -> None:
    assert sizes(queue_of(1, 4, 1, 4), BatchSettings(pictures=8)) == [1, 4, 1, 4]


def test_a_frame_set_is_never_split() -> None:
    assert sizes(queue_of(6, 16), BatchSettings(pictures=8)) == [6, 16]


def test_an_idle_queue_gives_an_empty_batch() -> None:
    assert gather(queue_of(), BatchSettings(), 0.01) == []


def test_a_task_that_comes_while_the_batch_waits_joins_it() -> None:
    queue = queue_of(4)

    async def late() -> None:
        await asyncio.sleep(0.05)
        await queue.post(task({"cam0": b"x"}))

    thread = threading.Thread(target=lambda: asyncio.run(late()))
    thread.start()
    assert sizes(queue, BatchSettings(pictures=5, wait_ms=5000)) == [4, 1]
    thread.join()
