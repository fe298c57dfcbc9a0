from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from service.config import QueueSettings
from service.errors import QueueFull
from service.queue import DrainRate, MemoryQueue

from .tasks import failed, task


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 20))


def test_what_is_posted_first_is_taken_first_and_answered() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings())
        tasks = [task() for _ in range(3)]
        futures = [await queue.post(one) for one in tasks]
        for one in tasks:
            assert queue.take(0) is one
            queue.answer(failed(one, one.id))
        answers = await asyncio.gather(*futures)
        assert [answer.task_id for answer in answers] == [one.id for one in tasks]
        assert queue.take(0) is None

    run(work())


def test_a_full_queue_refuses_and_takes_again_once_one_is_answered() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings(length=2))
        first, second = task(), task()
        await queue.post(first)
        await queue.post(second)
        assert queue.take(0) is first  # taken, not answered: still counts
        with pytest.raises(QueueFull, match="2 frame sets") as caught:
            await queue.post(task())
        assert caught.value.retry_after_s >= 1
        queue.answer(failed(first))
        await queue.post(task())

    run(work())


def test_the_bytes_that_wait_are_bounded_too() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings(waiting_bytes=100))
        large = task({"a": bytes(150)})
        await queue.post(large)  # alone it may: it could never get in otherwise
        with pytest.raises(QueueFull, match="150 bytes"):
            await queue.post(task({"a": bytes(10)}))
        queue.take(0)
        queue.answer(failed(large))
        await queue.post(task({"a": bytes(60)}))
        await queue.post(task({"a": bytes(40)}))
        with pytest.raises(QueueFull):
            await queue.post(task({"a": bytes(1)}))

    run(work())


def test_what_nobody_waits_for_is_passed_over() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings(length=2))
        future = await queue.post(task())
        kept = task()
        await queue.post(kept)
        future.cancel()
        assert queue.take(0) is kept
        await queue.post(task())  # the place of the cancelled one is free

    run(work())


def test_the_second_answer_to_a_task_is_dropped() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings())
        one = task()
        future = await queue.post(one)
        queue.answer(failed(one, "first"))
        queue.answer(failed(one, "second"))
        assert str((await future).outcome) == "first"

    run(work())


def test_take_waits_for_a_task_from_another_thread() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings())
        got = []
        thread = threading.Thread(target=lambda: got.append(queue.take(5)))
        thread.start()
        await asyncio.sleep(0.05)
        one = task()
        await queue.post(one)
        thread.join(5)
        assert got == [one]

    run(work())


def test_take_gives_up_after_its_time() -> None:
    queue = MemoryQueue(QueueSettings())
    start = time.monotonic()
    assert queue.take(0.1) is None
    assert 0.09 < time.monotonic() - start < 2


def test_depth_counts_what_is_not_answered() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings())
        assert (await queue.depth()).tasks == 0
        one = task()
        await queue.post(one)
        await asyncio.sleep(0.05)
        queue.take(0)
        depth = await queue.depth()
        assert depth.tasks == 1
        assert depth.oldest_s >= 0.05
        queue.answer(failed(one))
        assert (await queue.depth()).oldest_s == 0

    run(work())


def test_closing_lets_nobody_wait_for_ever() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings())
        future = await queue.post(task())
        await queue.close()
        assert future.cancelled()

    run(work())


def test_many_posters_and_workers_lose_nothing_and_answer_nothing_twice() -> None:
    async def work() -> None:
        queue = MemoryQueue(QueueSettings(length=1000))
        taken: list[str] = []
        stop = threading.Event()

        def worker() -> None:
            while not stop.is_set():
                one = queue.take(0.02)
                if one is not None:
                    taken.append(one.id)
                    queue.answer(failed(one, one.id))

        threads = [threading.Thread(target=worker) for _ in range(4)]
        for thread in threads:
            thread.start()
        tasks = [task() for _ in range(400)]
        futures = [await queue.post(one) for one in tasks]
        answers = await asyncio.gather(*futures)
        stop.set()
        for thread in threads:
            thread.join()
        assert [str(answer.outcome) for answer in answers] == [one.id for one in tasks]
        assert sorted(taken) == sorted(one.id for one in tasks)

    run(work())


def test_retry_after_follows_the_measured_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten answers in the last two seconds are five a second; 30 waiting need six seconds."""
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    rate = DrainRate()
    assert rate.retry_after_s(30) == 60  # nothing known yet
    for _ in range(10):
        rate.note()
        clock[0] += 0.2
    assert rate.retry_after_s(30) == pytest.approx(6.0)
    assert rate.retry_after_s(1) == 1  # never less than a second
    assert rate.retry_after_s(10_000) == 60  # nor more than a minute
    clock[0] += 60
    assert rate.retry_after_s(30) == 60  # what was long ago says nothing
