"""The queue over a real Redis, started for these tests from the system's packages."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from service.config import BatchSettings, QueueSettings, Settings, WorkerSettings
from service.errors import NotReady, QueueFull, WorkerLost, WrongMediaType
from service.metrics import Metrics
from service.queue_redis import RedisQueue
from service.source_redis import RedisSource
from service.task import Answer
from service.workers import make_worker

from .dots import DotPredictor
from .live import live
from .server import running, until
from .tasks import failed, task
from .world import RIG, RIG_YAML, as_files, errors_m, frame_set, person

pytestmark = pytest.mark.redis

FRAMES = "/v1/rigs/studio/frames"
Server = tuple[subprocess.Popen[bytes], int]


def start_redis(folder: Path, port: int) -> subprocess.Popen[bytes]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed (apt-get install redis-server)")
    process = subprocess.Popen(
        [
            binary,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--save",
            "",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = redis.Redis(port=port)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False

    until(answers, "Redis answers")
    client.close()
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Redis of our own."""
    port = free_port()
    process = start_redis(tmp_path_factory.mktemp("redis"), port)
    yield port
    stop(process)


@pytest.fixture
def queue_settings(server: int, request: pytest.FixtureRequest) -> QueueSettings:
    """Keys of their own for each test."""
    return QueueSettings(
        kind="redis",
        url=f"redis://127.0.0.1:{server}/0",
        prefix=request.node.name,
        claim_idle_s=1.0,
    )


@pytest.fixture
def new_source(queue_settings: QueueSettings) -> Iterator[Callable[..., RedisSource]]:
    """Makes workers' sides, and says good-bye for all of them in the end."""
    made: list[RedisSource] = []

    def make(settings: QueueSettings = queue_settings) -> RedisSource:
        made.append(RedisSource(settings))
        return made[-1]

    yield make
    for source in made:
        source.leave()


NewSource = Callable[..., RedisSource]


def run(work: Coroutine[Any, Any, Any]) -> None:
    start = time.monotonic()
    asyncio.run(asyncio.wait_for(work, 30))
    assert time.monotonic() - start < 29, "it hung until it was cancelled"


async def taken(source: RedisSource, seconds: float = 10.0) -> Any:
    """The next task, waited for in a thread."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        one = await asyncio.to_thread(source.take, 0.1)
        if one is not None:
            return one
    raise AssertionError(f"no task within {seconds} s")


def test_a_task_goes_out_whole_and_its_answer_comes_back(
    queue_settings: QueueSettings, new_source: NewSource
) -> None:
    async def work() -> None:
        queue, source = RedisQueue(queue_settings), new_source()
        await queue.open()
        sent = task(frame_set([person()]), RIG, preview_side=320)
        future = await queue.post(sent)
        got = await taken(source)
        assert (got.id, got.images, got.preview_side) == (sent.id, sent.images, 320)
        assert (got.posted_ns, got.deadline_ns) == (sent.posted_ns, sent.deadline_ns)
        assert got.rig.names == RIG.names
        assert pytest.approx(RIG.cameras[2].K) == got.rig.cameras[2].K
        error = WrongMediaType("said", field="/cam1", camera="cam1")
        source.answer(Answer(got.id, error))
        back = (await future).outcome
        assert isinstance(back, WrongMediaType)
        assert (str(back), back.field, back.camera) == ("said", "/cam1", "cam1")
        assert (await queue.depth()).tasks == 0
        await queue.close()

    run(work())


def test_a_full_queue_refuses_until_one_is_answered(
    queue_settings: QueueSettings, new_source: NewSource
) -> None:
    async def work() -> None:
        few = queue_settings.model_copy(update={"length": 2})
        queue, source = RedisQueue(few), new_source(few)
        await queue.open()
        for _ in range(2):
            await queue.post(task())
        one = await taken(source)
        with pytest.raises(QueueFull, match="2 frame sets") as caught:
            await queue.post(task())
        assert caught.value.retry_after_s >= 1
        assert (await queue.depth()).tasks == 2  # taken, not answered: still counts
        source.answer(failed(one))
        await queue.post(task())
        await queue.close()

    run(work())


def test_a_dead_workers_task_goes_to_another(
    queue_settings: QueueSettings, new_source: NewSource
) -> None:
    async def work() -> None:
        queue, dead, heir = (
            RedisQueue(queue_settings),
            new_source(),
            new_source(),
        )
        await queue.open()
        sent = task()
        future = await queue.post(sent)
        assert (await taken(dead)).id == sent.id
        dead.leave()  # as if killed: it renews nothing any more
        assert (await taken(heir)).id == sent.id
        heir.answer(failed(sent, "from the heir"))
        dead.answer(failed(sent, "from the dead"))  # it was only slow: too late
        assert str((await future).outcome) == "from the heir"
        await asyncio.sleep(0.2)
        assert (await queue.depth()).tasks == 0
        await queue.close()

    run(work())


def test_a_slow_worker_keeps_its_claim(
    queue_settings: QueueSettings, new_source: NewSource
) -> None:
    async def work() -> None:
        queue, slow, other = (
            RedisQueue(queue_settings),
            new_source(),
            new_source(),
        )
        await queue.open()
        sent = task()
        future = await queue.post(sent)
        await taken(slow)
        end = time.monotonic() + 2.5 * queue_settings.claim_idle_s
        while time.monotonic() < end:
            assert await asyncio.to_thread(other.take, 0.1) is None
        slow.answer(failed(sent, "slow"))
        assert str((await future).outcome) == "slow"
        await queue.close()

    run(work())


def test_a_task_that_kills_its_workers_is_given_up_and_told(
    queue_settings: QueueSettings, new_source: NewSource, server: int
) -> None:
    async def work() -> None:
        queue = RedisQueue(queue_settings)
        await queue.open()
        sent = task()
        future = await queue.post(sent)
        for _ in range(queue_settings.losses):
            victim = new_source()
            assert (await taken(victim)).id == sent.id
            victim.leave()
        last = new_source()
        end = time.monotonic() + 10
        while not future.done():
            assert time.monotonic() < end
            assert await asyncio.to_thread(last.take, 0.1) is None
        outcome = (await future).outcome
        assert isinstance(outcome, WorkerLost)
        assert "3 workers" in str(outcome)
        await queue.close()

    run(work())
    client = redis.Redis(port=server)
    ((_, entry),) = client.xrange(f"{queue_settings.prefix}:lost")
    assert b"3 workers" in entry[b"reason"]
    client.close()


def test_an_entry_that_is_none_of_ours_kills_no_worker(
    queue_settings: QueueSettings, new_source: NewSource, server: int
) -> None:
    async def work() -> None:
        queue, source = RedisQueue(queue_settings), new_source()
        await queue.open()
        client = redis.Redis(port=server)
        client.xadd(f"{queue_settings.prefix}:tasks", {"nonsense": "1"})
        client.close()
        sent = task()
        await queue.post(sent)
        assert (await taken(source)).id == sent.id
        source.answer(failed(sent))
        assert (await queue.depth()).tasks == 0
        await queue.close()

    run(work())


def test_nobody_works_until_a_warm_worker_says_so(
    queue_settings: QueueSettings, new_source: NewSource
) -> None:
    async def work() -> None:
        queue, source = RedisQueue(queue_settings), new_source()
        assert "no worker" in str(await queue.problem())
        await asyncio.to_thread(source.take, 0.1)
        await asyncio.sleep(1.1)  # what was asked is believed for a second
        assert await queue.problem() is None
        source.leave()
        await asyncio.sleep(1.1)
        assert "no worker" in str(await queue.problem())
        await queue.close()

    run(work())


def test_a_redis_that_is_not_there_is_named_without_its_password() -> None:
    async def work() -> None:
        url = f"redis://user:secret@127.0.0.1:{free_port()}/0"
        queue = RedisQueue(QueueSettings(kind="redis", url=url))
        said = str(await queue.problem())
        assert "127.0.0.1" in said
        assert "secret" not in said
        with pytest.raises(NotReady):
            await queue.post(task())
        await queue.close()

    run(work())


@contextmanager
def workers(settings: Settings, count: int) -> Iterator[list[DotPredictor]]:
    """Workers of their own, as `quadglass work` starts them, in threads here."""
    predictors = [DotPredictor() for _ in range(count)]
    started = []
    for index, predictor in enumerate(predictors):
        source = RedisSource(settings.queue)
        worker = make_worker(settings, source, predictor, Metrics(), f"test-{index}")
        worker.start()
        started.append(worker)
    try:
        yield predictors
    finally:
        for worker in started:
            worker.stop()
        for worker in started:
            worker.join(10)


@pytest.mark.parametrize("mode", ["all", "latest"])
def test_a_live_stream_through_redis_keeps_its_order_and_its_people(
    queue_settings: QueueSettings, tmp_path: Path, mode: str
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        queue=queue_settings.model_copy(update={"deadline_s": 60.0}),
        worker=WorkerSettings(threads=0),
        batch=BatchSettings(pictures=4),
    )
    with workers(settings, 2) as predictors, running(settings) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take", "regions": True})
        with live(client, f"/v1/rigs/studio/stream?capture=take&mode={mode}") as stream:
            for number in range(10):
                people = [person(-0.6 + 0.03 * number, 0.5), person(0.6 - 0.03 * number, -0.5)]
                stream.send(frame_set(people), number * 33_333_333, number)
            stream.end()
            said = stream.rest()
        results = [one["result"] for one in said if one["type"] == "result"]
        report = [one for one in said if one["type"] == "report"][-1]
        assert report["received"] == 10 == report["answered"] + sum(report["dropped"].values())
        assert set(report["dropped"]) <= ({"overtaken"} if mode == "latest" else set())
        times = [one["timestamp_ns"] for one in results]
        assert times == sorted(times)
        assert times[-1] == 9 * 33_333_333
        assert all({one["id"] for one in result["people"]} == {0, 1} for result in results)
        assert client.get("/v1/captures/take/frames").json()["frames"] == results
    assert all(len(one.batches) > 1 for one in predictors) or mode == "latest"


def test_a_service_and_its_workers_find_each_other_through_redis(
    queue_settings: QueueSettings, tmp_path: Path
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        queue=queue_settings,
        worker=WorkerSettings(threads=0),
        batch=BatchSettings(pictures=4),
    )
    with workers(settings, 2) as predictors, running(settings) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        client.post("/v1/captures", json={"rig": "studio", "name": "take"})
        truth = person(0.2, 0.1)
        for number in range(3):
            response = client.post(
                FRAMES,
                files=as_files(frame_set([truth])),
                data={"capture": "take", "timestamp_ns": str(number)},
            )
            assert response.status_code == 200, response.text
            (found,) = response.json()["people"]
            positions = np.array([joint["position"] or [np.nan] * 3 for joint in found["joints"]])
            assert np.median(errors_m(positions, truth)) < 0.002
            assert found["id"] == 0
        assert client.get("/v1/captures/take/frames/2/cam0.jpg").status_code == 200
        broken = {**frame_set([]), "cam1": b"no picture"}
        refused = client.post(FRAMES, files=as_files(broken))
        assert (refused.status_code, refused.json()["pointer"]) == (415, "/cam1")
        with ThreadPoolExecutor(8) as pool:
            files = as_files(frame_set([truth]))
            jobs = [pool.submit(client.post, FRAMES, files=files) for _ in range(16)]
            assert [job.result().status_code for job in jobs] == [200] * 16
        assert all(len(predictor.batches) > 1 for predictor in predictors), "both work"


def test_redis_may_be_restarted(new_source: NewSource, tmp_path: Path) -> None:
    """What waits lies in its append-only file; both sides connect again."""
    port = free_port()
    process = start_redis(tmp_path, port)
    settings = QueueSettings(kind="redis", url=f"redis://127.0.0.1:{port}/0", claim_idle_s=1.0)

    async def work() -> None:
        nonlocal process
        queue, source = RedisQueue(settings), new_source(settings)
        await queue.open()
        sent = task()
        future = await queue.post(sent)
        await asyncio.to_thread(stop, process)
        process = await asyncio.to_thread(start_redis, tmp_path, port)
        assert (await taken(source)).id == sent.id
        source.answer(failed(sent, "after the restart"))
        assert str((await future).outcome) == "after the restart"
        await queue.close()

    try:
        run(work())
    finally:
        stop(process)


WORK = """
import sys
from service.config import load_settings
from service.work import work
from tests.service.dots import DotPredictor
work(load_settings(None), predictor=DotPredictor())
"""


def test_what_a_vanished_worker_held_is_answered_by_a_new_process(
    queue_settings: QueueSettings, new_source: NewSource, tmp_path: Path
) -> None:
    """The first takes a frame set and is never heard of again, as after SIGKILL."""
    # The new process has to load and warm up before the deadline, on a busy machine too.
    patient = queue_settings.model_copy(update={"deadline_s": 60.0})
    settings = Settings(data_dir=tmp_path, queue=patient, worker=WorkerSettings(threads=0))
    environ = {
        "PATH": "/usr/bin:/bin",
        "QUADGLASS_QUEUE_KIND": "redis",
        "QUADGLASS_QUEUE_URL": queue_settings.url,
        "QUADGLASS_QUEUE_PREFIX": queue_settings.prefix,
        "QUADGLASS_QUEUE_CLAIM_IDLE_S": "1",
    }

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", WORK], env=environ, cwd=Path(__file__).parents[2]
        )

    claim = new_source()
    with running(settings, wait_ready=False) as client:
        client.put("/v1/rigs/studio/rig.yaml", content=RIG_YAML)
        claim.take(0.1)  # says that it is there
        until(lambda: client.get("/health/ready").status_code == 200, "ready")
        got: list[Any] = []
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(client.post, FRAMES, files=as_files(frame_set([person()])))
            until(lambda: got.append(claim.take(0.1)) or got[-1] is not None, "taken")
            claim.leave()
            process = spawn()
            assert job.result().status_code == 200, job.result().text
        process.terminate()
        assert process.wait(20) == 0, "SIGTERM ends a worker cleanly"
