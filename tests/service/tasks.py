"""Tasks for tests of queues, batches and workers."""

from __future__ import annotations

import time
from collections.abc import Mapping

from calibration.rig import Rig
from service.task import Answer, Task


def task(
    images: Mapping[str, bytes] | None = None,
    rig: Rig | None = None,
    *,
    seconds: float = 10.0,
    preview_side: int = 0,
) -> Task:
    """A task posted now that somebody waits for this long."""
    now_ns = time.time_ns()
    deadline_ns = now_ns + int(seconds * 1e9)
    return Task(images or {"image": b"x"}, rig, now_ns, deadline_ns, preview_side)


def failed(one: Task, said: str = "said") -> Answer:
    """An answer that is easily told from others."""
    return Answer(one.id, RuntimeError(said))
