"""Views and frame sets of several posters, gathered into one batch until it is full or due."""

from __future__ import annotations

import time

from .config import BatchSettings
from .queue import Source
from .task import Task

__all__ = ["gather"]


def gather(source: Source, settings: BatchSettings, idle_s: float) -> list[Task]:
    """The next batch.

    Args:
        source: where tasks are taken from.
        settings: how many pictures make a batch full, and when it is due.
        idle_s: how long to wait for a first task.

    Returns:
        Tasks with `settings.pictures` pictures or more together, or fewer once the first has
        waited `settings.wait_ms`; none after `idle_s` without any.
    """
    first = source.take(idle_s)
    if first is None:
        return []
    tasks, pictures = [first], len(first.images)
    due = time.monotonic() + settings.wait_ms / 1e3
    while pictures < settings.pictures:
        task = source.take(max(0.0, due - time.monotonic()))
        if task is None:
            break
        tasks.append(task)
        pictures += len(task.images)
    return tasks
