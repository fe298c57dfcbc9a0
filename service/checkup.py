"""What a machine can run: each thing that the service needs, looked at once."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import httpx
import numpy as np
import redis

from models.errors import ModelError

from .config import Settings, load_settings
from .errors import BadSettings

__all__ = ["READY_TIMEOUT_S", "Finding", "examine", "look_at_redis", "service_problem"]

READY_TIMEOUT_S = 4.0  # below the container's own limit of 5 s, so the reason gets out
GIB = 1024**3
LOW_DISK_BYTES = 2 * GIB  # a take with previews is some hundred megabytes
LOW_MEMORY_BYTES = 1 * GIB  # network, decoded pictures and the queue's default bound
TIMED_RUNS = 5
VIEWS = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: Literal["good", "note", "bad"]  # note: works, but worth knowing
    says: str


def examine() -> list[Finding]:
    """Everything that matters here, in the order in which it would stop the service."""
    try:
        settings = load_settings()
    except BadSettings as error:
        return [Finding("settings", "bad", str(error))]
    found = [_machine(), _memory(), _disk(settings.data_dir), _gpu()]
    if settings.queue.kind == "redis":
        found.append(look_at_redis(settings.queue.url))
    else:
        found.append(Finding("redis", "good", "not used: the queue is in the service's memory"))
    return [*found, *_network(settings)]


def service_problem(address: str, timeout_s: float) -> str | None:
    """Why a running service is not ready, or None."""
    try:
        answer = httpx.get(f"{address.rstrip('/')}/health/ready", timeout=timeout_s)
    except httpx.HTTPError as error:
        return f"it does not answer ({error})"
    return None if answer.is_success else answer.text


def _machine() -> Finding:
    usable = len(os.sched_getaffinity(0))
    says = f"quadglass {version('quadglass')}, Python {platform.python_version()}, {usable} cores"
    return Finding("machine", "good", f"{says}, {platform.system()} {platform.machine()}")


def _memory() -> Finding:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):  # counts what the page cache would give back
            free = int(line.split()[1]) * 1024
    state: Literal["good", "note"] = "good" if free >= LOW_MEMORY_BYTES else "note"
    return Finding("memory", state, f"{free / GIB:.1f} GiB available")


def _disk(data_dir: Path) -> Finding:
    # The folder may not exist yet; its nearest parent says which disk it will be on.
    place = next(p for p in (data_dir.absolute(), *data_dir.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    says = f"{free / GIB:.1f} GiB free for {data_dir.absolute()}"
    if not os.access(place, os.W_OK):
        return Finding("disk", "bad", f"{place} cannot be written; set QUADGLASS_DATA_DIR")
    return Finding("disk", "good" if free >= LOW_DISK_BYTES else "note", says)


def _gpu() -> Finding:
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = [
        line.partition(":")[2].strip()
        for card in cards
        for line in card.read_text(encoding="utf-8").splitlines()
        if line.startswith("Model:")
    ]
    if not models:
        return Finding("gpu", "note", "no NVIDIA driver here; the network runs on the CPU")
    return Finding("gpu", "good", ", ".join(models))


def look_at_redis(url: str) -> Finding:
    """Whether a Redis answers."""
    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            info = client.info("server")
    except (redis.RedisError, ValueError) as error:
        return Finding("redis", "bad", f"{_without_password(url)} does not answer: {error}")
    return Finding("redis", "good", f"{info['redis_version']} at {_without_password(url)}")


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _network(settings: Settings) -> Iterator[Finding]:
    try:
        runtime = next(_installed(("onnxruntime", "onnxruntime-gpu")))
    except StopIteration:
        yield Finding(
            "runtime", "bad", "no ONNX Runtime; install the extra: bash deploy/setup.sh cpu"
        )
        return
    import onnxruntime

    from .network import load_predictor

    providers = onnxruntime.get_available_providers()
    missing = [name for name in settings.model.providers if name not in providers]
    yield Finding("runtime", "bad" if missing else "good", f"{runtime}: {', '.join(providers)}")
    try:
        predictor = load_predictor(settings.model)
    except ModelError as error:
        yield Finding("network", "bad", str(error))
        return
    side = predictor.input_side
    # Speed does not depend on what is in the pictures, up to the grouping, which empty ones skip.
    views = [np.zeros((side, side, 3), dtype=np.uint8)] * VIEWS
    predictor.candidates(views)
    times_ms = []
    for _ in range(TIMED_RUNS):
        start = time.perf_counter()
        predictor.candidates(views)
        times_ms.append((time.perf_counter() - start) * 1e3)
    middle_ms = sorted(times_ms)[TIMED_RUNS // 2]
    yield Finding(
        "network",
        "good",
        f"{predictor.name}: {middle_ms:.0f} ms for {VIEWS} views of {side} x {side} px, "
        f"{1e3 / middle_ms:.1f} frame sets/s in one session of {settings.model.threads} thread(s)",
    )


def _installed(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
